"""Questions over 10 million calls: through the views against DuckDB by hand, in one run.

    python -m bench.query [--rows 10000000] [--dir DIR]

Makes three months of synthetic calls as maintenance leaves them (a file a month, sorted by number), and the
same rows as one file sorted by hand. Each pair is asked in turn; the median of each is compared.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ledger.files import ROW_GROUP
from ledger.query import connect, run_select
from ledger.schema import CALLS, EVENTS

MONTHS = ("2026-09", "2026-10", "2026-11")
NUMBERS = 72_600
WANTED = str(4_001_000_000 + NUMBERS // 2)
ROUNDS = 15

_KNOWN = {
    "outcome": "CASE WHEN n % 97 = 0 THEN 'duplicate' ELSE 'rated' END",
    "call_id": "'call-' || n",
    "service_number": f"CAST(4001000000 + hash(n) % {NUMBERS} AS VARCHAR)",
    "customer_id": f"'C' || hash(n) % {NUMBERS} // 10",
    "provider_id": f"'P' || hash(n) % {NUMBERS} // 1000",
    "caller_number": "CAST(13800000000 + hash(n + 7) % 10000000 AS VARCHAR)",
    "caller_area": "'0531'",
    "start_at": "begins + to_seconds(hash(n + 5) % 2419200)",
    "answer_at": "begins + to_seconds(hash(n + 5) % 2419200 + 5)",
    "end_at": "begins + to_seconds(hash(n + 5) % 2419200 + 65)",
    "duration_s": "60",
    "billed_s": "60 * (1 + hash(n + 3) % 10)",
    "rate": "0.15",
    "owner_fee": "0.15 * (1 + hash(n + 3) % 10)",
    "caller_estimate": "0.22",
    "tags": "[]",
    "answering_phone": "'13900000000'",
    "answer_rule": "'sequential'",
    "source": "'file:1'",
    "source_pos": "n * 350",
    "received_at": "begins",
    "seq": "n",
    "events_seq": "1000",
}


def make(folder: Path, rows: int) -> tuple[list[str], str, str]:
    """The month files, the file sorted by hand, and a file of events with two closes; made once a folder."""
    files = [folder / "calls" / f"month={month}" / "sorted.parquet" for month in MONTHS]
    by_hand, events = folder / "by_hand.parquet", folder / "events.parquet"
    con = duckdb.connect()
    form = f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
    kinds = {"int64": "BIGINT", "string": "VARCHAR", "binary": "BLOB", "decimal128(18, 4)": "DECIMAL(18, 4)"}

    def column(name: str, kind: str) -> str:
        sql = kinds.get(kind, "VARCHAR[]" if kind.startswith("list") else "TIMESTAMPTZ")
        return f"CAST({_KNOWN.get(name, 'NULL')} AS {sql}) AS {name}"

    columns = ", ".join(column(field.name, str(field.type)) for field in CALLS if field.name != "month")
    for place, (month, file) in enumerate(zip(MONTHS, files, strict=True)):
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            first, last = rows * place // 3, rows * (place + 1) // 3
            made = f"SELECT range AS n, TIMESTAMPTZ '{month}-01 00:00:00+08' AS begins FROM range({first}, {last})"
            con.execute(
                f"COPY (SELECT {columns} FROM ({made}) ORDER BY service_number, start_at, seq) TO '{file}' {form}"
            )
    names = [str(file) for file in files]
    if not by_hand.exists():
        con.execute(
            f"COPY (SELECT * FROM read_parquet({names}, hive_types = {{'month': 'VARCHAR'}})) TO '{by_hand}' {form}"
        )
    closes = [
        {"seq": place, "kind": "close_month", "outcome": "accepted", "effect": f'{{"month":"{month}"}}',
         "calls_seq": rows * (place + 1) // 3}
        for place, month in enumerate(MONTHS[:2])
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(closes, EVENTS), events)
    return names, str(by_hand), str(events)


def compare(ours: Callable[[], object], by_hand: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of each, asked in turn so that both meet the same machine."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for place, ask in enumerate((ours, by_hand)):
            begun = time.perf_counter()
            ask()
            taken[place].append(time.perf_counter() - begun)
    return statistics.median(taken[0]), statistics.median(taken[1])


def asked_for(measure: Callable[[Path, int], None], description: str) -> None:
    """Calls `measure` with the folder and the number of rows that the command line names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--dir", type=Path, help="where the files are made and left for another run")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fentan-query-") as made:
        measure(args.dir or Path(made), args.rows)


def measure(folder: Path, rows: int) -> None:
    """Makes the files if they are not there, then asks."""
    files, sorted_by_hand, events = make(folder, rows)
    con = connect(
        files,
        [events],
        now=datetime(2026, 12, 1, tzinfo=UTC),
        calls_seq=rows,
        events_seq=2,
        read_only_for_others=True,
    )
    hand = duckdb.connect(config={"memory_limit": "2GB"})
    hand.execute("SET TimeZone = 'Asia/Shanghai'")
    same = f"read_parquet({files}, hive_types = {{'month': 'VARCHAR'}})"
    one = f"WHERE month = '{MONTHS[1]}' AND service_number = '{WANTED}'"
    rated = "WHERE outcome = 'rated'"
    grouped = "SELECT service_number, sum(owner_fee) FROM {} {} GROUP BY 1"
    detail = "SELECT start_at, caller_number, caller_area, duration_s, billed_s, rate, owner_fee FROM {} {}"
    questions = [
        ("fees by number, all calls", grouped.format("calls", ""), grouped.format(same, rated), "1.2"),
        ("one number's calls of one month", detail.format("calls", one), detail.format(f"'{sorted_by_hand}'", f"{one} AND outcome = 'rated'"), "1.5"),
        ("fees by billed month, all calls", "SELECT billed_month, sum(owner_fee) FROM calls GROUP BY 1",
         f"SELECT month, max(seq), sum(owner_fee) FROM {same} {rated} GROUP BY 1", "-"),
        ("what customers have, from the last close", "SELECT sum(balance) FROM customer_balances",
         f"SELECT sum(fee) FROM (SELECT customer_id, sum(owner_fee) AS fee FROM {same} {rated} GROUP BY 1)", "-"),
    ]  # fmt: skip
    print(f"{rows:,} calls, {NUMBERS:,} numbers, {len(MONTHS)} months; median of {ROUNDS}")
    print(f"{'':42} {'views':>10} {'by hand':>10} {'ratio':>6} {'reach':>6}")
    for name, ours, by_hand, reach in questions:
        taken = compare(lambda sql=ours: answer(con, sql), lambda sql=by_hand: answer(hand, sql))  # type: ignore[misc]
        print(
            f"{name:42} {taken[0] * 1000:7.1f} ms {taken[1] * 1000:7.1f} ms {taken[0] / taken[1]:6.2f} {reach:>6}"
        )
    safe, bare = compare(lambda: run_select(con, questions[1][1]), lambda: answer(con, questions[1][1]))
    print(f"{'what run_select adds to a question':42} {(safe - bare) * 1000:7.1f} ms")


def answer(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
    """All rows, as Python has them."""
    rows: list[tuple[object, ...]] = con.cursor().execute(sql).fetchall()
    return rows


if __name__ == "__main__":
    asked_for(measure, __doc__.splitlines()[0])
