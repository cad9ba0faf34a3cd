"""An Arrow table on a terminal, as CSV or as JSON: the same values, exact, in three spellings.

JSON has decimals as text and instants in RFC 3339; CSV neutralises text that a spreadsheet would execute
(F-25), while amounts stay numbers.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from rating.calendar import instant_text
from reports.cells import neutral

FORMATS = ("table", "csv", "json")
_SHOWN = 60


def write_table(rows: pa.Table, form: str, console: Console) -> None:
    """Prints the rows in one of FORMATS."""
    if form == "json":
        console.out(json.dumps([_plain(row) for row in rows.to_pylist()], ensure_ascii=False, indent=1), highlight=False)
    elif form == "csv":
        console.out(_csv(rows), end="", highlight=False)
    else:
        console.print(_drawn(rows), soft_wrap=not console.is_terminal)


def _plain(value: Any) -> Any:
    """JSON's spelling of a value."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return instant_text(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)


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


def _drawn(rows: pa.Table) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, kind in zip(rows.column_names, rows.schema.types, strict=True):
        number = pa.types.is_decimal(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows.to_pylist():
        table.add_row(*(_short(value) for value in row.values()))
    return table


def _short(value: Any) -> str:
    plain = _plain(value)
    if isinstance(value, datetime):
        plain = plain.replace("T", " ").removesuffix("+08:00")
    text = "" if plain is None else plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    text = text.replace("[", r"\[")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
