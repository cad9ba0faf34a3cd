"""The Kafka cluster: its address, what its topics are called there, and a sentence when it cannot be reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.faults import BadRequest, LedgerFault
from streams.access import OPEN, Access, read_access

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Producer
    from kafka import KafkaAdminClient

CALLS_GROUP = "fentan-calls"
COMMANDS_GROUP = "fentan-commands"
REACH_MS = 10_000
"""How long a broker may take to answer at all."""


class BrokerFault(LedgerFault):
    """Kafka cannot be reached, or lacks what is asked of it."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the cluster has it: one that was made anew under the same name has another id."""

    name: str
    topic_id: str
    partitions: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """`address`: HOST:PORT, several with commas. `prefix` stands before our topics and groups, so that several
    ledgers can share a cluster. `access`: what a cluster asks for that asks who comes."""

    address: str
    prefix: str = ""
    access: Access = OPEN

    def name(self, topic: str) -> str:
        """A topic's or a group's name on the cluster."""
        return self.prefix + topic

    @contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        """A client that asks about and makes topics. Raises BrokerFault with one sentence."""
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError

        try:
            client = KafkaAdminClient(
                bootstrap_servers=self.address.split(","),
                bootstrap_timeout_ms=REACH_MS,
                client_id="fentan-admin",
                **self.access.for_kafka_python(),
            )
        except (KafkaError, ValueError, OSError) as error:
            if self.access.settings:
                raise BrokerFault(
                    f"No Kafka broker lets us in at {self.address} ({type(error).__name__}): is it started, and does "
                    "it take the protocol, certificates, user and password in the file of --kafka-config?"
                ) from error
            raise BrokerFault(
                f"No Kafka broker answers at {self.address} ({type(error).__name__}): start it (`make kafka` "
                "starts one for tries), or name another with --kafka HOST:PORT."
            ) from error
        try:
            yield client
        except KafkaError as error:
            raise BrokerFault(
                f"Kafka at {self.address} did not do what was asked of it: {type(error).__name__}. "
                "Look at the broker's log, and run the command again."
            ) from error
        finally:
            client.close()

    def described(self, topics: Iterable[str]) -> dict[str, Topic]:
        """The topics of these (unprefixed) names that the cluster has."""
        wanted = {self.name(topic): topic for topic in topics}
        with self.admin() as client:
            found = client.describe_topics(sorted(wanted))
        return {
            wanted[one["name"]]: Topic(one["name"], str(one["topic_id"]), len(one["partitions"]))
            for one in found
            if one["error_code"] == 0
        }

    def needed(self, topics: Iterable[str]) -> dict[str, Topic]:
        """As `described`; BrokerFault if one is not there."""
        wanted = list(topics)
        found = self.described(wanted)
        missing = [self.name(topic) for topic in wanted if topic not in found]
        if missing:
            raise BrokerFault(
                f"Kafka at {self.address} has no topic {', '.join(missing)}: run `fentan topics create` first."
            )
        return {topic: found[topic] for topic in wanted}

    def consumer(self, **settings: Any) -> Consumer:
        """A librdkafka consumer that never decides by itself where to begin."""
        from confluent_kafka import Consumer

        return Consumer(
            {
                "bootstrap.servers": self.address,
                "client.id": "fentan",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "logger": _SILENT,
                **self.access.for_librdkafka(),
                **{name.replace("_", "."): value for name, value in settings.items()},
            }
        )

    def producer(self, **settings: Any) -> Producer:
        """A librdkafka producer that is acknowledged by all replicas and doubles nothing by itself."""
        from confluent_kafka import Producer

        return Producer(
            {
                "bootstrap.servers": self.address,
                "client.id": "fentan",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 5,
                "logger": _SILENT,
                **self.access.for_librdkafka(),
                **{name.replace("_", "."): value for name, value in settings.items()},
            }
        )


def cluster_at(address: str | None, prefix: str, settings: Path | None = None) -> Cluster:
    """The cluster that the user named, entered by the `settings` in a file; BadRequest if either will not do."""
    if not address:
        raise BadRequest("Which Kafka? Give its broker: --kafka HOST:PORT, or set FENTAN_KAFKA.")
    bad = [one for one in address.split(",") if not one.rpartition(":")[2].isdigit() or not one[0].isalnum()]
    if bad:
        raise BadRequest(f'"{bad[0]}" is no broker\'s address: write HOST:PORT, such as localhost:9092.')
    return Cluster(address, prefix, OPEN if settings is None else read_access(settings))


def _quiet() -> Any:
    """librdkafka's own log lines go to a logger that is silent unless somebody turns it on."""
    import logging

    logger = logging.getLogger("fentan.librdkafka")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


_SILENT = _quiet()
