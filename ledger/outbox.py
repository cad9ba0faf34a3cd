"""The outbox: alerts are rows of `events` first, and whoever tells others of them reads them here (docs/design.md 7).

So there is no alert about money that is not in the ledger, and a repeat, after whatever crash, has the same id.
Who publishes (webhooks, a topic, a terminal) keeps the seq up to which it has done so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import orjson
import pyarrow.compute as pc

from ledger.tail import Tail
from rating.calendar import instant_text
from rating.masking import masked

if TYPE_CHECKING:
    import pyarrow as pa

    from ledger.log import Log

_COLUMNS = ["seq", "kind", "outcome", "at", "received_at", "effect"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as the ledger has it. `balance` is decimal text in yuan; `received_at` what caused it arrived."""

    seq: int
    alert_id: str
    at: datetime
    received_at: datetime
    account: str
    kind: str
    balance: str
    episode: int | None = None
    since: str | None = None
    service_number: str | None = None

    @classmethod
    def of(cls, seq: int, at: datetime, received_at: datetime, effect: str) -> Alert:
        """From a row of `events`; `effect` is its JSON."""
        fields = orjson.loads(effect)
        optional = {name: fields.get(name) for name in ("episode", "since", "service_number")}
        named = {name: fields[name] for name in ("alert_id", "account", "kind", "balance")}
        return cls(seq=seq, at=at, received_at=received_at, **named, **optional)

    def told(self) -> Told:
        """What others are told of it."""
        return Told(
            told_id(self.alert_id, self.seq),
            instant_text(self.at),
            masked(self.account),
            self.kind,
            self.balance,
            self.seq,
            self.episode,
            self.since,
            self.service_number,
        )


@dataclass(frozen=True, slots=True)
class Told:
    """The columns of the view `alerts` as JSON has them, phone numbers masked (F-27)."""

    alert_id: str
    at: str
    account: str
    kind: str
    balance: str
    seq: int
    episode: int | None
    since: str | None
    service_number: str | None


def told_id(alert_id: str, seq: int) -> str:
    """An id that has to be masked ends with the alert's seq, so that no two alerts get one id (F-27)."""
    shown = masked(alert_id)
    return alert_id if shown == alert_id else f"{shown}/{seq}"


class Outbox:
    """The alerts from a seq on, in the order in which they were decided, each once."""

    def __init__(self, events: Log, since: int) -> None:
        """`events` is this reader's own: another thread's commits need another `Log`."""
        self._tail = Tail(events, since, _COLUMNS)

    @property
    def next_seq(self) -> int:
        """The seq up to which alerts were given: what a publisher keeps once it has published them."""
        return self._tail.next_seq

    def fresh(self) -> list[Alert]:
        """The alerts among the next events: those committed since the last look, or a batch on the way there."""
        while rows := self._tail.fresh():
            found = alerts_in(rows)
            if found:
                return found
        return []


def alerts_in(rows: pa.Table) -> list[Alert]:
    """The alerts among rows of `events`; needs seq, kind, outcome, at, received_at and effect."""
    wanted = pc.and_(pc.equal(rows.column("kind"), "alert"), pc.equal(rows.column("outcome"), "accepted"))
    names = ("seq", "at", "received_at", "effect")
    columns = (rows.filter(wanted).column(name).to_pylist() for name in names)
    return [Alert.of(*values) for values in zip(*columns, strict=True)]
