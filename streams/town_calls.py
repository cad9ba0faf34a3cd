"""The calls of the demo's town as NumPy columns: when people call, how long they talk, who calls again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rating.areas import NO_AREA, areas
from rating.calendar import days_in, first_day
from rating.numbers import MOBILE_FROM
from streams.town_people import CAST, People

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DAY_S = 86_400
CHUNK_ROWS = 200_000
WEEK_STARTS = (0, 7, 14, 21)
LONGEST_TALK_S = 5400
UNANSWERED = 0.12
WITHHELD = 0.005

_HOURLY = {
    # peaks at 10–11 and 15–16, a dip at lunch, quiet nights
    "office": (2, 1, 1, 1, 1, 2, 4, 12, 45, 88, 110, 84, 40, 44, 78, 100, 82, 50, 28, 20, 16, 12, 7, 4),
    "meals": (3, 1, 1, 1, 1, 1, 3, 10, 35, 70, 98, 90, 55, 35, 50, 75, 95, 88, 60, 38, 25, 15, 10, 5),
    "always": (12, 8, 6, 5, 6, 9, 18, 35, 58, 85, 100, 82, 55, 58, 78, 95, 80, 65, 55, 50, 42, 35, 25, 18),
}
_RHYTHMS = tuple(_HOURLY)
_QUANTILES = 4096

_PROVINCES = {
    "山东": 52.0, "江苏": 10.0, "北京": 7.0, "河南": 6.0, "河北": 6.0, "广东": 4.0, "上海": 4.0, "浙江": 3.0, "安徽": 3.0,
    "天津": 2.0, "辽宁": 1.0, "四川": 1.0, "湖北": 1.0,
}  # fmt: skip
_FIXED = {
    # area code and what stands before the last seven digits of the subscriber's number
    "0531": "8", "0532": "8", "0533": "", "0535": "6", "0536": "8", "0537": "", "0538": "", "0539": "8", "0530": "",
    "010": "6", "021": "5", "025": "8", "0371": "6", "0311": "8", "022": "2",
}  # fmt: skip
_FIXED_WEIGHTS = (30, 15, 5, 7, 7, 3, 4, 4, 2, 8, 4, 5, 3, 2, 1)
_ABROAD = ("+8529", "+8526", "+8529", "008529", "+8536", "+88691", "+1415", "+4479")


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls in the order in which they ended; seconds count from the month's first midnight in Shanghai."""

    line: Ints
    start_s: Ints
    answer_s: Ints
    """-1: unanswered"""
    end_s: Ints
    talk_s: Ints
    """0: unanswered"""
    caller: Ints
    """entry of Callers; its last one, an empty number, is a withheld caller"""
    phone: Ints
    """which of the line's phones rang or answered"""

    def __len__(self) -> int:
        return len(self.line)

    @property
    def answered(self) -> Bools:
        return self.answer_s >= 0

    def where(self, which: Bools | Ints) -> Calls:
        return Calls(*(getattr(self, column.name)[which] for column in fields(self)))


