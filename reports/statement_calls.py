"""A month's calls for its statements: by day and number as one table, and call details customer by customer.

Rows stay in Arrow until a statement is made of them, so memory does not grow with Python's objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating.columns import to_list
from reports import statement as s

_SUMS = ("calls", "answered", "billed_s", "charges_hao")


@dataclass(frozen=True, slots=True)
class NumberDays:
    """One number's calls of a month by day, and together."""

    service_number: str
    days: tuple[s.Day, ...] = ()
    calls: int = 0
    answered: int = 0
    billed_s: int = 0
    charges_hao: int = 0
    duration_s: int = 0


class MonthDays:
    """Each number's calls of a month by day, for one customer or for several together."""

    def __init__(self, rows: pa.Table) -> None:
        """`rows` as `statement_sql/days.sql` gives them: by customer, number and day."""
        self._rows = rows.combine_chunks()
        starts, ends = _runs(self._rows, ("customer_id", "service_number"))
        first_rows = pa.array(starts, pa.int64())
        customers, self._numbers = (
            self._rows.column(name).take(first_rows).to_pylist() for name in ("customer_id", "service_number")
        )
        self._days: list[date] = to_list(self._rows.column("day"))
        # columns are taken apart once: a customer has few rows, and Arrow's slices cost more than those
        self._counts = [self._rows.column(name).to_numpy() for name in _SUMS]
        counted = [*self._counts, self._rows.column("duration_s").to_numpy()]
        self._sums = [np.add.reduceat(one, starts).tolist() if starts else [] for one in counted]
        self._spans = list(zip(starts, ends, strict=True))
        self._of: dict[str, list[int]] = {}
        for place, customer in enumerate(customers):
            self._of.setdefault(customer, []).append(place)

    def customers(self) -> Iterable[str]:
        """Those who were called, by id."""
        return self._of.keys()

    def of(self, customer_id: str) -> list[NumberDays]:
        """The customer's, by number."""
        return [self._number(place) for place in self._of.get(customer_id, ())]

    def _number(self, place: int) -> NumberDays:
        start, end = self._spans[place]
        counts = (one[start:end].tolist() for one in self._counts)
        days = tuple(map(s.Day, self._days[start:end], *counts))
        return NumberDays(self._numbers[place], days, *(one[place] for one in self._sums))

    def together(self, customers: Iterable[str]) -> tuple[s.Day, ...]:
        """The days of all numbers of these customers, who may be many."""
        spans = [self._spans[place] for one in customers for place in self._of.get(one, ())]
        if not spans:
            return ()
        rows = pa.concat_tables(self._rows.slice(start, end - start) for start, end in spans)
        sums = (
            rows.group_by("day", use_threads=False)
            .aggregate([(name, "sum") for name in _SUMS])
            .sort_by("day")
        )
        columns = (sums.column(name).to_pylist() for name in ("day", *(f"{name}_sum" for name in _SUMS)))
        return tuple(s.Day(*values) for values in zip(*columns, strict=True))


def summed(days_of_numbers: Iterable[tuple[s.Day, ...]]) -> tuple[s.Day, ...]:
    """The days of a few numbers together."""
    several = tuple(days_of_numbers)
    if len(several) == 1:
        return several[0]
    by_day: dict[date, s.Day] = {}
    for days in several:
        for one in days:
            there = by_day.get(one.day)
            by_day[one.day] = one if there is None else _both(there, one)
    return tuple(by_day[day] for day in sorted(by_day))


def _both(one: s.Day, other: s.Day) -> s.Day:
    return s.Day(
        one.day,
        one.calls + other.calls,
        one.answered + other.answered,
        one.billed_s + other.billed_s,
        one.charges_hao + other.charges_hao,
    )


def by_customer(batches: Iterable[pa.Table]) -> Iterator[tuple[str, dict[str, pa.Table]]]:
    """Sorted calls -> (customer, number -> that number's calls in the schema of its details)."""
    customer, parts = "", dict[str, list[pa.Table]]()
    for batch in batches:
        schema = s.LATE_CALLS if "adjustment" in batch.column_names else s.CALLS
        typed = pa.table([batch.column(field.name).cast(field.type) for field in schema], schema=schema)
        starts, ends = _runs(batch, ("customer_id", "service_number"))
        owners, numbers = (
            batch.column(name).take(pa.array(starts, pa.int64())).to_pylist()
            for name in ("customer_id", "service_number")
        )
        for owner, number, start, end in zip(owners, numbers, starts, ends, strict=True):
            if owner != customer and parts:
                yield customer, _whole(parts)
                parts = {}
            customer = owner
            parts.setdefault(number, []).append(typed.slice(start, end - start))
    if parts:
        yield customer, _whole(parts)


def _whole(parts: dict[str, list[pa.Table]]) -> dict[str, pa.Table]:
    return {number: pa.concat_tables(tables) for number, tables in parts.items()}


def _runs(rows: pa.Table, names: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """Where runs of rows that are alike in these columns begin, and where they end."""
    if not rows.num_rows:
        return [], []
    begins = np.zeros(rows.num_rows, bool)
    begins[0] = True
    for name in names:
        column = rows.column(name)
        differs = pc.not_equal(column.slice(1), column.slice(0, rows.num_rows - 1))
        begins[1:] |= differs.to_numpy()
    starts = np.flatnonzero(begins).tolist()
    return starts, [*starts[1:], rows.num_rows]
