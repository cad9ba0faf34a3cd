"""An answer of `fentan sql` as a file: for spreadsheets, for programs, for other engines."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from ledger.faults import BadRequest, LedgerFault
from ledger.tables import FORMATS, write_table
from ledger.whole_files import drafted

_SIZE = re.compile(r"[1-9]\d{0,5}(MB|GB)")


def require_size(text: str) -> None:
    """BadRequest unless it is a size that DuckDB takes as a memory limit."""
    if not _SIZE.fullmatch(text):
        raise BadRequest(f"--memory {text!r} is no size: write it as 500MB or 2GB.")


def write_answer(rows: pa.Table, form: str, out: Path | None) -> None:
    """Writes table, csv, json, parquet, arrow or xlsx to a file, whole or not at all, or to standard output.

    BadRequest for bytes on a terminal; LedgerFault if the file cannot be written.
    """
    if out is None:
        if sys.stdout.isatty():
            raise BadRequest(f"{form} is not for a terminal: name a file with --out, or send it on with |.")
        sys.stdout.buffer.write(_bytes(rows, form))
        sys.stdout.buffer.flush()
        return
    try:
        with drafted(out) as draft, draft.open("wb") as file:
            _write(rows, form, file)
    except OSError as error:
        raise LedgerFault(
            f"{out} could not be written: {error.strerror or error}. Name another file with --out."
        ) from None


def _bytes(rows: pa.Table, form: str) -> bytes:
    held = io.BytesIO()
    _write(rows, form, held)
    return held.getvalue()


def _write(rows: pa.Table, form: str, file: BinaryIO) -> None:
    if form in FORMATS:
        text = io.StringIO()
        write_table(rows, form, Console(file=text, soft_wrap=True))
        file.write(text.getvalue().encode())
    elif form == "parquet":
        pq.write_table(rows, file, compression="zstd")
    elif form == "arrow":
        with pa.ipc.new_stream(file, rows.schema) as stream:
            stream.write_table(rows)
    else:
        from reports.export_xlsx import table_sheet, write_workbook

        write_workbook(file, [table_sheet("answer", rows)])
