"""What others are told, from the ledger's tail to Kafka: alerts, answers, rejects, balances (DESIGN 7, F-20).

The ledger is the outbox: nothing is published that is not committed, and a place in each table says how far it was
published. It moves only when Kafka has acknowledged, so nothing is missed whatever crashes; what is sent twice has
the same id. Of several workers one publishes: the one that reads partition 0 of cdrs. Should two do so for a moment,
there are repeats, and no more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ledger.home import Home
from ledger.outbox import alerts_in
from ledger.tail import Tail
from rating.calendar import instant_text
from rating.money import yuan_text
from streams.cluster import Cluster
from streams.ledger_thread import LedgerThread
from streams.metrics import Metrics
from streams.place_file import PlaceFile
from streams.topics import ACCOUNT_CHANGES, ALERTS, ANSWERS, COMMANDS, REJECTS

if TYPE_CHECKING:
    from confluent_kafka import Producer

FILE_NAME = "published.json"
_EVENTS = ["seq", "command_id", "kind", "outcome", "reason", "detail", "at", "received_at", "effect",
           "raw", "source", "source_pos", "p_debit", "p_credit"]  # fmt: skip
_CALLS = ["seq", "outcome", "reason", "detail", "customer_id", "raw", "source", "source_pos", "received_at"]
_LOOK_S = 0.1
_CALLS_EVERY_S = 0.5
_PATIENCE_S = 20
_RETRY_S = 1
_log = logging.getLogger("fentan.publisher")


class Record(NamedTuple):
    """One record for Kafka."""

    topic: str
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class _Reading(NamedTuple):
    """How far was published, and where in both tables we are."""

    places: PlaceFile
    events: Tail
    calls: Tail


class Unsent(Exception):
    """Kafka did not acknowledge something: it is tried again."""


class Publisher:
    """Publishes what is new in the ledger; `run` until told to stop, or `step` by step."""

    def __init__(
        self, cluster: Cluster, ledger: LedgerThread, clock: Callable[[], datetime], metrics: Metrics
    ) -> None:
        self.wake = threading.Event()
        """Set when there may be something new."""
        self._cluster, self._ledger, self._clock, self._metrics = cluster, ledger, clock, metrics
        self._producer: Producer | None = None
        self._reading: _Reading | None = None
        self._calls_due_s = 0.0
        self._stop_after: threading.Thread | None = None

    def stop_after(self, thread: threading.Thread) -> None:
        """Once this thread has ended, what is committed by then is still published, and `run` returns."""
        self._stop_after = thread

    def run(self, leads: Callable[[], bool]) -> None:
        """Publishes while `leads` says that this worker is the one that does.

        Raises LedgerFault if the ledger cannot be read. While Kafka does not take it, it is tried again.
        """
        led = False
        while self._stop_after is None or self._stop_after.is_alive():
            self.wake.wait(_LOOK_S)
            self.wake.clear()
            led = leads() or (led and self._stop_after is not None)
            if not led:
                self._rest()
                continue
            try:
                self.step(calls_too=time.monotonic() >= self._calls_due_s)
            except Unsent as error:
                _log.warning("not published, it is tried again: %s", error)
                self._rest()
                time.sleep(_RETRY_S)
        if led:
            try:
                self.step()
            except Unsent as error:
                _log.warning("left for the next worker to publish: %s", error)

    def step(self, *, calls_too: bool = True) -> int:
        """Publishes all that is new, and returns how many records that was. Raises Unsent."""
        self._reading = reading = self._reading or self._begin()
        sent = self._publish(reading.places, "events", reading.events, self._of_events)
        if calls_too:
            sent += self._publish(reading.places, "calls", reading.calls, self._of_calls)
            self._calls_due_s = time.monotonic() + _CALLS_EVERY_S
        return sent

    def _begin(self) -> _Reading:
        """Takes up the places where whoever published last left them."""
        places = PlaceFile(self._ledger.folder / FILE_NAME)
        events, calls = Home.open_logs(self._ledger.folder)
        return _Reading(
            places,
            Tail(events, places.offset("events") or 0, _EVENTS),
            Tail(calls, places.offset("calls") or 0, _CALLS),
        )

    def _rest(self) -> None:
        """The places are read again before the next step."""
        self._reading = None

    def _publish(
        self, places: PlaceFile, table: str, tail: Tail, records_of: Callable[[pa.Table], list[Record]]
    ) -> int:
        sent = 0
        while (rows := tail.fresh()).num_rows:
            records = records_of(rows)
            self._send(records)
            if table == "events":
                self._measure(rows)
            places.put({table: tail.next_seq})
            sent += len(records)
        return sent

    def _of_events(self, rows: pa.Table) -> list[Record]:
        """Alerts, answers to commands that came by Kafka, commands that could not be read, and balances."""
        records = [
            Record(ALERTS, told.account, orjson.dumps(told)) for told in (a.told() for a in alerts_in(rows))
        ]
        ours = f"{self._cluster.name(COMMANDS)}/"
        asked = rows.filter(pc.fill_null(pc.starts_with(rows.column("source"), ours), fill_value=False))
        for row in asked.select(
            ["seq", "command_id", "kind", "outcome", "reason", "detail", "source", "source_pos"]
        ).to_pylist():
            key = row["command_id"] or f"{row['source']}@{row['source_pos']}"
            records.append(Record(ANSWERS, key, orjson.dumps(row)))
        records += _rejects("events", rows)
        accounts = {
            "/".join(path.split("/")[:2])
            for name in ("p_debit", "p_credit")
            for path in pc.unique(pc.list_flatten(rows.column(name))).to_pylist()
        }
        return records + self._balances(
            account for account in accounts if not account.startswith("platform/")
        )

    def _of_calls(self, rows: pa.Table) -> list[Record]:
        """Rejects, and the balances of those who were charged."""
        charged = pc.unique(rows.column("customer_id")).drop_null().to_pylist()
        return _rejects("calls", rows) + self._balances(f"customer/{customer}" for customer in charged)

    def _balances(self, accounts: Iterable[str]) -> list[Record]:
        """What these accounts come to now: a later one replaces an earlier one of the same account."""
        wanted = sorted(set(accounts))
        if not wanted:
            return []

        def ask(home: Home) -> list[Record]:
            home.see()
            state = home.state
            return [
                Record(
                    ACCOUNT_CHANGES,
                    account,
                    orjson.dumps(
                        {
                            "account": account,
                            "balance": yuan_text(state.balance(account)),
                            "calls_seq": state.calls_seq,
                            "events_seq": state.events_seq,
                        }
                    ),
                )
                for account in wanted
            ]

        return self._ledger.submit(ask).result()

    def _measure(self, rows: pa.Table) -> None:
        now = self._clock()
        for alert in alerts_in(rows):
            self._metrics.alerted((now - alert.received_at).total_seconds())

    def _send(self, records: list[Record]) -> None:
        """Returns when Kafka has acknowledged all of them; raises Unsent if it does not in good time."""
        from confluent_kafka import KafkaException

        if not records:
            return
        if self._producer is None:
            self._producer = self._cluster.producer(message_timeout_ms=_PATIENCE_S * 1000)
        failures: list[str] = []

        def heard(error: Any, _message: Any) -> None:
            if error is not None:
                failures.append(str(error))

        try:
            for record in records:
                self._produce(self._producer, record, heard)
            left = self._producer.flush(_PATIENCE_S + 5)
        except KafkaException as error:
            self._producer = None
            raise Unsent(str(error)) from error
        if left or failures:
            self._producer = None  # a producer that gave up on a record may not go on in order
            raise Unsent(failures[0] if failures else f"{left} records were not acknowledged")
        for topic in {record.topic for record in records}:
            self._metrics.published(topic, sum(record.topic == topic for record in records))

    def _produce(self, producer: Producer, record: Record, heard: Callable[[Any, Any], None]) -> None:
        while True:
            try:
                producer.produce(
                    self._cluster.name(record.topic),
                    key=record.key.encode(),
                    value=record.value,
                    headers=list(record.headers),
                    on_delivery=heard,
                )
            except BufferError:
                producer.poll(0.1)
            else:
                producer.poll(0)
                return


def _rejects(table: str, rows: pa.Table) -> list[Record]:
    """Copies of rejected records: the value is what came, the headers say why it was rejected and where it stood."""
    rejected = rows.filter(pc.equal(rows.column("outcome"), "rejected"))
    names = ["seq", "reason", "detail", "raw", "source", "source_pos", "received_at"]
    found = []
    for row in rejected.select(names).to_pylist():
        told = {
            "reject_id": f"{table}/{row['seq']}",
            "reason": row["reason"],
            "detail": row["detail"],
            "source": row["source"],
            "source_pos": row["source_pos"],
            "received_at": instant_text(row["received_at"]),
        }
        headers = tuple((name, str(value).encode()) for name, value in told.items() if value is not None)
        found.append(Record(REJECTS, f"{row['source']}@{row['source_pos']}", row["raw"] or b"", headers))
    return found
