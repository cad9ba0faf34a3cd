"""What a writer asks the tables: sums of fees by account, single calls near a crossing, usage of months.

All of it through DuckDB over the files of the snapshot in hand; money leaves as whole hao.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.log import Log
from ledger.rows import read_postings
from ledger.schema import POSTING_COLUMNS
from rating.accounts import Posting
from rating.columns import to_list
from rating.follow import Spent
from rating.money import from_decimal_array
from rating.state import State

_HAO = "(sum(owner_fee) * 10000)::BIGINT"


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """One private connection a process; writers ask one question at a time."""
    return duckdb.connect(config={"TimeZone": "UTC", "autoinstall_known_extensions": "false"})


def ask(query: str, **params: object) -> pa.Table:
    """The answer to one question, as a table; `$name` in the query is a parameter."""
    return connection().sql(query, params=params).to_arrow_table()


def totals(
    calls: Log, since: int, until: int, closed: str | None = None, covered: int = 0
) -> dict[tuple[str, str], int]:
    """(customer, month of the call) -> hao of the rated calls with since <= seq < until.

    With `closed`, calls of months up to it with seq < `covered` are left out: a close has settled them.
    """
    if since >= until or not calls.files_since(since):
        return {}
    open_only = "AND (month > $closed OR seq >= $covered)" if closed else ""
    found = ask(
        f"SELECT customer_id, month, {_HAO} AS hao FROM {calls.scan_sql(since, until)} "
        f"WHERE outcome = 'rated' AND seq >= $since AND seq < $until AND owner_fee <> 0 {open_only} GROUP BY ALL",
        since=since,
        until=until,
        **({"closed": closed, "covered": covered} if closed else {}),
    )
    return {(row["customer_id"], row["month"]): row["hao"] for row in found.to_pylist()}


def totals_of(rows: pa.Table) -> dict[tuple[str, str], int]:
    """As `totals`, of rows in memory; customers and months as dictionaries make it one pass over integers."""
    customers, months = (_coded(rows.column(name)) for name in ("customer_id", "month"))
    fees = from_decimal_array(rows.column("owner_fee"))
    rated = pc.equal(rows.column("outcome"), "rated").combine_chunks().to_numpy(zero_copy_only=False)
    counted = rated & (fees != 0)
    width = len(months[1]) or 1
    keys = (customers[0].astype(np.int64) * width + months[0])[counted]
    found, places = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(found), dtype=np.int64)
    np.add.at(sums, places, fees[counted])
    named = [customers[1].take(pa.array(found // width)), months[1].take(pa.array(found % width))]
    return dict(zip(zip(*map(to_list, named), strict=True), sums.tolist(), strict=True))


def _coded(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.StringArray]:
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return array.indices.fill_null(0).to_numpy(zero_copy_only=False), array.dictionary


_SPENT = ["seq", "call_id", "service_number", "customer_id", "month", "owner_fee", "received_at"]


def spent(calls: Log, rows: pa.Table | None, since: int, until: int, customers: Iterable[str]) -> list[Spent]:
    """The rated calls with a fee of these customers, since <= seq < until, in seq order."""
    wanted = pa.array(sorted(customers), pa.string())
    if rows is not None:
        mine = pc.is_in(rows.column("customer_id").cast(pa.string()), value_set=wanted)
        rated = pc.equal(rows.column("outcome"), "rated")
        table = rows.filter(pc.and_(mine, rated)).select(_SPENT)
    else:
        table = ask(
            f"SELECT {', '.join(_SPENT)} FROM {calls.scan_sql(since, until)} WHERE outcome = 'rated' AND seq >= $since "
            "AND seq < $until AND list_contains($customers, customer_id) ORDER BY seq",
            since=since,
            until=until,
            customers=wanted.to_pylist(),
        )
    fees = from_decimal_array(table.column("owner_fee").cast(pa.decimal128(18, 4))).tolist()
    rest = [table.column(name).to_pylist() for name in _SPENT if name != "owner_fee"]
    return [
        Spent(seq, call_id, number, customer, month, fee, received)
        for (seq, call_id, number, customer, month, received), fee in zip(
            zip(*rest, strict=True), fees, strict=True
        )
        if fee
    ]


def usage_before(
    calls: Log, state: State, keys: set[tuple[str, str, str]], until: int
) -> dict[tuple[str, str, str], int]:
    """(service_number, customer, month) -> hao charged for the month's calls with seq < until, re-ratings included."""
    found = {key: state.rerated.get(key, 0) for key in keys}
    for month in sorted({key[2] for key in keys}):
        numbers = sorted({key[0] for key in keys if key[2] == month})
        for (number, customer), hao in _usage(calls, month, until, numbers).items():
            if (number, customer, month) in found:
                found[number, customer, month] += hao
    return found


