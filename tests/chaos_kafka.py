"""Kills workers, the broker and the group at random while a producer sends, and judges what is left (F-16, F-19, F-28).

    python -m tests.chaos_kafka --seed 7 --runs 20

A producer sends calls, repeats, conflicts and poison to `cdrs`, and commands. Meanwhile workers are killed, stopped
for longer than their session and woken again, ended and started; the broker is killed and comes back; strangers join
and leave the group. In the end the ledger must be, record by record, what the same topic gives a ledger that reads it
undisturbed; every command must be answered, and every alert published, each at least once under its one id.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from broker.node import Node
from ledger.home import Home
from ledger.submit import Line, submit
from ledger.verify import verify
from rating import price_book
from rating.calendar import instant_text
from streams.batches import Batch, Span, commit
from streams.cluster import CALLS_GROUP, BrokerFault, Cluster, Topic
from streams.messages import MessageDecoder
from streams.topics import ALERTS, ANSWERS, CDRS, COMMANDS, TOPICS, create
from tests.kafka_cluster import Got, Worker, read_all
from tests.ledgers import ARRIVED, OPENED, a_call, life
from tests.patience import eventually

NOW = instant_text(ARRIVED)
NUMBERS = ("0392", "0395", "0518", "0629", "0731", "0846", "0957", "0163")  # ordinary ones
CUSTOMERS = len(NUMBERS)
PARTITIONS = 4
SESSION_S = 2
PATIENCE_S = 120


def number_of(customer: int) -> str:
    return f"400117{NUMBERS[customer]}"


def founding() -> Iterator[bytes]:
    """The commands that make the customers, each with an active number."""
    for customer in range(CUSTOMERS):
        for kind, at, fields in life(number_of(customer), f"C{customer}"):
            if kind != "register_provider" or not customer:
                line = {"command_id": f"{kind}-{customer}", "at": at, "kind": kind, **fields}
                yield json.dumps(line).encode()


def records(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """(key, value): calls, some twice, some with other content under the same id, some that nobody can read."""
    sent: list[tuple[str, int, int]] = []
    for place in range(count):
        dice = rng.random()
        if dice < 0.05 and sent:
            number, known, minutes = rng.choice(sent)
            yield number, a_call(known, minutes=minutes, service_number=number).rstrip()
        elif dice < 0.08 and sent:
            number, known, minutes = rng.choice(sent)
            yield number, a_call(known, minutes=minutes + 1, service_number=number).rstrip()
        elif dice < 0.11:
            yield (
                f"poison-{rng.random()}",
                rng.choice([b"poison", b"{", b"\xff\xfe", b'{"call_id": "x"}', b""]),
            )
        else:
            number, minutes = number_of(rng.randrange(CUSTOMERS)), rng.choice([1, 2, 5, 300])
            sent.append((number, place, minutes))
            yield number, a_call(place, minutes=minutes, service_number=number).rstrip()


def commands(count: int) -> Iterator[bytes]:
    """Business that goes on meanwhile, of customers of its own; every fifth one comes twice."""
    for place in range(count):
        at = instant_text(OPENED + timedelta(days=40, minutes=place))
        fields = {"customer_id": f"new-{place}", "provider_id": "P1", "name": "来客"}
        line = json.dumps(
            {"command_id": f"n{place}", "at": at, "kind": "register_customer", **fields}
        ).encode()
        yield line
        if place % 5 == 0:
            yield line


@dataclass
class Chaos:
    """One run."""

    seed: int
    folder: Path
    count: int
    node: Node
    """the broker, which runs; several runs may share it, one after the other"""
    workers: list[Worker] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    """what was done to it"""
    unsent: list[str] = field(default_factory=list)
    """what the broker did not take from the producer"""
    exits: list[str] = field(default_factory=list)
    """what workers said that ended by themselves"""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.cluster = Cluster(self.node.address, f"chaos-{self.seed}-")
        self.home = self.folder / "home"
        self.sent = threading.Event()

    def run(self) -> None:
        """AssertionError if anything is lost, doubled or otherwise than undisturbed."""
        found(self.home)
        shutil.copytree(self.home, self.folder / "calm")
        try:
            eventually(self._create, "the topics are made", PATIENCE_S)
            self.workers = [self._start(), self._start()]
            producing = threading.Thread(target=self._produce, daemon=True)
            producing.start()
            while not self.sent.is_set():
                time.sleep(self.rng.uniform(0.1, 0.8))
                self._disturb()
                self._supervise()
            producing.join()
            assert not self.unsent, f"the producer was not heard: {self.unsent[0]}"
            self._settle()
            self._judge()
        finally:
            for worker in self.workers:
                worker.kill()
            # a broker with many topics is long in coming back; one that has just done so may not know them all
            with suppress(BrokerFault), self.cluster.admin() as admin:
                admin.delete_topics([self.cluster.name(topic) for topic in TOPICS])

    # what happens to it

    def _create(self) -> bool:
        """A broker that has just come back may not know yet that it is one."""
        with suppress(BrokerFault):
            create(self.cluster, PARTITIONS)
            return True
        return False

    def _start(self) -> Worker:
        batch = str(self.rng.choice([50, 150, 400]))
        options = ("--batch", batch, "--wait-ms", str(self.rng.choice([5, 50, 200])))
        return Worker(self.cluster, self.home, *options, "--session-timeout", str(SESSION_S), now=NOW)

    def _produce(self) -> None:
        """Sends over a few seconds, whatever the broker does; idempotent, so each record is on the topic once."""
        rng = random.Random(self.seed + 1)
        producer = self.cluster.producer(message_timeout_ms=3 * PATIENCE_S * 1000)

        def heard(error: Any, _message: Any) -> None:
            if error is not None:
                self.unsent.append(str(error))

        business = commands(self.count // 20)
        for place, (key, value) in enumerate(records(rng, self.count)):
            producer.produce(self.cluster.name(CDRS), key=key, value=value, on_delivery=heard)
            if place % 20 == 0:
                for line in (next(business, None), next(business, None)):
                    if line is not None:
                        producer.produce(self.cluster.name(COMMANDS), value=line, on_delivery=heard)
            if place % (self.count // 40) == 0:
                producer.poll(0)
                time.sleep(rng.uniform(0.05, 0.2))
        for line in business:
            producer.produce(self.cluster.name(COMMANDS), value=line, on_delivery=heard)
        left = producer.flush(3 * PATIENCE_S)
        self.unsent += [f"{left} records are still on their way"] if left else []
        self.sent.set()

    def _disturb(self) -> None:
        kinds: list[tuple[Callable[[], None], int]] = [
            (self._kill_worker, 5), (self._freeze_worker, 2), (self._end_worker, 2), (self._kill_broker, 1),
            (self._strange_member, 2)]  # fmt: skip
        (what,) = self.rng.choices([one for one, _ in kinds], [weight for _, weight in kinds])
        self.done.append(what.__name__.strip("_"))
        what()

    def _kill_worker(self) -> None:
        self.rng.choice(self.workers).kill()

    def _end_worker(self) -> None:
        self.rng.choice(self.workers).signal(signal.SIGTERM)

    def _freeze_worker(self) -> None:
        """Stopped for longer than its session, then woken: a zombie with a batch in hand."""
        worker = self.rng.choice(self.workers)
        worker.signal(signal.SIGSTOP)
        threading.Timer(
            SESSION_S * 1.6, lambda: worker.process.is_alive() and worker.signal(signal.SIGCONT)
        ).start()

    def _kill_broker(self) -> None:
        self.node.kill()
        time.sleep(self.rng.uniform(0, 1))
        self.node.start()

    def _strange_member(self) -> None:
        """Somebody joins the group of the workers, gets partitions, and leaves without reading."""
        from confluent_kafka import Consumer

        member = Consumer({"bootstrap.servers": self.node.address, "group.id": self.cluster.name(CALLS_GROUP), "enable.auto.commit": False,
                           "partition.assignment.strategy": "range", "session.timeout.ms": SESSION_S * 1000})  # fmt: skip
        member.subscribe([self.cluster.name(CDRS)])
        member.poll(self.rng.uniform(0.2, 1))
        member.close()

    def _supervise(self) -> None:
        """What a supervisor does: a worker that has ended is started again."""
        for place, worker in enumerate(self.workers):
            if not worker.process.is_alive():
                if worker.process.exitcode not in {0, -signal.SIGKILL, -signal.SIGTERM}:
                    self.exits.append((worker.said.strip().splitlines() or ["nothing"])[-1])
                self.workers[place] = self._start()

    # how it must end

    def _settle(self) -> None:
        """Nothing disturbs any more: the rest goes into the ledger and out of it."""
        until = time.monotonic() + PATIENCE_S

        def finished() -> bool:
            self._supervise()
            assert time.monotonic() < until, f"it hangs: {[worker.said[-2000:] for worker in self.workers]}"
            events, calls = Home.open_logs(self.home)
            if calls.next_seq < self.count:
                return False
            rows = events.read_since(0, ["kind", "source"]).to_pylist()
            asked = sum((row["source"] or "").startswith(self.cluster.name(COMMANDS)) for row in rows)
            return asked >= len(read_all(self.cluster, COMMANDS)) and self._published()

        eventually(finished, "everything is in the ledger and told", PATIENCE_S)

    def _published(self) -> bool:
        told = {got.json["alert_id"] for got in read_all(self.cluster, ALERTS)}
        answered = {got.json["source_pos"] for got in read_all(self.cluster, ANSWERS)}
        return told >= set(alerts_of(self.home)) and answered >= {
            got.offset for got in read_all(self.cluster, COMMANDS)
        }

    def _judge(self) -> None:
        topic = read_all(self.cluster, CDRS)
        assert len(topic) == self.count, f"{self.count} sent, {len(topic)} on the topic"
        calm = self.folder / "calm"
        read_undisturbed(calm, self.cluster.name(CDRS), topic)
        assert calls_of(self.home) == calls_of(calm)
        assert alerts_of(self.home) == alerts_of(calm)
        assert verify(*Home.open_logs(self.home)) == []
        told = {got.json["alert_id"]: (got.json["account"], got.json["kind"], got.json["balance"])
                for got in read_all(self.cluster, ALERTS)}  # fmt: skip
        assert told == alerts_of(self.home)
        outcomes: dict[int, set[str]] = {}
        for got in read_all(self.cluster, ANSWERS):
            outcomes.setdefault(got.json["source_pos"], set()).add(got.json["outcome"])
        seen: set[bytes] = set()
        for got in read_all(self.cluster, COMMANDS):
            assert outcomes[got.offset] == {"duplicate" if got.value in seen else "accepted"}
            seen.add(got.value)
        strange = [said for said in self.exits if "fault of Fentan" in said]
        assert not strange, strange


def found(home: Path) -> None:
    """A ledger with the customers."""
    made = Home.create(home, price_book.default_text(), "default.toml", OPENED)
    answers = submit(made, [Line(raw) for raw in founding()], "founding", OPENED, lambda _: {})
    assert {answer.outcome for answer in answers} == {"accepted"}, answers


def read_undisturbed(home: Path, name: str, topic: list[Got]) -> None:
    """Makes the ledger that the topic gives when nobody disturbs: partition by partition, in one process."""
    made, decoder = Home.open(home), MessageDecoder()
    for partition in range(PARTITIONS):
        mine = [got for got in topic if got.partition == partition]
        if mine:
            offsets = np.array([got.offset for got in mine])
            rows, _ = decoder.records([got.value for got in mine], [None] * len(mine), offsets)
            span = Span(0, mine[-1].offset + 1)
            batch = Batch(rows, np.full(len(mine), partition, np.int32), {partition: span})
            commit(made, Topic(name, "calm", PARTITIONS), batch, ARRIVED)


def calls_of(home: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Where a record stood -> what became of it. Two rows of one place would be one record twice."""
    columns = ["outcome", "reason", "call_id", "customer_id", "owner_fee", "duration_s", "tags", "raw", "source", "source_pos"]  # fmt: skip
    rows = Home.open_logs(home)[1].read_since(0, columns).to_pylist()
    places = {(row["source"], row["source_pos"]): row for row in rows}
    assert len(places) == len(rows), "a record is in the ledger twice"
    return places


