"""What every command of the command line shares: the home, the time, what it prints on, values that it reads."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from rating.calendar import parse_day, parse_instant, parse_month

if TYPE_CHECKING:
    import pyarrow as pa

    from ledger.home import Home

DONE, FINDINGS, USAGE, REFUSED, ENVIRONMENT = range(5)
INTERRUPTED = 130

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(*sentences: str) -> None:
    """Prints each on a line of its own, word for word."""
    for sentence in sentences:
        out.print(sentence, markup=False)


@dataclass
class Session:
    """What every command shares: where the ledger is, and what time it is."""

    home: Path
    now: datetime | None

    def clock(self) -> datetime:
        """The time given by --now, or the wall clock's: the only place where it is read."""
        return self.now or datetime.now(UTC)

    def running_clock(self) -> Callable[[], datetime]:
        """A clock for what must be done at its time: after --now it goes on from there."""
        if self.now is None:
            return self.clock
        began, began_s = self.now, time.monotonic()
        return lambda: began + timedelta(seconds=time.monotonic() - began_s)

    def open(self) -> Home:
        """The ledger, for writing."""
        from ledger.home import Home

        home = Home.open(self.home)
        for sentence in [*home.events.repaired, *home.calls.repaired]:
            err.print(sentence, markup=False)
        return home


def until_interrupted() -> Callable[[], bool]:
    """True once SIGINT or SIGTERM has come: what is in hand is finished first."""
    stopped: list[bool] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.append(True))
    return lambda: bool(stopped)


class Parsed(click.ParamType):
    """A value that a function reads from its text; ValueError is bad usage."""

    def __init__(self, name: str, parse: Callable[[object], Any]) -> None:
        self.name, self.parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def parse_since(text: object) -> int | datetime:
    """`1204` -> a seq of `events`; RFC 3339 -> a time. ValueError otherwise."""
    words = str(text)
    if words.isascii() and words.isdigit() and len(words) <= 18:
        return int(words)
    try:
        return parse_instant(words)
    except ValueError:
        raise ValueError(
            f"{words!r} is neither a seq such as 120 nor a time such as 2026-11-03T10:00:00+08:00"
        ) from None


INSTANT = Parsed("time", parse_instant)
DAY = Parsed("day", parse_day)
MONTH = Parsed("month", parse_month)
SINCE = Parsed("seq or time", parse_since)
FILE = click.Path(path_type=Path)
session_of = click.make_pass_decorator(Session)
FORM = click.Choice(["table", "csv", "json"])
format_option = click.option(
    "--format", "form", type=FORM, default="table", help="For people, sheets, programs."
)


def print_table(rows: pa.Table, form: str) -> None:
    """Prints rows in the form that the user chose."""
    from ledger.tables import write_table

    write_table(rows, form, out)


def print_lines(lines: list[str], form: str) -> None:
    """Prints sentences; for programs as rows of one column."""
    import pyarrow as pa

    if form == "table":
        say(*lines)
    else:
        print_table(pa.table({"line": lines}), form)
