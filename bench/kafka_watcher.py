"""Who watches balances: the commit that charges the calls, or Faust agents over account changes (docs/design.md 7).

    python -m bench.kafka_watcher [CALLS] [CHANGES]

First CALLS are charged in batches of 1,000, which is what comes in 200 ms at 5,000 a second; what deciding on alerts
takes of that is timed. Then CHANGES of accounts lie in a topic by call, and one Faust worker repartitions them by
account, adds each to a Table and looks whether it crosses zero: once with the repartitioning, once without.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import faust
import numpy as np

from bench.ingest import ARRIVAL, NUMBERS, make_calls, make_home
from broker.node import Node
from ledger.charge import charge
from ledger.home import Home
from rating.calendar import parse_instant
from streams.cluster import Cluster
from streams.messages import MessageDecoder
from streams.topics import ACCOUNT_CHANGES, create

_BATCH = 1_000
_PARTITIONS = 12


def in_the_commit(folder: Path, calls: int) -> None:
    """Microseconds a call that deciding takes, and its share of charging."""
    make_home(folder / "home")
    make_calls(folder / "calls.jsonl", calls)
    home, at = Home.open(folder / "home"), parse_instant(ARRIVAL)
    spent_s = [0.0]
    decide = home.decide_on_calls

    def timed(*given: Any) -> None:
        began = time.process_time()
        decide(*given)
        spent_s[0] += time.process_time() - began

    home.decide_on_calls = timed  # type: ignore[method-assign]
    lines, decoder = (folder / "calls.jsonl").read_bytes().splitlines(), MessageDecoder()
    began = time.process_time()
    for first in range(0, calls, _BATCH):
        some = lines[first : first + _BATCH]
        records, _ = decoder.records(some, [None] * len(some), np.arange(first, first + len(some)))
        charge(home, records, "file:a", at, {"file:a": first + len(some)})
    whole_s = time.process_time() - began
    each_us = spent_s[0] / calls * 1e6
    print(f"decided in the commit: {each_us:.1f} µs a call, {spent_s[0] / whole_s:.2f} of charging, "
          f"{1e6 / each_us:,.0f} calls/s a core; {home.events.next_seq:,} events")  # fmt: skip


async def watch(address: str, prefix: str, changes: int, *, repartition: bool) -> None:
    """A Faust worker that keeps balances; prints changes a second, from the first to the last."""
    app = faust.App(
        f"{prefix}watcher-{repartition}", broker=f"kafka://{address}", store="memory://", web_enabled=False,
        autodiscover=False, topic_partitions=_PARTITIONS, topic_replication_factor=1, datadir=tempfile.mkdtemp(),
        value_serializer="json", key_serializer="raw",
    )  # fmt: skip
    balances = app.Table("balances", default=int, partitions=_PARTITIONS)
    topic = app.topic(Cluster(address, prefix).name(ACCOUNT_CHANGES))
    done, times, alerts = asyncio.Event(), list[float](), [0]

    async def handle(stream: Any) -> None:
        async for change in stream.group_by(_account, name="by-account") if repartition else stream:
            before = balances[change["account"]]
            balances[change["account"]] = after = before + change["hao"]
            alerts[0] += (before < 0) != (after < 0)
            times.append(time.perf_counter())
            if len(times) == changes:
                done.set()

    app.agent(topic)(handle)
    await app.start()
    await done.wait()
    print(f"{(changes - 1) / (times[-1] - times[0]):,.0f} changes/s, {alerts[0]:,} crossings")
    await app.stop()


def _account(change: dict[str, Any]) -> str:
    return str(change["account"])


def by_faust(folder: Path, changes: int) -> None:
    """The same changes through a Faust worker, with and without repartitioning."""
    node = Node(folder / "kafka")
    node.start()
    try:
        cluster = Cluster(node.address, "watch-")
        create(cluster, _PARTITIONS)
        producer, rng = cluster.producer(linger_ms=50), random.Random(1)
        for place in range(changes):
            account, hao = f"customer/C{rng.randrange(NUMBERS)}", rng.randrange(-10_000, 10_000)
            value = json.dumps({"account": account, "hao": hao}).encode()
            producer.produce(cluster.name(ACCOUNT_CHANGES), key=str(place), value=value)
            producer.poll(0)
        producer.flush(60)
        for how in ("group_by", "keyed"):
            watched = subprocess.run(
                [sys.executable, "-m", "bench.kafka_watcher", "watch", cluster.address, cluster.prefix, str(changes), how],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            print(f"one Faust worker, {how}: {watched.stdout.strip()}", flush=True)
    finally:
        node.kill()


def main(calls: int = 200_000, changes: int = 40_000) -> None:
    """Prints both."""
    with tempfile.TemporaryDirectory() as name:
        in_the_commit(Path(name), calls)
        by_faust(Path(name), changes)


if __name__ == "__main__":
    if sys.argv[1:2] == ["watch"]:
        asyncio.run(watch(sys.argv[2], sys.argv[3], int(sys.argv[4]), repartition=sys.argv[5] == "group_by"))
    else:
        main(*map(int, sys.argv[1:]))