def alerts_of(home: Path) -> dict[str, tuple[str, str, str]]:
    """alert_id -> account, kind, balance."""
    rows = Home.open_logs(home)[0].read_since(0, ["kind", "effect"]).to_pylist()
    effects = [json.loads(row["effect"]) for row in rows if row["kind"] == "alert"]
    ids = [effect["alert_id"] for effect in effects]
    assert len(set(ids)) == len(ids), "an alert was decided twice"
    return {one["alert_id"]: (one["account"], one["kind"], one["balance"]) for one in effects}


def run(seed: int, folder: Path, node: Node, count: int = 1200) -> Chaos:
    """One run; AssertionError, with its seed, if it does not end as it must."""
    chaos = Chaos(seed, folder, count, node)
    try:
        chaos.run()
    except AssertionError as error:
        failed = AssertionError(f"seed {seed}, after {chaos.done}: {error}")
        failed.add_note(node.log.read_text(encoding="utf-8", errors="replace")[-20_000:])
        raise failed from error
    return chaos


def main() -> None:
    """Reads the arguments, prints a line a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--records", type=int, default=1200)
    given = parser.parse_args()
    failed = 0
    place = Path(tempfile.mkdtemp(prefix="fentan-chaos-kafka-"))
    node = Node(place / "kafka")
    node.start()
    for seed in range(given.seed, given.seed + given.runs):
        folder = place / str(seed)
        began = time.monotonic()
        try:
            chaos = run(seed, folder, node, given.records)
        except Exception as error:  # noqa: BLE001  a run that the harness itself did not survive has failed
            failed += 1
            (folder / "failure.txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            print(f"FAILED, see {folder}: {type(error).__name__}: {str(error)[:3000]}", flush=True)
            node.kill()
            node.start()
            continue
        took = time.monotonic() - began
        print(f"seed {seed}: right after {' '.join(chaos.done)}; {took:.0f} s", flush=True)
        for said in chaos.exits:
            print(f"  a worker ended: {said}", flush=True)
        shutil.rmtree(folder)
    node.kill()
    if not failed:
        shutil.rmtree(place)
    print(f"{given.runs - failed} of {given.runs} runs ended as undisturbed ones do")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
