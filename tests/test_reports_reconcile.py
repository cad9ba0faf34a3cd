"""Carriers' and banks' lists against the ledger: every pair is found once, every difference is named in money."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import fentan
from ledger.faults import BadRequest
from ledger.home import Home
from reports.ask import ask_own
from reports.foreign_list import read_list
from reports.reconcile_bank import HEADINGS, reconcile_bank
from reports.reconcile_carrier import reconcile_carrier
from tests.billed import billed_ledger, play
from tests.scenario import World

NOW = datetime(2026, 11, 6, tzinfo=UTC)
COLUMNS = ("service_number", "caller_number", "start_at", "duration_s", "amount")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return billed_ledger(tmp_path_factory.mktemp("reconciled"))


@pytest.fixture(scope="module")
def home(world: World) -> Path:
    return world.home.folder


def our_calls(home: Path, month: str = "2026-08") -> list[dict[str, Any]]:
    """Our calls of a month as a carrier would list them."""
    sql = (
        "SELECT service_number, caller_number, strftime(start_at, '%Y-%m-%d %H:%M:%S') AS start_at, duration_s, "
        f"owner_fee AS amount FROM calls WHERE month = '{month}' ORDER BY seq"
    )
    rows: list[dict[str, Any]] = ask_own(home, sql, NOW).to_pylist()
    return rows


def saved(
    path: Path, rows: list[dict[str, Any]], headings: tuple[str, ...] = COLUMNS, encoding: str = "utf-8"
) -> Path:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(headings)
    writer.writerows([row[column] for column in COLUMNS] for row in rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def differences(home: Path, file: Path, month: str = "2026-08", **options: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = reconcile_carrier(home, file, month, NOW, **options).differences.to_pylist()
    return rows


# carriers


@pytest.mark.parametrize(
    ("headings", "encoding"),
    [
        (COLUMNS, "utf-8"),
        (COLUMNS, "utf-8-sig"),
        (("被叫号码", "主叫号码", "开始时间", "通话时长", "费用"), "gb18030"),
        (("Number", " CALLER ", "Start_Time", "Seconds", "Fee"), "utf-8"),
    ],
)
def test_the_same_calls_agree_whatever_the_carrier_calls_its_columns(
    home: Path, tmp_path: Path, headings: tuple[str, ...], encoding: str
) -> None:
    """R-ARR-4."""
    calls = our_calls(home)
    found = reconcile_carrier(home, saved(tmp_path / "c.csv", calls, headings, encoding), "2026-08", NOW)
    assert (found.lines, found.calls, found.pairs) == (len(calls), len(calls), len(calls))
    assert found.differences.num_rows == 0


def test_clocks_may_differ_and_numbers_may_be_spelt_otherwise(home: Path, tmp_path: Path) -> None:
    """R-ARR-4 R-CALL-6: within the tolerance, and not beyond it."""
    calls = [
        {**one, "start_at": one["start_at"][:-2] + "04", "service_number": f"+86 {one['service_number']}"}
        for one in our_calls(home)
    ]
    file = saved(tmp_path / "c.csv", calls)
    assert differences(home, file) == []
    assert {row["finding"] for row in differences(home, file, tolerance_s=3)} == {"only_ours", "only_theirs"}


def test_each_kind_of_difference_is_named_with_what_it_is_worth(home: Path, tmp_path: Path) -> None:
    """R-ARR-4 R-CALL-3: at our rate and increment."""
    calls = our_calls(home)
    long = next(one for one in calls if one["service_number"] == "4006667770")
    gone = next(one for one in calls if one["duration_s"] == 60 and one["service_number"] == "4001170392")
    calls.remove(gone)
    long["duration_s"] += 61
    calls.append({**gone, "start_at": "2026-08-20 09:00:00", "duration_s": 61, "amount": "1,000.50"})
    calls.append({**gone, "service_number": "4009999999", "start_at": "2026-08-11 10:00:00"})
    calls.append({**gone, "service_number": "none"})
    calls.append({**gone, "start_at": "2026-10-20 09:00:00"})
    found = reconcile_carrier(home, saved(tmp_path / "c.csv", calls), "2026-08", NOW)
    told = {
        row["finding"]: row for row in found.differences.to_pylist() if row["service_number"] != "4009999999"
    }
    assert set(told) == {"duration", "only_ours", "only_theirs", "unreadable"}
    assert told["duration"]["worth_yuan"] == Decimal("0.6000")  # 50 minutes became 52 at 0.30
    assert (told["only_ours"]["worth_yuan"], told["only_ours"]["customer_id"]) == (Decimal("-0.1500"), "C1")
    theirs = told["only_theirs"]
    assert (theirs["worth_yuan"], theirs["their_yuan"]) == (
        Decimal("0.4000"),
        Decimal("1000.5000"),
    )  # 0.20 today
    assert told["unreadable"]["line"] == len(calls)
    assert found.other_months == 1
    (unknown,) = (row for row in found.differences.to_pylist() if row["service_number"] == "4009999999")
    assert unknown["note"] == "rejected here: UNKNOWN_NUMBER"


def test_a_duration_below_zero_is_not_passed_over(home: Path, tmp_path: Path) -> None:
    """R-ARR-4: as unanswered it would be nobody's."""
    calls = [{**one, "duration_s": -5} if at == 0 else one for at, one in enumerate(our_calls(home))]
    found = differences(home, saved(tmp_path / "c.csv", calls))
    assert [row["line"] for row in found if row["finding"] == "unreadable"] == [2]


