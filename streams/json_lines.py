"""JSON Lines: a block of lines becomes rows. Most lines look alike and are read by shape, the rest exactly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streams import json_shapes
from streams.json_shapes import Lines, Match, Shape
from streams.json_walk import Node, Walked, Wanted, walk
from streams.rows import RAW_MAX_BYTES, Fault, Rows, too_long
from streams.spans import SLICE_BYTES, Bytes, Flags, Ints, as_text, cut, is_utf8, places, put, spread

_FEW_LINES = 16
"""Fewer lines than these are read one by one: that is cheaper than to look for their shape."""

_SHAPES_MAX = 64
_MISSES_MAX = 12
"""A block whose lines have so many shapes of few lines each is read on one by one."""

_NARROW = b","
_WIDE = b",}]"
_BOM = b"\xef\xbb\xbf"


class JsonLines:
    """Reads blocks of one file, in order, and remembers the shapes that it met."""

    def __init__(self, wanted: Wanted, record_max_bytes: int) -> None:
        self._wanted = wanted
        self._names = sorted(_names(wanted.tree))
        self._max = record_max_bytes
        self._shapes: list[Shape] = []
        self._follow = _NARROW

    def decode(self, data: bytes, at: int, *, final: bool) -> tuple[Rows, int]:
        """The records of a block that begins `at` this offset of the file, and how many bytes they took.

        Takes whole lines, and the last one without a line end only if `final`. Blank lines are no records.
        """
        used = len(data) if final else data.rfind(b"\n") + 1
        block = data if used == len(data) else data[:used]
        block = block if block.endswith(b"\n") or not used else block + b"\n"
        while True:
            follow = self._follow
            scan = _scan(block, follow, skip=len(_BOM) if at == 0 and block.startswith(_BOM) else 0)
            found, left = self._match(block, scan)
            if follow == self._follow:
                return self._rows(block, scan, found, left, at), used

    def too_long(self, head: bytes, length: int, at: int) -> Rows:
        """The row of a record that was not read whole: `head` is its begin, `length` its bytes in all."""
        head = head[:RAW_MAX_BYTES]
        text = walk(head, self._wanted).text
        columns = {name: pa.array([text.get(name)], pa.string()) for name in self._names}
        fault = too_long(length, self._max)
        return Rows(
            columns, pa.nulls(1, pa.string()), pa.array([head], pa.binary()), np.array([at]), {0: fault}
        )

    def _match(self, block: bytes, scan: _Scan) -> tuple[list[Match], Ints]:
        """The lines that have a shape, and the places of those that have none."""
        lines = scan.lines
        exact = _needs_walk(block, scan) | (lines.ends - lines.begins > self._max)
        found: list[Match] = []
        taken = np.zeros(len(exact), np.bool_)
        rows = np.flatnonzero(~exact)
        tried = list(self._shapes)
        misses = 0
        while len(rows) >= _FEW_LINES and misses < _MISSES_MAX:
            shape = tried.pop(0) if tried else self._learn(block, lines, int(rows[0]))
            if shape is None:
                misses += 1
                rows = rows[1:]
                continue
            match = json_shapes.match(shape, lines, rows)
            misses += len(match.rows) < _FEW_LINES
            if len(match.rows):
                found.append(match)
                taken[match.rows] = True
                rows = rows[~taken[rows]] if len(match.rows) < len(rows) else rows[:0]
        found = _without_inner_quotes(block, scan, found, taken)
        best = [match.shape for match in sorted(found, key=lambda match: -len(match.rows))]
        self._shapes = [*best, *(shape for shape in self._shapes if shape not in best)][:_SHAPES_MAX]
        return found, np.flatnonzero(~taken)

    def _learn(self, block: bytes, lines: Lines, row: int) -> Shape | None:
        """The shape of this line, if it has one that others can share."""
        line = block[lines.begins[row] : lines.ends[row]]
        if walk(line, self._wanted).fault:
            return None
        shape = json_shapes.learn(line, self._wanted, self._follow)
        if shape is None and self._follow != _WIDE and json_shapes.learn(line, self._wanted, _WIDE):
            self._follow = _WIDE
            self._shapes.clear()
        return shape

    def _rows(self, block: bytes, scan: _Scan, found: list[Match], left: Ints, at: int) -> Rows:
        lines = scan.lines
        count = len(lines.begins)
        lengths = lines.ends - lines.begins
        faults: dict[int, Fault] = {}
        read: list[Walked] = []
        for row in left.tolist():
            begin, length = int(lines.begins[row]), int(lengths[row])
            walked = walk(
                block[begin : begin + (length if length <= self._max else RAW_MAX_BYTES)], self._wanted
            )
            if length > self._max:
                walked = Walked(walked.text, None, too_long(length, self._max))
            read.append(walked)
            if walked.fault:
                faults[row] = walked.fault
        columns = {}
        for name in self._names:
            column = _column(name, lines, found)
            column = _unescaped(column) if scan.escapes else column
            columns[name] = put(column, left, [walked.text.get(name) for walked in read])
        parts = [(match.rows, json_shapes.extra_of(match, lines)) for match in found if match.shape.extras]
        extra = put(spread(parts, count, pa.string()), left, [walked.extra for walked in read])
        kept = np.where(lengths > self._max, np.minimum(lengths, RAW_MAX_BYTES), lengths)
        raw = cut(lines.buffer, lines.begins, lines.begins + kept)
        return Rows(columns, extra, raw, lines.begins + at, faults)


def _names(node: Node) -> list[str]:
    own = [node.name] if node.name is not None else []
    return own + [name for below in node.below.values() for name in _names(below)]


@dataclass
class _Scan:
    """A block's lines, blank ones left out, how many closing quotes each has, and what else the block holds."""

    lines: Lines
    quotes: int
    controls: bool
    escapes: bool


