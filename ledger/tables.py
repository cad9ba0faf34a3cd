"""An Arrow table on a terminal, as CSV or as JSON: the same values, exact, in three spellings.

JSON has decimals as text and instants in RFC 3339; CSV neutralises text that a spreadsheet would execute
(F-25), while amounts stay numbers.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from rich.cells import cell_len
from rich.console import Console

from ledger.cells import neutral
from rating.calendar import instant_text

FORMATS = ("table", "csv", "json")
_SHOWN = 100
_AS_IT_IS = (int, float, str, bool, type(None))  # not money: a question may compute floats
_GAP = 2


def write_table(rows: pa.Table, form: str, console: Console) -> None:
    """Prints the rows in one of FORMATS."""
    if form == "json":
        console.out(
            json.dumps([_plain(row) for row in rows.to_pylist()], ensure_ascii=False, indent=1),
            highlight=False,
        )
    elif form == "csv":
        console.out(_csv(rows), end="", highlight=False)
    else:
        console.out("\n".join(_drawn(rows, console.width if console.is_terminal else None)), highlight=False)


def _plain(value: Any) -> Any:
    """JSON's spelling of a value."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):
        return instant_text(value) if isinstance(value, datetime) and value.tzinfo else value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, _AS_IT_IS) else str(value)


def _csv(rows: pa.Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows.column_names)
    for row in rows.to_pylist():
        writer.writerow([_cell(value) for value in row.values()])
    return out.getvalue()


def _cell(value: Any) -> str:
    plain = _plain(value)
    if plain is None:
        return ""
    if isinstance(value, str | bytes):
        return neutral(str(plain))
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, (dict, list)) else str(plain)


def _drawn(rows: pa.Table, width: int | None) -> Iterator[str]:
    """Lines with columns side by side; an answer wider than `width` has each row as a block, a line a column."""
    names = [_safe(name) for name in rows.column_names]
    cells = [[_short(value) for value in row.values()] for row in rows.to_pylist()]
    widths = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
    if width is not None and cells and sum(widths) + _GAP * (len(widths) - 1) > width:
        yield from _blocks(names, cells)
        return
    right = [
        pa.types.is_decimal(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        for kind in rows.schema.types
    ]
    for line in (names, *cells):
        placed = (
            " " * (wide - cell_len(cell)) + cell if at_right else cell + " " * (wide - cell_len(cell))
            for cell, wide, at_right in zip(line, widths, right, strict=True)
        )
        yield (" " * _GAP).join(placed).rstrip()


def _blocks(names: list[str], cells: list[list[str]]) -> Iterator[str]:
    longest = max(map(cell_len, names))
    for place, row in enumerate(cells, start=1):
        yield f"-- {place:,}"
        for name, cell in zip(names, row, strict=True):
            yield f"{name}{' ' * (longest - cell_len(name))}{' ' * _GAP}{cell}".rstrip()


def _short(value: Any) -> str:
    plain = _plain(value)
    if isinstance(value, datetime):
        plain = plain.replace("T", " ").removesuffix("+08:00")
    text = _safe(
        "" if plain is None else plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    )
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _safe(text: str) -> str:
    """Without line breaks and what else a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
