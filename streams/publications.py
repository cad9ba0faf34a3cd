"""What others are told of the ledger, as records for Kafka: alerts, answers, rejects, balances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ledger.home import Home
from ledger.outbox import alerts_in
from rating.calendar import instant_text
from rating.money import yuan_text
from streams.topics import ACCOUNT_CHANGES, ALERTS, ANSWERS, REJECTS

EVENT_COLUMNS = ["seq", "command_id", "kind", "outcome", "reason", "detail", "at", "received_at", "effect",
                 "raw", "source", "source_pos", "p_debit", "p_credit"]  # fmt: skip
CALL_COLUMNS = [
    "seq",
    "outcome",
    "reason",
    "detail",
    "customer_id",
    "raw",
    "source",
    "source_pos",
    "received_at",
]
_ANSWER = ["seq", "command_id", "kind", "outcome", "reason", "detail", "source", "source_pos"]
_REJECT = ["seq", "reason", "detail", "raw", "source", "source_pos", "received_at"]


class Record(NamedTuple):
    """One record for Kafka; `topic` without the cluster's prefix."""

    topic: str
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def of_events(rows: pa.Table, commands_topic: str) -> list[Record]:
    """Alerts, answers to the commands that came by Kafka, and commands that could not be read."""
    records = [
        Record(ALERTS, told.account, orjson.dumps(told)) for told in (one.told() for one in alerts_in(rows))
    ]
    ours = pc.fill_null(pc.starts_with(rows.column("source"), f"{commands_topic}/"), fill_value=False)
    asked = rows.filter(ours).select(_ANSWER).to_pylist()
    records += [Record(ANSWERS, row["command_id"] or _place(row), orjson.dumps(row)) for row in asked]
    return records + rejects("events", rows)


def of_calls(rows: pa.Table) -> list[Record]:
    """Call records that were rejected."""
    return rejects("calls", rows)


def rejects(table: str, rows: pa.Table) -> list[Record]:
    """Copies of rejected records: the value is what came, the headers say why it was rejected and where it stood."""
    rejected = rows.filter(pc.equal(rows.column("outcome"), "rejected"))
    found = []
    for row in rejected.select(_REJECT).to_pylist():
        told = {
            "reject_id": f"{table}/{row['seq']}",
            "reason": row["reason"],
            "detail": row["detail"],
            "source": row["source"],
            "source_pos": row["source_pos"],
            "received_at": instant_text(row["received_at"]),
        }
        headers = tuple((name, str(value).encode()) for name, value in told.items() if value is not None)
        found.append(Record(REJECTS, _place(row), row["raw"] or b"", headers))
    return found


def accounts_of_events(rows: pa.Table) -> set[str]:
    """The customers and providers whose money these events moved, as `customer/C1`."""
    return {
        "/".join(path.split("/")[:2])
        for name in ("p_debit", "p_credit")
        for path in pc.unique(pc.list_flatten(rows.column(name))).to_pylist()
        if not path.startswith("platform/")
    }


def accounts_of_calls(rows: pa.Table) -> set[str]:
    """The customers who were charged."""
    return {
        f"customer/{customer}" for customer in pc.unique(rows.column("customer_id")).drop_null().to_pylist()
    }


def balances(home: Home, accounts: Iterable[str]) -> list[Record]:
    """What these accounts come to now: a later record of an account replaces an earlier one."""
    home.see()
    state = home.state
    at = {"calls_seq": state.calls_seq, "events_seq": state.events_seq}
    return [
        Record(
            ACCOUNT_CHANGES,
            account,
            orjson.dumps({"account": account, "balance": yuan_text(state.balance(account)), **at}),
        )
        for account in accounts
    ]


def _place(row: dict[str, object]) -> str:
    return f"{row['source']}@{row['source_pos']}"
