"""A day of small batches: 2 million calls of 1,000 a commit, as a worker commits them. Is the end as quick as the begin?

    python -m bench.kafka_day [COMMITS] [ROWS]

No broker: the same messages, decoded and committed by the worker's own code, so that a day fits into minutes.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.ingest import ARRIVAL, make_calls, make_home
from ledger.home import Home
from ledger.memory import work_for_long
from rating.calendar import parse_instant
from streams.batches import Batch, Span, commit
from streams.cluster import Topic
from streams.messages import MessageDecoder


def memory_mb() -> tuple[int, int]:
    """What the process holds in memory now: of its own, and of files that the system may drop at any time."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
    return kilobytes["RssAnon"] >> 10, kilobytes["RssFile"] >> 10


def main(commits: int = 2_000, rows: int = 1_000) -> None:
    """Prints commit time, work in CPU time (housekeeping included), memory and files of each tenth of the run."""
    with tempfile.TemporaryDirectory() as name:
        work_for_long()
        place = Path(name)
        make_home(place / "home")
        make_calls(place / "calls.jsonl", commits * rows)
        home, decoder, topic = Home.open(place / "home"), MessageDecoder(), Topic("cdrs", "day", 1)
        received = parse_instant(ARRIVAL)
        times: list[float] = []
        works: list[float] = []
        with (place / "calls.jsonl").open("rb") as lines:
            for number in range(commits):
                values = [next(lines).rstrip(b"\n") for _ in range(rows)]
                offsets = np.arange(number * rows, (number + 1) * rows)
                records, _ = decoder.records(values, [None] * rows, offsets)
                span = Span(number * rows, (number + 1) * rows)
                began, worked = time.perf_counter(), time.process_time()
                commit(home, topic, Batch(records, np.zeros(rows, np.int32), {0: span}), received)
                times.append(time.perf_counter() - began)
                works.append(time.process_time() - worked)
                if (number + 1) % (commits // 10) == 0:
                    part = sorted(times[-(commits // 10) :])
                    own, mapped = memory_mb()
                    work_ms = statistics.mean(works[-(commits // 10) :]) * 1000
                    print(
                        f"{(number + 1) * rows:>10,} calls: commit median {statistics.median(part) * 1000:.0f} ms, "
                        f"p99 {part[int(len(part) * 0.99)] * 1000:.0f} ms, mean {work_ms:.0f} ms of work; "
                        f"memory {own} MB and {mapped} MB of files; "
                        f"{len(home.calls.live_files())} files",
                        flush=True,
                    )
        tenth = commits // 10
        first, last = statistics.median(times[:tenth]), statistics.median(times[-tenth:])
        work = statistics.mean(works[-tenth:]) / statistics.mean(works[:tenth])
        print(
            f"the last tenth's commits take {last / first:.2f} × the first's, and {work:.2f} × as much work"
        )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