def test_calls_that_nobody_answered_are_not_missed(home: Path, tmp_path: Path) -> None:
    answered = [one for one in our_calls(home) if one["duration_s"]]
    assert len(answered) < len(our_calls(home))
    assert differences(home, saved(tmp_path / "c.csv", answered)) == []


def test_calls_close_together_are_paired_one_to_one(tmp_path: Path) -> None:
    """R-ARR-4: the same caller again and again within the tolerance; a line that comes twice is one too many."""
    world = billed_ledger(tmp_path / "home")
    for at in range(6):
        play(world, f"2026-11-05 12:00:{at:02d}", "call", f"1 min, id near-{at}")
    calls = our_calls(world.home.folder, "2026-11")
    assert differences(world.home.folder, saved(tmp_path / "c.csv", calls), "2026-11") == []
    twice = [*calls, calls[-1]]
    (row,) = differences(world.home.folder, saved(tmp_path / "c.csv", twice), "2026-11")
    assert row["finding"] == "only_theirs"
    assert [
        row["finding"]
        for row in differences(world.home.folder, saved(tmp_path / "c.csv", calls[:-1]), "2026-11")
    ] == ["only_ours"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"a,b\n1,2\n", "has no column 'service_number'"),
        (
            b"service_number,start_at,duration_s\n\n4001170392,2026-08-10\n",
            r"more or fewer cells than its heading \(1 of them\), such as line 3 with 2 instead of 3: save",
        ),
        (b"PK\x03\x04\0\0", "is no CSV file"),
    ],
)
def test_what_is_no_list_is_refused_in_a_sentence(
    home: Path, tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "c.csv").write_bytes(content)
    with pytest.raises(BadRequest, match=says):
        reconcile_carrier(home, tmp_path / "c.csv", "2026-08", NOW)
    with pytest.raises(BadRequest, match="No such file"):
        reconcile_carrier(home, tmp_path / "none.csv", "2026-08", NOW)


# banks

PAYMENTS = "reference,amount,at\n网银 slip 1,100.00,2026-08-04\n"


def test_payments_agree_by_reference_and_amount(home: Path, tmp_path: Path) -> None:
    """R-ARR-4: also a plan's fee; a reversed payment was never at the bank."""
    (tmp_path / "b.csv").write_text(PAYMENTS, encoding="utf-8")
    found = reconcile_bank(home, tmp_path / "b.csv", NOW)
    assert (found.lines, found.bookings, found.agreed, found.differences.num_rows) == (1, 1, 1, 0)
    (tmp_path / "b.csv").write_text("摘要,金额\nSLIP-1,￥100\n", encoding="gb18030")
    found = reconcile_bank(home, tmp_path / "b.csv", NOW)
    assert [row["finding"] for row in found.differences.to_pylist()] == ["only_ours"]  # the plan's fee
    assert (found.bookings, found.agreed) == (2, 1)