def _scan(block: bytes, follow: bytes, skip: int) -> _Scan:
    """One pass over a block that ends with a line end; its first `skip` bytes belong to no line."""
    data = np.frombuffer(block, np.uint8)
    special, quotes = _special(data, follow)
    kind = data.take(special)
    at_end = np.flatnonzero(kind == _LINE_END)
    ends = special[at_end]
    closers = special[kind == _QUOTE]
    controls = len(ends) + len(closers) < len(special)
    if controls:
        at_end = np.searchsorted(closers, ends) + np.arange(len(ends))
    begins = np.concatenate([_START + skip, ends[:-1] + 1])[: len(ends)]
    # the closing quotes are listed without the line ends, of which `arange` come before each line's
    until = at_end - np.arange(len(ends))
    first = np.concatenate([_START, until[:-1]])[: len(ends)]
    if controls:
        ends = ends - ((ends > begins) & (data[ends - 1] == _RETURN))
    full = np.flatnonzero(ends > begins)
    full = full[~_is_blank(block, data, begins, ends, full)]
    if len(full) < len(ends):
        begins, ends, first, until = begins[full], ends[full], first[full], until[full]
    lines = Lines(pa.py_buffer(block), data, begins, ends, np.append(closers, len(data) - 1), first, until)
    return _Scan(lines, quotes, controls, b"\\" in block)


def _special(data: Bytes, follow: bytes) -> tuple[Ints, int]:
    """Places of control characters, and of quotes with a byte of `follow` behind them; the number of quotes."""
    size = len(data)
    quote, other, mark = (np.empty(min(size, SLICE_BYTES), np.bool_) for _ in range(3))
    places: list[Ints] = [np.zeros(0, np.int64)]
    quotes = 0
    for low in range(0, size, SLICE_BYTES):
        part = data[low : low + SLICE_BYTES]
        after = data[low + 1 : low + 1 + len(part)]
        q, o, m = quote[: len(part)], other[: len(part)], mark[: len(part)]
        quotes += int(np.count_nonzero(np.equal(part, _QUOTE, out=q)))
        m[-1] = False
        np.equal(after, follow[0], out=m[: len(after)])
        for byte in follow[1:]:
            np.equal(after, byte, out=o[: len(after)])
            np.logical_or(m[: len(after)], o[: len(after)], out=m[: len(after)])
        np.logical_and(m, q, out=m)
        np.logical_or(m, np.less(part, _SPACE, out=o), out=m)
        places.append(np.flatnonzero(m) + low)
    return np.concatenate(places), quotes


def _is_blank(block: bytes, data: Bytes, begins: Ints, ends: Ints, rows: Ints) -> Flags:
    """Which of these lines hold nothing but spaces."""
    blank: Flags = data[begins[rows]] <= _SPACE
    for place in np.flatnonzero(blank).tolist():
        row = rows[place]
        blank[place] = not block[begins[row] : ends[row]].strip(b" \t\r")
    return blank


