"""A cluster as the tests use it: topics of their own, records sent and read back, workers as real processes."""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import signal
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition

from broker.node import free_port
from ledger.home import Home
from streams.cluster import Cluster
from streams.topics import CDRS, COMMANDS, create
from tests.patience import PATIENCE_S, eventually


class Got(NamedTuple):
    """A record as it was read back."""

    key: str | None
    value: bytes
    headers: dict[str, str]
    partition: int
    offset: int
    at_ms: int

    @property
    def json(self) -> Any:
        return json.loads(self.value)


def a_prefix() -> str:
    """No two tests share topics."""
    return f"t{uuid.uuid4().hex[:8]}-"


def make_topics(cluster: Cluster, partitions: int = 3) -> None:
    """All topics, cdrs with so many partitions."""
    create(cluster, max(1, partitions), None)


def send(cluster: Cluster, topic: str, values: Iterable[bytes | None], **more: Any) -> None:
    """Returns when all are acknowledged. `key`: of all of them; else each goes to where it may."""
    producer = cluster.producer()
    for value in values:
        while True:
            try:
                producer.produce(cluster.name(topic), value=value, **more)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(PATIENCE_S) == 0


def send_commands(cluster: Cluster, lines: Iterable[bytes]) -> None:
    send(cluster, COMMANDS, lines)


def send_calls(cluster: Cluster, values: Iterable[bytes | None], **more: Any) -> None:
    send(cluster, CDRS, values, **more)


def read_all(cluster: Cluster, topic: str) -> list[Got]:
    """What the topic holds now, partition by partition."""
    name, found = cluster.name(topic), []
    consumer = cluster.consumer(group_id=cluster.name("test"))
    try:
        partitions = range(cluster.needed([topic])[topic].partitions)
        ends = {number: end_of(consumer, TopicPartition(name, number)) for number in partitions}
        left = {number for number, end in ends.items() if end}
        consumer.assign([TopicPartition(name, number, 0) for number in left])
        until = time.monotonic() + PATIENCE_S
        while left and time.monotonic() < until:
            for message in consumer.consume(1000, 0.1):
                if message.error() is not None:  # as above; it is fetched again
                    continue
                headers = {one: value.decode() for one, value in message.headers() or ()}
                key = message.key().decode() if message.key() else None
                found.append(
                    Got(
                        key,
                        message.value() or b"",
                        headers,
                        message.partition(),
                        message.offset(),
                        message.timestamp()[1],
                    )
                )
                if message.offset() + 1 >= ends[message.partition()]:
                    left.discard(message.partition())
    finally:
        consumer.close()
    return sorted(found, key=lambda one: (one.partition, one.offset))


def end_of(consumer: Consumer, place: TopicPartition) -> int:
    """The partition's end; a broker that has just come back may not know at once that it leads."""
    from confluent_kafka import KafkaException

    why = ""

    def ask() -> tuple[int] | None:
        nonlocal why
        try:
            return (consumer.get_watermark_offsets(place, timeout=10)[1],)
        except KafkaException as error:
            why = str(error)
            return None

    try:
        (end,) = eventually(ask, f"the end of {place}")
    except AssertionError as late:
        late.add_note(why)
        raise
    return int(end)


def calls_in(home: Path, columns: list[str] | None = None) -> pa.Table:
    """The rows of `calls`, in order."""
    return Home.open_logs(home)[1].read_since(0, columns)


_PRELOADED = ["fentan", "streams.worker", "streams.lag", "kafka", "confluent_kafka", "confluent_kafka.admin"]
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(_PRELOADED)


def run_fentan(arguments: list[str], log: str) -> None:
    """`fentan` in a process that has imported what it needs: that takes most of a short life's time."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.register(signal.SIGUSR1)
    sys.modules["fentan"].main(arguments)


class Worker:
    """A `fentan worker` process."""

    def __init__(self, cluster: Cluster, home: Path, *options: str, now: str | None = None) -> None:
        self.port = free_port()
        self.log = home.parent / f"worker-{self.port}.log"
        self.log.touch()
        clock = ["--now", now] if now else []
        arguments = ["--home", str(home), *clock, "worker", "--kafka", cluster.address, "--prefix", cluster.prefix,
                     "--web", f"127.0.0.1:{self.port}", "--session-timeout", "6", *options]  # fmt: skip
        self.process = _forks.Process(target=run_fentan, args=(arguments, str(self.log)))
        self.process.start()

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def get(self, page: str) -> str:
        """A web page; what urllib raises if it is not served, or not with 200."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{page}", timeout=5) as answer:
            return str(answer.read().decode())

    def wait_ready(self) -> None:
        """Until it has its part of the topics."""

        def ready() -> bool:
            try:
                return bool(self.get("/ready"))
            except OSError:
                return False

        self.until(ready, "the worker is ready")

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """As `eventually`; fails at once when the worker has ended."""

        def alive_and_holds() -> Any:
            assert self.process.is_alive(), self.said
            return holds()

        try:
            return eventually(alive_and_holds, what)
        except AssertionError as late:
            self.signal(signal.SIGUSR1)  # each thread says where it is
            self.process.join(1)
            late.add_note(self.said)  # what it did instead
            raise

    def signal(self, number: signal.Signals) -> None:
        """Nothing happens if it has ended."""
        if self.process.is_alive() and self.process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def wait(self, within_s: float = PATIENCE_S) -> int:
        """Its exit code."""
        self.process.join(within_s)
        assert self.process.exitcode is not None, f"it goes on: {self.said}"
        return self.process.exitcode

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@contextmanager
def a_worker(cluster: Cluster, home: Path, *options: str, now: str | None = None) -> Iterator[Worker]:
    """Runs, is ready, and is gone at the end."""
    worker = Worker(cluster, home, *options, now=now)
    try:
        worker.wait_ready()
        yield worker
    finally:
        worker.kill()
