"""Call records into the ledger: rated once, whatever the batches, the repeats and the other writers."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from ledger import seen as seen_module
from ledger.home import Home
from ledger.verify import verify
from rating import price_book
from rating.records import RECORD
from tests.facts import SECOND, a_payment, a_record, charged, rows, send
from tests.scenario import NUMBER, World, instant
from tests.scenario_then import folded

GIVEN = [
    "provider P1",
    "customer C1 under P1, low balance 2.00",
    "customer C2 under P1",
    f"number {NUMBER} of C1 under P1, plan PAYG, signed 2026-07-20 10:00, active 2026-08-03 09:00",
    f"number {SECOND} of C2 under P1, plan Y600, rate 0.15, signed 2026-07-02 10:00, active 2026-07-03 09:00",
]
MINUTES = [timedelta(minutes=n) for n in range(3)]


def a_world(folder: Path) -> World:
    """C1 has paid 3.00, which is ten minutes; C2 has the credit of a plan."""
    world = World(folder, price_book.default_text())
    world.begin(GIVEN)
    send(world.home, a_payment("pay", "3.00", "2026-07-04 10:00"))
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return a_world(tmp_path)


def calls(home: Home) -> list[dict[str, Any]]:
    return rows(home.calls)


def alerts(home: Home) -> list[tuple[str, int, str]]:
    """(id, the calls it had seen, the balance it tells)."""
    sent = [row for row in rows(home.events) if row["kind"] == "alert"]
    return [(row["command_id"], row["calls_seq"], json.loads(row["effect"])["balance"]) for row in sent]


def test_every_record_is_one_row(world: World) -> None:
    """R-INV-1: rated, zero-rated, duplicate, conflict and rejected; what is not charged keeps its bytes."""
    counts = charged(
        world.home,
        a_record("a"),
        a_record("a"),
        a_record("a", length=MINUTES[2]),
        a_record("b", answer_at=None, length=MINUTES[0]),
        a_record("c", service_number="4009999999"),
        a_record("d", service_number="010-4001170392"),
        a_record("e", "2026-08-03 08:59:59"),
        a_record("f", end_at=instant("2026-08-10 09:59")),
        a_record(None),
        a_record("g", fault="UNREADABLE", fault_detail="cut off"),
        a_record("h", "2026-08-10 13:00"),
    )
    assert counts == {
        "rated": 2, "duplicate": 2, "rejected": 7, "DUPLICATE": 1, "CONFLICTING_DUPLICATE": 1, "UNKNOWN_NUMBER": 1,
        "BAD_NUMBER": 1, "NO_PLAN": 1, "BAD_INTERVAL": 1, "MISSING_FIELD": 1, "UNREADABLE": 1, "CLOCK_SKEW": 1,
    }  # fmt: skip
    found = calls(world.home)
    assert [row["seq"] for row in found] == list(range(11))
    for row in found:
        is_rated = row["outcome"] == "rated"
        assert (
            (row["raw"] is None) == (row["reason"] is None) == (row["owner_fee"] is not None) == is_rated
        ), row
    assert [row["duplicate_of"] for row in found[1:3]] == [0, 0]
    assert world.home.state.balance("customer/C1") == 27_000


def test_the_row_has_all_that_a_customer_looks_up(world: World) -> None:
    """R-CALL-7 R-NUM-8: region, number, start, duration, fee; which rule applied and which phone answered."""
    more = {
        "answer_rule": "round_robin",
        "answering_phone": "053188001122",
        "recording_ref": "r/1.wav",
        "extra": '{"lane":3}',
    }
    record = a_record("a", length=timedelta(seconds=121), caller_number="+86 531 1234-5678", **more)
    charged(world.home, record)
    row = calls(world.home)[0]
    looked_up = {
        "caller_area": "0531", "caller_number": "053112345678", "start_at": record["start_at"], "duration_s": 121,
        "billed_s": 180, "month": "2026-08", "customer_id": "C1", "provider_id": "P1", **more,
    }  # fmt: skip
    assert {name: row[name] for name in looked_up} == looked_up
    assert (str(row["owner_fee"]), row["events_seq"]) == ("0.9000", world.home.events.next_seq)


@pytest.mark.parametrize(
    ("microseconds", "fee"),
    [(59_999_999, "0.3000"), (60_000_000, "0.3000"), (60_000_001, "0.6000"), (1, "0.3000")],
)
def test_a_fraction_of_a_second_counts_as_one(world: World, microseconds: int, fee: str) -> None:
    """R-CALL-3: end less answer, fractions rounded up, then started minutes."""
    charged(world.home, a_record("a", length=timedelta(microseconds=microseconds)))
    assert str(calls(world.home)[0]["owner_fee"]) == fee


@pytest.mark.parametrize(
    "text", ["\u200f4001170392\u200e", "\ufeff400 117 0392", "４００－１１７－０３９２", "(400)1170392\u2069"]
)
def test_marks_and_full_width_digits_never_make_a_second_account(world: World, text: str) -> None:
    """F-08 R-CALL-6."""
    charged(world.home, a_record("a", service_number=text))
    row = calls(world.home)[0]
    assert (row["service_number"], row["customer_id"]) == (NUMBER, "C1")


def test_a_repeat_is_found_in_the_batch_in_the_ledger_and_from_another_file(world: World) -> None:
    """F-10 R-INV-6: also months later, and when its number is written in another way."""
    charged(world.home, a_record("a"), a_record("b"))
    charged(world.home, a_record("b"), a_record("c"), a_record("c"))
    charged(world.home, a_record("a", service_number="+86-400-117-0392"), at="2026-11-20 10:00")
    assert [(row["call_id"], row["outcome"], row["duplicate_of"]) for row in calls(world.home)] == [
        ("a", "rated", None),
        ("b", "rated", None),
        ("b", "duplicate", 1),
        ("c", "rated", None),
        ("c", "duplicate", 3),
        ("a", "duplicate", 0),
    ]
    assert world.home.state.balance("customer/C1") == 30_000 - 3 * 3_000


def test_a_conflict_names_both_contents_and_the_first_stands_for_ever(world: World) -> None:
    """F-11."""
    longer = a_record("a", length=MINUTES[2])
    charged(world.home, a_record("a"), longer, longer, a_record("a"))
    found = calls(world.home)
    assert [row["reason"] for row in found] == [
        None,
        "CONFLICTING_DUPLICATE",
        "CONFLICTING_DUPLICATE",
        "DUPLICATE",
    ]
    assert "end_at 2026-08-10T10:01:00+08:00 there and 2026-08-10T10:02:00+08:00 here" in found[1]["detail"]
    assert [row["duplicate_of"] for row in found] == [None, 0, 0, 0]


def test_what_the_index_has_forgotten_is_not_charged_again(world: World, tmp_path: Path) -> None:
    """R-INV-6: not with an earlier arrival, nor once the price book takes older calls than it did."""
    home = world.home
    old, new = a_record("old"), a_record("new", "2027-05-03 10:00")
    assert charged(home, old) == {"rated": 1}
    assert charged(home, new, at="2027-05-03 12:00") == {"rated": 1}
    home.seen_calls.publish()
    assert home.seen_calls.forgotten_month == "2026-08"
    assert charged(home, old) == {"duplicate": 1, "DUPLICATE": 1}
    assert charged(home, old, at="2027-05-03 13:00") == {"rejected": 1, "TOO_LATE": 1}
    book = price_book.default_text()
    longer = re.sub(r"^late_months = .*$", "late_months = 12", book, flags=re.MULTILINE)
    assert longer != book
    home.adopt_price_book(longer, "longer.toml", instant("2027-05-03 14:00"))
    for one in (home, Home.open(tmp_path)):
        assert charged(one, old, at="2027-05-03 15:00") == {"duplicate": 1, "DUPLICATE": 1}
    assert verify(home.events, home.calls) == []


def test_ids_of_one_hash_are_told_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-INV-6 F-11: each is charged once, in one batch and in several."""

    def bad_hashes(ids: pa.Array, _seed: int) -> npt.NDArray[np.uint64]:
        return np.ones(len(ids), np.uint64)

    monkeypatch.setattr(seen_module, "hash_ids", bad_hashes)
    charged(world.home, *(a_record(one) for one in "abba"))
    charged(world.home, *(a_record(one) for one in "bcac"))
    assert [(row["call_id"], row["outcome"], row["duplicate_of"]) for row in calls(world.home)] == [
        ("a", "rated", None),
        ("b", "rated", None),
        ("b", "duplicate", 1),
        ("a", "duplicate", 0),
        ("b", "duplicate", 1),
        ("c", "rated", None),
        ("a", "duplicate", 0),
        ("c", "duplicate", 5),
    ]