def _needs_walk(block: bytes, scan: _Scan) -> Flags:
    """Lines with bytes that a shape cannot vouch for: control characters, odd escapes, no UTF-8."""
    lines = scan.lines
    odd = np.zeros(len(lines.begins), np.bool_)
    if scan.controls:
        odd |= _any_in(lines, np.flatnonzero((lines.bytes < _SPACE) & (lines.bytes != _LINE_END)))
    if scan.escapes:
        odd |= _any_in(lines, _odd_escapes(lines.bytes))
    if not block.isascii() and not is_utf8(block):
        for row in np.flatnonzero(_any_in(lines, np.flatnonzero(lines.bytes >= 0x80))).tolist():
            odd[row] |= not is_utf8(block[lines.begins[row] : lines.ends[row]])
    return odd


def _any_in(lines: Lines, places: Ints) -> Flags:
    """Whether any of the ascending places lies inside each line."""
    flags: Flags = np.searchsorted(places, lines.ends) > np.searchsorted(places, lines.begins)
    return flags


def _odd_escapes(data: Bytes) -> Ints:
    """Places of backslashes that escape a quote or a backslash, or nothing that JSON knows, or what is no text."""
    places = np.flatnonzero(data == _BACKSLASH)
    padded = np.append(data, np.zeros(5, np.uint8))
    kind = padded[places + 1]
    digits = _HEX[np.stack([padded[places + step] for step in (2, 3, 4, 5)])]
    point = digits[0] * 4096 + digits[1] * 256 + digits[2] * 16 + digits[3]
    is_text = (digits >= 0).all(axis=0) & (point > 0) & ((point < 0xD800) | (point > 0xDFFF))
    plain = _PLAIN_ESCAPE[kind] | ((kind == _U) & is_text)
    odd: Ints = places[~plain]
    return odd


def _without_inner_quotes(block: bytes, scan: _Scan, found: list[Match], taken: Flags) -> list[Match]:
    """Leave out lines that have a quote inside a text; there are none if the block's quotes add up."""
    lines = scan.lines
    rest = np.flatnonzero(~taken)
    others = sum(block.count(b'"', lines.begins[row], lines.ends[row]) for row in rest.tolist())
    own = [match.shape.key_quotes + 2 * match.texts for match in found]
    if scan.quotes == others + sum(int(each.sum()) for each in own):
        return found
    places = np.flatnonzero(lines.bytes == _QUOTE)
    counts = np.searchsorted(places, lines.ends) - np.searchsorted(places, lines.begins)
    clean: list[Match] = []
    for match, quotes in zip(found, own, strict=True):
        good: Flags = counts[match.rows] == quotes
        taken[match.rows[~good]] = False
        clean.append(match.only(good))
    return clean


def _column(name: str, lines: Lines, found: list[Match]) -> Any:
    """A field's text for every line, as written; null where it is absent or empty, or where no shape was found."""
    starts = stops = lines.begins
    for match in found:
        for place, value in enumerate(match.shape.values):
            if value.name != name:
                continue
            if len(match.rows) == len(lines.begins):
                starts, stops = match.inner_starts[place], match.inner_stops[place]
                continue
            if starts is lines.begins:
                starts, stops = starts.copy(), stops.copy()
            starts[match.rows] = match.inner_starts[place]
            stops[match.rows] = match.inner_stops[place]
    empty: Flags = starts >= stops
    return as_text(cut(lines.buffer, starts, stops, null=empty if empty.any() else None))


def _unescaped(column: Any) -> Any:
    """Text as written in JSON -> what it says. Most often it is a slash that needs none."""
    if not pc.any(pc.match_substring(column, "\\")).as_py():
        return column
    column = pc.replace_substring(column, "\\/", "/")
    rows = places(pc.match_substring(column, "\\"))
    written = column.take(pa.array(rows)).to_pylist()
    return put(column, rows, [json.loads(f'"{text}"') for text in written])


_QUOTE, _BACKSLASH, _SPACE, _LINE_END, _RETURN, _U = b'"\\ \n\ru'
_START = np.zeros(1, np.int64)
_PLAIN_ESCAPE = np.zeros(256, np.bool_)
_PLAIN_ESCAPE[list(b"/bfnrt")] = True
_HEX = np.full(256, -1, np.int64)
_HEX[list(b"0123456789")] = range(10)
_HEX[list(b"abcdef")] = range(10, 16)
_HEX[list(b"ABCDEF")] = range(10, 16)
