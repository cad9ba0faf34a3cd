"""Business commands from Kafka into the ledger, as a Faust agent: in order, each answered once (F-16, F-19).

Faust may skip a record when an agent ends or partitions move, and may commit its offset nevertheless. So nothing
here rests on Faust's offsets: a partition is read from where the ledger is (`streams.faust_app`), records that the
ledger holds are passed over, and ones that Faust did not hand out are fetched directly before going on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from ledger.home import Home
from ledger.submit import Answer, Line, submit
from streams.cluster import BrokerFault, Cluster, Topic
from streams.positions import app_id, next_offset, source

_FETCH_S = 30


class Received(NamedTuple):
    """One message of the topic of commands."""

    partition: int
    offset: int
    value: bytes


class CommandReader:
    """Decides what comes, in the ledger's thread."""

    def __init__(self, cluster: Cluster, topic: Topic, clock: Callable[[], datetime]) -> None:
        self.topic = topic
        self._cluster, self._clock = cluster, clock

    def decide(self, received: list[Received], home: Home) -> list[Answer]:
        """Every command among them that the ledger does not hold is in it when this returns, with its answer."""
        answers: list[Answer] = []
        for partition in sorted({one.partition for one in received}):
            mine = sorted(one for one in received if one.partition == partition)
            home.see()
            at = next_offset(home.events, self.topic, partition)
            if mine[0].offset > at:
                mine = [*fetch(self._cluster, self.topic, partition, at, mine[0].offset), *mine]
            answers += self._submit(home, partition, mine)
        return answers

    def _submit(self, home: Home, partition: int, received: list[Received]) -> list[Answer]:
        app, topic = app_id(self.topic, partition), self.topic

        def offsets(line: Line) -> Mapping[str, int]:
            return {app: line.end}

        def known(line: Line) -> bool:
            return line.pos < next_offset(home.events, topic, partition)

        lines = [Line(one.value, one.offset, one.offset + 1) for one in received]
        return submit(home, lines, source(topic, partition), self._clock(), offsets, known)


def fetch(cluster: Cluster, topic: Topic, partition: int, since: int, until: int) -> list[Received]:
    """The records with since <= offset < until; offsets that a transaction's marks took hold none.

    Raises BrokerFault if Kafka does not give them within half a minute.
    """
    from confluent_kafka import TopicPartition

    found: list[Received] = []
    consumer = cluster.consumer(group_id=cluster.name("fentan-fetch"))
    try:
        place = TopicPartition(topic.name, partition, since)
        consumer.assign([place])
        patience_until = time.monotonic() + _FETCH_S
        while time.monotonic() < patience_until:
            for message in consumer.consume(1000, timeout=0.1):
                offset = message.offset()
                if message.error() is None and offset is not None and since <= offset < until:
                    found.append(Received(partition, offset, message.value() or b""))
            (reached,) = consumer.position([place])
            if reached.offset >= until:
                return found
    finally:
        consumer.close()
    raise BrokerFault(
        f"Kafka did not give the offsets {since} to {until - 1} of {source(topic, partition)} within {_FETCH_S} s: "
        "look at the broker, then start the worker again."
    )
