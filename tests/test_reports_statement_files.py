"""A statement's files: safe names, safe cells, written once and whole."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.money import parse_yuan, yuan_text
from reports.statement import Statement
from reports.statement_csv import COLUMNS, statement_csv
from reports.statement_files import SUMS, IssuedDiffers, is_issued, prepare, safe_name, store, write_sums
from reports.statement_json import statement_json
from reports.statement_pdf import statement_pdf
from reports.statement_run import issue_statements
from tests.patience import eventually
from tests.statements_made import a_customer, a_number, a_provider


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


# names


@pytest.mark.parametrize(
    ("party_id", "name"),
    [
        ("C1001", "customer-C1001"),
        ("客户_1.a-b", "customer-客户_1.a-b"),
        ("../../etc/x", "customer-______etc_x-"),
        ("a\x00b", "customer-a_b-"),
        ("C1~en", "customer-C1_en-"),
    ],
)
def test_file_names_come_from_ids_and_stay_in_their_folder(party_id: str, name: str) -> None:
    """F-26"""
    found = safe_name("customer", party_id)
    assert found == name or (name.endswith("-") and found.startswith(name) and len(found) == len(name) + 12)


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_id_gives_a_short_name_of_its_own(one: str, other: str) -> None:
    """F-26"""
    first, second = safe_name("provider", one), safe_name("provider", other)
    assert len(first.encode()) <= 120
    assert not set(first) & set('/\\:*?"<>|~\x00\n')
    assert ".." not in first
    assert (first == second) == (one == other)


# JSON


def test_json_has_decimal_text_and_both_languages() -> None:
    """R-INV-4: no number with a fraction, in whatever depth."""
    statement = a_customer([a_number(calls=3, late=1)])

    def no_float(text: str) -> None:
        raise AssertionError(text)

    whole = json.loads(statement_json(statement), parse_float=no_float)
    assert whole["statement"] == "202611-C-C1001"
    assert whole["account"]["closing"]["total"] == yuan_text(sum(statement.account.closing))
    number = whole["numbers"][0]
    assert number["rates"] == [{"from": "2026-11-01", "rate": "0.15"}]
    assert number["steps"][0]["rule"] == "R-MIN-3"
    assert len(number["call_details"]) == 3
    assert number["call_details"][0]["start_at"].endswith("+08:00")
    assert number["late_calls"][0]["adjustment"].startswith("-")


def test_json_and_csv_take_any_text() -> None:
    """F-08: half a surrogate pair, line separators, quotes."""
    statement = a_customer([a_number(calls=1)], name='a"b\u2028c\ud800,;\r\n')
    assert json.loads(statement_json(statement))["party"]["name"] == 'a"b\u2028c\ud800,;\r\n'
    assert any('a"b' in row["note"] for row in rows(statement_csv(statement)))


# CSV


def test_cells_that_a_spreadsheet_would_execute_are_neutralised() -> None:
    """F-25: texts get an apostrophe, negative amounts stay numbers."""
    statement = a_customer([a_number("+4001170392", calls=2, late=2)], name="=HYPERLINK(1)", party_id="@id")
    entries = tuple(
        replace(one, reference="-1+1", posting_id="=cmd|' /C calc'!A0") for one in statement.entries
    )
    content = statement_csv(replace(statement, entries=entries))
    found = rows(content)
    cells = {cell for row in found for name, cell in row.items() if name != "amount"}
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert {"'=HYPERLINK(1)", "'@id", "'+4001170392", "'-1+1", "'=cmd|' /C calc'!A0"} <= cells
    amounts = [row["amount"] for row in found if row["section"] == "late_call_adjustment"]
    assert amounts
    assert all(amount.startswith("-") for amount in amounts)


def test_csv_opens_in_a_spreadsheet_with_chinese() -> None:
    content = statement_csv(a_provider())
    assert content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\r\n") == content.count(b"\n")
    assert tuple(rows(content)[0]) == COLUMNS


@pytest.mark.parametrize(
    "statement", [a_customer([a_number(late=2)]), a_provider()], ids=["customer", "provider"]
)
def test_csv_and_json_have_the_same_figures(statement: Statement) -> None:
    """R-ARR-4"""
    account = json.loads(statement_json(statement))["account"]
    found = {(row["section"], row["item"]): row["amount"] for row in rows(statement_csv(statement))}
    for pot, amount in account["closing"].items():
        assert found["closing", f"closing/{pot}"] == amount
    for line in account["lines"]:
        assert found["line", f"{line['kind']}/total"] == line["total"]


def test_csv_lists_every_call() -> None:
    """R-CALL-7, R-CALL-1: the caller's own leg stands beside it, in no sum."""
    number = a_number(calls=25, late=2)
    found = rows(statement_csv(a_customer([number])))
    calls = [row for row in found if row["section"] == "call"]
    assert len(calls) == 25
    assert sum(parse_yuan(row["amount"]) for row in calls) == number.call_hao
    assert all(row["caller_estimate"] for row in calls)
    assert sum(row["section"] == "late_call" for row in found) == 2


