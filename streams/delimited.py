"""CSV: a block of lines becomes rows. Records whose quotes are in order are read together, the rest exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streams import json_text
from streams.cell_text import CellText
from streams.csv_record import Record, read_record
from streams.mapping import FormatError, Mapping
from streams.rows import RAW_MAX_BYTES, Fault, Rows, too_long, unreadable
from streams.spans import Flags, Ints, cut, places_of, put

_MORE_COLUMNS = 10
"""Where columns go by their place, a template may have some more at the end; two rows run together have others."""

_BOM = b"\xef\xbb\xbf"


class Delimited:
    """Reads blocks of one CSV file, in order; `begin` first, with the file's first bytes."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._layout = mapping.layout
        self._limit = mapping.record_max_bytes
        self._fields = mapping.fields()
        self._columns: list[str] = []
        self._least = self._most = 0
        self._place: dict[str, int] = {}

    def begin(self, head: bytes, *, final: bool) -> int | None:
        """Read the header, if the file has one; how many bytes it takes. None if its line is not whole yet.

        Raises FormatError if a field that the mapping needs is not in it.
        """
        skip = len(_BOM) if head.startswith(_BOM) else 0
        skip += len(head[skip:]) - len(head[skip:].lstrip(b"\r\n"))
        line_end = head.find(b"\n", skip)
        if line_end < 0:
            if not final and len(head) <= self._limit:
                return None
            line_end = len(head)
        header = self._layout.header
        cells = self._cells_of(head[skip:line_end])
        needed = [name for column in ("call_id", "start_at") for name in self._mapping.call[column].fields]
        if header == "no" or (
            header == "maybe" and not {n.lower() for n in needed} <= {c.lower() for c in cells}
        ):
            self._set_columns(list(self._layout.columns))
            return skip
        self._set_columns(cells)
        return min(line_end + 1, len(head))

    def decode(self, data: bytes, at: int, *, final: bool) -> tuple[Rows, int]:
        """The records of a block that begins `at` this offset of the file, and how many bytes they took."""
        used = len(data) if final else data.rfind(b"\n") + 1
        block = data if used == len(data) else data[:used]
        block = block if block.endswith(b"\n") or not used else block + b"\n"
        lines = _Lines.of(block, self._layout.delimiter[0], self._layout.quote[0])
        dirty = np.flatnonzero(~lines.clean | (lines.ends - lines.begins > self._limit))
        records, dropped, stop = self._exact(block, lines, dirty, final=final)
        blank = self._blank(block, lines)
        keep = ~dropped & ~blank & (lines.begins < stop)
        rows = np.flatnonzero(keep)
        return self._rows(block, lines, rows, records, at), min(used, stop)

    def too_long(self, head: bytes, length: int, at: int) -> Rows:
        """The row of a record that was not read whole: `head` is its begin, `length` its bytes in all."""
        none = {name: pa.nulls(1, pa.string()) for name in self._fields}
        raw = pa.array([head[:RAW_MAX_BYTES]], pa.binary())
        return Rows(none, pa.nulls(1, pa.string()), raw, np.array([at]), {0: too_long(length, self._limit)})

    def _cells_of(self, line: bytes) -> list[str]:
        record = read_record(line, 0, self._layout, self._limit, lambda _: True, final=True)
        cells = record.cells if record else []
        return [cell.decode(self._layout.encoding, "replace").strip() for cell in cells]

    def _set_columns(self, columns: list[str]) -> None:
        by_name: dict[str, list[int]] = {}
        for place, name in enumerate(columns):
            by_name.setdefault(name.lower(), []).append(place)
        optional = set(self._fields) - set(self._mapping.fields(_NEEDED))
        for name in self._fields:
            places = by_name.get(name.lower(), [])
            if not places and name not in optional:
                raise FormatError(
                    f'The first line has no column "{name}", which {self._mapping.name} needs; '
                    "add a header line or name a mapping with --format MAPPING.toml."
                )
            if len(places) > 1:
                raise FormatError(
                    f'The first line has the column "{name}" {len(places)} times; give each its own name.'
                )
            if places:
                self._place[name] = places[0]
        self._columns = columns
        self._least = self._most = len(columns)
        if self._layout.header != "yes":
            self._least = max(self._place[name] + 1 for name in self._fields if name not in optional)
            self._most = max(self._least, min(len(columns) + _MORE_COLUMNS, 2 * len(columns) - 2))

    def _fits(self, cells: int) -> bool:
        return self._least <= cells <= self._most

    def _exact(
        self, block: bytes, lines: _Lines, dirty: Ints, *, final: bool
    ) -> tuple[dict[int, Record], Flags, int]:
        """Records that begin on a dirty line, by line; the lines inside them; where the read bytes end."""
        records: dict[int, Record] = {}
        dropped = np.zeros(len(lines.begins), np.bool_)
        after = 0
        for line in dirty.tolist():
            begin, end = int(lines.begins[line]), int(lines.ends[line])
            if begin < after:
                continue
            if end - begin > self._limit:
                records[line] = Record([], end + 1, too_long(end - begin, self._limit))
                continue
            record = read_record(block, begin, self._layout, self._limit, self._fits, final=final)
            if record is None:
                return records, dropped, begin
            records[line] = record
            after = record.end
            dropped[line + 1 : int(np.searchsorted(lines.begins, after))] = True
        return records, dropped, len(block)

    def _blank(self, block: bytes, lines: _Lines) -> Flags:
        """Lines with nothing but spaces; a delimiter that is white space makes a record all the same."""
        blank: Flags = lines.ends <= lines.begins
        for row in np.flatnonzero(
            ~blank & (lines.bytes[np.minimum(lines.begins, len(block) - 1)] <= 32)
        ).tolist():
            text = block[lines.begins[row] : lines.ends[row]]
            blank[row] = not text.strip(b" \t\r") and self._layout.delimiter not in text
        return blank

    def _rows(self, block: bytes, lines: _Lines, rows: Ints, records: dict[int, Record], at: int) -> Rows:
        row_of = (
            {int(line): row for row, line in enumerate(rows.tolist()) if line in records} if records else {}
        )
        exact = {row: records[line] for line, row in row_of.items()}
        places = np.array(sorted(exact), np.int64)
        counts = lines.counts[rows]
        counts[places] = [len(exact[row].cells) for row in places.tolist()]
        faults: dict[int, Fault] = {row: record.fault for row, record in exact.items() if record.fault}
        self._ragged(counts, faults)
        cells = [exact[row].cells if counts[row] else [] for row in places.tolist()]
        table = _Cells(lines, rows, counts, places, cells)
        decoded = CellText(self._mapping, block, faults)
        text = {name: decoded.text(name, table.column(place)) for name, place in self._place.items()}
        none = pa.nulls(len(rows), pa.string())
        text |= {name: none for name in self._fields if name not in text}
        extra = self._extra(table, decoded, len(rows), int(counts.max()) if len(rows) else 0)
        ends = lines.ends[rows]
        ends[places] = [self._raw_end(block, lines, rows[row], exact[row]) for row in places.tolist()]
        raw = cut(lines.buffer, lines.begins[rows], ends)
        return Rows(text, extra, raw, lines.begins[rows] + at, faults)

    def _raw_end(self, block: bytes, lines: _Lines, line: int, record: Record) -> int:
        begin = int(lines.begins[line])
        if int(lines.ends[line]) - begin > self._limit:
            return begin + min(RAW_MAX_BYTES, int(lines.ends[line]) - begin)
        return begin + len(block[begin : record.end].rstrip(b"\r\n"))

    def _ragged(self, counts: Ints, faults: dict[int, Fault]) -> None:
        for row in np.flatnonzero((counts < self._least) | (counts > self._most)).tolist():
            wanted = str(self._least) if self._least == self._most else f"{self._least} to {self._most}"
            faults.setdefault(row, unreadable(f"The row has {counts[row]} columns, not {wanted}."))
            if counts[row] > self._most:
                counts[row] = 0  # nobody knows which cell is one too many, so none is trusted

    def _extra(self, table: _Cells, decoded: CellText, count: int, width: int) -> Any:
        mapped = {self._place[name] for name in self._mapping.mapped if name in self._place}
        names: list[str] = []
        columns: list[Any] = []
        for place in range(width):
            if place not in mapped:
                named = place < len(self._columns) and self._columns[place]
                names.append(self._columns[place] if named else f"column_{place + 1}")
                columns.append(decoded.text(None, table.column(place)))
        return json_text.objects(names, columns, count)


