"""The topics: what each is for, how it is cut and how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from streams.cluster import Cluster

CDRS, COMMANDS = "cdrs", "commands"
ALERTS, ANSWERS, REJECTS, ACCOUNT_CHANGES = "alerts", "answers", "rejects", "account-changes"

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Kind:
    """A topic's shape. `keep_days` None: for ever, the latest record of a key (compaction)."""

    key: str
    partitions: int
    keep_days: int | None
    purpose: str

    def settings(self) -> dict[str, str]:
        """The topic's configuration on the broker."""
        if self.keep_days is None:
            return {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
        return {"cleanup.policy": "delete", "retention.ms": str(self.keep_days * _DAY_MS)}


TOPICS = {
    CDRS: Kind("service number", 12, 7, "call records on their way into the ledger"),
    # one partition: a command may rest on any one before it
    COMMANDS: Kind("account or service number", 1, 30, "business commands, decided in this order"),
    ANSWERS: Kind("command_id", 1, 30, "what became of each command"),
    ALERTS: Kind("account", 3, 30, "arrears alerts"),
    REJECTS: Kind("where it stood", 3, 30, "copies of what was rejected, with its bytes"),
    ACCOUNT_CHANGES: Kind("account", 12, None, "the latest balance of each account"),
}


@dataclass(frozen=True, slots=True)
class Made:
    """What `create` found or did."""

    name: str
    partitions: int
    is_new: bool


def create(cluster: Cluster, partitions: int | None = None, replicas: int | None = None) -> list[Made]:
    """Makes the topics that are not there; those that are stay as they are.

    `partitions`: of cdrs and account-changes, instead of the usual 12. `replicas`: None is the broker's default.
    Raises BrokerFault.
    """
    from kafka.admin import NewTopic

    there = cluster.described(TOPICS)
    wanted = {
        topic: partitions if partitions and kind.partitions > 3 else kind.partitions
        for topic, kind in TOPICS.items()
        if topic not in there
    }
    if wanted:
        new = [
            NewTopic(cluster.name(topic), count, replicas or -1, topic_configs=TOPICS[topic].settings())
            for topic, count in wanted.items()
        ]
        with cluster.admin() as client:
            client.create_topics(new)
            client.wait_for_topics([one.name for one in new])
    return [
        Made(cluster.name(topic), wanted.get(topic) or there[topic].partitions, topic in wanted)
        for topic in TOPICS
    ]
