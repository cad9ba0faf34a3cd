"""Kafka into the ledger, beside reading the same messages and throwing them away; and how soon a call shows.

    python -m bench.kafka [CALLS] [RUNS]

The broker (from Maven) runs on the same machine. One run is: all messages consumed and discarded by librdkafka,
then taken into a fresh ledger by one `fentan worker`, each timed from its first message to its last; the medians of
the ratios count. Then the same job as a Faust agent that handles one record at a time. Then calls at a steady
5,000 a second: from Kafka's time stamp to where SQL sees them, and to their alerts on the topic.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition

from bench.ingest import ARRIVAL, NUMBERS, make_calls, make_home
from broker.node import Node, free_port
from ledger.log import Log
from ledger.schema import CALLS
from streams.cluster import Cluster
from streams.positions import app_id
from streams.topics import ALERTS, CDRS, create

PARTITIONS = 12
STEADY_PER_S = 5_000
STEADY_S = 30
ONE_RECORDS = 300


def produce(cluster: Cluster, lines: Iterator[bytes]) -> int:
    """Sends the lines, spread over the partitions; returns how many."""
    producer, count = cluster.producer(linger_ms=50, queue_buffering_max_messages=200_000), 0
    for line in lines:
        while True:
            try:
                producer.produce(cluster.name(CDRS), value=line)
                break
            except BufferError:
                producer.poll(0.05)
        count += 1
    producer.flush(120)
    return count


def discard(cluster: Cluster, count: int) -> float:
    """Messages a second, from the first to the last, that librdkafka hands over when nothing is done with them."""
    consumer = cluster.consumer(group_id=cluster.name("floor"), queued_max_messages_kbytes=64 << 10)
    consumer.assign([TopicPartition(cluster.name(CDRS), number, 0) for number in range(PARTITIONS)])
    got, began = 0, 0.0
    while got < count:
        messages = consumer.consume(10_000, 1)
        began = began or time.perf_counter()
        got += len(messages)
    took = time.perf_counter() - began
    consumer.close()
    return count / took


class Worker:
    """One `fentan worker`; its log tells when what was committed."""

    def __init__(self, cluster: Cluster, home: Path, *options: str, now: str | None = ARRIVAL) -> None:
        self.port = free_port()
        self._log = home.with_suffix(".log")
        clock = ["--now", now] if now else []
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fentan", "--home", str(home), *clock, "worker", "--kafka", cluster.address,
                 "--prefix", cluster.prefix, "--web", f"127.0.0.1:{self.port}", *options],
                stderr=log,
            )  # fmt: skip

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def wait(self, holds: Callable[[list[dict[str, Any]]], bool]) -> None:
        while not holds(self.lines()):
            if self.process.poll() is not None:
                raise SystemExit(self._log.read_text())
            time.sleep(0.2)

    def rows(self) -> int:
        return sum(line.get("rows", 0) for line in self.lines())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def seconds(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["at"]).timestamp()


def into_ledger(cluster: Cluster, home: Path, count: int) -> float:
    """Calls a second, from the assignment of the partitions to the last commit."""
    worker = Worker(cluster, home)
    worker.wait(lambda lines: sum(line.get("rows", 0) for line in lines) >= count)
    lines = worker.lines()
    worker.stop()
    began = next(seconds(line) for line in lines if line["message"] == "assigned" and line["partitions"])
    ended = max(seconds(line) for line in lines if line["message"] == "committed")
    return count / (ended - began)


def steady(cluster: Cluster) -> float:
    """Sends STEADY_PER_S calls a second of now, every thousandth one taking its customer into arrears; the seconds."""
    producer = cluster.producer(linger_ms=5)
    began = time.monotonic()
    for place in range(STEADY_PER_S * STEADY_S):
        wait = began + place / STEADY_PER_S - time.monotonic()
        if wait > 0:
            producer.poll(0)
            time.sleep(wait)
        start_s = int(time.time()) - 100_000
        long = place % 1000 == 0
        duration = 86_000 if long else 60
        number = (place // 1000) % NUMBERS if long else place % NUMBERS
        call = {
            "call_id": f"s-{place}", "service_number": f"400{number:07d}", "caller_number": "13812345678",
            "start_at": datetime.fromtimestamp(start_s, UTC).isoformat(),
            "answer_at": datetime.fromtimestamp(start_s + 5, UTC).isoformat(),
            "end_at": datetime.fromtimestamp(start_s + 5 + duration, UTC).isoformat(), "duration_s": duration,
        }  # fmt: skip
        copies = 2 if long else 1  # two such calls are more than the credit
        for copy in range(copies):
            value = json.dumps(call | {"call_id": f"s-{place}-{copy}"}).encode()
            producer.produce(cluster.name(CDRS), key=f"400{number:07d}", value=value)
    producer.flush(60)
    return time.monotonic() - began


def watch(
    cluster: Cluster, home: Path, seen: list[tuple[float, dict[int, int]]], stop: threading.Event
) -> None:
    """When the ledger's offsets moved: (wall clock, partition -> next offset)."""
    topic = cluster.needed([CDRS])[CDRS]
    log = Log.open(home / "ledger" / "calls", CALLS)
    version = -1
    while not stop.is_set():
        log.refresh()
        if log.version != version:
            version = log.version
            at = {number: log.offset(app_id(topic, number)) or 0 for number in range(topic.partitions)}
            seen.append((time.time(), at))
        time.sleep(0.02)


