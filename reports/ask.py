"""Questions to a ledger: its views at one version, for ourselves or locked down for others (docs/design.md 10)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from ledger.faults import LedgerFault
from ledger.files import spill_folder
from ledger.home import Home
from ledger.log import Log
from ledger.query import QueryRefused, connect, run_select
from ledger.version import Version
from rating.calendar import parse_instant

_SHOWS_COMMENTS = re.compile(r"describe|show|duckdb_|information_schema|pg_|comment", re.IGNORECASE)
"""What a question holds that could show a comment: all others are spared the time that comments take."""


def ask(
    folder: Path,
    text: str,
    now: datetime,
    as_of: str | None,
    timeout_s: int,
    params: Mapping[str, object] | None = None,
    *,
    mask: bool = False,
    memory_limit: str = "2GB",
) -> pa.Table:
    """The answer to somebody's SELECT, read-only to the bone; `as_of` is a version of `calls` or a time."""
    events, calls = snapshot(folder, _version_or_time(as_of))
    comments = bool(_SHOWS_COMMENTS.search(text))
    con = views_for_others(events, calls, now, mask=mask, memory_limit=memory_limit, described=comments)
    try:
        return run_select(con, text, params or None, timeout_s=timeout_s)
    finally:
        with suppress(duckdb.Error):  # a question that was given up may still hold it
            con.close()


def ask_own(folder: Path, text: str, now: datetime, as_of: datetime | None = None) -> pa.Table:
    """The answer to a question of our own."""
    events, calls = snapshot(folder, as_of)
    with views(events, calls, now) as con:
        return con.sql(text).to_arrow_table()


@contextmanager
def views(events: Log | Version, calls: Log | Version, now: datetime) -> Iterator[duckdb.DuckDBPyConnection]:
    """The public views over one snapshot of both tables, for ourselves; what memory cannot hold goes to the disk."""
    with (
        spill_folder(events.folder) as place,
        connect(
            calls.files(),
            events.files(),
            now=now,
            calls_seq=calls.next_seq,
            events_seq=events.next_seq,
            spans=calls.spans(),
            temp_directory=place,
            described=False,
        ) as con,
    ):
        yield con


def views_for_others(
    events: Log | Version,
    calls: Log | Version,
    now: datetime,
    *,
    mask: bool = False,
    memory_limit: str = "2GB",
    described: bool = True,
) -> duckdb.DuckDBPyConnection:
    """The same locked down, for SELECTs that somebody else wrote; with `mask` without phone numbers (F-27).

    With `described` views and columns have their comments.
    """
    return connect(
        calls.files(),
        events.files(),
        now=now,
        calls_seq=calls.next_seq,
        events_seq=events.next_seq,
        read_only_for_others=True,
        mask=mask,
        memory_limit=memory_limit,
        spans=calls.spans(),
        described=described,
    )


def snapshot(folder: Path, as_of: int | datetime | None) -> tuple[Log | Version, Log | Version]:
    """(events, calls): today's, or as they were at a time or at a version of `calls`."""
    events, calls = Home.open_logs(folder)
    if as_of is None:
        return events, calls
    if isinstance(as_of, datetime):
        return events.at_version(events.version_at(as_of)), calls.at_version(calls.version_at(as_of))
    past = calls.at_version(as_of)
    arrived = _last_arrival(past)
    return (events if arrived is None else events.at_version(events.version_at(arrived))), past


def _version_or_time(text: str | None) -> int | datetime | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return parse_instant(text)
    except ValueError:
        raise QueryRefused(
            f"--as-of {text!r} is neither a version such as 12 nor a time such as 2026-11-03T10:00:00+08:00."
        ) from None


def _last_arrival(calls: Version) -> datetime | None:
    if not calls.next_seq:
        return None
    rows = calls.read_since(calls.next_seq - 1, ["received_at"])
    arrived: datetime | None = rows.column("received_at")[0].as_py()
    if arrived is None:
        raise LedgerFault("The last call of that version has no arrival time: run `fentan verify`.")
    return arrived
