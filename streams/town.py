"""The demo's believable town: business commands and call files of a few months, written to a folder.

Everything follows from the arguments: no clock is read, the same ones write the same bytes. The files are a
little dirty, as real switches' are; `Town` says what stands out and what should become of it all.

A month's commands come before its calls: `submit` the one, `ingest` the other when each file arrives, `close`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from rating.calendar import (
    add_months,
    end_of_month,
    first_day,
    next_month,
    parse_month,
    start_of_day,
    start_of_month,
)
from rating.reasons import Reason
from streams.town_calls import WEEK_STARTS, Callers, Calls, Ints, Rhythm
from streams.town_commands import Written, write_commands
from streams.town_dirt import Dirt, mixed
from streams.town_lines import CSV_HEADER, Lines
from streams.town_people import CAST, SWITCHES, People, settle_people
from streams.town_purse import crossing_month, payments, renewals_of

MAX_MONTHS = 24
MIN_CALLS, MAX_CALLS = 100, 10_000_000
DELIVERY = timedelta(hours=2)
"""A file arrives so long after the end of its last day; by then its last call has ended."""


@dataclass(frozen=True, slots=True)
class CallFile:
    """A file of call records. `records`: how many it holds, dirty ones included (Asterisk: calls, not rows)."""

    path: Path
    format: str
    """jsonl, csv, freeswitch or asterisk, as `fentan ingest --format` takes it"""
    arrives_at: datetime
    """UTC; ingested then, the call of a clock ahead by a day is in the future (F-01)"""
    records: int


@dataclass(frozen=True, slots=True)
class TownMonth:
    """A month's files in the order in which they arrive, and the command file that comes before them."""

    month: str
    commands: Path
    call_files: tuple[CallFile, ...]


@dataclass(frozen=True, slots=True)
class Standouts:
    """Who and what in the town is worth a look."""

    hotline: str
    """customer with the busiest number"""
    special_number: str
    special_class: str
    special_numbers: Mapping[str, str]
    """number -> class, all that are in use"""
    debtor: str
    """customer whose calls of the last month take it into arrears"""
    cleared: str | None
    """customer that fell into arrears in `cleared_after` and paid in the month after; None in a town of one month"""
    cleared_after: str | None
    provider_in_arrears: str
    minimum_raised: str
    """number"""
    minimum_refused: str
    """number whose lower minimum is refused"""
    rate_changed: str
    """number; its documents were rejected once, too"""
    feature_twice: str
    """number whose feature is enabled twice (refused), then disabled and enabled again"""
    hardly_called: str
    """number that pays its minimum; half of the late calls are its"""
    renewed: tuple[str, ...]
    """numbers whose paid year is renewed"""


@dataclass(frozen=True, slots=True)
class Tally:
    """What was written, and what should become of it if each file is ingested when it arrives."""

    customers: int
    numbers: int
    commands: int
    refusals: Mapping[str, Reason]
    """command_id -> the reason it is refused with"""
    repeated_commands: tuple[str, ...]
    unreadable_commands: int
    calls: int
    """valid, distinct"""
    answered: int
    billed_min: int
    duplicates: int
    conflicts: int
    rejects: Mapping[Reason, int]


@dataclass(frozen=True, slots=True)
class Town:
    """The files that were written, in the order in which they arrive, and what stands out."""

    folder: Path
    months: tuple[TownMonth, ...]
    late: CallFile
    """calls of `late_month`, delivered after its close"""
    late_month: str
    free_number: str
    """one of the stock that nobody holds"""
    standouts: Standouts
    tally: Tally