# written once


def write(folder: Path, statement: Statement, language: str) -> None:
    store(prepare(folder, statement, language))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_issuing_again_changes_nothing(tmp_path: Path) -> None:
    """F-14"""
    statement = a_customer([a_number(calls=2)])
    write(tmp_path, statement, "zh")
    assert names(tmp_path) == ["customer-C1001.csv", "customer-C1001.json", "customer-C1001.pdf"]
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    write(tmp_path, statement, "zh")
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before


def test_a_statement_with_other_figures_never_replaces_the_one_that_was_issued(tmp_path: Path) -> None:
    """F-14"""
    write(tmp_path, a_customer([a_number(calls=2)]), "zh")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(IssuedDiffers, match="never changes"):
        write(tmp_path, a_customer([a_number(calls=3)]), "zh")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_that_was_cut_short_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-18: without its JSON nothing counts as issued, and nothing torn is left."""
    statement = a_customer([a_number(calls=2)])

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path, statement, "zh")
    assert names(tmp_path) == []
    monkeypatch.undo()
    (tmp_path / "customer-C1001.pdf").write_bytes(b"%PDF torn")
    assert not is_issued(tmp_path, "customer", "C1001")
    write(tmp_path, statement, "zh")
    assert is_issued(tmp_path, "customer", "C1001")
    assert (tmp_path / "customer-C1001.pdf").read_bytes() == statement_pdf(statement)


def test_another_language_stands_beside_it(tmp_path: Path) -> None:
    statement = a_customer([a_number(calls=1)])
    write(tmp_path, statement, "zh")
    assert not is_issued(tmp_path, "customer", "C1001", "en")
    write(tmp_path, statement, "en")
    assert is_issued(tmp_path, "customer", "C1001", "en")
    assert {"customer-C1001.pdf", "customer-C1001~en.pdf"} < set(names(tmp_path))


def test_sums_are_those_of_the_files_and_leave_drafts_out(tmp_path: Path) -> None:
    """F-14: `sha256sum --check` proves that nothing changed."""
    write(tmp_path, a_customer([a_number(calls=1)]), "zh")
    (tmp_path / "customer-C2.pdf").write_bytes(b"not issued")
    (tmp_path / ".customer-C1001.pdf.77").write_bytes(b"draft")
    write_sums(tmp_path)
    lines = (tmp_path / SUMS).read_text(encoding="utf-8").splitlines()
    assert [line.split("  ")[1] for line in lines] == [
        "customer-C1001.csv",
        "customer-C1001.json",
        "customer-C1001.pdf",
    ]
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


# many at once


def some_statements() -> Iterator[Statement]:
    """Twelve that add up, and one that does not."""
    for at in range(12):
        yield a_customer([a_number(calls=at, seed=at + 1)], party_id=f"C{at:03d}")
    wrong = a_customer([a_number()], party_id="C666")
    yield replace(wrong, account=replace(wrong.account, closing=(0, 0, 0)))
    yield a_provider()


def test_processes_write_what_one_process_writes(tmp_path: Path) -> None:
    """R-ARR-4: the same files; one that cannot be issued is named and does not stop the others."""
    one = list(issue_statements(some_statements(), tmp_path / "one", workers=1))
    two = list(issue_statements(some_statements(), tmp_path / "two", workers=2))
    assert one == two
    assert [issued.party_id for issued in one if issued.error] == ["C666"]
    assert "does not add up" in (one[12].error or "")
    content = {
        run: {path.name: path.read_bytes() for path in (tmp_path / run / "2026-11").iterdir()}
        for run in ("one", "two")
    }
    assert content["one"] == content["two"]
    assert len(content["one"]) == 3 * 13 + 1
    again = list(issue_statements(some_statements(), tmp_path / "two", workers=1))
    assert not any(issued.written for issued in again)


ENDLESS = """
import sys
from itertools import count
from pathlib import Path
from reports.statement_run import issue_statements
from tests.statements_made import a_customer

for _ in issue_statements((a_customer(party_id=f"C{at}") for at in count()), Path(sys.argv[1]), workers=2):
    pass
"""


def test_processes_do_not_outlive_a_night_that_is_killed(tmp_path: Path) -> None:
    """F-16: whoever is left by kill -9 ends by itself."""
    night = subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path / "out")])
    eventually(lambda: list(tmp_path.glob("out/2026-11/*.pdf")), "statements are being written")
    others = running_below(night.pid)
    assert len(others) >= 2
    night.kill()
    night.wait()
    eventually(lambda: not any(map(is_running, others)), "the others have ended")


def running_below(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    """Not gone, and not a zombie that nobody has asked after."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
