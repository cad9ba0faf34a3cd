"""How deliveries stand, as tables for people, sheets and programs."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from ledger.home import Home
from rating.records import INSTANT
from streams.deliveries import moment
from streams.delivery_run import open_deliveries
from streams.webhooks import Webhook

_STANDINGS = pa.schema(
    [
        ("webhook", pa.string()),
        ("host", pa.string()),  # null: it is not configured any more
        ("delivered", pa.int64()),
        ("last_delivered_at", INSTANT),
        ("waiting", pa.int64()),
        ("dead", pa.int64()),
        ("unread_events", pa.int64()),
        ("last_error", pa.string()),
    ]
)
_DEAD = pa.schema(
    [
        ("seq", pa.int64()),
        ("webhook", pa.string()),
        ("alert_id", pa.string()),
        ("attempts", pa.int64()),
        ("given_up_at", INSTANT),
        ("last_error", pa.string()),
    ]
)


def standings_table(home: Path, webhooks: tuple[Webhook, ...]) -> pa.Table:
    """A row a webhook that is configured, or that has left something behind."""
    events, _ = Home.open_logs(home)
    hosts = {one.name: one.host for one in webhooks}
    with open_deliveries(home) as deliveries:
        known = {one.webhook: one for one in deliveries.standings()}
    rows = [
        {
            "webhook": one.webhook,
            "host": hosts.get(one.webhook),
            "delivered": one.delivered,
            "last_delivered_at": one.delivered_at and one.delivered_at.replace(microsecond=0),
            "waiting": one.waiting,
            "dead": one.dead,
            "unread_events": max(0, events.next_seq - one.next_seq),
            "last_error": one.error,
        }
        for one in known.values()
        if one.webhook in hosts or one.waiting or one.dead
    ]
    new = ({"webhook": name, "host": host} for name, host in hosts.items() if name not in known)
    zero = dict.fromkeys(("delivered", "waiting", "dead", "unread_events"), 0)
    return pa.Table.from_pylist([*rows, *(zero | row for row in new)], schema=_STANDINGS)


def dead_table(home: Path, webhook: str | None) -> pa.Table:
    """A row a dead letter, oldest first."""
    with open_deliveries(home) as deliveries:
        letters = deliveries.dead_letters(webhook)
    rows = [
        {
            "seq": one.seq,
            "webhook": one.webhook,
            "alert_id": one.alert_id,
            "attempts": one.attempts,
            "given_up_at": moment(one.due_at_ms // 1000 * 1000),
            "last_error": one.error,
        }
        for one in letters
    ]
    return pa.Table.from_pylist(rows, schema=_DEAD)
