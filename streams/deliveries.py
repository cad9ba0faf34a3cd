"""What was, is to be, and could not be delivered: a small SQLite file in the home, durable at each step (F-20).

An alert is taken from the ledger and the place up to which it was read are one transaction; a message leaves the
file only when its receiver has it, or stays as a dead letter after too many attempts. So nothing is missed,
whatever crashes, and a repeat has the same id. The file may be deleted: then webhooks begin anew.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ledger.faults import LedgerFault
from ledger.outbox import Told

FILE_NAME = "deliveries.sqlite"
_LOCK_NAME = "deliveries.lock"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS places (
    webhook TEXT PRIMARY KEY, next_seq INTEGER NOT NULL, delivered INTEGER NOT NULL DEFAULT 0, delivered_at_ms INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS messages (
    webhook TEXT NOT NULL, seq INTEGER NOT NULL, alert_id TEXT NOT NULL, account TEXT NOT NULL, body BLOB NOT NULL,
    dead INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, due_at_ms INTEGER NOT NULL, error TEXT,
    PRIMARY KEY (webhook, seq, alert_id)
) STRICT;
CREATE INDEX IF NOT EXISTS in_order ON messages (webhook, dead, account, seq);
"""
_FIELDS = "webhook, seq, alert_id, account, body, attempts, due_at_ms, error"
_BUSY_S = 10


class Message(NamedTuple):
    """An alert on its way to one webhook. `due_at_ms`: when to try again (0: at once), or when it was given up."""

    webhook: str
    seq: int
    alert_id: str
    account: str
    body: bytes
    attempts: int = 0
    due_at_ms: int = 0
    error: str | None = None

    @classmethod
    def of(cls, webhook: str, told: Told) -> Message:
        """An alert that is to be sent at once; its body is the alert as JSON."""
        return cls(webhook, told.seq, told.alert_id, told.account, orjson.dumps(told))


@dataclass(frozen=True)
class Standing:
    """How one webhook stands; `error` is the last one of what waits."""

    webhook: str
    next_seq: int
    delivered: int
    delivered_at: datetime | None
    waiting: int
    dead: int
    error: str | None


