"""Lines of JSON that look like one read before, read thousands at a time.

A shape is what such lines share: the order of their fields, and every byte between two values. A line is of a
shape if it has the same bytes there, and between them texts without an inner quote, numbers of the plain kind,
null, true or false: so it means what the line meant from which the shape was learnt, with other values. All
other lines are left to `json_walk`, one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streams.json_walk import Node, Wanted
from streams.spans import Bytes, Flags, Ints, as_text, cut, windows

TEXT = "text"  # text or null
WHOLE = "whole"  # digits or null
SCALAR = "scalar"  # text, any number or null
ANY = "any"  # the same, true or false


@dataclass(frozen=True)
class Value:
    """A place where lines differ. gap: the bytes between it and the value before, or the line's begin."""

    kind: str
    gap: int
    name: str | None = None


@dataclass(frozen=True)
class Extra:
    """A field that nobody asked for: from so many bytes after value `first` to so many after value `last`."""

    key: str
    first: int
    first_offset: int
    last: int
    last_offset: int


@dataclass(frozen=True)
class Shape:
    """What lines share. outside: the bytes before each value and behind the last one; listed: for each value,
    whether the quote that closes it is among the `closers` of the lines."""

    values: tuple[Value, ...]
    listed: tuple[bool, ...]
    outside: tuple[bytes, ...]
    key_quotes: int
    extras: tuple[Extra, ...]


@dataclass
class Lines:
    """Lines of a buffer as offsets into it, and the quotes that close a text.

    closers: ascending; `first` and `until` say which of them are a line's own
    """

    buffer: Any
    bytes: Bytes
    begins: Ints
    ends: Ints
    closers: Ints
    first: Ints
    until: Ints


@dataclass
class Match:
    """The lines of one shape, and for each of its values where it begins and ends in each of them.

    starts, stops: the value as written; inner_starts, inner_stops: the text inside its quotes, empty for null
    texts: how many of a line's values are texts
    """

    shape: Shape
    rows: Ints
    begins: Ints
    ends: Ints
    starts: list[Ints] = field(default_factory=list)
    stops: list[Ints] = field(default_factory=list)
    inner_starts: list[Ints] = field(default_factory=list)
    inner_stops: list[Ints] = field(default_factory=list)
    texts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def only(self, good: Flags) -> Match:
        """The same without the lines that are not good."""
        if good.all():
            return self
        return Match(
            self.shape,
            self.rows[good],
            self.begins[good],
            self.ends[good],
            [each[good] for each in self.starts],
            [each[good] for each in self.stops],
            [each[good] for each in self.inner_starts],
            [each[good] for each in self.inner_stops],
            self.texts[good],
        )


def match(shape: Shape, lines: Lines, rows: Ints) -> Match:
    """Those of the `rows` that are of the shape, save for quotes inside their texts, which the caller counts."""
    every = len(rows) == len(lines.begins)
    begins, ends, closer, until = (
        each if every else each[rows] for each in (lines.begins, lines.ends, lines.first, lines.until)
    )
    found = Match(shape, rows, begins, ends, texts=until - closer)
    good: Flags = np.ones(len(rows), np.bool_)
    at, tail = begins, len(shape.outside[-1])
    for value, listed in zip(shape.values, shape.listed, strict=True):
        start = at + value.gap
        is_text: Flags = _peek(lines.bytes, start) == _QUOTE
        others = np.flatnonzero(~is_text)
        if listed:
            stop = _peek(lines.closers, closer) + 1
            closer = closer + (is_text if len(others) else 1)
        else:
            stop = ends - tail
            good &= ~is_text | (_peek(lines.bytes, stop - 1) == _QUOTE)
            found.texts += is_text
        inner_start, inner_stop = start + 1, stop - 1
        if len(others):
            chosen = others if len(others) < len(rows) else slice(None)
            stop[chosen], is_null, ok = _token(lines, start[chosen], ends[chosen], value.kind)
            good[chosen] &= ok
            inner_start[chosen] -= 1
            inner_stop[chosen] = np.where(is_null, inner_start[chosen], stop[chosen])
        if value.kind == WHOLE:
            good &= ~is_text
        good &= inner_start <= inner_stop
        found.starts.append(start)
        found.stops.append(stop)
        found.inner_starts.append(inner_start)
        found.inner_stops.append(inner_stop)
        at = stop
    good &= (at + tail == ends) & (closer == until)
    found = found.only(good)
    return found.only(_has_skeleton(found, lines))


