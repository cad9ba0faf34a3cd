"""The views of what stays open about providers, and of numbers that are restricted: R-FEAT-2, R-NUM-3, R-PEN-1 … R-PEN-4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger.home import Home
from ledger.query import connect
from tests.scenario import instant, read_all
from tests.scenario_then import play

NOW = instant("2027-04-01 10:00")


def answered(folder: Path, title: str, question: str, now: str | None = None) -> list[tuple[Any, ...]]:
    """What the ledger of the scenario with this title answers."""
    (scenario,) = [one for one in read_all() if title in one.title]
    play(scenario, folder)
    events, calls = Home.open_logs(folder)
    at = instant(now) if now else NOW
    with connect(
        calls.files(), events.files(), now=at, calls_seq=calls.next_seq, events_seq=events.next_seq
    ) as con:
        return con.sql(question).fetchall()


def test_a_fine_that_was_taken_back_is_reversed(tmp_path: Path) -> None:
    """R-PEN-4: its payment was reversed before it, so it is not paid."""
    found = answered(
        tmp_path / "h",
        "R-PEN-4: paid in the last second",
        "SELECT fine_id, amount::VARCHAR, state FROM fines",
    )
    assert found == [("F1", "500.0000", "reversed")]


def test_a_fine_is_open_until_its_day_and_overdue_then(tmp_path: Path) -> None:
    """R-PEN-3 R-PEN-4: due five working days after the notice."""
    title, question = "three working days to rectify, the day of the notice", "SELECT state FROM fines"
    assert answered(tmp_path / "a", title, question, "2026-08-19 23:59:59") == [("open",)]
    assert answered(tmp_path / "b", title, question, "2026-08-20 00:00:00") == [("overdue",)]


def test_a_dispute_says_how_it_ended(tmp_path: Path) -> None:
    """R-FEAT-2."""
    question = "SELECT dispute_id, feature, amount::VARCHAR, outcome FROM disputes ORDER BY 1"
    assert answered(tmp_path / "h", "a charge is disputed and upheld", question) == [
        ("D1", "recording", "100.0000", "upheld"),
        ("D2", "ivr", "50.0000", "reversed"),
    ]


def test_a_provider_says_why_it_is_closed(tmp_path: Path) -> None:
    """R-PEN-1 R-PEN-2: closed by suspicion and for good; another one is open; a cleared suspicion leaves nothing."""
    question = "SELECT provider_id, closed_for FROM providers ORDER BY 1"
    assert answered(tmp_path / "a", "R-PEN-2: after a confirmed case", question) == [
        ("P1", "fraud, serious"),
        ("P2", None),
    ]
    assert answered(tmp_path / "b", "the provider is open when the last suspicion is cleared", question) == [
        ("P1", None)
    ]


def test_a_provider_that_did_not_pay_is_closed_for_its_fine(tmp_path: Path) -> None:
    """R-PEN-4."""
    found = answered(tmp_path / "h", "only pay_fine pays it", "SELECT closed_for, closed_at FROM providers")
    assert found == [("fine", instant("2026-08-15 00:00"))]


def test_a_restricted_number_says_so(tmp_path: Path) -> None:
    """R-NUM-3."""
    found = answered(
        tmp_path / "h", "a shorter deadline; ticks that were skipped", "SELECT state, restricted FROM numbers"
    )
    assert found == [("suspended", True)]


def test_the_platform_is_no_debtor(tmp_path: Path) -> None:
    """R-PEN-5 R-FEAT-3: features of its own numbers cost it nothing that anybody could owe."""
    found = answered(
        tmp_path / "h", "R-PEN-5: numbers that are not served", "SELECT account FROM arrears ORDER BY 1"
    )
    assert found == []
