"""What a worker counts and measures, in Prometheus' terms. Nothing in it names a phone number (F-27)."""

from __future__ import annotations

import logging
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from streams.batches import Batch, Committed

_BATCH_RECORDS = (1, 10, 100, 1_000, 5_000, 10_000, 50_000, 100_000)
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_log = logging.getLogger("fentan.worker")


class Metrics:
    """One worker's figures."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._messages = Counter("fentan_messages", "Messages fetched from cdrs.", registry=registry)
        self._bytes = Counter("fentan_message_bytes", "Their bytes.", registry=registry)
        self._records = Counter("fentan_records", "Call records committed.", ["outcome"], registry=registry)
        self._reasons = Counter(
            "fentan_unrated_records", "Call records that were not rated.", ["reason"], registry=registry
        )
        self._known = Counter(
            "fentan_known_records", "Records read again that the ledger held already.", registry=registry
        )
        self._races = Counter(
            "fentan_lost_races", "Commits that another writer was quicker than.", registry=registry
        )
        self._batch = Histogram(
            "fentan_batch_records", "Records a commit.", buckets=_BATCH_RECORDS, registry=registry
        )
        self._commit = Histogram(
            "fentan_commit_seconds",
            "Rating, committing and deciding a batch.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._arrival = Histogram(
            "fentan_arrival_to_ledger_seconds", "From a batch's first message, as Kafka dates it, to its commit.",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._lag = Gauge(
            "fentan_lag_records", "Records of cdrs not in the ledger.", ["partition"], registry=registry
        )
        self._assigned = Gauge(
            "fentan_assigned_partitions", "Partitions of cdrs read here.", registry=registry
        )
        self._commands = Counter("fentan_commands", "Commands answered.", ["outcome"], registry=registry)
        self._published = Counter("fentan_published", "Records sent.", ["topic"], registry=registry)
        self._alert_delay = Histogram(
            "fentan_alert_delay_seconds", "From the call or command that caused an alert to its delivery to Kafka.",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._trouble = Counter(
            "fentan_broker_troubles", "Errors that Kafka's client reported.", registry=registry
        )

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)

    def fetched(self, messages: int, size: int) -> None:
        """Messages have come, so many bytes in all."""
        self._messages.inc(messages)
        self._bytes.inc(size)

    def committed(self, done: Committed, took_s: float, batch: Batch, now: datetime) -> None:
        """A batch is in the ledger; `now` is when its records were received."""
        for outcome in ("rated", "duplicate", "rejected"):
            self._records.labels(outcome).inc(done.counts[outcome])
        for name, count in done.counts.items():
            if name.isupper():
                self._reasons.labels(name).inc(count)
        self._known.inc(done.known)
        self._races.inc(done.lost_races)
        self._batch.observe(done.rows)
        self._commit.observe(took_s)
        if batch.written_ms:
            waited_s = now.timestamp() - batch.written_ms / 1000
            self._arrival.observe(max(0.0, waited_s) + took_s)
        _log.info(
            "committed",
            extra={
                "rows": done.rows,
                "known": done.known,
                "lost_races": done.lost_races,
                "took_ms": round(took_s * 1000),
                "offsets": {number: span.end for number, span in batch.spans.items()},
            },
        )

    def lag(self, partition: int, records: int) -> None:
        """How many records of a partition the ledger does not hold yet."""
        self._lag.labels(str(partition)).set(max(0, records))

    def assigned(self, partitions: int) -> None:
        """The group has given us so many partitions."""
        self._assigned.set(partitions)
        if not partitions:
            self._lag.clear()
        _log.info("assigned", extra={"partitions": partitions})

    def answered(self, outcome: str) -> None:
        """A command is in the ledger."""
        self._commands.labels(outcome).inc()

    def published(self, topic: str, records: int) -> None:
        """Records were acknowledged by Kafka."""
        self._published.labels(topic).inc(records)

    def alerted(self, delay_s: float) -> None:
        """An alert was acknowledged by Kafka, so long after what caused it was received."""
        self._alert_delay.observe(max(0.0, delay_s))

    def broker_trouble(self, sentence: str) -> None:
        """Kafka's client has trouble that it may get over by itself."""
        self._trouble.inc()
        _log.warning("broker", extra={"error": sentence})
