"""`fentan worker` as a process, on a real broker: calls and commands in, alerts and answers out."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pyarrow as pa
import pytest

from ledger.home import Home
from ledger.verify import verify
from rating import price_book
from rating.calendar import instant_text
from streams.cluster import CALLS_GROUP, COMMANDS_GROUP, Cluster
from streams.messages import ARROW, AVRO
from streams.topics import ALERTS, ANSWERS, CDRS, REJECTS
from tests.kafka_cluster import (
    Worker,
    a_worker,
    calls_in,
    make_topics,
    read_all,
    send_calls,
    send_commands,
)
from tests.ledgers import ARRIVED, OPENED, a_call, a_home, commands
from tests.messages_made import arrow, avro
from tests.patience import eventually

NOW = instant_text(ARRIVED)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A ledger with one active number."""
    a_home(tmp_path / "home")
    return tmp_path / "home"


def outcomes(home: Path) -> dict[str, list[str]]:
    """call_id (or the raw bytes) -> its rows' outcomes."""
    found: dict[str, list[str]] = {}
    for row in calls_in(home, ["call_id", "outcome", "raw"]).to_pylist():
        found.setdefault(row["call_id"] or row["raw"].decode("utf-8", "replace"), []).append(row["outcome"])
    return found


def test_calls_and_commands_go_into_the_ledger_each_once(cluster: Cluster, tmp_path: Path) -> None:
    """R-INV-1, F-09, F-10, F-11: rated, duplicate, conflicting, poison, JSON, Avro, Arrow; commands with answers."""
    home = tmp_path / "home"
    Home.create(home, price_book.default_text(), "default.toml", OPENED)
    make_topics(cluster)
    with a_worker(cluster, home, now=NOW) as worker:
        send_commands(cluster, [*commands(), b"poison"])
        worker.until(
            lambda: len(read_all(cluster, ANSWERS)) == len(commands()) + 1, "all commands are answered"
        )
        send_calls(cluster, [a_call(place) for place in range(100)])
        worker.until(lambda: calls_in(home).num_rows == 100, "the calls are in the ledger")
        # the same again from another partition, one with other content, one that nobody can read
        send_calls(cluster, [a_call(5), a_call(6, minutes=9), b"poison", None], partition=2)
        # many in one message, and one that was there already
        some = [json.loads(a_call(place)) for place in (100, 101, 7)]
        send_calls(cluster, [avro(some[:2])], headers={"content-type": AVRO})
        worker.until(lambda: calls_in(home).num_rows == 106, "the Avro batch is in the ledger")
        send_calls(cluster, [arrow(pa.Table.from_pylist(some[1:]))], headers={"content-type": ARROW})
        worker.until(lambda: calls_in(home).num_rows == 108, "all are in the ledger")
        worker.until(lambda: len(read_all(cluster, REJECTS)) == 3, "the rejects are published")
        assert worker.stop() == 0, worker.said
    found = outcomes(home)
    assert found.pop("k5") == ["rated", "duplicate"]
    assert found.pop("k6") == ["rated", "duplicate"]
    assert (found.pop("k7"), found.pop("k101")) == (["rated", "duplicate"], ["rated", "duplicate"])
    assert (found.pop("poison"), found.pop("")) == (["rejected"], ["rejected"])
    assert set(map(tuple, found.values())) == {("rated",)}
    reasons = calls_in(home, ["reason"]).column("reason").drop_null().to_pylist()
    assert sorted(reasons) == ["CONFLICTING_DUPLICATE", *["DUPLICATE"] * 3, *["UNREADABLE"] * 2]
    answers = {got.json["command_id"]: got.json["outcome"] for got in read_all(cluster, ANSWERS)}
    assert answers == {f"c{place}": "accepted" for place in range(1, len(commands()) + 1)} | {
        None: "rejected"
    }
    rejected = {got.headers["reject_id"].split("/")[0]: got for got in read_all(cluster, REJECTS)}
    assert rejected["events"].value == b"poison"
    assert rejected["calls"].headers["reason"] == "UNREADABLE"
    assert verify(*Home.open_logs(home)) == []


