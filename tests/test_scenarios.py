"""One test for each scenario of tests/scenarios; each title names the rules that it proves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenario import FOLDER, Scenario, aligned, read_all
from tests.scenario_then import play

SCENARIOS = read_all()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: f"{one.file}: {one.title}")
def test_scenario(scenario: Scenario, tmp_path: Path) -> None:
    try:
        play(scenario, tmp_path / "ledger")
    except AssertionError as different:
        pytest.fail(str(different), pytrace=False)


def test_titles_are_unique_and_every_scenario_has_rows() -> None:
    names = [(scenario.file, scenario.title) for scenario in SCENARIOS]
    assert len(names) == len(set(names))
    assert all(scenario.rows for scenario in SCENARIOS)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.name)
def test_columns_are_aligned(path: Path) -> None:
    """`python -m tests.scenario` mends it."""
    text = path.read_text(encoding="utf-8")
    assert text == aligned(text)