def latest_start(calls: Log, since: int, until: int) -> datetime | None:
    """The latest start of the rated calls with since <= seq < until."""
    if not calls.files_since(since):
        return None
    found = ask(
        f"SELECT max(start_at) FROM {calls.scan_sql(since, until)} WHERE outcome = 'rated' AND seq >= $since AND seq < $until",
        since=since,
        until=until,
    )
    latest: datetime | None = found.column(0)[0].as_py()
    return latest


def latest_start_of(rows: pa.Table) -> datetime | None:
    """As `latest_start`, of rows in memory."""
    rated = pc.equal(rows.column("outcome"), "rated")
    latest: datetime | None = pc.max(rows.column("start_at").filter(rated)).as_py()
    return latest


def month_usage(calls: Log, state: State, month: str, until: int) -> dict[tuple[str, str], int]:
    """(service_number, customer) -> hao of the month's calls with seq < until, re-ratings included (R-MIN-1)."""
    found: dict[tuple[str, str], int] = defaultdict(int, _usage(calls, month, until, None))
    for (number, customer, rated_month), hao in state.rerated.items():
        if rated_month == month:
            found[number, customer] += hao
    return found


def _usage(calls: Log, month: str, until: int, numbers: list[str] | None) -> dict[tuple[str, str], int]:
    if not calls.files():
        return {}
    only = "AND list_contains($numbers, service_number)" if numbers is not None else ""
    found = ask(
        f"SELECT service_number, customer_id, {_HAO} AS hao FROM {calls.scan_sql()} "
        f"WHERE month = $month AND outcome = 'rated' AND seq < $until {only} GROUP BY ALL",
        month=month,
        until=until,
        **({"numbers": numbers} if numbers is not None else {}),
    )
    return {(row["service_number"], row["customer_id"]): row["hao"] for row in found.to_pylist()}


def covered_by_last_close(events: Log) -> int:
    """The calls_seq of the last month's close; 0 before the first."""
    if not events.files():
        return 0
    found = ask(
        f"SELECT max(calls_seq) FROM {events.scan_sql()} WHERE kind = 'close_month' AND outcome = 'accepted'"
    )
    return int(found.column(0)[0].as_py() or 0)


def find_postings(events: Log, posting_ids: Iterable[str]) -> Mapping[str, Posting]:
    """The postings with these ids, as far as there are any."""
    wanted = set(posting_ids)
    seqs = sorted({int(seq) for seq, _, _ in (one.partition("-") for one in wanted) if _is_whole(seq)})
    if not seqs or not events.files():
        return {}
    table = ask(
        f"SELECT seq, {', '.join(POSTING_COLUMNS)} FROM {events.scan_sql()} "
        "WHERE list_contains($seqs, seq) AND outcome = 'accepted'",
        seqs=seqs,
    )
    table = table.cast(pa.schema([events.schema.field(name) for name in table.column_names]))
    return {posting_id: posting for posting_id, posting in read_postings(table) if posting_id in wanted}


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
