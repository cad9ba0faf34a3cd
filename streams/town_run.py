"""Puts a town's files through a ledger as they would have come: commands, calls as they arrive, closes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from ledger.home import Home
from ledger.months import close
from ledger.submit import Answer
from rating import price_book
from rating.calendar import end_of_month, start_of_month
from streams import spool
from streams.town import CallFile, Town, check_size, make_town
from streams.town_cases import write_cases
from streams.watching import CannotRead

CLOSES_AFTER = timedelta(hours=3)
"""A month is closed so long after its end: its last file has arrived by then."""


@dataclass
class Run:
    """What became of the town's commands and calls."""

    commands: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    refusals: list[Answer] = field(default_factory=list)


def found_town(folder: Path, *, calls: int, months: int, seed: int, last_month: str) -> tuple[Town, Home]:
    """A town's files in `folder`/town and an empty ledger in `folder`/home; an earlier demo there is replaced.

    Raises CannotRead if the folder holds something else, ValueError for a town that cannot be made.
    """
    check_size(calls, months)
    marker = folder / ".fentan-demo"
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise CannotRead(f"{folder} is not empty and not a demo's: name another folder with --out.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()
    town = make_town(folder / "town", calls=calls, months=months, seed=seed, last_month=last_month)
    begins_at = start_of_month(town.months[0].month)
    return town, Home.create(folder / "home", price_book.default_text(), "default.toml", begins_at)


def run_town(home: Home, town: Town, progress: Callable[[int, int, int], None]) -> Run:
    """Submits, ingests and closes month after month; each file at the time at which it arrives."""
    run, total = (
        Run(),
        town.late.records + sum(one.records for month in town.months for one in month.call_files),
    )
    waiting = [town.late]

    def heard(answer: Answer) -> None:
        run.commands[answer.outcome] += 1
        if answer.outcome in {"refused", "rejected"}:
            run.refusals.append(answer)

    def take(one: CallFile) -> None:
        run.calls += spool.ingest(home, one.path, one.format, _at(one.arrives_at)).counts
        done = run.calls["rated"] + run.calls["duplicate"] + run.calls["rejected"]
        progress(done, total, done)

    for month in town.months:
        spool.submit_file(home, month.commands, _at(start_of_month(month.month)), heard)
        for one in month.call_files:
            while waiting and waiting[0].arrives_at <= one.arrives_at:
                take(waiting.pop())
            take(one)
        if month is town.months[-1]:
            cases = town.folder / f"cases-{month.month}.jsonl"
            write_cases(home, month.month, town.free_number, cases)
            spool.submit_file(home, cases, _at(end_of_month(month.month)), heard)
        close(home, month.month, end_of_month(month.month) + CLOSES_AFTER)
    for one in waiting:
        take(one)
    return run


def ends_at(town: Town) -> datetime:
    """When the last of it has come in and the last month is closed."""
    return max(town.late.arrives_at, end_of_month(town.months[-1].month) + CLOSES_AFTER)


def _at(instant: datetime) -> spool.Clock:
    return lambda: instant
