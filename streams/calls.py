"""Call records from Kafka into the ledger, in batches: one thread fetches and decodes, the ledger's thread commits.

A batch is flushed by size or by age, and only when the last one is in the ledger: at most one is being committed
and one gathered, so a slow ledger slows the fetching down and memory stays flat. On assignment the reader goes to
the offsets that the ledger names; the group's offsets are committed for other tools to look at, nothing more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from streams.batches import Batch, Committed, Span, commit, joined
from streams.cluster import CALLS_GROUP, BrokerFault, Cluster, Topic
from streams.ledger_thread import LedgerThread
from streams.messages import MessageDecoder
from streams.metrics import Metrics
from streams.positions import Bounds, Gap, starts

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

_BLOCK = 5_000
"""Messages that are fetched and decoded at once: about as many as the processor's cache holds."""
_HANDING_OVER_S = 5
"""How long a worker that loses partitions finishes its commit first; it would be refused if it came later."""
_KEEP_ALIVE_S = 10
_LOOK_S = 0.02
_IDLE_S = 0.1
_ANSWER_S = 10


_FILLS_WITHIN = 5


@dataclass(frozen=True, slots=True)
class Flush:
    """When a batch is committed: at so many records or bytes, or when its first record has waited so long.

    While a whole batch and more wait on the broker, a batch may take five times as long to fill: a few large commits
    catch up sooner than many small ones.
    """

    max_records: int = 100_000
    max_bytes: int = 64 << 20
    max_wait_s: float = 0.2


class _InHand(NamedTuple):
    """A batch that the ledger's thread is committing."""

    batch: Batch
    commit: Future[Committed]