class Deliveries:
    """The file, opened. One process delivers (`sole`), any may look or send again. For one thread."""

    def __init__(self, home: Path) -> None:
        """Raises LedgerFault if the file cannot be used; so does everything below."""
        self._path, self._lock_path = home / FILE_NAME, home / _LOCK_NAME
        with self._explained():
            self._con = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
            self._con.execute("PRAGMA journal_mode = WAL")
            self._con.execute("PRAGMA synchronous = FULL")
            self._con.executescript(_SCHEMA)

    def close(self) -> None:
        self._con.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LedgerFault(
                f"{self._path} cannot be used: {error}. Mend that; alerts wait in the ledger meanwhile."
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._explained():
            self._con.execute("BEGIN IMMEDIATE")
            try:
                yield self._con
                self._con.execute("COMMIT")
            except BaseException:
                if self._con.in_transaction:
                    self._con.execute("ROLLBACK")
                raise

    def _ask(self, query: str, *values: Any) -> list[Any]:
        with self._explained():
            return self._con.execute(query, values).fetchall()

    @contextmanager
    def sole(self) -> Iterator[bool]:
        """True if this process is the one that delivers from now on; the lock goes with the process."""
        with self._explained():
            handle = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)

    # what is taken from the ledger

    def begin(self, webhook: str, next_seq: int) -> int:
        """Where this webhook reads on in `events`: at `next_seq`, if it was never heard of."""
        with self._transaction() as con:
            con.execute("INSERT OR IGNORE INTO places (webhook, next_seq) VALUES (?, ?)", (webhook, next_seq))
        ((place,),) = self._ask("SELECT next_seq FROM places WHERE webhook = ?", webhook)
        return int(place)

    def take(self, messages: Iterable[Message], webhooks: Iterable[str], next_seq: int) -> None:
        """Keeps the messages, and that `events` was read up to `next_seq` for these webhooks: both or neither."""
        with self._transaction() as con:
            con.executemany(
                f"INSERT OR IGNORE INTO messages ({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", messages
            )
            con.executemany(
                "UPDATE places SET next_seq = ? WHERE webhook = ?", [(next_seq, name) for name in webhooks]
            )

    # what becomes of it

    def due(self, webhook: str, now: datetime, longest_wait_s: int, most: int) -> list[Message]:
        """Messages to try now: of each account the oldest only, so that an account's alerts stay in order.

        One that is due later than any wait could make it was put off by a clock that has been set back since.
        """
        now_ms = _ms(now)
        found = self._ask(
            f"SELECT {_FIELDS} FROM messages AS one WHERE webhook = ? AND dead = 0 "
            "AND (due_at_ms <= ? OR due_at_ms > ?) AND NOT EXISTS (SELECT 1 FROM messages AS older "
            "WHERE older.webhook = one.webhook AND older.dead = 0 AND older.account = one.account "
            "AND older.seq < one.seq) ORDER BY due_at_ms, seq LIMIT ?",
            webhook, now_ms, now_ms + 2_000 * longest_wait_s, most,
        )  # fmt: skip
        return [Message(*row) for row in found]

    def delivered(self, message: Message, at: datetime) -> None:
        """The receiver has it."""
        with self._transaction() as con:
            con.execute("DELETE FROM messages WHERE webhook = ? AND seq = ? AND alert_id = ?", message[:3])
            con.execute(
                "UPDATE places SET delivered = delivered + 1, delivered_at_ms = ? WHERE webhook = ?",
                (_ms(at), message.webhook),
            )

    def failed(self, message: Message, error: str, next_try_at: datetime) -> None:
        """One more attempt was in vain."""
        self._mark(message, error, next_try_at, dead=False)

    def give_up(self, message: Message, error: str, at: datetime) -> None:
        """It becomes a dead letter."""
        self._mark(message, error, at, dead=True)

    def _mark(self, message: Message, error: str, at: datetime, *, dead: bool) -> None:
        with self._transaction() as con:
            con.execute(
                "UPDATE messages SET attempts = ?, error = ?, due_at_ms = ?, dead = ? "
                "WHERE webhook = ? AND seq = ? AND alert_id = ?",
                (message.attempts + 1, error, _ms(at), dead, *message[:3]),
            )

    # for whoever looks after it

    def dead_letters(self, webhook: str | None = None) -> list[Message]:
        """What was given up, oldest first."""
        return [
            Message(*row)
            for row in self._ask(
                f"SELECT {_FIELDS} FROM messages WHERE dead = 1 AND webhook = coalesce(?, webhook) ORDER BY seq, webhook",
                webhook,
            )
        ]

    def send_again(self, seqs: Iterable[int] | None, webhook: str | None) -> int:
        """Dead letters wait again, with all their attempts before them; those of these seqs, or all. How many."""
        chosen = None if seqs is None else set(seqs)
        letters = [one for one in self.dead_letters(webhook) if chosen is None or one.seq in chosen]
        with self._transaction() as con:
            con.executemany(
                "UPDATE messages SET dead = 0, attempts = 0, due_at_ms = 0 "
                "WHERE webhook = ? AND seq = ? AND alert_id = ? AND dead = 1",
                [one[:3] for one in letters],
            )
        return len(letters)

    def standings(self) -> list[Standing]:
        """Every webhook that was ever heard of, by name."""
        rows = self._ask(
            "SELECT webhook, next_seq, delivered, delivered_at_ms, coalesce(sum(dead = 0), 0), "
            "coalesce(sum(dead), 0), (SELECT error FROM messages AS late WHERE late.webhook = places.webhook "
            "AND late.dead = 0 AND late.error IS NOT NULL ORDER BY due_at_ms DESC LIMIT 1) "
            "FROM places LEFT JOIN messages USING (webhook) GROUP BY webhook ORDER BY webhook"
        )
        return [
            Standing(name, next_seq, delivered, None if at is None else moment(at), waiting, dead, error)
            for name, next_seq, delivered, at, waiting, dead, error in rows
        ]


def moment(ms: int) -> datetime:
    """Milliseconds since 1970 as an instant."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
