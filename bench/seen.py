"""The duplicate index: look-ups with millions of ids on disk, memory, and building it anew.

python -m bench.seen [--ids 50000000] [--rebuild 10000000] [--dir DIR]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from ledger.seen import Seen

_BATCH = 100_000
_STEP = 1_000_000
_MONTHS = [f"2026-{m:02d}" for m in range(5, 12)]


def main() -> None:
    """Prints million look-ups a second, resident memory, and seconds to rebuild."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ids", type=int, default=50_000_000)
    parser.add_argument("--rebuild", type=int, default=10_000_000)
    parser.add_argument("--dir", type=Path)
    args = parser.parse_args()
    place = args.dir or Path(tempfile.mkdtemp(prefix="fentan-seen-"))
    try:
        _rebuild(place / "rebuild", args.rebuild)
        _fill(place / "large", args.ids)
        other = multiprocessing.get_context("spawn").Process(target=_look_up, args=(place / "large",))
        other.start()
        other.join()
    finally:
        if not args.dir:
            shutil.rmtree(place)


def _ids(first: int, count: int) -> pa.Array:
    """Ids of 30 characters, as switches make them."""
    return pa.array(
        [f"sw1-1762147200.{n * 7919 % 1_000_003:07d}-{n:07d}" for n in range(first, first + count)]
    )


def _rebuild(folder: Path, count: int) -> None:
    """From texts, as from a ledger of one month; making up the texts is not counted."""
    seen, taken_s = Seen.open(folder), 0.0
    same = _ids(0, _BATCH)
    for first in range(0, count, _BATCH):
        hashes = seen.hashes(same) ^ np.uint64(
            first * 2_654_435_761
        )  # fresh ids without the cost of their texts
        begun = time.perf_counter()
        seen.hashes(same)
        seen.add(hashes, np.arange(first, first + _BATCH), pa.array(["2026-11"] * _BATCH).dictionary_encode())
        taken_s += time.perf_counter() - begun
    begun = time.perf_counter()
    seen.publish()
    taken_s += time.perf_counter() - begun
    print(f"rebuilt {count / 1e6:.0f} million ids in {taken_s:.1f} s ({taken_s / count * 1e6:.2f} us each)")


def _fill(folder: Path, count: int) -> None:
    seen, random = Seen.open(folder, 6), np.random.default_rng(1)
    begun = time.perf_counter()
    for first in range(0, count, _STEP):
        month = _MONTHS[first * len(_MONTHS) // count]
        seen.add(
            random.integers(0, 2**64, _STEP, dtype=np.uint64),
            np.arange(first, first + _STEP),
            pa.array([month] * _STEP).dictionary_encode(),
        )
    seen.publish()
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"{count / 1e6:.0f} million ids over {len(_MONTHS)} months: {size / 1e6:.0f} MB on disk, "
        f"added in {time.perf_counter() - begun:.1f} s"
    )


def _look_up(folder: Path) -> None:
    """In a process of its own, whose memory is what look-ups need."""
    before_mb, begun = _resident_mb(), time.perf_counter()
    seen, random = Seen.open(folder, 6), np.random.default_rng(2)
    print(f"opened in {(time.perf_counter() - begun) * 1e3:.1f} ms, {len(list(folder.glob('*.run')))} runs")
    known = np.random.default_rng(1).integers(0, 2**64, _STEP, dtype=np.uint64)  # the first million
    texts = [_ids(n * _BATCH, _BATCH) for n in range(10)]
    _rate("new ids, as text", lambda n: seen.lookup(texts[n]), -1)
    few = [
        np.where(random.random(_BATCH) < 0.02, known[n * _BATCH :][:_BATCH], seen.hashes(texts[n]))
        for n in range(10)
    ]
    _rate("2 % known, hashed", lambda n: seen.lookup(few[n]), None)
    print(f"{_resident_mb() - before_mb} MB more resident, the index's mapped pages included")
    _rate("known ids, hashed", lambda n: seen.lookup(known[n * _BATCH :][:_BATCH]), 0)


def _rate(name: str, look_up: object, least: int | None) -> None:
    best, least_cpu = 9.9e9, 9.9e9
    for n in range(10):
        begun, begun_cpu = time.perf_counter(), time.process_time()
        found = look_up(n)  # type: ignore[operator]
        best, least_cpu = (
            min(best, time.perf_counter() - begun),
            min(least_cpu, time.process_time() - begun_cpu),
        )
        if least is not None and (found < 0).all() != (least < 0):
            raise SystemExit(f"{name}: wrong answers")
    print(
        f"{name:18} {_BATCH / best / 1e6:5.1f} million a second, {_BATCH / least_cpu / 1e6:5.1f} a CPU second"
    )


def _resident_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
