"""A call is charged once (R-INV-6): repeats of an id become duplicates that name the row that stands.

The index of charged ids gives suspects, by hash and for the months that it remembers; each is confirmed against
the very row that was charged. Ids of older months are looked for in the ledger itself, so what the index has
forgotten is not charged again either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger import scan
from ledger.seen_runs import first_in_batch
from rating.calendar import SHANGHAI_OFFSET_US
from rating.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ledger.home import Home

    Places = npt.NDArray[np.int64]
    Columns = dict[str, pa.ChunkedArray]

CONTENT = ["service_number", "caller_number", "caller_area", "start_at", "answer_at", "end_at", "duration_s",
           "answering_phone", "answer_rule", "recording_ref"]  # fmt: skip
"""What two records with one id are compared by: the fields of the contract, normalised."""
_TIMES = {"start_at", "answer_at", "end_at"}
_UNCHARGED = ["customer_id", "provider_id", "billed_s", "rate", "owner_fee", "caller_estimate"]
_NAMES = ["call_id", *CONTENT]


def mark_duplicates(home: Home, raw: pa.ChunkedArray, columns: Columns) -> None:
    """Turns rated rows whose id was charged before, in the ledger or earlier in this batch, into duplicates.

    `columns` are those of `calls` that rating gives; `raw` what the records came as, which a duplicate keeps.
    """
    rated = np.flatnonzero(pc.equal(plain(columns["outcome"]), "rated").to_numpy(zero_copy_only=False))
    ids = plain(columns["call_id"]).take(pa.array(rated))
    seen, base = home.seen_calls, home.calls.next_seq
    hashes = seen.hashes(ids)
    in_ledger = seen.lookup(hashes)
    _look_beyond(home, ids, plain(columns["month"]).take(pa.array(rated)), in_ledger)
    in_batch = first_in_batch(hashes)
    suspects = np.flatnonzero((in_ledger >= 0) | (in_batch < np.arange(len(in_batch))))
    if not len(suspects):
        return
    charged = np.where(in_ledger >= 0, in_ledger, base + rated[in_batch])[suspects]
    found = _compared(home, columns, rated[suspects], charged)
    others = suspects[~np.isin(rated[suspects], found.column("place").to_numpy())]
    if len(others):  # another id with the same hash: a row further on may have this one
        pairs = [
            (rated[place], seq)
            for place in others.tolist()
            for seq in _of_the_same_hash(home, ids[place].as_py(), hashes, rated, place)
        ]
        places, seqs = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
        found = pa.concat_tables([found, _compared(home, columns, places, seqs)]).sort_by("place")
    _put_duplicates(columns, raw, found)


def _look_beyond(home: Home, ids: pa.Array, months: pa.Array, in_ledger: Places) -> None:
    """Finds in the ledger what was charged in months that the index has forgotten."""
    forgotten = home.seen_calls.forgotten_month
    if forgotten is None:
        return
    old = np.flatnonzero(pc.less_equal(months, forgotten).to_numpy(zero_copy_only=False))
    if not len(old):
        return
    asked = pa.table({"place": old, "call_id": ids.take(pa.array(old))})
    con = scan.connection().cursor()
    con.register("asked", asked)
    found = con.sql(
        f"SELECT a.place, min(c.seq) AS seq FROM {home.calls.scan_sql()} c JOIN asked a USING (call_id) "
        "WHERE c.outcome = 'rated' AND list_contains($months, c.month) GROUP BY a.place",
        params={"months": pc.unique(months.take(pa.array(old))).to_pylist()},
    ).to_arrow_table()
    con.close()
    in_ledger[found.column("place").to_numpy()] = found.column("seq").to_numpy()


def _of_the_same_hash(
    home: Home, call_id: str, hashes: npt.NDArray[np.uint64], rated: Places, place: int
) -> Iterator[int]:
    """The seq of every row, in the ledger or earlier in the batch, whose id has the hash of this one."""
    yield from home.seen_calls.candidates(call_id)
    earlier = np.flatnonzero(hashes[: place + 1] == hashes[place])
    yield from (home.calls.next_seq + rated[earlier]).tolist()


def _compared(home: Home, columns: Columns, places: Places, charged: Places) -> pa.Table:
    """(place, charged, differing) of the rows at `places` that have the id of the row `charged`.

    `charged` is a seq, of this batch if it is not in the ledger yet; `differing` says which contents are not equal,
    and is empty for a mere repeat.
    """
    base = home.calls.next_seq
    batch = pa.table(
        {"place": places, "charged": charged}
        | {name: plain(columns[name]).take(pa.array(places)) for name in _NAMES}
    )
    earlier = np.unique(charged[charged >= base]) - base
    fresh = pa.table(
        {"seq": earlier + base} | {name: plain(columns[name]).take(pa.array(earlier)) for name in _NAMES}
    )
    old = charged[charged < base]
    before = "SELECT * FROM fresh_rows"
    if len(old):
        before += (
            f" UNION ALL SELECT seq, {', '.join(_NAMES)} FROM {home.calls.scan_sql()} "
            f"WHERE seq BETWEEN {int(old.min())} AND {int(old.max())}"
        )
    differing = ", ".join(
        f"CASE WHEN b.{name} IS DISTINCT FROM e.{name} "
        f"THEN '{name} ' || {_text(f'e.{name}')} || ' there and ' || {_text(f'b.{name}')} || ' here' END"
        for name in CONTENT
    )
    con = scan.connection().cursor()
    con.register("batch_rows", batch)
    con.register("fresh_rows", fresh)
    found = con.sql(
        f"SELECT b.place, b.charged, list_filter([{differing}], lambda x: x IS NOT NULL) AS differing "
        f"FROM batch_rows b JOIN ({before}) e ON e.seq = b.charged "
        "WHERE e.call_id = b.call_id AND b.charged < $base + b.place "
        "QUALIFY row_number() OVER (PARTITION BY b.place ORDER BY b.charged) = 1 ORDER BY b.place",
        params={"base": base},
    ).to_arrow_table()
    con.close()
    return found


def _text(column: str) -> str:
    """SQL for a value as a sentence names it; times in Shanghai, as everywhere."""
    text = f"CAST({column} AS VARCHAR)"
    if column.partition(".")[2] in _TIMES:
        local = f"make_timestamp(epoch_us({column}) + {SHANGHAI_OFFSET_US})"
        text = f"replace(CAST({local} AS VARCHAR), ' ', 'T') || '+08:00'"
    return f"coalesce({text}, 'nothing')"


def _put_duplicates(columns: Columns, raw: pa.ChunkedArray, found: pa.Table) -> None:
    places = found.column("place").to_numpy()
    mask = np.zeros(len(columns["outcome"]), dtype=bool)
    mask[places] = True
    where = pa.array(mask)
    ids = plain(columns["call_id"]).take(pa.array(places)).to_pylist()
    reasons, details = [], []
    for call_id, row in zip(ids, found.to_pylist(), strict=True):
        first = f"{call_id} was charged as row {row['charged']} of calls"
        if row["differing"]:
            reasons.append(Reason.CONFLICTING_DUPLICATE.value)
            details.append(f"{first} with other content: {'; '.join(row['differing'])}. The first stands.")
        else:
            reasons.append(Reason.DUPLICATE.value)
            details.append(f"{first}.")
    columns["outcome"] = pc.if_else(where, "duplicate", plain(columns["outcome"]))
    for name, values in (("reason", reasons), ("detail", details)):
        columns[name] = pc.replace_with_mask(plain(columns[name]), where, pa.array(values, pa.string()))
    columns["duplicate_of"] = pc.replace_with_mask(
        columns["duplicate_of"], where, found.column("charged").combine_chunks()
    )
    for name in _UNCHARGED:
        column = plain(columns[name])
        columns[name] = pc.if_else(where, pa.scalar(None, column.type), column)
    columns["raw"] = pc.if_else(where, raw, columns["raw"])


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array, without a dictionary."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