def stamps(cluster: Cluster, topic: str) -> dict[tuple[int, int], tuple[float, bytes]]:
    """(partition, offset) -> when Kafka says it was written, and its value."""
    count = cluster.needed([topic])[topic].partitions
    consumer = cluster.consumer(group_id=cluster.name("stamps"))
    places = [TopicPartition(cluster.name(topic), number, 0) for number in range(count)]
    left = sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
    consumer.assign(places)
    found = {}
    while left > 0:
        for message in consumer.consume(10_000, 1):
            found[message.partition(), message.offset()] = (message.timestamp()[1] / 1000, message.value())
            left -= 1
    consumer.close()
    return found


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def latency(cluster: Cluster, home: Path) -> None:
    """Calls at a steady rate: how long until SQL sees one, and until its alert is on the topic."""
    create(cluster, PARTITIONS)
    worker = Worker(cluster, home, now=None)
    worker.wait(lambda lines: any(line["message"] == "assigned" for line in lines))
    seen: list[tuple[float, dict[int, int]]] = []
    stop = threading.Event()
    watching = threading.Thread(target=watch, args=(cluster, home, seen, stop))
    watching.start()
    took_s = steady(cluster)
    time.sleep(5)
    stop.set()
    watching.join()
    worker.stop()
    written = stamps(cluster, CDRS)
    waits = []
    for partition in range(PARTITIONS):
        mine = sorted((offset, at) for (number, offset), (at, _) in written.items() if number == partition)
        looks = iter(seen)
        at, reached = next(looks)
        for offset, stamp in mine:
            while reached[partition] <= offset:
                at, reached = next(looks)
            waits.append(at - stamp)
    second_call = {
        json.loads(value)["service_number"]: at for at, value in written.values() if b'-1"' in value[:30]
    }
    alerts = [
        (at, json.loads(value)) for at, value in stamps(cluster, ALERTS).values() if b'"arrears"' in value
    ]
    delays = [at - second_call[f"400{int(alert['account'].split('/C')[1]):07d}"] for at, alert in alerts]
    print(f"{len(written):,} calls at {len(written) / took_s:,.0f}/s")
    print(
        f"  arrival -> visible in SQL: median {statistics.median(waits) * 1000:.0f} ms, p99 {p99(waits) * 1000:.0f} ms"
    )
    print(
        f"  arrival -> alert on the topic: {len(delays)} alerts, median {statistics.median(delays) * 1000:.0f} ms, "
        f"p99 {p99(delays) * 1000:.0f} ms"
    )


def main(calls: int = 1_000_000, runs: int = 3) -> None:
    """Prints the figures, each beside what it is compared with."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        node = Node(place / "kafka")
        node.start()
        try:
            make_home(place / "base")
            make_calls(place / "calls.jsonl", calls)
            size = (place / "calls.jsonl").stat().st_size
            cluster = Cluster(node.address, "bulk-")
            create(cluster, PARTITIONS)
            with (place / "calls.jsonl").open("rb") as lines:
                produce(cluster, (line.rstrip(b"\n") for line in lines))
            ratios, floors, ledgers = [], [], []
            for run in range(runs):
                shutil.copytree(place / "base", place / f"home-{run}")
                floors.append(discard(cluster, calls))
                ledgers.append(into_ledger(cluster, place / f"home-{run}", calls))
                ratios.append(ledgers[-1] / floors[-1])
                shutil.rmtree(place / f"home-{run}")
                print(
                    f"  run {run}: {floors[-1]:,.0f} discarded/s, {ledgers[-1]:,.0f} into the ledger/s",
                    flush=True,
                )
            print(
                f"{calls:,} messages of {size / calls:.0f} bytes, {PARTITIONS} partitions, medians of {runs}"
            )
            print(f"  consumed and discarded: {statistics.median(floors):,.0f}/s")
            print(f"  into the durable ledger, one worker: {statistics.median(ledgers):,.0f}/s, "
                  f"{statistics.median(ratios):.2f} of that")  # fmt: skip
            shutil.copytree(place / "base", place / "one")
            one = subprocess.run(
                [sys.executable, "-m", "bench.kafka_one_record", cluster.address, cluster.prefix, str(place / "one"),
                 str(ONE_RECORDS)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            alone = float(one.stdout.split()[-1])
            print(f"  as a Faust agent, one record at a time: {alone:,.0f}/s; "
                  f"a worker does {statistics.median(ledgers) / alone:,.0f} × that")  # fmt: skip
            shutil.copytree(place / "base", place / "steady")
            latency(Cluster(node.address, "steady-"), place / "steady")
        finally:
            node.kill()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