def extra_of(found: Match, lines: Lines) -> Any:
    """The lines' unknown fields as JSON objects, each value as it is written."""
    parts: list[Any] = []
    before = "{"
    for extra in found.shape.extras:
        start = (found.begins if extra.first < 0 else found.stops[extra.first]) + extra.first_offset
        stop = (found.begins if extra.last < 0 else found.stops[extra.last]) + extra.last_offset
        parts += [pa.scalar(before + extra.key + ":"), as_text(cut(lines.buffer, start, stop))]
        before = ","
    return pc.binary_join_element_wise(*parts, pa.scalar("}"), "")


def _peek(array: npt.NDArray[Any], at: Ints) -> npt.NDArray[Any]:
    """What stands `at` these places; behind the array's end, its last element."""
    return array.take(at, mode="clip")


def _token(lines: Lines, start: Ints, ends: Ints, kind: str) -> tuple[Ints, Flags, Flags]:
    """Values that are no text: where they end, which are null, and which may stand in a value of this kind."""
    stop = start.copy()
    first = _peek(lines.bytes, start)
    is_null = _spells(lines, start, first, b"null")
    if is_null.any():
        stop += 4 * is_null
    ok = is_null
    if kind == ANY:
        for word in (b"true", b"false"):
            is_word = _spells(lines, start, first, word)
            stop += len(word) * is_word
            ok = ok | is_word
    if kind != TEXT and not ok.all():
        rows = np.flatnonzero(~ok)
        stop[rows], good = _numbers(lines, start[rows], ends[rows], plain=kind == WHOLE)
        ok = ok.copy()
        ok[rows] = good
    return stop, is_null, ok


def _spells(lines: Lines, start: Ints, first: Bytes, word: bytes) -> Flags:
    same: Flags = first == word[0]
    if same.any():
        for step in range(1, len(word)):
            same &= _peek(lines.bytes, start + step) == word[step]
    return same


def _numbers(lines: Lines, start: Ints, ends: Ints, *, plain: bool) -> tuple[Ints, Flags]:
    """Where the numbers at `start` end, and which are of the kind read here: digits alone if `plain`."""
    marks = _DIGITS if plain else _NUMERALS
    first = byte = _peek(lines.bytes, start)
    running = marks[byte]
    stop = start + running
    for step in range(1, _NUMBER_MAX):
        running &= marks[_peek(lines.bytes, start + step)]
        if not running.any():
            break
        stop += running
    length = stop - start
    good: Flags = (length > 0) & (length < _NUMBER_MAX) & (stop <= ends)
    if plain:
        good &= (first != _ZERO) | (length == 1)
    else:
        rows = np.flatnonzero(good)
        tokens = as_text(cut(lines.buffer, start[rows], stop[rows]))
        good[rows] = pc.match_substring_regex(tokens, _DECIMAL).to_numpy(zero_copy_only=False)
    return stop, good


def _has_skeleton(found: Match, lines: Lines) -> Flags:
    """Whether the bytes outside the values are the shape's."""
    count = len(found.rows)
    good: Flags = np.ones(count, np.bool_)
    if not count:
        return good
    for start, part in zip([found.begins, *found.stops], found.shape.outside, strict=True):
        there = windows(lines.buffer, len(part))[start]
        if there.tobytes() != part * count:
            bytes_there = there.view(np.uint8).reshape(count, len(part))
            good &= (bytes_there == np.frombuffer(part, np.uint8)).all(axis=1)
    return good