class CallsReader:
    """Reads the topic of call records as a member of its group until it is told to stop."""

    def __init__(
        self,
        cluster: Cluster,
        topic: Topic,
        ledger: LedgerThread,
        clock: Callable[[], datetime],
        metrics: Metrics,
        flush: Flush | None = None,
        accepted_gaps: Collection[str] = (),
        session_timeout_s: int = 10,
    ) -> None:
        self.topic = topic
        self.assigned: frozenset[int] = frozenset()
        """The partitions that are ours now."""
        self.joined = False
        """True once the group has given us our part, which may be none."""
        self.on_commit: Callable[[], None] = lambda: None
        """Called after each commit, in the ledger's thread, for whoever publishes what follows from it."""
        self._cluster, self._ledger, self._clock, self._metrics = cluster, ledger, clock, metrics
        self._flush = flush or Flush()
        self._accepted = accepted_gaps
        self._session_ms = session_timeout_s * 1000
        self._stopping = threading.Event()
        self._decoder = MessageDecoder()
        self._messages: list[Message] = []
        self._parts: list[Batch] = []
        self._positions: dict[int, int] = {}
        self._records = self._bytes = 0
        self._first_s = 0.0
        self._behind = 0  # records on the broker that the ledger did not hold after the last commit
        self._in_hand: _InHand | None = None

    def stop(self) -> None:
        """What was fetched is committed, the group is left, and `run` returns."""
        self._stopping.set()

    def run(self) -> None:
        """Raises what makes it impossible to go on: Gap, LedgerFault."""
        consumer = self._cluster.consumer(
            group_id=self._cluster.name(CALLS_GROUP),
            partition_assignment_strategy="range",
            session_timeout_ms=self._session_ms,
            heartbeat_interval_ms=max(500, self._session_ms // 5),
            queued_max_messages_kbytes=64 << 10,
            fetch_wait_max_ms=50,
        )
        try:
            consumer.subscribe(
                [self.topic.name], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
            )
            while not self._stopping.is_set():
                self._turn(consumer)
            self._finish(consumer)
        finally:
            consumer.close()

    def _turn(self, consumer: Consumer) -> None:
        """Fetches a little, and hands a batch over if it is time."""
        if self._is_full() and self._in_hand is not None:
            self._wait_for_room(consumer, self._in_hand.commit)
        else:
            wait_s = _LOOK_S if self._records or self._in_hand else _IDLE_S
            messages = consumer.consume(min(_BLOCK, max(1, self._flush.max_records - self._records)), wait_s)
            if messages:
                self._take(messages)
        if self._in_hand is not None and self._in_hand.commit.done():
            self._done(consumer, self._in_hand)
        if self._records and self._in_hand is None and (self._is_full() or self._is_old()):
            self._hand_over()

    def _is_full(self) -> bool:
        return self._records >= self._flush.max_records or self._bytes >= self._flush.max_bytes

    def _is_old(self) -> bool:
        times = _FILLS_WITHIN if self._behind >= self._flush.max_records else 1
        return time.monotonic() - self._first_s >= times * self._flush.max_wait_s

    def _wait_for_room(self, consumer: Consumer, commit: Future[Committed]) -> None:
        """The ledger is slower than the topic: nothing is fetched until it is through, and the group still hears
        from us."""
        if wait([commit], timeout=_KEEP_ALIVE_S).done:
            return
        held = consumer.assignment()
        consumer.pause(held)
        try:
            while not wait([commit], timeout=1).done:
                message = consumer.poll(0)  # a rebalance may be served here
                if message is not None:
                    self._take([message])
        finally:
            consumer.resume([one for one in held if one in consumer.assignment()])

    def _take(self, messages: Sequence[Message]) -> None:
        """Adds what was fetched to the batch that is gathered; whole blocks are decoded at once."""
        from confluent_kafka import Message

        good = messages
        if any(map(Message.error, messages)):
            good = [message for message in messages if message.error() is None]
            for message in messages:
                error = message.error()
                if error is not None:
                    self._heed(error, message)
        if not good:
            return
        if not self._records:
            self._first_s = time.monotonic()
        size = sum(map(len, good))
        self._messages += good
        self._records += len(good)
        self._bytes += size
        self._metrics.fetched(len(good), size)
        if len(self._messages) >= _BLOCK:
            self._decode()

    def _decode(self) -> None:
        from confluent_kafka import Message

        good, self._messages = self._messages, []
        values, headers = list(map(Message.value, good)), list(map(Message.headers, good))
        partitions = np.fromiter(map(Message.partition, good), np.int32, len(good))
        offsets = np.fromiter(map(Message.offset, good), np.int64, len(good))
        records, counts = self._decoder.records(values, headers, offsets)
        spans = {}
        for partition in np.flatnonzero(np.bincount(partitions)).tolist():
            end = int(offsets[partitions == partition][-1]) + 1
            spans[partition] = Span(self._positions[partition], end)
            self._positions[partition] = end
        self._parts.append(Batch(records, np.repeat(partitions, counts), spans, good[0].timestamp()[1]))

    def _heed(self, error: KafkaError, message: Message) -> None:
        """An event instead of a record: librdkafka goes on by itself after most of them."""
        from confluent_kafka import KafkaError

        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            where = f"{message.topic()}/{message.partition()}"
            raise Gap(
                f"GAP: what comes next in {where} is no longer on the broker ({error.str()}). Start the worker again: "
                "it names the offsets that are missing and how to go on."
            )
        if error.code() in {
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError._UNKNOWN_TOPIC,
            KafkaError.UNKNOWN_TOPIC_ID,
        }:
            raise BrokerFault(
                f"The topic {self.topic.name} is no longer there ({error.str()}): was it deleted? Make it again with "
                "`fentan topics create`, start the worker, and send what it had not read."
            )
        if error.fatal() or not error.retriable():
            self._metrics.broker_trouble(str(error.str()))
        if error.fatal():
            raise BrokerFault(f"Kafka's client cannot go on: {error.str()}. Start the worker again.")

    def _hand_over(self) -> None:
        """The ledger's thread commits the batch; meanwhile the next one is gathered."""
        if self._messages:
            self._decode()
        batch = joined(self._parts)
        self._forget()
        began_s, topic, clock = time.monotonic(), self.topic, self._clock
        metrics, told = self._metrics, self.on_commit

        def charge_batch(home: Any) -> Committed:
            now = clock()
            done = commit(home, topic, batch, now)
            told()
            metrics.committed(done, time.monotonic() - began_s, batch, now)
            return done

        self._in_hand = _InHand(batch, self._ledger.submit(charge_batch))

    def _done(self, consumer: Consumer, in_hand: _InHand) -> None:
        """Raises what the commit raised; else the group is told."""
        self._in_hand = None
        in_hand.commit.result()
        self._tell_group(consumer, in_hand.batch)

    def _tell_group(self, consumer: Consumer, batch: Batch) -> None:
        from confluent_kafka import KafkaException, TopicPartition

        offsets = [
            TopicPartition(self.topic.name, partition, span.end)
            for partition, span in batch.spans.items()
            if partition in self.assigned
        ]
        try:
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=True)
            self._behind = 0
            for one in offsets:
                _, end = consumer.get_watermark_offsets(one, cached=True)
                self._behind += max(0, end - one.offset)
                self._metrics.lag(one.partition, end - one.offset)
        except KafkaException as error:  # only for others to look at
            self._metrics.broker_trouble(str(error))

    def _forget(self) -> None:
        self._messages, self._parts, self._records, self._bytes = [], [], 0, 0

    def _finish(self, consumer: Consumer) -> None:
        """Drains: what was fetched is committed."""
        while self._in_hand is not None or self._records:
            if self._in_hand is not None:
                wait([self._in_hand.commit])
                self._done(consumer, self._in_hand)
            if self._records:
                self._hand_over()

    # rebalances: called from within `consume`

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Goes on where the ledger is. One that is told to stop meanwhile takes nothing on."""
        from confluent_kafka import TopicPartition

        self._settle(_HANDING_OVER_S)
        numbers = [one.partition for one in partitions]
        bounds: dict[int, Bounds] = {}
        for number in numbers:
            found = self._bounds(consumer, number)
            if found is None:
                consumer.assign([])  # or the client would go on where the group is
                return
            bounds[number] = found

        def positions(home: Any) -> dict[int, int]:
            home.see()
            return go_to(home, self.topic, bounds, self._accepted)

        self._positions = self._ledger.submit(positions).result()
        consumer.assign(
            [TopicPartition(self.topic.name, number, at) for number, at in self._positions.items()]
        )
        self.assigned, self.joined = frozenset(numbers), True
        self._metrics.assigned(len(numbers))

    def _bounds(self, consumer: Consumer, partition: int) -> Bounds | None:
        """What the broker has of a partition; None if we are told to stop before it says so.

        A broker that has just come back may not know at once that it leads.

        Only exceptions of ours may leave a rebalance: the client passes its own on as something that Python does
        not take for an exception.
        """
        from confluent_kafka import KafkaException, TopicPartition

        why, until_s = "it did not answer", time.monotonic() + _ANSWER_S
        while time.monotonic() < until_s:
            if self._stopping.is_set():
                return None
            try:
                found = consumer.get_watermark_offsets(
                    TopicPartition(self.topic.name, partition), timeout=_ANSWER_S
                )
            except KafkaException as error:
                why = str(error)
                time.sleep(_LOOK_S)
            else:
                if found is not None:
                    first, end = found
                    return first, end
        raise BrokerFault(
            f"Kafka did not say within {_ANSWER_S} s which offsets it has of {self.topic.name}/{partition}: {why}. "
            "Look at the broker; a worker that is started when it answers goes on where the ledger is."
        )

    def _revoke(self, consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self._give_up(_HANDING_OVER_S)
        consumer.unassign()

    def _lose(self, consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        """The group went on without us, and others have our partitions: what we commit may be refused."""
        self._give_up(0)
        consumer.unassign()

    def _give_up(self, within_s: float) -> None:
        """What is gathered is dropped, and read again by whoever gets the partitions."""
        self.assigned, self._behind = frozenset(), 0
        self._metrics.assigned(0)
        self._forget()
        self._settle(within_s)

    def _settle(self, within_s: float) -> None:
        if self._in_hand is not None:
            wait([self._in_hand.commit], timeout=within_s)


def go_to(home: Any, topic: Topic, bounds: dict[int, Any], accepted: Collection[str]) -> dict[int, int]:
    """Partition -> the offset to begin at; where the user accepted a gap, the ledger's offset moves behind it."""
    from ledger.schema import CALLS
    from streams.positions import app_id, next_offset

    found = starts(home.calls, topic, bounds, accepted)
    moved = {
        app_id(topic, partition): at
        for partition, at in found.items()
        if at != next_offset(home.calls, topic, partition)
    }
    if moved:
        home.calls.append(CALLS.empty_table(), offsets=moved)
    return found
