"""Answers as tables for people, CSV for spreadsheets, JSON for programs."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from rich.console import Console

from ledger.tables import write_table
from rating.money import MONEY
from rating.records import INSTANT

ROWS = pa.table(
    {
        "name": pa.array(["大明湖", "=1+1", None]),
        "amount": pa.array([Decimal("-1.5000"), Decimal("20.0000"), None], MONEY),
        "at": pa.array([datetime(2026, 9, 30, 16, tzinfo=UTC), None, None], INSTANT),
    }
)


def written(rows: pa.Table, form: str, width: int | None = None) -> str:
    """What is printed; with a width to a terminal that wide, else to a file."""
    out = io.StringIO()
    write_table(rows, form, Console(file=out, width=width, force_terminal=width is not None, no_color=True))
    return out.getvalue()


def test_columns_stand_side_by_side_and_chinese_characters_are_two_wide() -> None:
    assert written(ROWS, "table").splitlines() == [
        "name     amount  at",
        "大明湖  -1.5000  2026-10-01 00:00:00",
        "=1+1    20.0000",
        "",
    ]


def test_into_a_file_no_answer_is_squeezed_or_folded() -> None:
    wide = pa.table({f"column_{n}": ["x" * 40] for n in range(20)})
    assert len(written(wide, "table").splitlines()) == 2


def test_a_terminal_that_is_too_narrow_gets_a_block_for_each_row() -> None:
    lines = written(ROWS, "table", width=20).splitlines()
    assert lines[:4] == ["-- 1", "name    大明湖", "amount  -1.5000", "at      2026-10-01 00:00:00"]


def test_markup_and_control_characters_do_nothing_on_a_terminal() -> None:
    """F-24."""
    rows = pa.table({"text": ["[red]a[/red]\x1b[2J\nb"]})
    assert (
        written(rows, "table").splitlines()[1]
        == "[red]a[/red]\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}b"
    )


def test_csv_neutralises_formulas_and_keeps_amounts() -> None:
    """F-25."""
    assert written(ROWS, "csv") == (
        "name,amount,at\n大明湖,-1.5000,2026-10-01T00:00:00+08:00\n'=1+1,20.0000,\n,,\n"
    )


def test_json_has_amounts_as_text_and_times_with_their_offset() -> None:
    """R-INV-4."""
    first = json.loads(written(ROWS, "json"))[0]
    assert first == {"name": "大明湖", "amount": "-1.5000", "at": "2026-10-01T00:00:00+08:00"}


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_an_answer_without_rows_is_an_answer(form: str) -> None:
    text = written(ROWS.slice(0, 0), form)
    assert text.startswith("name") if form != "json" else json.loads(text) == []
