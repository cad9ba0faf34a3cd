"""How far the ledger has read each partition: the ledger's own offsets, not the group's (F-16, F-17).

The next offset of a partition is a transaction of the commit that holds its records, under the app id
`kafka/<topic>/<topic id>/<partition>`. The topic's id is part of it, so the offsets of a topic that was made anew
under the same name are not mistaken for the old one's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ledger.faults import LedgerFault
from ledger.log import Log
from streams.cluster import Topic

Bounds = tuple[int, int]
"""The first offset that the broker still has, and the one that the next record will get."""


class Gap(LedgerFault):
    """Records between the ledger and the broker are missing: going on would skip them silently (F-17)."""


def app_id(topic: Topic, partition: int) -> str:
    """What a partition's offset is called in the ledger."""
    return f"kafka/{topic.name}/{topic.topic_id}/{partition}"


def next_offset(log: Log, topic: Topic, partition: int) -> int:
    """The first offset that the ledger does not hold."""
    return log.offset(app_id(topic, partition)) or 0


def source(topic: Topic, partition: int) -> str:
    """What a record's row says about where it came from."""
    return f"{topic.name}/{partition}"


def starts(log: Log, topic: Topic, bounds: Mapping[int, Bounds], accepted: Collection[str]) -> dict[int, int]:
    """Partition -> the offset to begin reading at.

    Raises Gap, naming all of them, if the broker no longer has what comes next, or never had it. A gap that
    the user has named in `accepted` is passed over: `cdrs/3:120` is whatever is missing from offset 120 on,
    `cdrs:<topic id>` a topic that was made anew.
    """
    found: dict[int, int] = {}
    sentences: list[str] = []
    tokens: list[str] = []
    for partition, (first, end) in sorted(bounds.items()):
        at = log.offset(app_id(topic, partition))
        where = source(topic, partition)
        renewed = None if at is not None else _made_anew(log, topic, partition)
        token = f"{where}:{at or 0}"
        if renewed and f"{topic.name}:{topic.topic_id}" not in accepted:
            sentences.append(renewed)
            tokens.append(f"{topic.name}:{topic.topic_id}")
        found[partition] = min(max(at or 0, first), end)
        if found[partition] != (at or 0) and token not in accepted:
            sentences.append(_missing(where, at or 0, first, end))
            tokens.append(token)
    if sentences:
        accepting = " ".join(f"--accept-gap {token}" for token in dict.fromkeys(tokens))
        raise Gap(f"{' '.join(sentences)} To go on with what the broker has: fentan worker {accepting}")
    return found


def _missing(where: str, at: int, first: int, end: int) -> str:
    if at > end:
        return (
            f"GAP: {where} ends at offset {end}, but the ledger has read it up to {at}: the broker lost records that "
            "it had acknowledged, and new ones get offsets that were used before. Restore the broker's data."
        )
    return (
        f"GAP: {where} begins at offset {first}, but the ledger has read it up to {at}: the offsets {at} to "
        f"{first - 1} are missing, for retention removed them unread. Send those records again from their source."
    )


def _made_anew(log: Log, topic: Topic, partition: int) -> str | None:
    """A sentence if the ledger knows this partition only of another topic of the same name."""
    ours = log.offsets(f"kafka/{topic.name}/")
    if any(f"/{topic.topic_id}/" in name for name in ours):
        return None  # a partition that was added
    others = {name.split("/")[2]: at for name, at in ours.items() if name.endswith(f"/{partition}")}
    if not others:
        return None
    was, at = max(others.items(), key=lambda one: one[1])
    return (
        f"GAP: the topic {topic.name} was made anew, its id is {topic.topic_id} now; the ledger has read partition "
        f"{partition} of {was} up to offset {at}. What came after that is gone with it: send it again."
    )
