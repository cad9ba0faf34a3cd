"""A month's calls in detail: put down on the disk as they are read, and found again number by number (R-CALL-7).

Maintenance sorts a month by number (ledger/maintain.py), so nearly all calls of a number lie side by side when they are
read. Only where they lie is put in order here: to sort the calls themselves, with all that is told of each, takes longer
than to read them. A number's calls that lie apart are put together when its turn comes, so every order is right.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ledger.files import scratch_file
from rating.calendar import DAY_US, SHANGHAI_OFFSET_US
from rating.columns import one_chunk
from rating.money import from_decimal_array
from reports import statement as s
from reports.statement_calls import NUMBER_COLUMNS, Called, begins, by_day, values_at

if TYPE_CHECKING:
    import numpy.typing as npt

    from rating.columns import Bools

    Runs = npt.NDArray[np.void]
    Numbers = dict[tuple[str, str], int]

_SUMS = ("calls", "answered", "duration_s", "billed_s", "charges_hao")
_RUN = np.dtype(
    [(name, np.int64) for name in ("number", "day", "first_us", "last_us", "batch", "row", *_SUMS)]
)
"""Calls of one number on one day that lie side by side, in order: rows of a batch, and what they come to."""

_STORED = s.CALLS.append(pa.field("seq", pa.int64(), nullable=False))
_IN_TIME = [("start_at", "ascending"), ("seq", "ascending")]
_BATCH_ROWS = 100_000
_FORGET_CALLS = 1_000_000


def in_detail(batches: Iterable[pa.Table], folder: Path) -> Iterator[Called]:
    """Calls as `statement_sql/calls.sql` gives them, in any order, though quick only where most lie by number and start.

    They are put down beside the table in `folder`. LedgerFault if there is no room (F-18).
    """
    with scratch_file(folder) as file:
        numbers: Numbers = {}
        runs = _put_down(batches, file, numbers)
        names = sorted(numbers)
        in_order = np.argsort([numbers[name] for name in names])
        runs["number"] = in_order[runs["number"]]
        runs = runs[np.lexsort((runs["first_us"], runs["number"]))]
        yield from by_day(_days(runs, names), _details(runs, file))


def _put_down(batches: Iterable[pa.Table], file: IO[bytes], numbers: Numbers) -> Runs:
    """Writes the calls, and notes where which lie; gives each number that was called its place in `numbers`."""
    found = [np.empty(0, _RUN)]
    with pa.ipc.new_file(file, _STORED) as writer:
        for calls in batches:
            runs = _runs(calls, numbers)
            runs["batch"] = len(found) - 1
            found.append(runs)
            columns = [one_chunk(calls.column(field.name), field.type) for field in _STORED]
            writer.write_batch(pa.record_batch(columns, schema=_STORED))
    file.flush()
    return np.concatenate(found)


def _runs(calls: pa.Table, numbers: Numbers) -> Runs:
    start_us = calls.column("start_at").cast(pa.int64()).to_numpy()
    seq = calls.column("seq").to_numpy()
    day = (start_us + SHANGHAI_OFFSET_US) // DAY_US
    new_number = begins(calls, NUMBER_COLUMNS)
    first = new_number.copy()
    first[1:] |= day[1:] != day[:-1]
    first[1:] |= (start_us[1:] < start_us[:-1]) | ((start_us[1:] == start_us[:-1]) & (seq[1:] < seq[:-1]))
    starts = np.flatnonzero(first)
    runs = np.zeros(len(starts), _RUN)
    if not len(starts):
        return runs
    owners = zip(*values_at(calls, np.flatnonzero(new_number), NUMBER_COLUMNS), strict=True)
    places = np.array([numbers.setdefault(owner, len(numbers)) for owner in owners])
    runs["number"] = places[np.cumsum(new_number[starts]) - 1]
    runs["row"], runs["day"], runs["first_us"] = starts, day[starts], start_us[starts]
    runs["calls"] = np.diff(starts, append=len(calls))
    runs["last_us"] = start_us[starts + runs["calls"] - 1]
    counted = {
        "answered": calls.column("answered").to_numpy(zero_copy_only=False).astype(np.int64),
        "duration_s": calls.column("duration_s").to_numpy(),
        "billed_s": calls.column("billed_s").to_numpy(),
        "charges_hao": from_decimal_array(calls.column("owner_fee")),
    }
    for name, values in counted.items():
        runs[name] = np.add.reduceat(values, starts)
    return runs


def _days(runs: Runs, names: list[tuple[str, str]]) -> Iterator[pa.Table]:
    """Rows as `statement_sql/days.sql` gives them."""
    starts = np.flatnonzero(_differs(runs, "number") | _differs(runs, "day"))
    if not len(starts):
        return
    number = pa.array(runs["number"][starts])
    columns = {
        column: pa.array(texts, pa.string()).take(number)
        for column, texts in zip(NUMBER_COLUMNS, zip(*names, strict=True), strict=True)
    }
    columns["day"] = pa.array(runs["day"][starts].astype(np.int32)).cast(pa.date32())
    columns |= {name: pa.array(np.add.reduceat(runs[name], starts)) for name in _SUMS}
    days = pa.table(columns)
    for row in range(0, len(days), _BATCH_ROWS):
        yield days.slice(row, _BATCH_ROWS)


def _details(runs: Runs, file: IO[bytes]) -> Iterator[pa.Table]:
    """The calls of each number, in its order, cut out of what was put down."""
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    reader = pa.ipc.open_file(pa.py_buffer(mapped))
    stored = [reader.get_batch(at) for at in range(reader.num_record_batches)]
    told = [batch.select(s.CALLS.names) for batch in stored]
    mixed = ~_differs(runs, "number")
    mixed[1:] &= runs["first_us"][1:] <= runs["last_us"][:-1]
    to_sort = set(runs["number"][mixed].tolist())
    unread = _FORGET_CALLS
    for number, pieces in groupby(_pieces(runs), itemgetter(0)):
        batches = stored if number in to_sort else told
        calls = pa.Table.from_batches([batches[batch].slice(row, rows) for _, batch, row, rows in pieces])
        if number in to_sort:
            calls = calls.sort_by(_IN_TIME).select(s.CALLS.names)
        yield calls
        unread -= len(calls)
        if unread < 0:  # what was told need not stay in memory
            mapped.madvise(mmap.MADV_DONTNEED)
            unread = _FORGET_CALLS


def _pieces(runs: Runs) -> Iterator[tuple[int, int, int, int]]:
    """(number, batch, first row, rows) of runs that follow on each other on the disk, too."""
    apart = _differs(runs, "number") | _differs(runs, "batch")
    apart[1:] |= runs["row"][1:] != runs["row"][:-1] + runs["calls"][:-1]
    starts = np.flatnonzero(apart)
    rows = np.add.reduceat(runs["calls"], starts) if len(starts) else starts
    first = runs[starts]
    return zip(
        *(column.tolist() for column in (first["number"], first["batch"], first["row"], rows)), strict=True
    )


def _differs(runs: Runs, name: str) -> Bools:
    """Which runs differ in this from the run before; the first does."""
    differs = np.ones(len(runs), bool)
    differs[1:] = runs[name][1:] != runs[name][:-1]
    return differs
