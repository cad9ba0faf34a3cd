"""Calls customer by customer: the same wherever the stream was cut, and in whatever order it came (R-CALL-7, R-ARR-4)."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.faults import LedgerFault
from rating.calendar import day_of
from rating.money import to_decimal_array
from rating.records import INSTANT
from reports.statement import CALLS, Day
from reports.statement_call_details import in_detail
from reports.statement_calls import Called, NumberCalls, by_day
from tests.full_disk import no_file_above

FIRST = datetime(2026, 10, 31, 16, tzinfo=UTC)  # midnight in Shanghai

Row = tuple[str, str, int, int, bool]
"""Customer, number, minutes since FIRST, billed minutes, answered."""

rows = st.lists(
    st.tuples(
        st.sampled_from(["C1", "C10", "C2", "客户"]),
        st.sampled_from(["4001170392", "4001170393", "4008000001"]),
        st.integers(0, 3 * 24 * 60),
        st.integers(0, 90),
        st.booleans(),
    ),
    max_size=60,
)


def calls(given_rows: list[Row]) -> pa.Table:
    """As `statement_sql/calls.sql` gives them; the ledger has the rows in their order."""
    columns = {
        "customer_id": pa.array([row[0] for row in given_rows], pa.string()),
        "service_number": pa.array([row[1] for row in given_rows], pa.string()),
        "call_id": pa.array([f"k{at}" for at in range(len(given_rows))], pa.string()),
        "start_at": pa.array([FIRST + timedelta(minutes=row[2]) for row in given_rows], INSTANT),
        "answered": pa.array([row[4] for row in given_rows], pa.bool_()),
        "duration_s": pa.array([row[3] * 60 for row in given_rows], pa.int64()),
        "billed_s": pa.array([row[3] * 60 for row in given_rows], pa.int64()),
        "owner_fee": to_decimal_array(np.array([row[3] * 10_000 for row in given_rows], np.int64)),
        "seq": pa.array(range(len(given_rows)), pa.int64()),
    }
    rest = {f.name: pa.nulls(len(given_rows), f.type) for f in CALLS if f.name not in columns}
    return pa.table(columns | rest)


def in_pieces(table: pa.Table, cuts: list[int]) -> Iterator[pa.Table]:
    """The table cut at these places, empty pieces included."""
    places = [0, *sorted(cut % (len(table) + 1) for cut in cuts), len(table)]
    return (table.slice(start, end - start) for start, end in pairwise(places))


def plainly(given_rows: list[Row]) -> dict[str, dict[str, tuple[Day, ...]]]:
    """What the days come to, counted one call after the other."""
    sums: dict[tuple[str, str], dict[date, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for customer, number, minute, billed, answered in given_rows:
        day = sums[customer, number][day_of(FIRST + timedelta(minutes=minute))]
        day.update(calls=1, answered=int(answered), billed_s=billed * 60, charges_hao=billed * 10_000)
    found: dict[str, dict[str, tuple[Day, ...]]] = defaultdict(dict)
    for (customer, number), days in sums.items():
        found[customer][number] = tuple(Day(day, **days[day]) for day in sorted(days))
    return found


def without_details(called: Iterator[Called]) -> dict[str, dict[str, tuple[Day, ...]]]:
    found: dict[str, dict[str, tuple[Day, ...]]] = {}
    for customer, numbers in called:
        assert customer not in found
        found[customer] = {number.service_number: number.days for number in numbers}
        for number in numbers:
            adds_up(number)
    return found


def adds_up(number: NumberCalls) -> None:
    for name in ("calls", "answered", "billed_s", "charges_hao"):
        assert sum(getattr(day, name) for day in number.days) == getattr(number, name)


def as_maintained(table: pa.Table, rows_sorted: int) -> pa.Table:
    """The first rows as maintenance sorts them by number, the rest as they arrived."""
    order = [("service_number", "ascending"), ("start_at", "ascending"), ("seq", "ascending")]
    return pa.concat_tables([table.slice(0, rows_sorted).sort_by(order), table.slice(rows_sorted)])


OUT_OF_ORDER: list[Row] = [("C1", "4001170392", minute, 1, True) for minute in (9, 5, 9, 7, 5)]


@settings(deadline=None)
@example(OUT_OF_ORDER, 0, [], Random(1))
@example(OUT_OF_ORDER, 0, [2], Random(1))
@given(rows, st.integers(0, 60), st.lists(st.integers(0, 60), max_size=8), st.randoms())
def test_each_customer_comes_whole_in_whatever_order_its_calls_lie(
    given_rows: list[Row], rows_sorted: int, cuts: list[int], chance: Random
) -> None:
    """R-CALL-7 R-ARR-4: each call once, by its start, with its own number; days as if counted one by one."""
    pieces = list(in_pieces(as_maintained(calls(given_rows), rows_sorted), cuts))
    chance.shuffle(pieces)
    with tempfile.TemporaryDirectory() as folder:
        found = list(in_detail(iter(pieces), Path(folder) / "calls"))
        assert not list(Path(folder).iterdir())
    assert without_details(iter(found)) == plainly(given_rows)
    told = {customer: {one.service_number: ids_of(one) for one in numbers} for customer, numbers in found}
    expected: dict[str, dict[str, list[tuple[int, str]]]] = defaultdict(lambda: defaultdict(list))
    for seq, (customer, number, minute, *_) in enumerate(given_rows):
        expected[customer][number].append((minute, f"k{seq}"))
    by_start = {
        customer: {
            number: [key for _, key in sorted(of_one, key=itemgetter(0))]
            for number, of_one in numbers.items()
        }
        for customer, numbers in expected.items()
    }
    assert told == by_start
    assert [customer for customer, _ in found] == sorted(told)


def ids_of(number: NumberCalls) -> list[str]:
    """Of a number's calls in detail, as they are told."""
    assert number.details is not None
    assert number.details.schema == CALLS
    ids: list[str] = number.details["call_id"].to_pylist()
    return ids


def test_a_disk_without_room_for_the_calls_is_said(tmp_path: Path) -> None:
    """F-18"""
    rows = calls([("C1", "4001170392", minute, 1, True) for minute in range(2_000)])
    with (
        no_file_above(10_000),
        pytest.raises(LedgerFault, match=r"has no room for what memory cannot hold \(.*\): free some space"),
    ):
        list(in_detail(iter([rows]), tmp_path / "calls"))
    assert not list(tmp_path.iterdir())


@settings(deadline=None)
@given(rows, st.lists(st.integers(0, 40), max_size=8))
def test_days_that_sql_has_counted_are_the_same(given_rows: list[Row], cuts: list[int]) -> None:
    """R-ARR-4: a provider's statement does not depend on whether customers' statements were made before it."""
    counted = [
        {"customer_id": customer, "service_number": number, "duration_s": day.billed_s, **day._asdict()}
        for customer, numbers in sorted(plainly(given_rows).items())
        for number, days in sorted(numbers.items())
        for day in days
    ]
    types = {"customer_id": pa.string(), "service_number": pa.string(), "day": pa.date32()}
    names = [*types, "calls", "answered", "duration_s", "billed_s", "charges_hao"]
    schema = pa.schema([(name, types.get(name, pa.int64())) for name in names])
    table = pa.Table.from_pylist(counted, schema=schema)
    assert without_details(by_day(in_pieces(table, cuts))) == plainly(given_rows)
