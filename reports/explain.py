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
_PRINTED = {"late_call": "call"}
"""What a printed statement calls a part of a line's calls."""
_IN_FULL = 3
"""Postings of a line that are explained in full."""


class NotFound(Exception):
    """Nothing in the ledger has this name; the sentence says how names look."""


def explain_call(folder: Path, call_id: str, now: datetime) -> list[str]:
    """Everything about a call id of the ledger in `folder`, a sentence a line. Raises NotFound."""
    events, calls = snapshot(folder, None)
    with views(events, calls, now) as con:
        return lines_of(con, call_id, only_calls=True)


def explain(folder: Path, name: str, now: datetime) -> list[str]:
    """A posting, a statement's line, a command or alert, or a call by its id. Raises NotFound."""
    events, calls = snapshot(folder, None)
    with views(events, calls, now) as con:
        return lines_of(con, name)


def lines_of(con: duckdb.DuckDBPyConnection, name: str, *, only_calls: bool = False) -> list[str]:
    """As `explain` and `explain_call`, of a connection with the views."""
    lines: list[str] = []
    if not only_calls:
        if _POSTING_ID.fullmatch(name):
            lines += lines_of_posting(con, name)
        if _LINE.fullmatch(name):
            lines += lines_of_statement_line(con, name)
        lines += lines_of_command(con, name)
    lines = lines or lines_of_call(con, name)
    if not lines and only_calls:
        raise NotFound(
            f"No call with the id {name!r} has come in. Unreadable records have none: "
            "look in the view rejects, by source and source_pos."
        )
    if not lines:
        raise NotFound(
            f"Nothing in the ledger is called {name!r}. A posting's id is like 812-1 (view postings), a statement line's like "
            "2026-09/C1/4001170392/call (or line_id in the view statement_lines); commands and calls have their own ids."
        )
    return lines


def lines_of_statement_line(con: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """A line by its `line_id`, or by `month/owner/number/kind` (`-` for no number); none if there is none."""
    month, *rest = name.split("/")
    if len(rest) != 3 or rest[0] in {"customer", "provider"}:
        found = rows_of(
            con,
            "SELECT * FROM statement_lines WHERE month = $month AND line_id = $name",
            month=month,
            name=name,
        )
        return [line for row in found for line in _line(con, row)]
    owner, number, kind = rest
    asked = {"month": month, "owner": owner, "number": number, "kind": _PRINTED.get(kind, kind)}
    found = rows_of(
        con,
        "SELECT * FROM statement_lines WHERE month = $month AND account IN ('customer/' || $owner, 'provider/' || $owner) "
        "AND coalesce(service_number, '-') = $number AND kind = $kind ORDER BY line_id",
        **asked,
    )
    if found:
        return [line for row in found for line in _line(con, row)]
    inside = postings_where(
        con,
        "month = $month AND kind = $kind AND coalesce(service_number, '-') = $number "
        "AND (starts_with(debit, 'customer/' || $owner || '/') OR starts_with(debit, 'provider/' || $owner || '/'))",
        **asked,
    )
    return _told_of(con, inside, month, kind)


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
    yield from _told_of(con, postings, row["month"], row["kind"])


def _told_of(con: duckdb.DuckDBPyConnection, postings: list[Row], month: str, kind: str) -> list[str]:
    """Few postings in full, many in a line each; those of a settlement tell of one another."""
    if kind == "settlement":
        return [line for posting in postings[:1] for line in lines_of_posting(con, posting["posting_id"])]
    if len(postings) <= _IN_FULL:
        return [line for posting in postings for line in lines_of_posting(con, posting["posting_id"])]
    rest = len(postings) - MANY
    more = f"… and {rest:,} more: SELECT * FROM postings WHERE month = '{month}' AND kind = '{kind}'"
    return [*map(told, postings[:MANY]), *[more] * (rest > 0)]
