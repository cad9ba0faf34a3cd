"""`fentan export`: a closed month for other programs, as Beancount, Excel or Parquet; whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ledger.faults import BadRequest
from ledger.files import fsync_path, remove
from ledger.guard import quoted
from ledger.home import Home
from rating.accounts import Refused
from rating.calendar import end_of_month
from rating.reasons import Reason
from reports.ask import views
from reports.export_beancount import beancount
from reports.statement_data import Month

FORMATS = {"beancount": ".beancount", "xlsx": ".xlsx", "parquet": ""}
"""What a file of the format is called behind the month; Parquet is a folder."""

_PARQUET = {
    "calls": "SELECT * FROM calls WHERE month <= $month AND billed_month = $month ORDER BY seq",
    "postings": "SELECT * FROM postings WHERE month = $month ORDER BY seq, posting_id",
    "statement_lines": "SELECT * FROM statement_lines WHERE month = $month ORDER BY line_id",
}


def export(home: Path, month: str, form: str, out: Path | None) -> Path:
    """Writes the month in one of FORMATS and returns where: `out`, or a name in the home's `exports`.

    The same ledger gives the same content. Refused if the month is not closed; BadRequest if `out` is something that
    would be lost.
    """
    path = out or home / "exports" / f"fentan-{month}{FORMATS[form]}"
    _check_place(path, form)
    events, calls = Home.open_logs(home)
    with views(events, calls, end_of_month(month)) as con:
        data = Month(con, month, events, calls)
        if data.close is None:
            raise Refused(Reason.MONTH_OPEN, f"{month} is not closed: run `fentan close {month}` first.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with _draft(path) as draft:
            if form == "beancount":
                with draft.open("w", encoding="utf-8") as file:
                    file.writelines(beancount(con, data))
            elif form == "xlsx":
                from reports.export_xlsx import month_sheets, write_workbook

                write_workbook(draft, month_sheets(con, data))
            else:
                _write_parquet(con, draft, month)
    return path


def _check_place(path: Path, form: str) -> None:
    """Only what an export of the same format wrote is replaced by one."""
    if form != "parquet":
        if path.is_dir():
            raise BadRequest(f"{path} is a folder: name a file, such as {path / f'month{FORMATS[form]}'}.")
        return
    if path.is_file():
        raise BadRequest(f"{path} is a file, and Parquet is a folder of files: name another place.")
    ours = {f"{name}.parquet" for name in _PARQUET}
    others = sorted(one.name for one in path.iterdir() if one.name not in ours) if path.is_dir() else []
    if others:
        raise BadRequest(
            f"{path} holds other things, such as {others[0]}: name a folder that is empty, or not there yet."
        )


def _write_parquet(con: duckdb.DuckDBPyConnection, folder: Path, month: str) -> None:
    folder.mkdir()
    for name, sql in _PARQUET.items():
        text = sql.replace("$month", quoted(month))
        con.execute(
            f"COPY ({text}) TO {quoted(str(folder / f'{name}.parquet'))} (FORMAT parquet, COMPRESSION zstd)"
        )


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A place beside `path` that takes its place once it is whole."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    remove(draft)
    try:
        yield draft
        for file in draft.iterdir() if draft.is_dir() else [draft]:
            fsync_path(file)
        if draft.is_dir():
            remove(path)
        draft.replace(path)
        fsync_path(path.parent)
    finally:
        remove(draft)
