"""What a commit costs at the beginning and after 2,000 of them, fsync and housekeeping included.

python -m bench.commits [--commits 2000] [--rows 5000] [--dir DIR]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from ledger.log import Log
from ledger.maintain import finish, housekeep
from ledger.schema import CALLS
from rating.money import to_decimal_array
from rating.records import INSTANT


def some_calls(count: int, first: int, month: str = "2026-11", numbers: int = 100_000) -> pa.Table:
    """Rated calls with distinct ids, in the table's schema."""
    random = np.random.default_rng(first)
    begin = int(datetime.fromisoformat(f"{month}-01T00:00:00+08:00").timestamp()) * 1_000_000
    start = begin + random.integers(0, 28 * 86_400, count) * 1_000_000
    duration = random.lognormal(4, 1, count).astype(np.int64) + 1
    billed = (duration + 59) // 60
    who = random.integers(0, numbers, count)
    phones = [f"1{n:010d}" for n in random.integers(3_000_000_000, 9_999_999_999, count)]
    there = {
        "seq": pa.array(np.arange(first, first + count)),
        "outcome": pa.array(["rated"] * count),
        "call_id": pa.array(
            [f"{n:016x}-{i:010d}" for i, n in enumerate(random.integers(0, 2**62, count), first)]
        ),
        "service_number": pa.array([f"400{n:07d}" for n in who]),
        "customer_id": pa.array([f"C{n // 2:06d}" for n in who]),
        "provider_id": pa.array([f"P{n % 100:03d}" for n in who]),
        "caller_number": pa.array(phones),
        "caller_area": pa.array(random.choice(["010", "021", "0531", "0755"], count).tolist()),
        "start_at": pa.array(start, INSTANT),
        "answer_at": pa.array(start + 5_000_000, INSTANT),
        "end_at": pa.array(start + 5_000_000 + duration * 1_000_000, INSTANT),
        "month": pa.array([month] * count),
        "duration_s": pa.array(duration),
        "billed_s": pa.array(billed * 60),
        "rate": to_decimal_array(np.full(count, 3_000)),
        "owner_fee": to_decimal_array(billed * 3_000),
        "caller_estimate": to_decimal_array(billed * 1_500),
        "tags": pa.array([[]] * count, pa.list_(pa.string())),
        "answering_phone": pa.array(phones),
        "answer_rule": pa.array(random.choice(["sequential", "random", "by_time"], count).tolist()),
        "source": pa.array(["file/0123456789abcdef0123456789abcdef"] * count),
        "source_pos": pa.array(np.arange(first, first + count) * 350),
        "received_at": pa.array(np.full(count, begin), INSTANT),
        "events_seq": pa.array(np.full(count, 1_234)),
    }
    return pa.table([there.get(f.name, pa.nulls(count, f.type)) for f in CALLS], schema=CALLS)


def main() -> None:
    """Prints median and p99 of the first hundred commits and of the last hundred and last thousand."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commits", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--dir", type=Path)
    args = parser.parse_args()
    place = args.dir or Path(tempfile.mkdtemp(prefix="fentan-commits-"))
    log = Log.create(place / "calls", CALLS, ["month"])
    batches = [some_calls(args.rows, n * args.rows).drop(["seq"]) for n in range(20)]
    taken_ms = []
    begun = time.perf_counter()
    for n in range(args.commits):
        before = time.perf_counter()
        log.append(batches[n % 20], offsets={"file/bench": n})
        housekeep(log)
        taken_ms.append((time.perf_counter() - before) * 1e3)
    finish(log)
    elapsed = timedelta(seconds=round(time.perf_counter() - begun, 1))
    print(
        f"{args.commits} commits of {args.rows} rows in {elapsed}, {len(log.live_files())} files, "
        f"{datetime.now(UTC):%Y-%m-%d}"
    )
    first = _line("first 100", taken_ms[:100])
    for name, part in (("last 1000", taken_ms[-1000:]), ("last 100", taken_ms[-100:])):
        last = _line(name, part)
        print(f"{'':10} ratio {last[0] / first[0]:5.2f} {last[1] / first[1]:7.2f}")
    if not args.dir:
        shutil.rmtree(place)


def _line(name: str, taken_ms: list[float]) -> tuple[float, float]:
    median, p99 = statistics.median(taken_ms), float(np.quantile(taken_ms, 0.99))
    print(f"{name:10} median {median:6.1f} ms  p99 {p99:6.1f} ms  max {max(taken_ms):6.1f} ms")
    return median, p99


if __name__ == "__main__":
    main()
