"""One record of a CSV file, read exactly: RFC 4180, and what switches write instead of it.

A quote opens a field only at its begin and closes it before a delimiter; any other quote is text, as most
programs read it. A record may hold line ends inside quotes. But a quote that nobody closes must not swallow the
records behind it: where the quotes do not close within the longest record, or the record that spans lines has
not the columns that it should have, its first line alone is the bad record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.mapping import Layout
from streams.rows import Fault, unreadable


@dataclass(frozen=True)
class Record:
    """A record's cells, and where it ends: behind its line end. fault: the quotes were not closed."""

    cells: list[bytes]
    end: int
    fault: Fault | None = None


class _OpenError(Exception):
    """A quoted field goes on behind the bytes that may be looked at."""


def read_record(
    data: bytes, begin: int, layout: Layout, limit: int, fits: Callable[[int], bool], *, final: bool
) -> Record | None:
    """The record at `begin`; None if its end is not in `data` yet.

    limit: how many bytes a record may have; fits: whether so many cells are right
    """
    line_end = _line_end(data, begin)
    if line_end is None and not final:
        return None
    stop = len(data) if line_end is None else line_end
    until = min(len(data), begin + limit)
    try:
        cells, end = _cells(data, begin, until, layout)
    except _OpenError:
        if until == len(data) and not final:
            return None
    else:
        if end <= stop + 1 or fits(len(cells)):
            return Record(cells, end)
    plain = [cell.strip(b" \t\r" + layout.quote) for cell in data[begin:stop].split(layout.delimiter)]
    after = stop if line_end is None else stop + 1
    return Record(
        plain if fits(len(plain)) else [], after, unreadable("A quote opens that nothing closes on the line.")
    )


def _line_end(data: bytes, begin: int) -> int | None:
    at = data.find(b"\n", begin)
    return None if at < 0 else at


def _cells(data: bytes, begin: int, until: int, layout: Layout) -> tuple[list[bytes], int]:
    """The cells from `begin`, and where the next record begins. Raises _OpenError behind `until`."""
    cells: list[bytes] = []
    at = begin
    while True:
        cell, at = _cell(data, at, until, layout)
        cells.append(cell)
        if at >= len(data):
            return cells, at
        if data[at : at + 1] == b"\n":
            return cells, at + 1
        at += 1


def _cell(data: bytes, at: int, until: int, layout: Layout) -> tuple[bytes, int]:
    """One cell, and the place of the delimiter or line end behind it, or of the end of the data."""
    quote = layout.quote
    first = at
    while data[first : first + 1] in {b" ", b"\t"} and data[first : first + 1] != layout.delimiter:
        first += 1
    inside = b""
    if data[first : first + 1] == quote:
        at = first + 1
        while True:
            close = data.find(quote, at, until)
            if close < 0:
                raise _OpenError
            inside += data[at:close]
            if data[close + 1 : close + 2] != quote:
                break
            inside += quote
            at = close + 2
        at = close + 1
    end = _first_of(data, at, layout.delimiter)
    last = end == len(data) or data[end : end + 1] == b"\n"
    after = data[at : end - 1] if last and end > at and data[end - 1 : end] == b"\r" else data[at:end]
    return (inside + after).strip(b" \t"), end


def _first_of(data: bytes, at: int, delimiter: bytes) -> int:
    line_end = data.find(b"\n", at)
    line_end = len(data) if line_end < 0 else line_end
    found = data.find(delimiter, at, line_end)
    return line_end if found < 0 else found
