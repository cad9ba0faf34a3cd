"""A worker whose ledger is slow, whose disk is full, or that slept while others did its work."""

from __future__ import annotations

import resource
import signal
import threading
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from ledger.home import Home
from ledger.verify import verify
from rating.calendar import instant_text
from streams.calls import CallsReader, Flush
from streams.cluster import Cluster
from streams.ledger_thread import LedgerThread
from streams.metrics import Metrics
from streams.topics import CDRS
from tests.kafka_cluster import Worker, a_worker, calls_in, make_topics, send_calls
from tests.ledgers import ARRIVED, a_call, a_home
from tests.patience import eventually

NOW = instant_text(ARRIVED)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A ledger with one active number."""
    a_home(tmp_path / "home")
    return tmp_path / "home"


def is_whole(home: Path, rows: int) -> None:
    """So many calls, each once."""
    ids = calls_in(home, ["call_id"]).column("call_id").to_pylist()
    assert (len(ids), len(set(ids))) == (rows, rows)
    assert verify(*Home.open_logs(home)) == []


def test_while_the_ledger_is_slow_nothing_more_is_fetched(cluster: Cluster, home: Path) -> None:
    """Memory stays flat: one batch is being committed and one gathered, however many records wait."""
    make_topics(cluster)
    send_calls(cluster, [a_call(place) for place in range(3_000)])
    ledger, metrics, freed = LedgerThread(home), Metrics(), threading.Event()
    reader = CallsReader(
        cluster, cluster.needed([CDRS])[CDRS], ledger, lambda: ARRIVED, metrics, Flush(max_records=100)
    )

    def slow_down() -> None:
        """After the first commit the ledger's thread is busy until it is freed."""
        reader.on_commit = lambda: None
        ledger.submit(lambda _home: freed.wait())

    reader.on_commit = slow_down
    working = threading.Thread(target=reader.run)
    working.start()
    try:
        eventually(lambda: calls_in(home, ["seq"]).num_rows, "the first batch is in the ledger")
        time.sleep(1)
        committed = calls_in(home, ["seq"]).num_rows
        fetched = float(metrics.text().decode().split("\nfentan_messages_total ")[1].split()[0])
        assert 0 < fetched - committed <= 200
        freed.set()
        eventually(lambda: calls_in(home, ["seq"]).num_rows == 3_000, "all are in the ledger")
    finally:
        freed.set()
        reader.stop()
        working.join()
        ledger.close()
    is_whole(home, 3_000)


def test_a_full_disk_ends_the_worker_and_what_follows_goes_on(cluster: Cluster, home: Path) -> None:
    """F-18: exit code 4 and a sentence, nothing torn; when there is space again the rest follows."""
    make_topics(cluster, 1)
    with a_worker(cluster, home, "--wait-ms", "1000", now=NOW) as worker:
        send_calls(cluster, [a_call(1)])
        worker.until(lambda: calls_in(home, ["seq"]).num_rows == 1, "the worker is warm")
        assert worker.process.pid is not None
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (20_000, 20_000))
        send_calls(cluster, [a_call(place, recording_ref=f"{place**9:x}") for place in range(2, 3_000)])
        assert worker.wait() == 4, worker.said
        said = " ".join(worker.said.strip().splitlines()[-1].split())
    assert "File too large" in said or "disk" in said, said
    assert "Traceback" not in worker.said
    before = calls_in(home, ["seq"]).num_rows
    assert before < 2_999
    with a_worker(cluster, home, now=NOW) as worker:
        worker.until(lambda: calls_in(home, ["seq"]).num_rows == 2_999, "the rest is in the ledger")
        assert worker.stop() == 0, worker.said
    is_whole(home, 2_999)


def test_a_worker_that_slept_with_a_batch_in_hand_writes_nothing_twice(cluster: Cluster, home: Path) -> None:
    """F-19: stopped for longer than its session; another has its partitions when it wakes, and both go on."""
    make_topics(cluster, 2)
    options = ("--session-timeout", "2", "--wait-ms", "2000")
    with a_worker(cluster, home, *options, now=NOW) as sleeper:
        send_calls(cluster, [a_call(place) for place in range(50)])
        sleeper.until(lambda: "fentan_messages_total 50.0" in sleeper.get("/metrics"), "all are fetched")
        sleeper.signal(signal.SIGSTOP)
        with a_worker(cluster, home, *options, now=NOW) as other:
            other.until(lambda: calls_in(home, ["seq"]).num_rows == 50, "the other one has committed them")
            sleeper.signal(signal.SIGCONT)
            both_at_work(cluster, sleeper, other)
            other.until(lambda: calls_in(home, ["seq"]).num_rows == 80, "what came later is in the ledger")
            assert (sleeper.stop(), other.stop()) == (0, 0), sleeper.said + other.said
    is_whole(home, 80)


def test_a_worker_that_is_told_to_stop_while_it_gets_partitions_just_stops(
    cluster: Cluster, home: Path
) -> None:
    """A rebalance and a SIGTERM meet when several workers are stopped at once."""
    make_topics(cluster, 2)
    ledger = LedgerThread(home)
    reader = CallsReader(cluster, cluster.needed([CDRS])[CDRS], ledger, lambda: ARRIVED, Metrics())
    consumer = cluster.consumer(group_id=cluster.name("stopped"))
    got: list[int] = []

    def assign(consumer: Consumer, partitions: list[TopicPartition]) -> None:
        reader.stop()
        reader._assign(consumer, partitions)  # an exception here would come out of `poll`
        got.append(len(partitions))

    consumer.subscribe([cluster.name(CDRS)], on_assign=assign)
    try:
        eventually(lambda: consumer.poll(0.1) is None and got, "partitions were assigned")
    finally:
        consumer.close()
        ledger.close()
    assert got == [2]
    assert reader.assigned == frozenset()


def both_at_work(cluster: Cluster, *workers: Worker) -> None:
    """Each has a part again; then more calls come."""
    for worker in workers:
        worker.until(
            lambda worker=worker: "fentan_assigned_partitions 1.0" in worker.get("/metrics"), "it has a part"
        )
    send_calls(cluster, [a_call(place) for place in range(50, 80)])
