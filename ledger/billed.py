"""Which close covers a call: the month whose statement it is on (R-CALL-8), for rows and for whole files.

A close covers the calls below its `calls_seq`. Nearly every file holds calls that their own month's close covers, or of
months that are open: of these the billed month is the month, one value a file, so that a question about one billed month
leaves the others unread. Only the files with late calls are looked at row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ledger.files import NULL_PARTITION
from ledger.guard import quoted
from ledger.version import Version
from rating.calendar import next_month

CLOSES = (
    "SELECT CAST(effect AS JSON) ->> '$.month', calls_seq FROM {} "
    "WHERE kind = 'close_month' AND outcome = 'accepted' ORDER BY ALL"
)


@dataclass(frozen=True, slots=True)
class Close:
    """A month's close; the calls below `calls_seq` are the ones that it saw."""

    month: str
    calls_seq: int


def closes(con: duckdb.DuckDBPyConnection, events_rows: str = "events_rows") -> list[Close]:
    """The month closes among these rows of events, in order."""
    return [Close(*row) for row in con.execute(CLOSES.format(events_rows)).fetchall()]


def first_late(events: Version) -> dict[str, int]:
    """Month -> the seq from which on its calls are late, for the months that are closed."""
    with duckdb.connect() as con:
        return {close.month: close.calls_seq for close in closes(con, events.scan_sql())}


def on_time(files: Sequence[str], spans: Mapping[str, tuple[int, int]], made: Sequence[Close]) -> list[str]:
    """Those of the month files whose calls are all billed to their own month.

    `spans` has the least and the greatest `seq` of each file; one that it does not know may hold late calls.
    """
    last, late_from = made[-1].month if made else "", {close.month: close.calls_seq for close in made}

    def in_time(file: str) -> bool:
        month = Path(file).parent.name.removeprefix("month=")
        if month == NULL_PARTITION or month > last:
            return True
        return file in spans and spans[file][1] < late_from.get(month, 0)

    return [file for file in files if in_time(file)]


def macros(made: Sequence[Close]) -> str:
    """`billed_month_of(month, seq)` and the last close's month and calls_seq, as macros that are folded into the plan.

    The call's month if it is open or its close covered the call; else the first month whose close covered it, or the
    month after the last close. Both look-ups are decisions in a balanced tree; only late calls come to the second. (An
    ASOF join sorts all calls.)
    """
    last = made[-1] if made else Close("", 0)
    after = quoted(next_month(last.month)) if made else "month"
    billed = (
        f"CASE WHEN month > {quoted(last.month)} OR seq < {_calls_seq_of(made)} THEN month "
        f"ELSE greatest(month, {_month_covering(made, after)}) END"
    )
    return (
        f"CREATE OR REPLACE MACRO last_closed_month() AS {quoted(last.month)};"
        f"CREATE OR REPLACE MACRO last_closed_calls_seq() AS {last.calls_seq};"
        f"CREATE OR REPLACE MACRO billed_month_of(month, seq) AS {billed}"
    )


def _calls_seq_of(made: Sequence[Close]) -> str:
    if not made:
        return "0"
    half = len(made) // 2
    here = made[half]
    return (
        f"CASE WHEN month = {quoted(here.month)} THEN {here.calls_seq} "
        f"WHEN month < {quoted(here.month)} THEN {_calls_seq_of(made[:half])} "
        f"ELSE {_calls_seq_of(made[half + 1 :])} END"
    )


def _month_covering(made: Sequence[Close], after: str) -> str:
    if not made:
        return after
    half = len(made) // 2
    here = made[half]
    return (
        f"CASE WHEN seq < {here.calls_seq} THEN {_month_covering(made[:half], quoted(here.month))} "
        f"ELSE {_month_covering(made[half + 1 :], after)} END"
    )
