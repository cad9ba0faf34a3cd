"""How an amount came to be, in words that a clerk can read aloud: calls, postings, statement lines, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb

from reports.ask import snapshot, views
from reports.explain_call import lines_of_call
from reports.explain_event import MANY, lines_of_command, lines_of_posting, postings_where, told
from reports.explain_words import Row, counted, rows_of, yuan

_POSTING_ID = re.compile(r"\d{1,18}-\d{1,9}", re.ASCII)
_LINE = re.compile(r"\d{4}-\d{2}/.+", re.ASCII)
_IN_FULL = 3
"""Postings of a line that are explained in full."""


class NotFound(Exception):
    """Nothing in the ledger has this name; the sentence says how names look."""


def explain_call(folder: Path, call_id: str, now: datetime) -> list[str]:
    """Everything about a call id of the ledger in `folder`, a sentence a line. Raises NotFound."""
    events, calls = snapshot(folder, None)
    with views(events, calls, now) as con:
        lines = lines_of_call(con, call_id)
    if not lines:
        raise NotFound(
            f"No call with the id {call_id!r} has come in. Unreadable records have none: "
            "look in the view rejects, by source and source_pos."
        )
    return lines


def explain(folder: Path, name: str, now: datetime) -> list[str]:
    """A posting, a statement's line, a command or alert, or a call by its id. Raises NotFound."""
    events, calls = snapshot(folder, None)
    with views(events, calls, now) as con:
        lines: list[str] = []
        if _POSTING_ID.fullmatch(name):
            lines += lines_of_posting(con, name)
        if _LINE.fullmatch(name):
            lines += lines_of_statement_line(con, name)
        lines += lines_of_command(con, name)
        if not lines:
            lines += lines_of_call(con, name)
    if not lines:
        raise NotFound(
            f"Nothing in the ledger is called {name!r}. A posting's id is like 812-1 (view postings), a statement line's like "
            "2026-09/C1/4001170392/call (or line_id in the view statement_lines); commands and calls have their own ids."
        )
    return lines


def lines_of_statement_line(con: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """A line by its `line_id`, or by `month/customer/number/kind` (`-` for no number); none if there is none."""
    month, *rest = name.split("/")
    short = rest if len(rest) == 3 and rest[0] not in {"customer", "provider"} else None
    if short:
        owner, number, kind = short
        found = rows_of(
            con,
            "SELECT * FROM statement_lines WHERE month = $month AND account IN ('customer/' || $owner, 'provider/' || $owner) "
            "AND coalesce(service_number, '-') = $number AND kind = $kind ORDER BY line_id",
            month=month, owner=owner, number=number, kind=kind,
        )  # fmt: skip
    else:
        found = rows_of(
            con,
            "SELECT * FROM statement_lines WHERE month = $month AND line_id = $name",
            month=month,
            name=name,
        )
    return [line for row in found for line in _line(con, row)]


def _line(con: duckdb.DuckDBPyConnection, row: Row) -> Iterator[str]:
    number = f" of {row['service_number']}" if row["service_number"] else ""
    what = "call" if row["kind"] == "call" else "posting"
    yield (
        f"The line {row['line_id']}: {row['kind']}{number} in {row['month']} on the statement of {row['account']}, "
        f"{yuan(row['amount'])} from {counted(row['entries'], what)} (R-ARR-4)."
    )
    yield from _calls_of(con, row) if row["kind"] == "call" else _postings_of(con, row)


def _calls_of(con: duckdb.DuckDBPyConnection, row: Row) -> Iterator[str]:
    asked = {name: row[name] for name in ("month", "customer_id", "provider_id", "service_number")}
    for price in rows_of(con, "call_prices.sql", **asked):
        late = "" if price["month"] == row["month"] else ", which came after that month's close (R-CALL-8)"
        yield (
            f"{counted(price['calls'], 'call')} of {price['month']} at {yuan(price['rate'])} a minute: {price['minutes'].normalize():f} "
            f"minutes, {yuan(price['amount'])}{late}."
        )
    yield "Each call's fee is rounded by itself, half up to 0.0001 (R-CALL-3); `fentan call CALL_ID` shows one."


def _postings_of(con: duckdb.DuckDBPyConnection, row: Row) -> Iterator[str]:
    postings = postings_where(
        con,
        "month = $month AND kind = $kind AND service_number IS NOT DISTINCT FROM $number "
        "AND provider_id IS NOT DISTINCT FROM $provider AND (starts_with(debit, $path) OR starts_with(credit, $path))",
        month=row["month"], kind=row["kind"], number=row["service_number"], provider=row["provider_id"],
        path=f"{row['account']}/",
    )  # fmt: skip
    if len(postings) <= _IN_FULL:
        for posting in postings:
            yield from lines_of_posting(con, posting["posting_id"])
        return
    yield from map(told, postings[:MANY])
    if len(postings) > MANY:
        yield f"… and {len(postings) - MANY:,} more: SELECT * FROM postings WHERE month = '{row['month']}' AND kind = '{row['kind']}'"
