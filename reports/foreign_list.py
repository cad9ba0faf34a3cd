"""Lists that others keep (carriers, banks) as CSV: columns known by their names, bytes in UTF-8 or GB 18030."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ledger.faults import BadRequest

_SNIFFED = 1 << 16
_DELIMITERS = ",\t;|"


def read_list(path: Path, names: Mapping[str, tuple[str, ...]], optional: frozenset[str]) -> pa.Table:
    """The wanted columns of a CSV file with a heading, all as text, null where a cell is empty, and `line`.

    `names` are the headings that each column may have. `line` is the row's line in the file, the heading's being 1.
    BadRequest for a file that is missing, is no such list, or lacks a column.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_SNIFFED)
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}. Name the CSV file that you were sent.") from None
    if not start.strip():
        raise BadRequest(f"{path} is empty: it must have a heading and a line for each entry.")
    if b"\0" in start:
        raise BadRequest(f"{path} is no CSV file: save the sheet as CSV first.")
    encoding = _encoding(start)
    heading = "".join(start.decode(encoding, "replace").lstrip("\ufeff\r\n").splitlines()[:1])
    delimiter = max(_DELIMITERS, key=heading.count)
    strange: list[int] = []

    def noted(row: csv.InvalidRow) -> str:
        strange.append(row.number or 0)
        return "skip"

    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(encoding=encoding),
            parse_options=csv.ParseOptions(
                delimiter=delimiter, invalid_row_handler=noted, newlines_in_values=True
            ),
            convert_options=csv.ConvertOptions(
                column_types={name: pa.string() for name in _cells(heading, delimiter)},
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except (pa.ArrowInvalid, UnicodeError) as error:
        raise BadRequest(f"{path} cannot be read as CSV: {str(error).splitlines()[0]}") from None
    if strange:
        raise BadRequest(
            f"{path} has lines with more or fewer cells than its heading ({len(strange):,} of them): save it again as CSV."
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
    return pa.table({"line": pa.array(range(2, table.num_rows + 2), pa.int64()), **columns})


def _cells(heading: str, delimiter: str) -> list[str]:
    return [cell.strip('"') for cell in heading.split(delimiter)]


def _encoding(start: bytes) -> str:
    """UTF-8 if the bytes are that, else what Chinese systems write (GB 18030 covers GBK and GB 2312)."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"
