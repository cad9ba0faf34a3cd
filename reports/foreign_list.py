"""Lists that others keep (carriers, banks) as CSV: columns known by their names, bytes in UTF-8 or GB 18030."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from ledger.faults import BadRequest

_BEGINNING = 1 << 16
_DELIMITERS = ",\t;|"


def read_list(path: Path, names: Mapping[str, tuple[str, ...]], optional: frozenset[str]) -> pa.Table:
    """The wanted columns of a CSV file with a heading, all as text, null where a cell is empty, and `line`.

    `names` are the headings that each column may have. `line` is the one in the file where the row begins, from 1.
    BadRequest for a file that is missing, is no such list, or lacks a column.
    """
    start = _beginning(path)
    if not start.strip():
        raise BadRequest(f"{path} is empty: it must have a heading and a line for each entry.")
    if b"\0" in start:
        raise BadRequest(f"{path} is no CSV file: save the sheet as CSV first.")
    encoding, lines = _look_over(path)
    heading = "".join(start.decode(encoding, "replace").lstrip("\ufeff\r\n").splitlines()[:1])
    delimiter = max(_DELIMITERS, key=heading.count)
    strange: list[arrow_csv.InvalidRow] = []

    def noted(row: arrow_csv.InvalidRow) -> str:
        strange.append(row)
        return "skip"

    try:
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(encoding=encoding),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, invalid_row_handler=noted, newlines_in_values=True
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in _cells(heading, delimiter)},
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except (pa.ArrowInvalid, UnicodeError) as error:
        raise BadRequest(f"{path} cannot be read as CSV: {str(error).splitlines()[0]}") from None
    if strange:
        (_, wanted), *entries = _entries(path, encoding, delimiter)
        line, cells = next((entry for entry in entries if entry[1] != wanted), (0, 0))
        raise BadRequest(
            f"{path} has lines with more or fewer cells than its heading ({len(strange):,} of them), such as line {line:,} "
            f"with {cells} instead of {wanted}: save it again as CSV."
        )
    found = {
        name.strip().lstrip("\ufeff").lower(): at
        for at, name in reversed(list(enumerate(table.column_names)))
    }
    columns: dict[str, pa.ChunkedArray] = {}
    for column, headings in names.items():
        at = next((found[name] for name in headings if name in found), None)
        if at is not None:
            columns[column] = pc.utf8_trim_whitespace(table.column(at).cast(pa.string()))
        elif column in optional:
            columns[column] = pa.chunked_array([pa.nulls(table.num_rows, pa.string())])
        else:
            raise BadRequest(
                f"{path} has no column {headings[0]!r} (or {', '.join(headings[1:])}); it has "
                f"{', '.join(table.column_names)[:200]}. Rename the heading and run it again."
            )
    begins: Sequence[int] = range(1, lines + 1)
    if lines != table.num_rows + 1:  # some are blank, or a cell has several
        begins = [line for line, _ in _entries(path, encoding, delimiter)]
    return pa.table({"line": pa.array(begins[1:], pa.int64()), **columns})


def _cells(heading: str, delimiter: str) -> list[str]:
    return [cell.strip('"') for cell in heading.split(delimiter)]


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_BEGINNING)
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}. Name the CSV file that you were sent.") from None


def _look_over(path: Path) -> tuple[str, int]:
    """The file's encoding and its number of lines.

    UTF-8 if all of it is that, else what Chinese systems write: GB 18030, which covers GBK and GB 2312.
    """
    encoding, lines = "utf-8", 0
    with path.open("rb") as file:
        for lines, line in enumerate(file, start=1):  # noqa: B007 - their number is wanted
            if encoding == "utf-8":
                try:
                    line.decode()
                except UnicodeDecodeError:
                    encoding = "gb18030"
    return encoding, lines


def _entries(path: Path, encoding: str, delimiter: str) -> Iterator[tuple[int, int]]:
    """(the line it begins on, its cells) of each row, the heading first. A blank line is none."""
    line = 1
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
        rows = csv.reader(file, delimiter=delimiter)
        try:
            for cells in rows:
                if cells:
                    yield line, len(cells)
                line = rows.line_num + 1
        except csv.Error as error:
            raise BadRequest(f"{path} cannot be read as CSV from line {line:,} on: {error}") from None