def test_an_alert_follows_its_call(cluster: Cluster, home: Path) -> None:
    """R-ARR-1, R-ARR-3, R-CALL-7: one alert a crossing, on the topic; how soon is measured by `make bench-kafka`."""
    make_topics(cluster)
    with a_worker(cluster, home, now=NOW) as worker:
        send_calls(cluster, [a_call(1)])
        worker.until(lambda: calls_in(home).num_rows == 1, "the worker is warm")
        # 600 yuan of credit, warned at 50: 23 h at 0.15 a minute are 207 yuan
        long = [a_call(place, minutes=23 * 60) for place in range(10, 13)]
        send_calls(cluster, long, key="4001170392")
        got = worker.until(
            lambda: len(read_all(cluster, ALERTS)) >= 3 and read_all(cluster, ALERTS), "alerts"
        )
        assert worker.stop() == 0
    assert [(one.json["kind"], one.json["balance"]) for one in got] == [
        ("low_balance", "-21.15"), ("arrears", "-21.15"), ("suspended", "-21.15")]  # fmt: skip
    assert len({one.json["alert_id"] for one in got}) == 3
    assert {one.key for one in got} == {"customer/C1"}


def test_a_killed_worker_is_followed_by_another_that_goes_on(cluster: Cluster, home: Path) -> None:
    """F-16: kill -9 loses nothing and doubles nothing, in the ledger and among the answers."""
    make_topics(cluster)
    with a_worker(cluster, home, "--batch", "50", now=NOW) as worker:
        send_calls(cluster, [a_call(place) for place in range(2000)])
        worker.until(lambda: calls_in(home, ["seq"]).num_rows >= 50, "some calls are in the ledger")
        worker.kill()
    assert calls_in(home).num_rows < 2000
    with a_worker(cluster, home, now=NOW) as worker:
        worker.until(lambda: calls_in(home, ["seq"]).num_rows >= 2000, "the rest is in the ledger")
        assert worker.stop() == 0
    assert set(map(tuple, outcomes(home).values())) == {("rated",)}
    assert calls_in(home).num_rows == 2000


def test_sigterm_drains_and_the_pages_tell_how_it_is(cluster: Cluster, home: Path) -> None:
    """F-27: health, readiness and figures; the log is JSON and names no caller."""
    make_topics(cluster)
    with a_worker(cluster, home, "--wait-ms", "30000", now=NOW) as worker:
        send_calls(cluster, [a_call(1), b'{"caller_number": "13853112345"}'])
        worker.until(lambda: "fentan_messages_total 2.0" in worker.get("/metrics"), "both are fetched")
        assert json.loads(worker.get("/health")) == {"status": "alive"}
        assert calls_in(home).num_rows == 0
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert calls_in(home).num_rows == 2
        lines = [json.loads(line) for line in worker.said.splitlines()]
        assert "13853112345" not in worker.said
    assert {"started", "assigned", "committed", "leaving"} <= {line["message"] for line in lines}


def test_a_worker_that_cannot_begin_says_why(cluster: Cluster, home: Path) -> None:
    worker = Worker(cluster, home)
    assert worker.wait() == 4
    assert "run `fentan topics create` first" in " ".join(worker.said.split())


@pytest.mark.parametrize(("group", "part"), [(CALLS_GROUP, "cdrs"), (COMMANDS_GROUP, "commands")])
def test_a_worker_that_gets_no_part_says_so_and_ends(
    cluster: Cluster, home: Path, group: str, part: str
) -> None:
    """It never hangs in silence: somebody else is in our group and shares out the partitions in another way."""
    make_topics(cluster)
    foreign = cluster.consumer(
        group_id=cluster.name(group), partition_assignment_strategy="cooperative-sticky"
    )
    foreign.subscribe([cluster.name(CDRS)])
    try:
        eventually(
            lambda: foreign.poll(0.1) is None and foreign.assignment(), "the other one has all partitions"
        )
        worker = Worker(cluster, home, "--ready-within", "5")
        eventually(
            lambda: foreign.poll(0.1) is None and not worker.process.is_alive(), "the worker has ended"
        )
    finally:
        foreign.close()
    assert worker.wait() == 4
    assert f"not given us our part of {part} yet" in " ".join(worker.said.split())
