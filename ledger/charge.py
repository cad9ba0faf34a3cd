"""Call records into `calls`: rated, checked for duplicates, committed with their offsets (R-INV-1, R-INV-6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ledger import scan
from ledger.home import Home
from ledger.log import LostRace
from ledger.schema import CALLS
from ledger.seen_runs import first_in_batch
from rating.calls import rate
from rating.catalogue import Catalogue
from rating.reasons import Reason
from rating.records import INSTANT

CONTENT = ["service_number", "caller_number", "caller_area", "start_at", "answer_at", "end_at", "duration_s",
           "answering_phone", "answer_rule", "recording_ref"]  # fmt: skip
"""What two records with one id are compared by: the fields of the contract, normalised."""
_UNCHARGED = ["customer_id", "provider_id", "billed_s", "rate", "owner_fee", "caller_estimate"]


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
    _mark_duplicates(home, records, columns)
    columns["source"] = _repeated(source, size) if isinstance(source, str) else source
    columns["received_at"] = pa.repeat(pa.scalar(received_at, INSTANT), size)
    columns["retries"] = pa.nulls(size, pa.int64()) if retries is None else retries
    columns["events_seq"] = pa.repeat(pa.scalar(prices.events_seq, pa.int64()), size)
    names = [field.name for field in CALLS if field.name != "seq"]
    return pa.table({name: columns[name] for name in names})


def _repeated(text: str, size: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, dtype=np.int8)), pa.array([text]))


def _mark_duplicates(home: Home, records: pa.Table, columns: dict[str, pa.ChunkedArray]) -> None:
    """Turns rated rows whose id was charged before, in the ledger or in this batch, into duplicates."""
    outcome = _array(columns["outcome"])
    rated = np.flatnonzero(pc.equal(outcome, "rated").to_numpy(zero_copy_only=False))
    ids = _array(columns["call_id"]).take(pa.array(rated))
    seen = home.seen_calls
    in_ledger = seen.lookup(ids)
    in_batch = first_in_batch(seen.hashes(ids))
    suspects = np.flatnonzero((in_ledger >= 0) | (in_batch < np.arange(len(in_batch))))
    if not len(suspects):
        return
    base = home.calls.next_seq
    charged = np.where(in_ledger >= 0, in_ledger, base + rated[in_batch])
    found = _compare(home, columns, rated[suspects], charged[suspects], base)
    columns.update(found)
    columns["raw"] = pc.if_else(
        pc.equal(columns["outcome"], "duplicate"), records.column("raw"), columns["raw"]
    )


def _compare(
    home: Home,
    columns: dict[str, pa.ChunkedArray],
    places: npt.NDArray[np.int64],
    charged: npt.NDArray[np.int64],
    base: int,
) -> dict[str, pa.Array]:
    """Confirms suspects against the very rows that were charged; a mere collision of hashes stays rated."""
    names = ["call_id", *CONTENT]
    batch = pa.table({"place": pa.array(places), "charged": pa.array(charged)} | {
        name: _array(columns[name]).take(pa.array(places)) for name in names})  # fmt: skip
    earlier = np.unique(charged[charged >= base]) - base
    fresh = pa.table({"seq": pa.array(earlier + base)} | {
        name: _array(columns[name]).take(pa.array(earlier)) for name in names})  # fmt: skip
    old = charged[charged < base]
    con = scan.connection().cursor()
    con.register("batch_rows", batch)
    con.register("fresh_rows", fresh)
    before = "SELECT * FROM fresh_rows"
    if len(old):
        before += f" UNION ALL SELECT seq, {', '.join(names)} FROM {home.calls.scan_sql()} WHERE seq BETWEEN {int(old.min())} AND {int(old.max())}"
    differing = ", ".join(
        f"CASE WHEN b.{name} IS DISTINCT FROM e.{name} THEN '{name} ' || coalesce(CAST(e.{name} AS VARCHAR), 'nothing')"
        f" || ' there and ' || coalesce(CAST(b.{name} AS VARCHAR), 'nothing') || ' here' END"
        for name in CONTENT
    )
    found = con.sql(
        f"SELECT b.place, b.charged, list_filter([{differing}], lambda x: x IS NOT NULL) AS differing "
        f"FROM batch_rows b JOIN ({before}) e ON e.seq = b.charged WHERE e.call_id = b.call_id ORDER BY b.place"
    ).to_arrow_table()
    con.close()
    return _as_duplicates(columns, found)


def _as_duplicates(columns: dict[str, pa.ChunkedArray], found: pa.Table) -> dict[str, pa.Array]:
    size = len(columns["outcome"])
    mask = np.zeros(size, dtype=bool)
    places = found.column("place").to_numpy()
    mask[places] = True
    where = pa.array(mask)
    ids = _array(columns["call_id"]).take(pa.array(places)).to_pylist()
    reasons, details = [], []
    for call_id, row in zip(ids, found.to_pylist(), strict=True):
        first = f"{call_id} was charged as row {row['charged']} of calls"
        if row["differing"]:
            reasons.append(Reason.CONFLICTING_DUPLICATE.value)
            details.append(f"{first} with other content: {'; '.join(row['differing'])}. The first stands.")
        else:
            reasons.append(Reason.DUPLICATE.value)
            details.append(f"{first}.")
    changed = {
        "outcome": pc.if_else(where, "duplicate", _array(columns["outcome"])),
        "reason": pc.replace_with_mask(_array(columns["reason"]), where, pa.array(reasons, pa.string())),
        "detail": pc.replace_with_mask(_array(columns["detail"]), where, pa.array(details, pa.string())),
        "duplicate_of": pc.replace_with_mask(
            columns["duplicate_of"], where, found.column("charged").combine_chunks()
        ),
    }
    for name in _UNCHARGED:
        column = _array(columns[name])
        changed[name] = pc.if_else(where, pa.scalar(None, column.type), column)
    return changed


def _array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
