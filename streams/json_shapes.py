"""Lines of JSON that look like one read before, read thousands at a time.

A shape is what such lines share: every byte outside their texts and numbers. A line is of a shape if it has the
same bytes there, texts without an inner quote and numbers of the plain kind between, so it means what the line
meant from which the shape was learnt, with other values. All others are left to `json_walk`, one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streams.json_walk import Node, Wanted
from streams.spans import Bytes, Flags, Ints, as_text, cut

NUMBER = 0
TEXT = 1

_AT_END = -1


@dataclass(frozen=True)
class Slot:
    """A text or number whose value may differ from line to line.

    gap: bytes between the end of the slot before it (or the line's begin) and its own first byte
    closer: which of the line's closing quotes ends it; -1 for a text that nothing but the tail follows
    """

    kind: int
    gap: int
    whole: bool = False
    closer: int = _AT_END


@dataclass(frozen=True)
class Mark:
    """A place in a line: so many bytes after the end of a slot, or after the line's begin (slot -1)."""

    slot: int
    offset: int

    def of(self, begins: Ints, stops: list[Ints]) -> Ints:
        return (begins if self.slot < 0 else stops[self.slot]) + self.offset


@dataclass(frozen=True)
class Shape:
    """What lines share: their slots, the bytes around them, and where each field stands."""

    slots: tuple[Slot, ...]
    tail: int
    skeleton: bytes
    closers: int
    quotes: int
    fields: dict[str, tuple[Mark, Mark]]
    extras: tuple[tuple[bytes, Mark, Mark], ...]


@dataclass
class Lines:
    """Lines of a buffer, and the quotes that close a text, as offsets into it.

    first: for each line, the place of its first closing quote in `closers`
    """

    buffer: Any
    bytes: Bytes
    begins: Ints
    ends: Ints
    first: Ints
    closers: Ints


@dataclass
class Match:
    """The lines of one shape: which, and where their slots begin and end."""

    shape: Shape
    rows: Ints
    begins: Ints
    starts: list[Ints]
    stops: list[Ints]


def match(shape: Shape, lines: Lines, rows: Ints) -> Match:
    """Those of the `rows` (each with `shape.closers` closing quotes) that are of the shape, save for quotes
    inside their texts, which the caller counts."""
    begins, ends, first = lines.begins[rows], lines.ends[rows], lines.first[rows]
    at = begins
    good: Flags = np.ones(len(rows), np.bool_)
    starts: list[Ints] = []
    stops: list[Ints] = []
    for slot in shape.slots:
        start = at + slot.gap
        if slot.kind == NUMBER:
            stop, numbers = _numbers(lines, start, ends, plain=slot.whole)
            good &= numbers
        else:
            stop = ends - shape.tail if slot.closer == _AT_END else lines.closers[first + slot.closer]
            good &= start <= stop
        starts.append(start)
        stops.append(stop)
        at = stop
    good &= at + shape.tail == ends
    if not good.all():
        begins, ends = begins[good], ends[good]
        starts, stops = [each[good] for each in starts], [each[good] for each in stops]
        rows = rows[good]
    same = _has_skeleton(shape, lines, begins, ends, starts, stops)
    if not same.all():
        begins, rows = begins[same], rows[same]
        starts, stops = [each[same] for each in starts], [each[same] for each in stops]
    return Match(shape, rows, begins, starts, stops)


def extra_of(found: Match, lines: Lines) -> Any:
    """The lines' unknown fields as JSON objects, each value as it is written."""
    parts: list[Any] = []
    before = b"{"
    for key, start, stop in found.shape.extras:
        parts.append(pa.scalar((before + key + b":").decode()))
        parts.append(as_text(cut(lines.buffer, start.of(found.begins, found.stops), stop.of(found.begins, found.stops))))
        before = b","
    return pc.binary_join_element_wise(*parts, pa.scalar("}"), "")


def _numbers(lines: Lines, start: Ints, ends: Ints, *, plain: bool) -> tuple[Ints, Flags]:
    """Where the numbers at `start` end, and which of them are of the kind read here: whole if `plain`."""
    last = len(lines.bytes) - 1
    marks = _DIGITS if plain else _NUMERALS
    stop = start.copy()
    inside = marks[lines.bytes[np.minimum(stop, last)]]
    for _ in range(_NUMBER_MAX):
        stop += inside
        inside &= marks[lines.bytes[np.minimum(stop, last)]]
        if not inside.any():
            break
    length = stop - start
    good: Flags = (length > 0) & (length < _NUMBER_MAX) & (stop <= ends)
    if plain:
        good &= (lines.bytes[np.minimum(start, last)] != _ZERO) | (length == 1)
    else:
        rows = np.flatnonzero(good)
        tokens = as_text(cut(lines.buffer, start[rows], stop[rows]))
        good[rows] = pc.match_substring_regex(tokens, _DECIMAL).to_numpy(zero_copy_only=False)
    return stop, good


def _has_skeleton(shape: Shape, lines: Lines, begins: Ints, ends: Ints, starts: list[Ints], stops: list[Ints]) -> Flags:
    """Whether the bytes outside the slots are the shape's."""
    count, width = len(begins), 2 * len(shape.slots) + 2
    if not count:
        return np.ones(0, np.bool_)
    borders = np.empty((count, width), np.int32)
    borders[:, 0] = begins
    for place, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        borders[:, 2 * place + 1] = start
        borders[:, 2 * place + 2] = stop
    borders[:, -1] = ends
    # every second piece between two borders is a part of the skeleton; taken together they lie side by side
    pieces = pa.Array.from_buffers(
        pa.binary(), count * width - 1, [None, pa.py_buffer(borders), lines.buffer]
    ).take(pa.array(np.arange(0, count * width, 2, dtype=np.int32)))
    laid = np.frombuffer(pieces.buffers()[2], np.uint8, count * len(shape.skeleton)).reshape(count, -1)
    model = np.frombuffer(shape.skeleton, np.uint8)
    same: Flags = laid == model
    return np.ones(count, np.bool_) if same.all() else same.all(axis=1)


_DIGITS = np.zeros(256, np.bool_)
_DIGITS[list(b"0123456789")] = True
_NUMERALS = np.zeros(256, np.bool_)
_NUMERALS[list(b"0123456789.-")] = True
_ZERO = ord("0")
_NUMBER_MAX = 19
_DECIMAL = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$"


class _UnfitError(Exception):
    """This line cannot stand for others."""


@dataclass
class _Learner:
    line: bytes
    wanted: Wanted
    closers: dict[int, int]
    slots: list[Slot] = field(default_factory=list)
    outside: list[bytes] = field(default_factory=list)
    fields: dict[str, tuple[Mark, Mark]] = field(default_factory=dict)
    extras: list[tuple[bytes, Mark, Mark]] = field(default_factory=list)
    last: int = 0
    quotes: int = 0

    def mark(self, at: int) -> Mark:
        return Mark(len(self.slots) - 1, at - self.last)

    def token(self, at: int) -> re.Match[bytes]:
        found = _TOKEN.match(self.line, at)
        if found is None:
            raise _UnfitError
        return found

    def value(self, at: int, node: Node | None) -> int:
        """Read the value that begins at or after `at`; where it ends."""
        token = self.token(at)
        begin, mark = token.start(1), token[1][:1]
        if mark == b'"':
            self.quotes += 2
            self.slot(TEXT, begin + 1, token.end(1) - 1, node)
        elif mark in b"-0123456789":
            self.slot(NUMBER, begin, token.end(1), node)
        elif mark == b"{":
            return self.members(token.end(1), node, top=False)
        elif mark == b"[":
            return self.elements(token.end(1), node)
        elif node is not None and (node.below or (node.name and not (token[1] == b"null"))):
            raise _UnfitError
        return token.end(1)

    def slot(self, kind: int, start: int, stop: int, node: Node | None) -> None:
        name = node.name if node else None
        whole = name is not None and name in self.wanted.whole
        if name is not None and self.wanted.strict and name not in self.wanted.soft and (kind == NUMBER) is not whole:
            raise _UnfitError
        closer = self.closers.get(stop, _AT_END) if kind == TEXT else _AT_END
        if self.slots and self.slots[-1].kind == TEXT and self.slots[-1].closer == _AT_END:
            raise _UnfitError  # the slot before was not the last after all
        self.outside.append(self.line[self.last : start])
        begins = Mark(len(self.slots) - 1, start - self.last)
        self.slots.append(Slot(kind, start - self.last, whole and self.wanted.strict, closer))
        self.last = stop
        if name is not None:
            self.fields[name] = (begins, Mark(len(self.slots) - 1, 0))

    def members(self, at: int, node: Node | None, *, top: bool) -> int:
        """Read an object's members from behind its brace; where it ends."""
        if node is not None and node.name is not None:
            raise _UnfitError
        seen: set[bytes] = set()
        token = self.token(at)
        while token[1] != b"}":
            key = token[1][1:-1]
            if key in seen or b"\\" in key:
                raise _UnfitError
            seen.add(key)
            self.quotes += 2
            colon = self.token(token.end(1))
            below = node.below.get(key.decode()) if node else None
            start_at = self.token(colon.end(1)).start(1)
            start = self.mark(start_at)
            end = self.value(start_at, below)
            if top and key.decode() not in self.wanted.known:
                self.extras.append((token[1], start, self.mark(end)))
            token = self.token(end)
            if token[1] == b",":
                token = self.token(token.end(1))
        return token.end(1)

    def elements(self, at: int, node: Node | None) -> int:
        """Read an array's elements from behind its bracket; where it ends."""
        if node is not None:
            raise _UnfitError
        token = self.token(at)
        while token[1] != b"]":
            token = self.token(self.value(token.start(1), None))
            if token[1] == b",":
                token = self.token(token.end(1))
        return token.end(1)


def learn(line: bytes, wanted: Wanted, closers: list[int]) -> Shape | None:
    """The shape of a line that `walk` read without fault; None if it cannot stand for others.

    closers: the places in the line that count as closing quotes
    """
    learner = _Learner(line, wanted, {at: place for place, at in enumerate(closers)})
    try:
        learner.members(learner.token(0).end(1), wanted.tree, top=True)
    except _UnfitError:
        return None
    learner.outside.append(line[learner.last :])
    return Shape(
        slots=tuple(learner.slots),
        tail=len(line) - learner.last,
        skeleton=b"".join(learner.outside),
        closers=len(closers),
        quotes=learner.quotes,
        fields=learner.fields,
        extras=tuple(learner.extras),
    )


_TOKEN = re.compile(rb'[ \t\r]*("(?:[^"\\]|\\.)*+"|-?[0-9][0-9.eE+-]*|true|false|null|[{}\[\],:])')