_NEEDED = ("call_id", "service_number", "start_at", "end_at")


@dataclass
class _Lines:
    """A block's lines and their cells, read as if each line began outside of quotes.

    first: each line's first cell; counts: how many cells it has; starts, stops: of each cell, without its quotes
    clean: whether the line's quotes are in order, so that it is a record whatever stands around it
    """

    buffer: Any
    bytes: Any
    quote: bytes
    begins: Ints
    ends: Ints
    first: Ints
    counts: Ints
    starts: Ints
    stops: Ints
    doubled: bool
    clean: Flags

    @classmethod
    def of(cls, block: bytes, delimiter: int, quote: int) -> _Lines:
        data = np.frombuffer(block, np.uint8)
        special = places_of(data, bytes((delimiter, quote, _LINE_END)))
        kind = data.take(special)
        is_quote, is_end = kind == quote, kind == _LINE_END
        quotes = np.cumsum(is_quote)
        at_end = np.flatnonzero(is_end)
        ends = special[at_end]
        begins = np.concatenate([_ZERO, ends + 1])[: len(ends)]
        before = np.concatenate([_ZERO, quotes[at_end]])[: len(ends)]
        odd: Flags = ((quotes[at_end] - before) & 1).astype(np.bool_)
        if odd.any():  # what is inside quotes is counted from the line's begin
            line = np.repeat(np.arange(len(ends)), np.diff(at_end, prepend=-1))
            inside = (quotes - before[line]) & 1
        else:
            inside = quotes & 1
        border = np.flatnonzero(is_end | ((kind == delimiter) & (inside == 0)))
        stops = special[border]
        starts = np.concatenate([_ZERO, stops + 1])[: len(stops)]
        last = np.flatnonzero(is_end[border])
        first = np.concatenate([_ZERO, last + 1])[: len(ends)]
        returned = (stops[last] > starts[last]) & (data[stops[last] - 1] == _RETURN)
        stops[last] -= returned
        held = np.diff(quotes[border], prepend=0)
        clean, doubled = ~odd, False
        quoted = np.flatnonzero(held)
        if len(quoted):
            start, stop = starts[quoted], stops[quoted]
            good = (data[start] == quote) & (data[stop - 1] == quote) & (stop - start > 1)
            many = np.flatnonzero(good & (held[quoted] > 2))
            if len(many):
                doubled = True
                good[many] = _all_doubled(block, start[many] + 1, stop[many] - 1, bytes([quote]))
            bad = quoted[~good]
            clean[np.searchsorted(last, bad)] = False
            fine = quoted[good]
            starts[fine] += 1
            stops[fine] -= 1
        ends = ends - ((ends > begins) & (data[ends - 1] == _RETURN))
        counts = np.diff(last, prepend=-1)
        mark = bytes([quote])
        return cls(
            pa.py_buffer(block), data, mark, begins, ends, first, counts, starts, stops, doubled, clean
        )