@pytest.mark.parametrize("before", ["", "\n", "\r\n\r\n", "\ufeff\n"])
def test_a_reference_is_text_also_below_blank_lines(tmp_path: Path, before: str) -> None:
    """R-ARR-4: zeros at its head are a part of it, and the heading, not the first line, tells the delimiter."""
    (tmp_path / "b.csv").write_text(f"{before}reference;amount\n007731;100.10\n", encoding="utf-8")
    read = read_list(tmp_path / "b.csv", HEADINGS, frozenset({"at"}))
    assert read.select(["reference", "amount"]).to_pylist() == [{"reference": "007731", "amount": "100.10"}]


def test_a_row_is_told_by_its_line_in_the_file(tmp_path: Path) -> None:
    """R-ARR-4: the line that an editor shows, whatever is blank or takes several lines before it."""
    lines = ["", "reference,amount", "a,1.00", "", '"b', 'b",2.00', "c,3.00", "d,4.00"]
    for newline in ("\n", "\r\n", "\r"):
        (tmp_path / "b.csv").write_bytes(newline.join(lines).encode())
        read = read_list(tmp_path / "b.csv", HEADINGS, frozenset({"at"}))
        assert dict(zip(read["amount"].to_pylist(), read["line"].to_pylist(), strict=True)) == {
            "1.00": 3, "2.00": 5, "3.00": 7, "4.00": 8}  # fmt: skip
    (tmp_path / "b.csv").write_bytes(b"reference,amount\na,1.00\nb,2.00")
    assert read_list(tmp_path / "b.csv", HEADINGS, frozenset({"at"}))["line"].to_pylist() == [2, 3]


def test_the_encoding_is_that_of_the_whole_file(tmp_path: Path) -> None:
    """R-ARR-4: a list that is in Chinese only far below is read as what it is."""
    latin = "".join(f"slip {number},1.00\n" for number in range(10_000))
    for encoding in ("utf-8", "gb18030"):
        (tmp_path / "b.csv").write_text(f"reference,amount\n{latin}网银,2.00\n", encoding=encoding)
        read = read_list(tmp_path / "b.csv", HEADINGS, frozenset({"at"}))
        assert read["reference"][-1].as_py() == "网银"


def test_what_differs_from_the_bank_is_named(home: Path, tmp_path: Path) -> None:
    """R-ARR-4."""
    lines = (
        PAYMENTS.replace("100.00", "90.00")
        + "slip 9,5.00,2026-08-04\nslip 1,100.00,2026-08-05\nslip 3,five,2026-08-05\n"
    )
    (tmp_path / "b.csv").write_text(lines, encoding="utf-8")
    rows = reconcile_bank(home, tmp_path / "b.csv", NOW).differences.to_pylist()
    assert [(row["finding"], row["line"], row["difference_yuan"]) for row in rows] == [
        ("only_bank", 2, Decimal("90.0000")),
        ("only_bank", 3, Decimal("5.0000")),
        ("unreadable", 5, Decimal(0)),
    ]
    (tmp_path / "b.csv").write_text(PAYMENTS.replace("100.00", "90.00"), encoding="utf-8")
    (row,) = reconcile_bank(home, tmp_path / "b.csv", NOW).differences.to_pylist()
    assert (row["finding"], row["account"], row["difference_yuan"]) == (
        "amount",
        "customer/C2/cash",
        Decimal(-10),
    )


def test_the_program_says_what_differs_and_exits_1(home: Path, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text(PAYMENTS, encoding="utf-8")
    calls = saved(tmp_path / "c.csv", our_calls(home)[1:])
    base = ["--home", str(home), "--now", "2026-11-06T00:00:00+08:00", "reconcile"]
    run = CliRunner().invoke
    assert (
        run(fentan.main, [*base, "bank", str(tmp_path / "b.csv")]).output
        == "1 line of the bank, 1 booking: 1 paired.\n"
    )
    told = run(fentan.main, [*base, "carrier", str(calls), "2026-08"])
    assert told.exit_code == 1
    assert "only_ours: 1, -0.1500 yuan" in told.output
    told = run(fentan.main, [*base, "carrier", str(calls), "2026-08", "--format", "csv"])
    assert len(told.output.splitlines()) == 2


def test_nothing_is_written(home: Path, tmp_path: Path) -> None:
    before = [log.next_seq for log in Home.open_logs(home)]
    differences(home, saved(tmp_path / "c.csv", our_calls(home)[2:]))
    assert [log.next_seq for log in Home.open_logs(home)] == before
