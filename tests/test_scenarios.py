"""One test for each scenario of tests/scenarios; each title names the rules that it proves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger.home import Home
from ledger.replay import replay
from ledger.verify import verify
from rating.reasons import Reason
from tests.scenario import FOLDER, Scenario, aligned, read_all
from tests.scenario_then import play

SCENARIOS = read_all()
PROVED = {"disputes", "past", "penalties", "suspensions"}
"""Files whose ledgers are verified and replayed as well (R-INV-1 … R-INV-5)."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: f"{one.file}: {one.title}")
def test_scenario(scenario: Scenario, tmp_path: Path) -> None:
    different = None
    try:
        play(scenario, tmp_path / "ledger")
    except AssertionError as error:
        different = str(error)
    if different is not None:
        pytest.fail(different, pytrace=False)  # the line of the scenario is what counts, not ours
    if scenario.file in PROVED:
        events, calls = Home.open_logs(tmp_path / "ledger")
        assert verify(events, calls) == []
        assert replay(events, calls, tmp_path / "again", lambda *_: None).differences == ()


def test_every_reason_is_met_by_a_scenario() -> None:
    """R-INV-1: the closed list holds nothing that nobody can get."""
    said = " ".join(row.then for scenario in SCENARIOS for row in scenario.rows)
    assert [reason for reason in Reason if not re.search(rf"\b{reason}\b", said)] == []


def test_titles_are_unique_and_every_scenario_has_rows() -> None:
    names = [(scenario.file, scenario.title) for scenario in SCENARIOS]
    assert len(names) == len(set(names))
    assert all(scenario.rows for scenario in SCENARIOS)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.name)
def test_columns_are_aligned(path: Path) -> None:
    """`python -m tests.scenario` mends it."""
    text = path.read_text(encoding="utf-8")
    assert text == aligned(text)


TOLD = {
    *(f"R-CALL-{n}" for n in range(1, 9)),
    *(f"R-PLAN-{n}" for n in range(1, 5)),
    *(f"R-MIN-{n}" for n in range(1, 9)),
    *(f"R-HOLD-{n}" for n in range(1, 5)),
    *(f"R-FEAT-{n}" for n in range(1, 4)),
    "R-NUM-1", "R-NUM-2", "R-NUM-3", "R-NUM-4", "R-NUM-5", "R-NUM-6", "R-NUM-7", "R-NUM-8",
    "R-ARR-1", "R-ARR-2", "R-PEN-1", "R-PEN-2", "R-PEN-3", "R-PEN-4", "R-PEN-5",
    "R-INV-1", "R-INV-2", "R-INV-3", "R-INV-6",
    "F-01", "F-05", "F-06", "F-08", "F-09", "F-10", "F-11", "F-12", "F-13", "F-14", "F-15",
}  # fmt: skip
"""The rules that a clerk can read here; R-MIN-4, R-MIN-5, R-MIN-8 and R-PLAN-2 are proved nowhere else."""


def test_every_rule_of_the_business_is_told() -> None:
    named = {word.rstrip(":") for scenario in SCENARIOS for word in scenario.title.split(": ")[0].split()}
    assert TOLD - named == set()
