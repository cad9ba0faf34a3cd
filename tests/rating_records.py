"""Makers of call records and of the catalogue's changes, and the tables a finance clerk can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from rating.calendar import SHANGHAI
from rating.catalogue import CHANGES, Catalogue, compile_changes
from rating.money import parse_yuan, to_yuan
from rating.records import RECORD
from rating.terms import CallerRates, Terms

NUMBER = "4001170392"
MOBILE = "13905311234"  # of Jinan, 0531


def instant(text: str) -> datetime:
    """`2026-08-03 09:00`, also with seconds, in Shanghai -> aware UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


def caller_rates(
    from_at: str = "2000-01-01 00:00",
    default: str = "0.10",
    bundled: tuple[str, ...] = ("1701",),
    **by_area: str,
) -> CallerRates:
    """What callers pay, in yuan a minute; areas as `a0531="0.08"`."""
    areas = {name[1:]: parse_yuan(rate) for name, rate in by_area.items()}
    return CallerRates(instant(from_at), parse_yuan(default), areas, bundled)


def some_terms(*rates: CallerRates, **values: int) -> Terms:
    """The limits of the default price book; callers pay 0.10, in Jinan 0.08, in Lhasa 0.25."""
    limits = {
        "duration_limit_s": 86_400,
        "duration_tolerance_s": 1,
        "clock_tolerance_s": 300,
        "late_months": 6,
        **values,
    }
    return Terms(rates or (caller_rates(a0531="0.08", a0891="0.25"),), **limits)


def cells(table: str) -> list[dict[str, str]]:
    """The rows of a text table; its first line names the columns, lines of dashes do not count."""
    lines = [line for line in table.strip().splitlines() if line.strip(" -|")]
    head, *rows = ([cell.strip() for cell in line.split("|")] for line in lines)
    return [dict(zip(head, row, strict=True)) for row in rows]


def changes(*rows: dict[str, Any], first_seq: int = 0) -> pa.Table:
    """Rows of CHANGES; `seq` counts on by itself."""
    filled = [{"seq": seq, **row} for seq, row in enumerate(rows, first_seq)]
    return pa.Table.from_pylist(filled, schema=CHANGES)


def changes_of(table: str) -> pa.Table:
    """A text table of changes: number, facet, from, until?, says. An event's seq is its line.

    What it says depends on the facet: a state or class; `C1 of P1`; `0.15 a minute` or `0.15 per 6 s`.
    """
    rows: list[dict[str, Any]] = []
    for cell in cells(table):
        row: dict[str, Any] = {
            "number": cell["number"],
            "facet": cell["facet"],
            "from_at": instant(cell["from"]),
        }
        row["until_at"] = instant(cell["until"]) if cell.get("until") else None
        says = cell["says"]
        if cell["facet"] == "holder":
            row["customer_id"], row["provider_id"] = says.split(" of ")
        elif cell["facet"] == "rate":
            rate, _, increment = says.replace(" a minute", " per 60 s").removesuffix(" s").partition(" per ")
            row |= {"rate": to_yuan(parse_yuan(rate)), "increment_s": int(increment)}
        else:
            row["value"] = says
        rows.append(row)
    return changes(*rows)


def a_catalogue(table: str, terms: Terms | None = None) -> Catalogue:
    """The catalogue of a text table of changes."""
    return compile_changes(changes_of(table), terms or some_terms())


def an_active(number: str = NUMBER, rate: str = "0.15", since: str = "2026-08-01 00:00") -> str:
    """Lines for `changes_of` that make a number active for C1 of P1."""
    return f"""
        {number} | class  | {since} | ordinary
        {number} | holder | {since} | C1 of P1
        {number} | rate   | {since} | {rate} a minute
        {number} | state  | {since} | active
    """


HEAD = "number | facet | from | says\n"


def a_call(
    start: str = "2026-08-03 09:00:00", rings_s: int = 5, talks_s: int | None = 61, **values: Any
) -> dict[str, Any]:
    """A record of an answered call of 61 seconds; `talks_s` None for one that nobody answered."""
    start_at = instant(start)
    answer_at = None if talks_s is None else start_at + timedelta(seconds=rings_s)
    record = {
        "call_id": "c1",
        "service_number": NUMBER,
        "caller_number": MOBILE,
        "start_at": start_at,
        "answer_at": answer_at,
        "end_at": start_at + timedelta(seconds=rings_s + (talks_s or 0)),
        "duration_s": talks_s,
        "raw": b"raw",
        "source_pos": 7,
    }
    return record | values


def records(*rows: dict[str, Any]) -> pa.Table:
    """Rows of RECORD."""
    return pa.Table.from_pylist(list(rows), schema=RECORD)