class _UnfitError(Exception):
    """This line cannot stand for others."""


@dataclass
class _Learner:
    line: bytes
    wanted: Wanted
    values: list[Value] = field(default_factory=list)
    outside: list[bytes] = field(default_factory=list)
    extras: list[Extra] = field(default_factory=list)
    stop: int = 0
    key_quotes: int = 0

    def token(self, at: int) -> re.Match[bytes]:
        found = _TOKEN.match(self.line, at)
        if found is None:
            raise _UnfitError
        return found

    def value(self, token: re.Match[bytes], node: Node | None) -> int:
        """Take the value that begins with this token; where it ends."""
        mark = token[1][:1]
        if mark == b"{":
            return self.members(token.end(1), node, top=False)
        if mark == b"[":
            return self.elements(token.end(1), node)
        name = node.name if node else None
        if node is not None and node.below:
            raise _UnfitError
        if name is None:
            kind = ANY
        elif not self.wanted.strict or name in self.wanted.soft:
            kind = SCALAR
        else:
            kind = WHOLE if name in self.wanted.whole else TEXT
        begin = token.start(1)
        self.outside.append(self.line[self.stop : begin])
        self.values.append(Value(kind, begin - self.stop, name))
        self.stop = token.end(1)
        return self.stop

    def members(self, at: int, node: Node | None, *, top: bool) -> int:
        """Take an object's members from behind its brace; where it ends."""
        if node is not None and node.name is not None:
            raise _UnfitError
        seen: set[bytes] = set()
        token = self.token(at)
        while token[1] != b"}":
            key = token[1][1:-1]
            if key in seen or b"\\" in key:
                raise _UnfitError
            seen.add(key)
            self.key_quotes += 2
            begin = self.token(self.token(token.end(1)).end(1))
            first, first_offset = len(self.values) - 1, begin.start(1) - self.stop
            end = self.value(begin, node.below.get(key.decode()) if node else None)
            if top and key.decode() not in self.wanted.known:
                last, last_offset = len(self.values) - 1, end - self.stop
                self.extras.append(Extra(token[1].decode(), first, first_offset, last, last_offset))
            token = self.token(end)
            if token[1] == b",":
                token = self.token(token.end(1))
        return token.end(1)

    def elements(self, at: int, node: Node | None) -> int:
        """Take an array's elements from behind its bracket; where it ends."""
        if node is not None:
            raise _UnfitError
        token = self.token(at)
        while token[1] != b"]":
            token = self.token(self.value(token, None))
            if token[1] == b",":
                token = self.token(token.end(1))
        return token.end(1)


def learn(line: bytes, wanted: Wanted, follow: bytes) -> Shape | None:
    """The shape of a line that `walk` read without fault; None if it cannot stand for others.

    follow: the bytes after a quote by which `Lines.closers` were found
    """
    learner = _Learner(line, wanted)
    try:
        learner.members(learner.token(0).end(1), wanted.tree, top=True)
    except _UnfitError:
        return None
    outside = [*learner.outside, line[learner.stop :]]
    listed = tuple(part[:1] in follow for part in outside[1:])
    if not all(listed[:-1]):
        return None
    return Shape(
        values=tuple(learner.values),
        listed=listed,
        outside=tuple(outside),
        key_quotes=learner.key_quotes,
        extras=tuple(learner.extras),
    )


_QUOTE = ord('"')
_ZERO = ord("0")
_DIGITS = np.zeros(256, np.bool_)
_DIGITS[list(b"0123456789")] = True
_NUMERALS = np.zeros(256, np.bool_)
_NUMERALS[list(b"0123456789.-")] = True
_NUMBER_MAX = 19
_DECIMAL = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$"
_TOKEN = re.compile(rb'[ \t\r]*("(?:[^"\\]|\\.)*+"|-?[0-9][0-9.eE+-]*|true|false|null|[{}\[\],:])')