def test_what_was_rejected_is_no_first_of_its_id(world: World) -> None:
    """R-INV-6: only what was charged can be repeated."""
    backwards = a_record("a", end_at=instant("2026-08-10 09:00"))
    charged(world.home, a_record("a", service_number="4009999999"), a_record("a"), backwards)
    assert [row["outcome"] for row in calls(world.home)] == ["rejected", "rated", "rejected"]


def play_the_calls(
    folder: Path, size: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """Late calls of one customer, another one who runs dry, repeats and rejects, in batches of a size."""
    world = a_world(folder)
    world.close("2026-08", instant("2026-09-01 00:10"))
    records = [a_record(f"dry-{n}", "2026-09-03 10:00", length=MINUTES[1 + (n == 3)]) for n in range(9)]
    for n in range(3):
        late = a_record(
            f"late-{n}", f"2026-08-1{n} 10:00", length=timedelta(minutes=151), service_number=SECOND
        )
        records.insert(3 * n, late)
    records += [records[1], a_record("unknown", service_number="4009999999"), *records[5:8]]
    for start in range(0, len(records), size):
        charged(world.home, *records[start : start + size], at="2026-09-05 10:00")
    known = [
        {name: value for name, value in row.items() if name != "events_seq"} for row in calls(world.home)
    ]
    return known, rows(world.home.events), folded(world.home.state)


def test_the_rows_are_the_same_however_the_calls_are_cut_into_batches(tmp_path: Path) -> None:
    """R-INV-5 R-ARR-1 R-MIN-7: alerts and adjustments are decided call by call, with the same ids."""
    whole = play_the_calls(tmp_path / "all", 100)
    adjusted = [
        str(amount) for row in whole[1] if row["kind"] == "adjust_minimum" for amount in row["p_amount"]
    ]
    assert adjusted == ["22.6500", "22.6500", "4.7000"]
    assert [row["command_id"] for row in whole[1] if row["kind"] == "alert"] == ["customer/C1/low_balance/1"]
    for size in (1, 7):
        assert play_the_calls(tmp_path / str(size), size) == whole, f"in batches of {size}"


def test_an_alert_tells_the_balance_after_the_very_call_that_crossed(world: World) -> None:
    """R-ARR-1: of twelve calls in one batch the fourth is below 2.00 and the eleventh below zero."""
    charged(world.home, *(a_record(f"k{n}") for n in range(12)))
    assert alerts(world.home) == [
        ("customer/C1/low_balance/1", 4, "1.80"),
        ("customer/C1/arrears/1", 11, "-0.30"),
        ("customer/C1/suspended/1", 11, "-0.30"),
    ]
    assert world.home.state.balance("customer/C1") == -6_000


def test_a_late_call_is_counted_by_the_next_close(world: World) -> None:
    """F-14 R-CALL-8: its own month's close stays as it is."""
    world.close("2026-08", instant("2026-09-01 00:10"))
    before = [row for row in rows(world.home.events) if row["kind"] == "close_customer"]
    charged(
        world.home, a_record("a", service_number=SECOND, length=timedelta(minutes=100)), at="2026-09-05 10:00"
    )
    world.close("2026-09", instant("2026-10-01 00:10"))
    after = [row for row in rows(world.home.events) if row["kind"] == "close_customer"]
    assert after[: len(before)] == before
    assert calls(world.home)[0]["seq"] >= before[-1]["calls_seq"]
    september = next(row for row in after if row["command_id"] == "close/2026-09/C2")
    # the late 15.00 less 15.00 of August's top-up, and September's own 50.00
    assert dict(zip(september["p_kind"], map(str, september["p_amount"]), strict=True)) == {
        "minimum_top_up": "50.0000",
        "settlement": "50.0000",
    }


def test_two_writers_charge_a_call_once(world: World) -> None:
    """F-10 F-16: each sees the other's rows before it rates."""
    other = Home.open(world.home.folder)
    charged(world.home, a_record("a"), a_record("b"))
    charged(other, a_record("a"), a_record("c"))
    charged(world.home, a_record("c"))
    outcomes = [(row["call_id"], row["outcome"]) for row in calls(world.home)]
    assert outcomes == [
        ("a", "rated"),
        ("b", "rated"),
        ("a", "duplicate"),
        ("c", "rated"),
        ("c", "duplicate"),
    ]
    other.see()
    assert folded(other.state) == folded(world.home.state)
    assert world.home.state.balance("customer/C1") == 30_000 - 3 * 3_000


def test_calls_that_lost_the_race_are_rated_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-16: the other commits between our look and our commit, the same call among others."""
    other, see = Home.open(world.home.folder), world.home.see

    def see_too_early() -> None:
        see()
        monkeypatch.setattr(world.home, "see", see)
        charged(other, a_record("a"))

    monkeypatch.setattr(world.home, "see", see_too_early)
    assert charged(world.home, a_record("a"), a_record("b")) == {"duplicate": 1, "DUPLICATE": 1, "rated": 1}
    assert world.home.state.balance("customer/C1") == 30_000 - 2 * 3_000


def test_a_commit_that_fails_charges_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-16 F-18."""
    before = folded(world.home.state)

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(world.home.calls, "append", full)
        with pytest.raises(OSError, match="no space"):
            charged(world.home, a_record("a"))
    assert folded(world.home.state) == before
    assert charged(world.home, a_record("a")) == {"rated": 1}


def test_what_follows_from_calls_is_made_up_for_after_a_crash(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-16: killed after the calls' commit and before the alerts'; the next opening decides the same."""
    records = [a_record(f"k{n}") for n in range(12)]

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(world.home, "committed_calls", killed)
        with pytest.raises(KeyboardInterrupt):
            charged(world.home, *records)
    undisturbed = a_world(world.home.folder / "undisturbed")
    charged(undisturbed.home, *records)
    opened = Home.open(world.home.folder)
    assert rows(opened.events) == rows(undisturbed.home.events)
    assert folded(opened.state) == folded(undisturbed.home.state)


def test_the_offset_is_in_the_commit(world: World) -> None:
    """F-16."""
    charged(world.home, a_record("a"), a_record("b"))
    assert Home.open(world.home.folder).calls.offset("file:a") == 2


def test_no_records_are_no_rows(world: World) -> None:
    assert set(a_record()) == set(RECORD.names)
    assert charged(world.home) == {}
    assert world.home.calls.next_seq == 0
