"""Call records into `calls`: rated, checked for duplicates, committed with their offsets (R-INV-1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.duplicates import mark_duplicates
from ledger.home import Home
from ledger.log import LostRace
from ledger.schema import CALLS
from rating.calls import rate
from rating.catalogue import Catalogue
from rating.records import INSTANT


def charge(
    home: Home,
    records: pa.Table,
    source: str | pa.ChunkedArray,
    received_at: datetime,
    offsets: Mapping[str, int],
    retries: pa.Array | None = None,
) -> Counter[str]:
    """Every record becomes one row; returns how many by outcome, and by reason where not rated.

    `records` has the schema RECORD; `source` names where they came from, `retries` the rejects that they try
    again. The rows and `offsets` are one commit. What follows from the calls is decided before this returns.
    """
    while True:
        home.see()
        rows = rated_rows(home, home.prices, records, source, received_at, retries)
        try:
            return commit_rated(home, rows, offsets)
        except LostRace:
            continue


def commit_rated(home: Home, rows: pa.Table, offsets: Mapping[str, int]) -> Counter[str]:
    """Commits what `rated_rows` gave and decides what follows; LostRace if others committed calls since then."""
    first = home.calls.next_seq
    home.calls.append(rows, offsets=offsets)
    rows = rows.add_column(0, CALLS.field("seq"), pa.array(np.arange(first, first + rows.num_rows)))
    home.committed_calls(rows)
    home.decide_on_calls(rows)
    return count(rows)


def count(rows: pa.Table) -> Counter[str]:
    """Rows by outcome, and by reason where they were not rated."""
    counts: Counter[str] = Counter()
    for name in ("outcome", "reason"):
        for entry in pc.value_counts(rows.column(name).combine_chunks()).to_pylist():
            if entry["values"] is not None:
                counts[entry["values"]] += entry["counts"]
    return counts


def rated_rows(
    home: Home,
    prices: Catalogue,
    records: pa.Table,
    source: str | pa.ChunkedArray,
    received_at: datetime,
    retries: pa.Array | pa.ChunkedArray | None,
) -> pa.Table:
    """The records as rows of `calls`, without their seq; nothing is committed."""
    rated = rate(records, prices, received_at)
    size = rated.num_rows
    columns = {name: rated.column(name) for name in rated.column_names}
    columns["duplicate_of"] = pa.nulls(size, pa.int64())
    mark_duplicates(home, records.column("raw"), columns)
    columns["source"] = _repeated(source, size) if isinstance(source, str) else source
    columns["received_at"] = pa.repeat(pa.scalar(received_at, INSTANT), size)
    columns["retries"] = pa.nulls(size, pa.int64()) if retries is None else retries
    columns["events_seq"] = pa.repeat(pa.scalar(prices.events_seq, pa.int64()), size)
    names = [field.name for field in CALLS if field.name != "seq"]
    return pa.table({name: columns[name] for name in names})


def _repeated(text: str, size: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, dtype=np.int8)), pa.array([text]))
