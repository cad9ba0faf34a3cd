"""F-16 in short: a dozen kills of the real program; `make chaos` does a thousand."""

from __future__ import annotations

from pathlib import Path

from tests import chaos


def test_killed_commands_end_in_the_same_ledger_as_an_undisturbed_run(tmp_path: Path) -> None:
    """F-16, R-INV-5: SIGKILL in submit, ingest and close loses nothing and doubles nothing."""
    assert chaos.run(seed=20261122, kills=12, calls=400, folder=tmp_path) >= 12
