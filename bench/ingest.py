"""JSON Lines into a durable ledger, whole process, beside the floor: pyarrow.json and the same rows as Parquet.

    python -m bench.ingest [CALLS] [RUNS]

The floor decodes the same file with pyarrow.json and writes the ledger's columns of the same rows as Parquet
with the same settings: no rating, no duplicates, no commit, no fsync, no other checks.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from bench.commands import START, life, line, send
from ledger.home import Home
from rating import price_book
from rating.money import to_decimal_array

NUMBERS = 10_000
ARRIVAL = "2026-09-01T00:00:00+08:00"


def make_home(folder: Path) -> None:
    """A ledger of NUMBERS active numbers."""
    home = Home.create(folder, price_book.default_text(), "default.toml", START)
    send(home, iter([line(0, "register_provider", 0, provider_id="P1", name="P")]))
    send(home, life(0, NUMBERS))
    home.keep_snapshot(always=True)


def make_calls(path: Path, count: int) -> None:
    """Clean calls of about 350 bytes, in August 2026, as one JSON object a line."""
    duckdb.connect().execute(
        f"""
        COPY (
            WITH drawn AS (
                SELECT i, (hash(i) % 2678000)::BIGINT AS s, (hash(i * 7 + 1) % 600 + 1)::BIGINT AS d FROM range({count}) t(i)),
            timed AS (
                SELECT i, d, TIMESTAMP '2026-08-01' + to_seconds(s - (s + d + 20 > 2678000)::INT * 1000) AS t FROM drawn)
            SELECT 'sw1-' || lpad(hex(hash(i * 3 + 2)), 16, '0') || '-' || i AS call_id,
                   '400' || lpad((hash(i * 11) % {NUMBERS})::VARCHAR, 7, '0') AS service_number,
                   '138' || lpad((hash(i * 13) % 100000000)::VARCHAR, 8, '0') AS caller_number,
                   strftime(t, '%Y-%m-%dT%H:%M:%S') || '+08:00' AS start_at,
                   strftime(t + INTERVAL 6 SECOND, '%Y-%m-%dT%H:%M:%S') || '+08:00' AS answer_at,
                   strftime(t + to_seconds(6 + d), '%Y-%m-%dT%H:%M:%S') || '+08:00' AS end_at,
                   d AS duration_s, '053188880' || (i % 100) AS answering_phone, 'round_robin' AS answer_rule,
                   'rec/2026/08/' || i || '.wav' AS recording_ref
            FROM timed ORDER BY t)
        TO '{path}' (FORMAT json)"""
    )


def floor(source: Path, target: Path) -> None:
    """The floor's work, in a process of its own."""
    schema = pa.schema([(name, pa.string()) for name in ("call_id", "service_number", "caller_number", "start_at",
                        "answer_at", "end_at", "answering_phone", "answer_rule", "recording_ref")]
                       + [("duration_s", pa.int64())])  # fmt: skip
    options = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    rows = 0
    for block in _blocks(source, 32 << 20):
        table = pj.read_json(pa.BufferReader(block), pj.ReadOptions(block_size=8 << 20), options)
        for name in ("start_at", "answer_at", "end_at"):
            instants = pc.cast(table.column(name), pa.timestamp("us", tz="UTC"))
            table = table.set_column(table.schema.get_field_index(name), name, instants)
        seqs = np.arange(rows, rows + table.num_rows)
        rows += table.num_rows
        table = table.append_column("seq", pa.array(seqs))
        for name, hao in (("rate", 3000), ("owner_fee", 6000), ("caller_estimate", 2000)):
            table = table.append_column(name, to_decimal_array(np.full(len(seqs), hao)))
        for name in ("outcome", "customer_id", "provider_id", "caller_area", "month", "source"):
            table = table.append_column(name, pa.repeat(pa.scalar("2026-08"), len(seqs)))
        pq.write_table(table, target / f"{rows}.parquet", compression="zstd", compression_level=1)


def _blocks(source: Path, size: int) -> Iterator[bytes]:
    with source.open("rb") as file:
        while block := file.read(size):
            yield block + file.readline()


def timed(command: list[str]) -> float:
    """Seconds of a whole process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def fill_index(folder: Path, ids: int) -> None:
    """Puts so many foreign ids into the duplicate index."""
    home = Home.open(folder)
    rng = np.random.default_rng(1)
    for _ in range(ids // 5_000_000):
        hashes = rng.integers(0, 1 << 64, 5_000_000, dtype=np.uint64)
        home.seen_calls.add(hashes, np.zeros(len(hashes), np.int64), None, next_seq=0, head=home.calls.head)
    home.seen_calls.publish()


def main(calls: int = 1_000_000, runs: int = 3) -> None:
    """Prints the medians and the ratios."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        make_home(place / "base")
        make_calls(place / "calls.jsonl", calls)
        size = (place / "calls.jsonl").stat().st_size
        took: dict[str, list[float]] = {"floor": [], "ingest": [], "ingest, 50 million ids known": []}
        subprocess.run(["cp", "-r", str(place / "base"), str(place / "full")], check=True)
        fill_index(place / "full", 50_000_000)
        for run in range(runs):
            target = place / f"floor-{run}"
            target.mkdir()
            took["floor"].append(
                timed(
                    [sys.executable, "-m", "bench.ingest", "floor", str(place / "calls.jsonl"), str(target)]
                )
            )
            for base, what in (("base", "ingest"), ("full", "ingest, 50 million ids known")):
                home = place / f"home-{run}"
                subprocess.run(["cp", "-r", str(place / base), str(home)], check=True)
                took[what].append(timed([sys.executable, "-m", "fentan", "--home", str(home), "--now", ARRIVAL,
                                         "ingest", str(place / "calls.jsonl"), "--format", "jsonl"]))  # fmt: skip
                subprocess.run(["rm", "-rf", str(home)], check=True)
        median = {what: statistics.median(times) for what, times in took.items()}
        print(f"{calls:,} calls, {size / calls:.0f} bytes each, whole processes, medians of {runs}")
        for what, seconds in median.items():
            print(
                f"  {what}: {seconds:.2f} s, {calls / seconds:,.0f} calls/s, {median['floor'] / seconds:.2f} of the floor"
            )
        known = median["ingest"] / median["ingest, 50 million ids known"]
        print(f"  with 50 million ids known: {known:.2f} of the speed with none")


if __name__ == "__main__":
    if sys.argv[1:2] == ["floor"]:
        floor(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(*(int(argument) for argument in sys.argv[1:]))