class Callers:
    """Everybody who calls: mobiles with prefixes that exist, fixed lines, a few from outside the mainland.

    `numbers` is a binary array, `areas` the area code of each fixed line (empty for the others).
    """

    def __init__(self, people: People, calls: int, rng: np.random.Generator) -> None:
        volume = np.array([line.volume for line in people.lines])
        self.count = np.maximum(20, calls * 0.4 * volume / volume.sum()).astype(np.int64)
        self.first = np.concatenate([[0], np.cumsum(self.count)[:-1]]).astype(np.int64)
        total = int(self.count.sum())
        self.withheld = total
        prefixes = _mobile_prefixes(rng)
        plus_86 = [b"+86" + prefix for prefix in prefixes[:200]]
        areas = list(_FIXED)
        heads = [
            *prefixes,
            *plus_86,
            *((area + _FIXED[area]).encode() for area in areas),
            *(a.encode() for a in _ABROAD),
        ]
        kind = np.searchsorted(np.cumsum((0.84, 0.005, 0.145)), rng.random(total), side="right")
        first = np.cumsum([0, len(prefixes), len(plus_86), len(areas)])
        within = rng.integers(0, np.array([len(prefixes), len(plus_86), 1, len(_ABROAD)])[kind])
        weights = np.cumsum(_FIXED_WEIGHTS) / sum(_FIXED_WEIGHTS)
        fixed = kind == 2
        within[fixed] = np.searchsorted(weights, rng.random(int(fixed.sum())), side="right")
        head = first[kind] + within
        middle = np.where(kind < 2, 0, rng.integers(1, 701, total))
        middles = binary([b"", *(b"%d" % number for number in range(200, 900))])
        last_four = take(FOUR_DIGITS, rng.integers(0, 10_000, total))
        numbers = join(take(binary(heads), head), take(middles, middle), last_four)
        self.numbers = pa.concat_arrays([numbers, binary([b""])])
        self.area = np.append(np.where(fixed, within + 1, 0), 0)
        """0: none; else the place in AREAS, plus one"""

    def choose(self, line: Ints, rng: np.random.Generator) -> Ints:
        """A caller for each call of a line; some call again and again."""
        skewed = rng.random(len(line)) ** 1.8
        chosen: Ints = self.first[line] + (skewed * self.count[line]).astype(np.int64)
        chosen[rng.random(len(line)) < WITHHELD] = self.withheld
        return chosen


AREAS = tuple(_FIXED)


def binary(texts: list[bytes]) -> pa.Array:
    return pa.array(texts, pa.binary())


def take(table: pa.Array, places: npt.NDArray[np.integer]) -> pa.Array:
    return table.take(pa.array(places))


def join(*parts: pa.Array | bytes) -> pa.Array:
    """The parts of each row, one after the other; bytes are the same in every row."""
    columns = [pa.scalar(part, pa.binary()) if isinstance(part, bytes) else part for part in parts]
    return pc.binary_join_element_wise(*columns, b"")


FOUR_DIGITS = binary([b"%04d" % number for number in range(10_000)])


def _mobile_prefixes(rng: np.random.Generator) -> list[bytes]:
    """4,000 seven-digit prefixes of mobiles, weighted to a few provinces."""
    known = areas()
    place = known.by_origin[MOBILE_FROM:-2]
    prefixes = np.flatnonzero(place != NO_AREA)
    place = place[prefixes]
    province = [province for province, _ in known.names]
    sizes: dict[str, int] = {}
    for name, size in zip(province, np.bincount(place, minlength=len(province)), strict=True):
        sizes[name] = sizes.get(name, 0) + int(size)
    weights = np.array([_PROVINCES.get(name, 0.0) / max(1, sizes[name]) for name in province])
    edges = np.cumsum(weights[place])
    chosen = np.searchsorted(edges, rng.random(4000) * edges[-1], side="right")
    return [b"%07d" % (MOBILE_FROM + prefix) for prefix in prefixes[chosen]]