def _all_doubled(block: bytes, starts: Ints, stops: Ints, quote: bytes) -> Flags:
    """Whether every quote inside these cells stands beside its twin."""
    cells = cut(pa.py_buffer(block), starts, stops)
    single, double = pc.count_substring(cells, quote), pc.count_substring(cells, quote * 2)
    flags: Flags = pc.equal(single, pc.multiply(double, 2)).to_numpy(zero_copy_only=False)
    return flags


class _Cells:
    """The cells of the chosen lines, column by column; some lines were read exactly."""

    def __init__(
        self, lines: _Lines, rows: Ints, counts: Ints, exact: Ints, cells: list[list[bytes]]
    ) -> None:
        self._lines = lines
        self._begins = lines.begins[rows]
        self._first = lines.first[rows]
        self._counts = counts.copy()
        self._counts[exact] = 0
        self._least = int(self._counts.min()) if len(rows) else 0
        self._exact, self._exact_cells = exact, cells

    def column(self, place: int) -> Any:
        """The column's bytes, empty cells as null."""
        lines = self._lines
        index = self._first + place
        if self._least > place:
            starts, stops = lines.starts.take(index), lines.stops.take(index)
        else:
            there: Flags = self._counts > place
            index[~there] = 0
            starts = np.where(there, lines.starts.take(index), self._begins)
            stops = np.where(there, lines.stops.take(index), self._begins)
        empty: Flags = starts >= stops
        column = cut(lines.buffer, starts, stops, null=empty if empty.any() else None)
        if lines.doubled and (np.frombuffer(column.buffers()[2], np.uint8) == lines.quote[0]).any():
            column = pc.replace_substring(column, lines.quote * 2, lines.quote)
        cells = [cells[place] if len(cells) > place and cells[place] else None for cells in self._exact_cells]
        return put(column, self._exact, cells)


_LINE_END, _RETURN = b"\n\r"
_ZERO = np.zeros(1, np.int64)
