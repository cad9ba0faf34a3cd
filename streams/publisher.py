"""From the ledger's tail to Kafka: the ledger is the outbox (DESIGN 7, F-20).

Nothing is published that is not committed, and a place in each table says how far it was published. It moves only
when Kafka has acknowledged, so nothing is missed whatever crashes; what is sent twice has the same id. Of several
workers one publishes: the one that reads partition 0 of cdrs. Should two do so for a moment, there are repeats, and
no more. Each table has a publisher of its own, so that alerts do not wait for the copies of rejects.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pyarrow as pa

from ledger.home import Home
from ledger.outbox import alerts_in
from ledger.tail import Tail
from streams import publications
from streams.cluster import Cluster
from streams.ledger_thread import LedgerThread
from streams.metrics import Metrics
from streams.place_file import PlaceFile
from streams.publications import Record
from streams.topics import COMMANDS

if TYPE_CHECKING:
    from confluent_kafka import Producer

Table = Literal["events", "calls"]
TABLES: tuple[Table, ...] = ("events", "calls")
_EVERY_S = {"events": 0.0, "calls": 1.0}
"""How long a publisher waits at least between two looks: balances of busy accounts change all the time."""
_ACCOUNTS = 1_000
_LOOK_S = 0.1
_PATIENCE_S = 20
_RETRY_S = 1
_log = logging.getLogger("fentan.publisher")


class _Reading(NamedTuple):
    """How far was published, and where in the table we are."""

    places: PlaceFile
    tail: Tail


class _Asked(NamedTuple):
    """Balances that the ledger's thread is asked for; with them, all below `next_seq` is told."""

    next_seq: int
    told: Future[list[Record]]


class Unsent(Exception):
    """Kafka did not acknowledge something: it is tried again."""


class Publisher:
    """Publishes what is new in one table; `run` until told to stop, or `step` by step."""

    def __init__(
        self,
        table: Table,
        cluster: Cluster,
        ledger: LedgerThread,
        clock: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        self.wake = threading.Event()
        """Set when there may be something new."""
        self._table, self._cluster, self._ledger = table, cluster, ledger
        self._clock, self._metrics = clock, metrics
        self._producer: Producer | None = None
        self._reading: _Reading | None = None
        self._accounts: set[str] = set()  # whose balances are to be told
        self._asked: _Asked | None = None
        self._done_until = 0
        self._stop_after: threading.Thread | None = None

    def stop_after(self, thread: threading.Thread) -> None:
        """Once this thread has ended, what is committed by then is still published, and `run` returns."""
        self._stop_after = thread

    def run(self, leads: Callable[[], bool]) -> None:
        """Publishes while `leads` says that this worker is the one that does.

        Raises LedgerFault if the ledger cannot be read. While Kafka does not take it, it is tried again.
        """
        led, next_s = False, 0.0
        while self._stop_after is None or self._stop_after.is_alive():
            self.wake.wait(_LOOK_S)
            self.wake.clear()
            led = leads() or (led and self._stop_after is not None)
            if not led:
                self._reading = None  # where the next one leaves off is read from the file
            elif time.monotonic() >= next_s:
                next_s = time.monotonic() + _EVERY_S[self._table]
                # alerts come from events: they do not wait for balances
                if not self._try_step("it is tried again", to_the_end=self._table == "calls"):
                    time.sleep(_RETRY_S)
        if led:
            self._try_step("the next worker does it", to_the_end=True)

    def _try_step(self, otherwise: str, *, to_the_end: bool) -> bool:
        try:
            self.step(to_the_end=to_the_end)
        except Unsent as error:
            _log.warning("not published, %s: %s", otherwise, error)
            self._reading = None
            return False
        return True

    def step(self, *, to_the_end: bool = True) -> int:
        """Publishes what is new, and returns how many records that was. Raises Unsent.

        Balances are asked of the ledger's thread, which may be committing a batch: `to_the_end` waits for them,
        else the next step sends them, and alerts need not wait.
        """
        self._reading = reading = self._reading or self._begin()
        sent = 0
        while (rows := reading.tail.fresh()).num_rows:
            records, touched = self._told(rows)
            self._accounts |= touched
            sent += self._send(records)
            self._measure(records, rows)
        while True:
            if self._asked is not None and (to_the_end or self._asked.told.done()):
                sent += self._send(self._asked.told.result())
                self._done_until = self._asked.next_seq
                self._asked = None
            if self._asked is not None or not self._accounts:
                break
            self._ask(reading.tail.next_seq)
        if not (self._asked or self._accounts):
            self._done_until = reading.tail.next_seq
        if self._done_until > (reading.places.offset("next_seq") or 0):
            reading.places.put({"next_seq": self._done_until})
        return sent

    def _ask(self, next_seq: int) -> None:
        """Some of the accounts at a time, for commits take turns with them; the last ones bring the place forward."""
        some = sorted(self._accounts)[:_ACCOUNTS]
        self._accounts.difference_update(some)
        until = self._done_until if self._accounts else next_seq
        self._asked = _Asked(until, self._ledger.submit(partial(publications.balances, accounts=some)))

    def _begin(self) -> _Reading:
        """Takes up the place where whoever published last left it."""
        places = PlaceFile(self._ledger.folder / f"published-{self._table}.json")
        self._accounts, self._asked, self._done_until = set(), None, places.offset("next_seq") or 0
        events, calls = Home.open_logs(self._ledger.folder)
        log, columns = (
            (events, publications.EVENT_COLUMNS)
            if self._table == "events"
            else (calls, publications.CALL_COLUMNS)
        )
        return _Reading(places, Tail(log, places.offset("next_seq") or 0, columns))

    def _told(self, rows: pa.Table) -> tuple[list[Record], set[str]]:
        """Records, and the accounts whose balances are to be told."""
        if self._table == "calls":
            return publications.of_calls(rows), publications.accounts_of_calls(rows)
        records = publications.of_events(rows, self._cluster.name(COMMANDS))
        return records, publications.accounts_of_events(rows)

    def _measure(self, records: list[Record], rows: pa.Table) -> None:
        for topic in {record.topic for record in records}:
            self._metrics.published(topic, sum(record.topic == topic for record in records))
        if self._table == "events":
            now = self._clock()
            for alert in alerts_in(rows):
                self._metrics.alerted((now - alert.received_at).total_seconds())

    def _send(self, records: list[Record]) -> int:
        """Returns how many when Kafka has acknowledged all of them; raises Unsent if it does not in good time."""
        from confluent_kafka import KafkaException

        if not records:
            return 0
        producer = self._producer or self._cluster.producer(message_timeout_ms=_PATIENCE_S * 1000)
        self._producer = None  # a producer that gave up on a record may not go on in order
        failures: list[str] = []

        def heard(error: Any, _message: Any) -> None:
            if error is not None:
                failures.append(str(error))

        try:
            for record in records:
                self._produce(producer, record, heard)
            left = producer.flush(_PATIENCE_S + 5)
        except KafkaException as error:
            raise Unsent(str(error)) from error
        if left or failures:
            raise Unsent(failures[0] if failures else f"{left} records were not acknowledged")
        self._producer = producer
        return len(records)

    def _produce(self, producer: Producer, record: Record, heard: Callable[[Any, Any], None]) -> None:
        name = self._cluster.name(record.topic)
        while True:
            try:
                producer.produce(
                    name, key=record.key, value=record.value, headers=list(record.headers), on_delivery=heard
                )
            except BufferError:
                producer.poll(0.1)
            else:
                producer.poll(0)
                return