class Rhythm:
    """Draws calls: days by trade and weekday, times of day by trade, durations lognormal."""

    def __init__(self, people: People, months: int, rng: np.random.Generator) -> None:
        self.people = people
        self.rng = rng
        lines = people.lines
        trades = [people.customers[line.customer].trade for line in lines]
        self.volume = np.array([line.volume for line in lines])
        self.weekend = np.array([trade.weekend for trade in trades])
        self.rhythm = np.array([_RHYTHMS.index(trade.rhythm) for trade in trades])
        self.talk = np.log([trade.talk_s for trade in trades])
        self.phones = np.array([len(line.phones) for line in lines])
        self.joined = np.array([people.joined(index) for index in range(len(lines))])
        self.first_day = np.array([line.first_day for line in lines])
        self.times = np.stack([_time_quantiles(hourly) for hourly in _HOURLY.values()])
        # whoever is to fall into arrears by calls must be called
        short = (CAST.debtor, CAST.cleared) if months > 1 else (CAST.debtor,)
        self.sure = np.array([line.customer in short for line in lines])

    def days(self, month: str, index: int, calls: int) -> Ints:
        """How many calls each line has on each day of the month: [line, day], `calls` in all."""
        days = days_in(month)
        weekday = (first_day(month).weekday() + np.arange(days)) % 7
        weight = np.where(weekday >= 5, self.weekend[:, None], 1.0) * self.volume[:, None]
        weight *= self.rng.lognormal(0, 0.12, weight.shape)
        opened = np.arange(days) >= self.first_day[:, None]
        active = (self.joined < index)[:, None] | ((self.joined == index)[:, None] & opened)
        return self._drawn(weight * active, calls)

    def _drawn(self, weight: npt.NDArray[np.float64], calls: int) -> Ints:
        drawn: Ints = self.rng.multinomial(calls, (weight / weight.sum()).ravel()).reshape(weight.shape)
        for line in np.flatnonzero(self.sure & (weight.sum(axis=1) > 0)):
            richest = np.unravel_index(np.argmax(drawn), drawn.shape)
            if drawn[line, -1] == 0 and drawn[richest] > 0:
                drawn[richest] -= 1
                drawn[line, -1] += 1
        return drawn

    def late_days(self, month: str, index: int, calls: int) -> Ints:
        """As `days`, for what is delivered after the close: half of it for the number that is hardly called."""
        active = (self.joined <= index) & ~self.sure
        weight = np.zeros((len(active), days_in(month)))
        weight[active, 8:] = (self.volume / self.volume[active].sum())[active, None]
        weight[self.people.lines_of(CAST.quiet), 8:] = 1.0
        drawn: Ints = self.rng.multinomial(calls, (weight / weight.sum()).ravel()).reshape(weight.shape)
        return drawn

    def chunks(self, drawn: Ints, callers: Callers) -> Iterator[tuple[int, Calls]]:
        """The month's calls in pieces of whole days, of bounded size, each with the week it lies in (from 0)."""
        of_day = drawn.sum(axis=0)
        days = drawn.shape[1]
        for week, begin in enumerate(WEEK_STARTS):
            end = WEEK_STARTS[week + 1] if week + 1 < len(WEEK_STARTS) else days
            day = begin
            while day < end:
                until = day + 1
                while until < end and of_day[day : until + 1].sum() <= CHUNK_ROWS:
                    until += 1
                yield week, self.draw(drawn, day, until, callers)
                day = until

    def draw(self, drawn: Ints, day: int, until: int, callers: Callers) -> Calls:
        """The calls of the days [day, until)."""
        rng = self.rng
        counts = drawn[:, day:until]
        cell = np.repeat(np.arange(counts.size), counts.ravel())
        line, of_day = np.divmod(cell, until - day)
        rows = len(cell)
        second = self.times[self.rhythm[line], rng.integers(0, _QUANTILES, rows)] + rng.integers(0, 20, rows)
        start = (of_day + day) * DAY_S + np.minimum(second, DAY_S - 1)
        answered = rng.random(rows) >= UNANSWERED
        answered |= self.sure[line] & (of_day + day == drawn.shape[1] - 1)
        talk = np.exp(rng.normal(self.talk[line], 0.9)).astype(np.int64) + 1
        talk = np.where(answered, np.minimum(talk, LONGEST_TALK_S), 0)
        ring = rng.integers(2, 22, rows) + np.where(answered, 0, rng.integers(3, 25, rows))
        end = start + ring + talk
        calls = Calls(
            line=line,
            start_s=start,
            answer_s=np.where(answered, start + ring, -1),
            end_s=end,
            talk_s=talk,
            caller=callers.choose(line, rng),
            phone=(rng.random(rows) * self.phones[line]).astype(np.int64),
        )
        return calls.where(np.argsort(end, kind="stable"))


def _time_quantiles(hourly: tuple[int, ...]) -> Ints:
    """The second of the day below which each of 4,096 equal shares of the calls lies."""
    minutes = np.arange(1440)
    middles = np.arange(-1, 25) * 60 + 30
    weights = np.interp(minutes, middles, np.array([hourly[-1], *hourly, hourly[0]]))
    share = np.cumsum(weights) / weights.sum()
    return (np.interp((np.arange(_QUANTILES) + 0.5) / _QUANTILES, share, minutes + 1) * 60).astype(np.int64)