def make_town(
    folder: Path, *, calls: int = 300_000, months: int = 3, seed: int = 400, last_month: str
) -> Town:
    """Writes `commands-<month>.jsonl`, `calls/<month>/…` and `calls/late/…` into the folder.

    `calls` valid distinct calls (100 … 10 million) in `months` months (1 … 24), the last of them
    `last_month`. Memory does not grow with the calls, but for their callers (some 20 bytes a call).
    ValueError for arguments outside these bounds.
    """
    check_size(calls, months)
    names = [next_month(parse_month(last_month), index + 1 - months) for index in range(months)]
    people = settle_people(seed, months, calls // months, first_day(names[0]))
    works = _Works(folder, people, names, calls, np.random.default_rng([abs(seed), seed < 0, 1]))
    late_calls = max(3, calls // 2000)
    for index, share in enumerate(_shares(calls - late_calls, months)):
        works.write_month(index, share)
    late_index = max(0, months - 2)
    late = works.write_late(late_index, late_calls)
    written = write_commands(people, names, payments(people, works.minutes), seed)
    commands = _write_commands(folder, written)
    return Town(
        folder=folder,
        months=tuple(TownMonth(name, commands[name], tuple(works.files[name])) for name in names),
        late=late,
        late_month=names[late_index],
        free_number=people.stock[2],
        standouts=_standouts(people, names),
        tally=_tally(people, written, works),
    )


def check_size(calls: int, months: int) -> None:
    """ValueError for a town that cannot be made."""
    if not MIN_CALLS <= calls <= MAX_CALLS:
        raise ValueError(f"calls {calls} is not between {MIN_CALLS} and {MAX_CALLS}")
    if not 1 <= months <= MAX_MONTHS:
        raise ValueError(f"months {months} is not between 1 and {MAX_MONTHS}")


def _shares(calls: int, months: int) -> list[int]:
    """The calls of each month: three percent more each, the sum exact."""
    weights = [100 + 3 * index for index in range(months)]
    edges = [0]
    for weight in weights:
        edges.append(edges[-1] + weight)
    return [calls * edges[i + 1] // edges[-1] - calls * edges[i] // edges[-1] for i in range(months)]


@dataclass
class _OpenFile:
    path: Path
    format: str
    arrives_at: datetime
    handle: BinaryIO
    records: int = 0

    def write(self, pieces: Iterable[bytes | memoryview], records: int) -> None:
        self.handle.writelines(pieces)
        self.records += records

    def written(self) -> CallFile:
        return CallFile(self.path, self.format, self.arrives_at, self.records)


@dataclass
class _Works:
    """Draws the calls month by month and writes them; keeps the billed minutes by (line, month)."""

    folder: Path
    people: People
    months: list[str]
    calls: int
    rng: np.random.Generator
    files: dict[str, list[CallFile]] = field(default_factory=dict)
    answered: int = 0

    def __post_init__(self) -> None:
        self.minutes: Ints = np.zeros((len(self.people.lines), len(self.months)), np.int64)
        self.callers = Callers(self.people, self.calls, self.rng)
        self.rhythm = Rhythm(self.people, len(self.months), self.rng)
        self.switch = np.array([SWITCHES.index(line.switch) for line in self.people.lines])
        self.dirt = Dirt(self.people.stock[1], self.rng)

    def write_month(self, index: int, calls: int) -> None:
        month = self.months[index]
        lines = Lines(self.people, self.callers, month, self.rng)
        self.dirt.begin_month(month, calls)
        serial = 0
        with ExitStack() as stack:
            weekly, freeswitch, asterisk, plain = self._open(stack, month)
            plain.write([CSV_HEADER], 0)
            for week, piece in self.rhythm.chunks(self.rhythm.days(month, index, calls), self.callers):
                self._bill(piece, index)
                numbered = serial + 1 + np.arange(len(piece))
                serial += len(piece)
                self._write_json(weekly[week], lines, *self._of(piece, numbered, 0))
                chosen, _ = self._of(piece, numbered, 1)
                freeswitch.write(mixed(lines.freeswitch(chosen), chosen.end_s, []), len(chosen))
                chosen, serials = self._of(piece, numbered, 2)
                rows, of_call = lines.asterisk(chosen, serials)
                asterisk.write(mixed(rows, chosen.end_s[of_call], []), len(chosen))
                self._write_csv(plain, lines, *self._of(piece, numbered, 3))
            ahead = self.dirt.clock_ahead()
            weekly[-1].write((line for _, line in ahead), len(ahead))
            self.files[month] = [file.written() for file in (*weekly, freeswitch, asterisk, plain)]

    def write_late(self, index: int, calls: int) -> CallFile:
        """Calls of a month that arrive on the 6th of the next one, clean."""
        month = self.months[index]
        lines = Lines(self.people, self.callers, month, self.rng)
        drawn = self.rhythm.late_days(month, index, calls)
        piece = self.rhythm.draw(drawn, 0, drawn.shape[1], self.callers)
        self._bill(piece, index)
        arrives_at = start_of_day(add_months(first_day(month), 1)) + timedelta(days=5, hours=10)
        with ExitStack() as stack:
            file = self._file(stack, Path("late") / f"jinan-{month}-late.jsonl", "jsonl", arrives_at)
            serial = 90_000_000 + np.arange(len(piece))
            rows = lines.json_lines(piece, serial)
            file.write(mixed(rows, piece.end_s, []), len(piece))
            return file.written()

    def _open(self, stack: ExitStack, month: str) -> tuple[list[_OpenFile], _OpenFile, _OpenFile, _OpenFile]:
        start, end, place = start_of_month(month), end_of_month(month), Path(month)
        weekly = []
        for week, day in enumerate(WEEK_STARTS):
            until = start + timedelta(days=WEEK_STARTS[week + 1]) if week + 1 < len(WEEK_STARTS) else end
            name = place / f"jinan-{month}-{day + 1:02d}.jsonl"
            weekly.append(self._file(stack, name, "jsonl", until + DELIVERY))
        freeswitch = self._file(stack, place / "freeswitch-Master.csv", "freeswitch", end + DELIVERY)
        asterisk = self._file(stack, place / "asterisk-Master.csv", "asterisk", end + DELIVERY)
        return weekly, freeswitch, asterisk, self._file(stack, place / "qingdao.csv", "csv", end + DELIVERY)

    def _file(self, stack: ExitStack, name: Path, kind: str, arrives_at: datetime) -> _OpenFile:
        path = self.folder / "calls" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return _OpenFile(path, kind, arrives_at, stack.enter_context(path.open("wb")))

    def _of(self, piece: Calls, serial: Ints, switch: int) -> tuple[Calls, Ints]:
        which = np.flatnonzero(self.switch[piece.line] == switch)
        return piece.where(which), serial[which]

    def _write_json(self, file: _OpenFile, lines: Lines, calls: Calls, serial: Ints) -> None:
        rows = lines.json_lines(calls, serial)
        extra = self.dirt.spoil(rows, calls.end_s)
        file.write(mixed(rows, calls.end_s, extra), len(calls) + len(extra))

    def _write_csv(self, file: _OpenFile, lines: Lines, calls: Calls, serial: Ints) -> None:
        rows: pa.Array = lines.csv(calls, serial)
        extra = self.dirt.repeat(rows, calls.end_s)
        file.write(mixed(rows, calls.end_s, extra), len(calls) + len(extra))

    def _bill(self, calls: Calls, index: int) -> None:
        np.add.at(self.minutes[:, index], calls.line, -(-calls.talk_s // 60))
        self.answered += int(calls.answered.sum())


def _write_commands(folder: Path, written: Written) -> dict[str, Path]:
    paths = {month: folder / f"commands-{month}.jsonl" for month in written.lines}
    for month, path in paths.items():
        path.write_bytes(b"".join(written.lines[month]))
    return paths


def _standouts(people: People, months: list[str]) -> Standouts:
    def numbers(customer: int) -> Iterator[str]:
        return (people.lines[line].number for line in people.lines_of(customer))

    busiest = people.lines[people.lines_of(CAST.hotline)[0]]
    crossed = months[crossing_month(CAST.cleared, len(months))] if len(months) > 1 else None
    return Standouts(
        hotline=people.customers[CAST.hotline].customer_id,
        special_number=busiest.number,
        special_class=busiest.number_class,
        special_numbers={
            line.number: line.number_class for line in people.lines if line.number_class != "ordinary"
        },
        debtor=people.customers[CAST.debtor].customer_id,
        cleared=people.customers[CAST.cleared].customer_id if crossed else None,
        cleared_after=crossed,
        provider_in_arrears="P06",
        minimum_raised=next(numbers(CAST.raised)),
        minimum_refused=next(numbers(CAST.firm)),
        rate_changed=next(numbers(CAST.repriced)),
        feature_twice=next(numbers(CAST.featured)),
        hardly_called=next(numbers(CAST.quiet)),
        renewed=tuple(
            line.number for index, line in enumerate(people.lines) if renewals_of(people, index, len(months))
        ),
    )


def _tally(people: People, written: Written, works: _Works) -> Tally:
    return Tally(
        customers=len(people.customers),
        numbers=len(people.lines),
        commands=sum(len(lines) for lines in written.lines.values()),
        refusals=written.refusals,
        repeated_commands=written.duplicates,
        unreadable_commands=written.unreadable,
        calls=works.calls,
        answered=works.answered,
        billed_min=int(works.minutes.sum()),
        duplicates=works.dirt.duplicates,
        conflicts=works.dirt.conflicts,
        rejects=works.dirt.rejects,
    )
