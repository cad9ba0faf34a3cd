"""A month's calls for its statements, customer by customer out of a sorted stream: by number and day, and in detail.

Rows stay in Arrow until a customer's turn comes, so memory does not grow with the calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating.calendar import SHANGHAI_OFFSET_US
from rating.columns import to_list
from rating.money import from_decimal_array
from reports import statement as s

if TYPE_CHECKING:
    import numpy.typing as npt

    from rating.columns import Bools

    Places = npt.NDArray[np.intp]

_NUMBER = ("customer_id", "service_number")
_SUMS = ("calls", "answered", "billed_s", "charges_hao")
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class NumberCalls:
    """One number's calls of a month by day, together, and in detail if that was asked for."""

    service_number: str
    days: tuple[s.Day, ...] = ()
    calls: int = 0
    answered: int = 0
    billed_s: int = 0
    charges_hao: int = 0
    duration_s: int = 0
    details: pa.Table | None = None


Called = tuple[str, list[NumberCalls]]
"""A customer's id, and its numbers that were called, in order."""


def by_day(batches: Iterable[pa.Table]) -> Iterator[Called]:
    """Rows as `statement_sql/days.sql` gives them, without details."""
    for rows in _whole_customers(batches):
        yield from _customers(rows, None)


def in_detail(batches: Iterable[pa.Table]) -> Iterator[Called]:
    """Calls as `statement_sql/calls.sql` gives them."""
    for calls in _whole_customers(batches):
        yield from _customers(_days(calls), _typed(calls, s.CALLS))


def late_calls(batches: Iterable[pa.Table]) -> Iterator[tuple[str, dict[str, pa.Table]]]:
    """Calls as `statement_sql/late_calls.sql` gives them -> (customer, number -> its late calls)."""
    for calls in _whole_customers(batches):
        typed = _typed(calls, s.LATE_CALLS)
        starts = _starts(calls, _NUMBER)
        owners, numbers = _at(calls, starts, _NUMBER)
        tables = [typed.slice(start, end - start) for start, end in _spans(starts, len(calls))]
        for owner, runs in groupby(zip(owners, numbers, tables, strict=True), lambda run: run[0]):
            yield owner, {number: table for _, number, table in runs}


class DaySums:
    """Days of several numbers, added up."""

    def __init__(self) -> None:
        self._sums: dict[date, list[int]] = {}

    def add(self, days: Iterable[s.Day]) -> None:
        """Adds the days' calls and charges to what is there."""
        for day, *counts in days:
            there = self._sums.get(day)
            self._sums[day] = counts if there is None else list(map(int.__add__, there, counts))

    def days(self) -> tuple[s.Day, ...]:
        """In order."""
        return tuple(s.Day(day, *self._sums[day]) for day in sorted(self._sums))


def summed(days_of_numbers: Iterable[tuple[s.Day, ...]]) -> tuple[s.Day, ...]:
    """The days of a customer's numbers together."""
    several = tuple(days_of_numbers)
    if len(several) == 1:
        return several[0]
    sums = DaySums()
    for days in several:
        sums.add(days)
    return sums.days()


def _customers(days: pa.Table, details: pa.Table | None) -> Iterator[Called]:
    """Days of whole customers, and their calls in the same order."""
    starts = _starts(days, _NUMBER)
    owners, numbers = _at(days, starts, _NUMBER)
    columns = [to_list(days.column(name)) for name in _SUMS]
    rows = list(map(s.Day, to_list(days.column("day")), *columns))
    counted = [days.column(name).to_numpy() for name in (*_SUMS, "duration_s")]
    sums = zip(*(np.add.reduceat(column, starts).tolist() for column in counted), strict=True)
    told = 0
    runs = zip(owners, numbers, _spans(starts, len(days)), sums, strict=True)
    for owner, of_owner in groupby(runs, lambda run: run[0]):
        found: list[NumberCalls] = []
        for _, number, (start, end), (calls, answered, billed_s, charges_hao, duration_s) in of_owner:
            mine = None if details is None else details.slice(told, calls)
            told += calls
            found.append(
                NumberCalls(
                    number, tuple(rows[start:end]), calls, answered, billed_s, charges_hao, duration_s, mine
                )
            )
        yield owner, found


def _days(calls: pa.Table) -> pa.Table:
    """Sorted calls, counted as `statement_sql/days.sql` counts them."""
    day = (calls.column("start_at").cast(pa.int64()).to_numpy() + SHANGHAI_OFFSET_US) // _DAY_US
    begins = _begins(calls, _NUMBER)
    begins[1:] |= day[1:] != day[:-1]
    starts = np.flatnonzero(begins)
    summed_up = {
        "calls": np.diff(starts, append=len(calls)),
        "answered": np.add.reduceat(
            calls.column("answered").to_numpy(zero_copy_only=False), starts, dtype=np.int64
        ),
        "duration_s": np.add.reduceat(calls.column("duration_s").to_numpy(), starts),
        "billed_s": np.add.reduceat(calls.column("billed_s").to_numpy(), starts),
        "charges_hao": np.add.reduceat(from_decimal_array(calls.column("owner_fee")), starts),
    }
    days = calls.select(_NUMBER).take(pa.array(starts))
    days = days.append_column("day", pa.array(day[starts].astype(np.int32)).cast(pa.date32()))
    for name, sums in summed_up.items():
        days = days.append_column(name, pa.array(sums))
    return days


def _typed(calls: pa.Table, schema: pa.Schema) -> pa.Table:
    return pa.table([calls.column(field.name).cast(field.type) for field in schema], schema=schema)


def _whole_customers(batches: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Rows sorted by customer, cut anew where a customer begins."""
    held: list[pa.Table] = []
    for batch in batches:
        starts = _starts(batch, ("customer_id",))
        if not len(starts):
            continue
        goes_on = bool(held) and held[-1].column("customer_id")[-1] == batch.column("customer_id")[0]
        last = int(starts[-1])
        if goes_on and last == 0:
            held.append(batch)
            continue
        if held or last:
            yield pa.concat_tables([*held, batch.slice(0, last)]).combine_chunks()
        held = [batch.slice(last)]
    if held:
        yield pa.concat_tables(held).combine_chunks()


def _starts(rows: pa.Table, names: tuple[str, ...]) -> Places:
    """Where runs of rows that are alike in these columns begin."""
    return np.flatnonzero(_begins(rows, names))


def _begins(rows: pa.Table, names: tuple[str, ...]) -> Bools:
    """Which rows differ in one of these columns from the row before."""
    begins = np.zeros(rows.num_rows, bool)
    begins[:1] = True
    for name in names:
        column = rows.column(name)
        differs = pc.not_equal(column.slice(1), column.slice(0, max(0, rows.num_rows - 1)))
        begins[1:] |= differs.to_numpy()
    return begins


def _spans(starts: Places, rows: int) -> Iterator[tuple[int, int]]:
    first = starts.tolist()
    return zip(first, [*first[1:], rows], strict=True)


def _at(rows: pa.Table, places: Places, names: tuple[str, ...]) -> list[list[str]]:
    """Text columns at these rows."""
    taken = rows.select(names).take(pa.array(places))
    return [to_list(taken.column(name)) for name in names]
