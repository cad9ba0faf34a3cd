"""What is wrong with the demo's call files: records that must be rejected or charged only once (FAULTS F-01 … F-11)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from rating.calendar import end_of_month, instant_text, parse_instant
from rating.reasons import Reason
from streams.town_calls import Ints

Record = dict[str, Any]

DUPLICATED = 0.004
KINDS_PER_CALLS = 25_000
"""One dirty record of each kind for so many calls, at least one a month."""


def _shifted(record: Record, name: str, **by: int) -> None:
    record[name] = instant_text(parse_instant(record[name]) + timedelta(**by))


def _unknown_number(record: Record) -> bytes:
    record["service_number"] = "4005550000"
    return _line(record)


def _with_area_code(record: Record) -> bytes:
    record["service_number"] = "010-" + record["service_number"]
    return _line(record)


def _end_before_start(record: Record) -> bytes:
    record["end_at"] = record["start_at"]
    _shifted(record, "end_at", seconds=-40)
    return _line(record)


def _other_duration(record: Record) -> bytes:
    record["duration_s"] += 300
    return _line(record)


def _thirty_hours(record: Record) -> bytes:
    record["end_at"] = record["answer_at"]
    _shifted(record, "end_at", hours=30)
    record["duration_s"] = 30 * 3600
    return _line(record)


def _half_a_second(record: Record) -> bytes:
    record["duration_s"] += 0.5
    return _line(record)


def _not_a_number(record: Record) -> bytes:
    record["duration_s"] = float("nan")
    return _line(record)


def _without_start(record: Record) -> bytes:
    del record["start_at"]
    return _line(record)


def _broken(record: Record) -> bytes:
    return _line(record).replace(b'":"', b'":', 2)


def _cut_off(record: Record) -> bytes:
    line = _line(record)
    return line[: len(line) * 3 // 5] + b"\n"


KINDS: tuple[tuple[Callable[[Record], bytes], Reason], ...] = (
    # the first ones come early in the month: thirty hours have passed when the file arrives
    (_thirty_hours, Reason.DURATION_LIMIT),
    (_unknown_number, Reason.UNKNOWN_NUMBER),
    (_with_area_code, Reason.BAD_NUMBER),
    (_end_before_start, Reason.BAD_INTERVAL),
    (_other_duration, Reason.BAD_INTERVAL),
    (_half_a_second, Reason.UNREADABLE),
    (_not_a_number, Reason.UNREADABLE),
    (_without_start, Reason.MISSING_FIELD),
    (_broken, Reason.UNREADABLE),
    (_cut_off, Reason.UNREADABLE),
)


class Dirt:
    """Spoils a town's files, and counts what it did: `duplicates`, `conflicts`, `rejects` by reason.

    Everything it makes stands beside the valid calls, never in their place.
    """

    def __init__(self, free_number: str, rng: np.random.Generator) -> None:
        self.rng = rng
        self.free_number = free_number
        self.duplicates = 0
        self.conflicts = 0
        self.rejects: dict[Reason, int] = {}
        self._wanted: list[tuple[Callable[[Record], bytes], Reason]] = []
        self._conflicts_wanted = 0
        self._duplicates_wanted = 1
        self._from_before: list[bytes] = []
        self._sample: Record = {}
        self._serial = 0
        self._month = ""

    def begin_month(self, month: str, calls: int) -> None:
        """What is to be wrong in a month; what found no place in the one before is tried again."""
        self._month = month
        times = max(1, round(calls / KINDS_PER_CALLS))
        self._wanted += [kind for kind in (*KINDS, (self._free_number, Reason.NO_PLAN)) for _ in range(times)]
        self._conflicts_wanted += times

    def spoil(self, lines: pa.Array, ends: Ints) -> list[tuple[int, bytes]]:
        """Extra lines for a piece of a JSON Lines file, each with the second at which it is written."""
        rows = len(lines)
        if rows == 0:
            return []
        extra = [(int(self.rng.choice(ends)), line) for line in self._from_before]
        self.duplicates += len(self._from_before)
        self._from_before = []
        for row in self._some(rows, self._duplicates_wanted):
            line = bytes(lines[row].as_py())
            if self.rng.random() < 0.4:
                self._from_before.append(line)  # it comes again in a later file
            else:
                extra.append(self._later(ends, row, line))
                self.duplicates += 1
        self._duplicates_wanted = 0
        for row in self._answered(lines, self._conflicts_wanted):
            record = json.loads(lines[row].as_py())
            record["duration_s"] += 60
            _shifted(record, "end_at", seconds=60)
            extra.append(self._later(ends, row, _line(record)))
            self.conflicts += 1
            self._conflicts_wanted -= 1
        share = -(-2 * len(self._wanted) // 3)
        for row, (spoil, reason) in zip(
            sorted(self._answered(lines, share)), self._wanted[:share], strict=False
        ):
            self._sample = json.loads(lines[row].as_py())
            extra.append((int(ends[row]), spoil(self._fresh())))
            self._count(reason)
            self._wanted.remove((spoil, reason))
        return extra

    def repeat(self, lines: pa.Array, ends: Ints) -> list[tuple[int, bytes]]:
        """Duplicates for a file of another format, where each row is a record."""
        rows = self._some(len(lines), at_least=0)
        self.duplicates += len(rows)
        return [self._later(ends, row, bytes(lines[row].as_py())) for row in rows]

    def clock_ahead(self) -> list[tuple[int, bytes]]:
        """For the end of a month's last file: a call that starts more than a day after the month has ended."""
        if not self._sample:
            return []
        record = self._fresh()
        start = end_of_month(self._month) + timedelta(hours=33)
        times = (("start_at", 0), ("answer_at", 6), ("end_at", 6 + record["duration_s"]))
        record.update({name: instant_text(start + timedelta(seconds=after)) for name, after in times})
        self._count(Reason.CLOCK_SKEW)
        return [(1 << 40, _line(record))]

    def _free_number(self, record: Record) -> bytes:
        record["service_number"] = self.free_number
        return _line(record)

    def _fresh(self) -> Record:
        """A copy of the last sample under an id of its own."""
        self._serial += 1
        return {**self._sample, "call_id": f"jn-{self._month}-8{self._serial:07d}"}

    def _count(self, reason: Reason) -> None:
        self.rejects[reason] = self.rejects.get(reason, 0) + 1

    def _some(self, rows: int, at_least: int) -> Sequence[int]:
        count = max(at_least, int(self.rng.binomial(rows, DUPLICATED)))
        return [int(row) for row in self.rng.choice(rows, min(count, rows), replace=False)]

    def _answered(self, lines: pa.Array, count: int) -> Iterator[int]:
        """Rows of answered calls whose duration and plain service number stand in the record."""
        if count <= 0:
            return
        found = 0
        for row in self.rng.permutation(len(lines))[: 40 * count + 40]:
            record = json.loads(lines[int(row)].as_py())
            plain = record["service_number"].isascii() and record["service_number"].isdigit()
            if plain and record.get("duration_s"):
                yield int(row)
                found += 1
                if found == count:
                    return

    def _later(self, ends: Ints, row: int, line: bytes) -> tuple[int, bytes]:
        return int(ends[row]) + int(self.rng.integers(0, 86_400)), line


def _line(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def mixed(lines: pa.Array, ends: Ints, extra: list[tuple[int, bytes]]) -> Iterator[bytes | memoryview]:
    """The bytes of the lines with the extra ones between them, each after the lines that ended by its second."""
    offsets = np.frombuffer(lines.buffers()[1], np.int32, len(lines) + 1, 4 * lines.offset)
    data = memoryview(lines.buffers()[2] or b"")
    begin = int(offsets[0])
    for second, line in sorted(extra, key=lambda entry: entry[0]):
        cut = int(offsets[np.searchsorted(ends, second, side="right")])
        yield data[begin:cut]
        yield line
        begin = cut
    yield data[begin : int(offsets[-1])]
