"""What goes wrong with a broker, and what a worker then does (F-16, F-17, F-19, F-20, F-28)."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.node import Node
from rating.calendar import instant_text
from streams.cluster import Cluster
from streams.topics import ALERTS, CDRS, create
from tests import chaos_kafka
from tests.kafka_cluster import Worker, a_prefix, a_worker, calls_in, make_topics, read_all, send_calls
from tests.ledgers import ARRIVED, NUMBER, a_call, a_home

NOW = instant_text(ARRIVED)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A ledger with one active number."""
    a_home(tmp_path / "home")
    return tmp_path / "home"


def take_in(cluster: Cluster, home: Path, rows: int, *options: str) -> None:
    """A worker runs until the ledger has so many rows."""
    with a_worker(cluster, home, *options, now=NOW) as worker:
        worker.until(lambda: calls_in(home, ["seq"]).num_rows >= rows, f"{rows} rows are in the ledger")
        assert worker.stop() == 0, worker.said
    assert calls_in(home).num_rows == rows


def refused(cluster: Cluster, home: Path) -> str:
    """The last sentence of a worker that does not begin."""
    worker = Worker(cluster, home, now=NOW)
    assert worker.wait() == 4, worker.said
    return " ".join(worker.said.strip().splitlines()[-1].split())


def test_records_that_are_gone_stop_the_worker_until_somebody_says_so(cluster: Cluster, home: Path) -> None:
    """F-17: retention passed us by. Never skipped silently; the sentence names offsets and what to do."""
    from kafka import TopicPartition

    make_topics(cluster, 1)
    send_calls(cluster, [a_call(place) for place in range(5)])
    take_in(cluster, home, 5)
    send_calls(cluster, [a_call(place) for place in range(5, 10)])
    name = cluster.name(CDRS)
    with cluster.admin() as admin:
        admin.delete_records({TopicPartition(name, 0): 8})
    said = refused(cluster, home)
    assert (
        f"{name}/0 begins at offset 8, but the ledger has read it up to 5: the offsets 5 to 7 are missing"
        in said
    )
    assert said.endswith(f"--accept-gap {name}/0:5")
    assert calls_in(home).num_rows == 5
    take_in(cluster, home, 7, "--accept-gap", f"{name}/0:5")
    send_calls(cluster, [a_call(10)])
    take_in(cluster, home, 8)


def test_a_topic_made_anew_is_noticed_at_work_and_at_the_start(cluster: Cluster, home: Path) -> None:
    """F-17: the topic's id is part of what the ledger knows."""
    make_topics(cluster, 1)
    send_calls(cluster, [a_call(place) for place in range(3)])
    name = cluster.name(CDRS)
    with a_worker(cluster, home, now=NOW) as worker:
        worker.until(lambda: calls_in(home, ["seq"]).num_rows == 3, "the calls are in the ledger")
        with cluster.admin() as admin:
            admin.delete_topics([name])
        assert worker.wait() == 4
        assert f"The topic {name} " in worker.said
    create(cluster, 1)
    send_calls(cluster, [a_call(place) for place in range(2, 5)])
    said = refused(cluster, home)
    assert f"GAP: the topic {name} was made anew" in said
    token = said.split("--accept-gap ")[1].split()[0]
    take_in(cluster, home, 6, "--accept-gap", token)
    outcomes = calls_in(home, ["outcome"]).column("outcome").to_pylist()
    assert outcomes == ["rated"] * 3 + ["duplicate", "rated", "rated"]


def test_a_worker_waits_for_its_broker_and_goes_on(own_broker: Node, home: Path) -> None:
    """F-17, F-20: kill -9 of the broker. What it had acknowledged is taken in, and the alert leaves."""
    cluster = Cluster(own_broker.address, a_prefix())
    make_topics(cluster, 2)
    send_calls(cluster, [a_call(1)])
    with a_worker(cluster, home, now=NOW) as worker:
        worker.until(lambda: calls_in(home, ["seq"]).num_rows == 1, "the worker is warm")
        own_broker.kill()
        own_broker.start()
        send_calls(cluster, [a_call(place, minutes=23 * 60) for place in range(10, 13)], key=NUMBER)
        worker.until(lambda: calls_in(home, ["seq"]).num_rows == 4, "the calls are in the ledger")
        worker.until(lambda: len(read_all(cluster, ALERTS)) >= 3, "the alerts are published")
        assert worker.stop() == 0, worker.said
    assert {got.json["kind"] for got in read_all(cluster, ALERTS)} == {"low_balance", "arrears", "suspended"}


@pytest.mark.parametrize("seed", [2, 7, 11])
def test_whatever_is_killed_the_ledger_and_the_alerts_are_as_undisturbed(
    seed: int, own_broker: Node, tmp_path: Path
) -> None:
    """F-16, F-19, F-20, F-28: in short; `make chaos-kafka` does more."""
    chaos = chaos_kafka.run(seed, tmp_path, own_broker, count=400)
    assert chaos.done
