"""How far the ledger is behind each partition: in records, and in seconds since the next one was written."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ledger.log import Log
from streams.cluster import CALLS_GROUP, COMMANDS_GROUP, Cluster, Topic
from streams.positions import next_offset
from streams.topics import CDRS, COMMANDS, TOPICS

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

STATUS = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int64()),
        ("first_offset", pa.int64()),
        ("end_offset", pa.int64()),
        ("ledger_offset", pa.int64()),
        ("group_offset", pa.int64()),
        ("lag_records", pa.int64()),
        ("lag_s", pa.int64()),
    ]
)
_WAIT_S = 5
Partition = tuple[str, int]
"""A topic's name on the cluster, and the partition."""


def status(cluster: Cluster, events: Log, calls: Log, now: datetime) -> pa.Table:
    """A row for each partition, as STATUS; what is not read into the ledger has neither offsets there nor lag.

    `lag_s` is the age of the first record that the ledger does not hold. Raises BrokerFault.
    """
    topics = cluster.needed(TOPICS)
    places = [(topic.name, number) for topic in topics.values() for number in range(topic.partitions)]
    read = {CDRS: (calls, CALLS_GROUP), COMMANDS: (events, COMMANDS_GROUP)}
    groups: dict[Partition, int] = {}
    with cluster.admin() as client:
        first, end = (_offsets(client, places, which) for which in ("EARLIEST", "LATEST"))
        for topic, (_, group) in read.items():
            groups |= _group_offsets(client, cluster.name(group), topics[topic])
    ledger = {
        (topics[topic].name, number): next_offset(log, topics[topic], number)
        for topic, (log, _) in read.items()
        for number in range(topics[topic].partitions)
    }
    behind = {place: at for place, at in ledger.items() if at < end[place]}
    written_ms = first_timestamps_ms(cluster, {place: max(at, first[place]) for place, at in behind.items()})
    now_ms = int(now.timestamp() * 1000)
    rows = [
        {
            "topic": name,
            "partition": number,
            "first_offset": first[name, number],
            "end_offset": end[name, number],
            "ledger_offset": ledger.get((name, number)),
            "group_offset": groups.get((name, number)),
            "lag_records": max(0, end[name, number] - ledger[name, number])
            if (name, number) in ledger
            else None,
            "lag_s": _age_s(now_ms, written_ms.get((name, number))) if (name, number) in ledger else None,
        }
        for name, number in places
    ]
    return pa.Table.from_pylist(rows, schema=STATUS)


def _age_s(now_ms: int, written_ms: int | None) -> int:
    return 0 if written_ms is None else max(0, now_ms - written_ms) // 1000


def _offsets(client: KafkaAdminClient, places: list[Partition], which: str) -> dict[Partition, int]:
    from kafka import TopicPartition
    from kafka.admin import OffsetSpec

    asked = {TopicPartition(*place): OffsetSpec[which] for place in places}
    found: dict[Any, Any] = client.list_partition_offsets(asked)
    return {(place.topic, place.partition): int(at.offset) for place, at in found.items()}


def _group_offsets(client: KafkaAdminClient, group: str, topic: Topic) -> dict[Partition, int]:
    """Nothing if the group has never committed."""
    from kafka.errors import KafkaError

    try:
        found: dict[str, dict[Any, Any]] = client.list_group_offsets({group: None})
    except KafkaError:  # no group has been coordinated on this cluster yet
        return {}
    return {
        (place.topic, place.partition): int(at.offset)
        for offsets in found.values()
        for place, at in offsets.items()
        if place.topic == topic.name and at.offset >= 0
    }


def first_timestamps_ms(cluster: Cluster, places: dict[Partition, int]) -> dict[Partition, int]:
    """When the first record from each offset on was written, in milliseconds since 1970; as far as it can be read
    within a few seconds."""
    from confluent_kafka import TopicPartition

    found: dict[Partition, int] = {}
    if not places:
        return found
    consumer = cluster.consumer(group_id=cluster.name("fentan-status"), fetch_max_bytes=1 << 20)
    try:
        consumer.assign([TopicPartition(name, number, at) for (name, number), at in places.items()])
        until = time.monotonic() + _WAIT_S
        while len(found) < len(places) and time.monotonic() < until:
            for message in consumer.consume(1000, timeout=0.2):
                place = (message.topic() or "", message.partition() or 0)
                if message.error() is None and place not in found:
                    found[place] = message.timestamp()[1]
    finally:
        consumer.close()
    return found
