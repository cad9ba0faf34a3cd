"""A closed month as a workbook: its statements' accounts, their lines, VAT, and finance's standard questions.

Texts are written as texts and never as formulas, links or dates (F-25); amounts are numbers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import xlsxwriter

from ledger.faults import BadRequest
from rating.calendar import SHANGHAI, next_month
from rating.money import to_yuan
from reports.questions import bound, standard_questions
from reports.statement import Statement
from reports.statement_data import Month

MAX_ROWS = 1_048_575
"""What a sheet holds below its heading."""

_NARROWEST, _WIDEST = 8, 48
_MEASURED_ROWS = 1_000
"""So many rows say how wide a sheet's columns are: it may have a million."""
_INSTANT_WIDTH = len("2026-11-01 00:00:00")
_A4 = 9
_SHEET_NAME = 31


def write_workbook(
    path: Path | BinaryIO, sheets: Iterable[tuple[str, list[str], Iterator[tuple[Any, ...]]]]
) -> None:
    """Writes (name, columns, rows) as one sheet each, rows as they come. BadRequest for more than a sheet holds."""
    options: dict[str, Any] = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "default_date_format": "yyyy-mm-dd",
    }
    if isinstance(path, Path):
        options["tmpdir"] = str(path.parent)
    with xlsxwriter.Workbook(path, options) as book:
        forms = {
            "head": book.add_format({"bold": True, "bottom": 1}),
            "yuan": book.add_format({"num_format": "#,##0.00##"}),
            "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            "day": book.add_format({"num_format": "yyyy-mm-dd"}),
        }
        for name, columns, rows in sheets:
            sheet = book.add_worksheet(name[:_SHEET_NAME])
            sheet.freeze_panes(1, 0)
            sheet.repeat_rows(0)
            sheet.set_landscape()
            sheet.set_paper(_A4)
            sheet.fit_to_pages(1, 0)
            widths = [_width(column) for column in columns]
            for at, column in enumerate(columns):
                sheet.write_string(0, at, column, forms["head"])
            place = 0
            for place, row in enumerate(rows, 1):
                if place > MAX_ROWS:
                    raise BadRequest(
                        f"The sheet {name} would have more than {MAX_ROWS:,} rows: export Parquet instead."
                    )
                if place <= _MEASURED_ROWS:
                    widths = [max(width, _width(value)) for width, value in zip(widths, row, strict=True)]
                for at, value in enumerate(row):
                    _write(sheet, place, at, value, forms)
            for at, width in enumerate(widths):
                sheet.set_column(at, at, min(_WIDEST, max(_NARROWEST, width + 2)))
            sheet.autofilter(0, 0, place, len(columns) - 1)


def _width(value: Any) -> int:
    """How many digits wide a cell is; a Chinese character is as wide as two."""
    if isinstance(value, datetime):
        return _INSTANT_WIDTH
    shown = f"{value:,.4f}" if isinstance(value, Decimal) else "" if value is None else str(value)
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in shown[:_WIDEST])


def _write(sheet: Any, row: int, column: int, value: Any, forms: dict[str, Any]) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, Decimal):
        sheet.write_number(row, column, value, forms["yuan"])
    elif isinstance(value, int):
        sheet.write_number(row, column, value)
    elif isinstance(value, datetime):
        local = value.astimezone(SHANGHAI).replace(tzinfo=None) if value.tzinfo else value
        sheet.write_datetime(row, column, local, forms["time"])
    elif isinstance(value, date):
        sheet.write_datetime(row, column, datetime(value.year, value.month, value.day), forms["day"])  # noqa: DTZ001 - a day, no instant
    elif isinstance(value, str):
        sheet.write_string(
            row, column, "".join(one for one in value[:32_767] if one.isprintable() or one == "\n")
        )
    else:
        sheet.write_string(row, column, str(value)[:32_767])


def table_sheet(name: str, table: pa.Table) -> tuple[str, list[str], Iterator[tuple[Any, ...]]]:
    """An answer as a sheet."""
    rows = (
        tuple(row.values()) for batch in table.to_batches(max_chunksize=10_000) for row in batch.to_pylist()
    )
    return name, table.column_names, rows


def month_sheets(
    con: duckdb.DuckDBPyConnection, data: Month
) -> Iterator[tuple[str, list[str], Iterator[tuple[Any, ...]]]]:
    """The sheets of a closed month."""
    summaries = list(data.summaries())
    yield (
        "statements",
        ["statement", "party", "name", "opening_yuan", "paid_in_yuan", "charged_yuan", "closing_yuan"],
        (_summary(one) for one in summaries),
    )
    yield (
        "accounts",
        ["statement", "party", "line", "pot", "count", "amount_yuan"],
        (row for one in summaries for row in _account(one)),
    )
    yield (
        "vat",
        ["statement", "party", "kind", "percent", "gross_yuan", "net_yuan", "vat_yuan"],
        (row for one in summaries for row in _vat(one)),
    )
    given = {"month": data.month, "with": next_month(data.month, -1)}
    for question in standard_questions():
        if any(one.default is None and one.name not in given for one in question.parameters):
            continue  # not about a month
        wanted = [f"{name}={value}" for name, value in given.items() if f"${name}" in question.sql]
        values = bound(question, wanted)
        answer = con.sql(question.sql, params=values or None).to_arrow_table()
        yield table_sheet(question.name, answer)


def _summary(one: Statement) -> tuple[Any, ...]:
    amounts = (
        sum(one.account.opening),
        one.account.paid_hao,
        one.account.charged_hao,
        sum(one.account.closing),
    )
    return (one.head.number, one.head.party.party_id, one.head.party.name, *map(to_yuan, amounts))


def _account(one: Statement) -> Iterator[tuple[Any, ...]]:
    account, who = one.account, (one.head.number, one.head.party.party_id)
    rows = [
        ("opening", None, account.opening),
        *((line.kind, line.count, line.amounts) for line in account.lines),
        ("closing", None, account.closing),
    ]
    for kind, count, amounts in rows:
        for pot, hao in zip(account.pots, amounts, strict=True):
            if hao or kind in {"opening", "closing"}:
                yield (*who, kind, pot, count, to_yuan(hao))


def _vat(one: Statement) -> Iterator[tuple[Any, ...]]:
    for vat in one.vat:
        percent = Decimal(vat.basis_points) * Decimal("0.01")
        amounts = map(to_yuan, (vat.gross_hao, vat.net_hao, vat.vat_hao))
        yield (one.head.number, one.head.party.party_id, vat.kind, percent, *amounts)
