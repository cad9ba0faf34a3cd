"""Makers of single facts, commands as lines and call records, and what sends them to a ledger."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from ledger.charge import charge
from ledger.home import Home
from ledger.log import Log
from ledger.submit import Answer, Line, submit
from rating.calendar import instant_text
from rating.records import RECORD
from tests.scenario import NUMBER, instant

SECOND = "4001170393"
NOW = instant("2026-12-01 09:00")


def a_line(kind: str, command_id: str, at: str = "2026-08-10 10:00", **fields: Any) -> bytes:
    """A command as it arrives."""
    value = {"command_id": command_id, "kind": kind, "at": instant_text(instant(at)), **fields}
    return json.dumps(value, ensure_ascii=False).encode()


def a_payment(command_id: str, amount: str = "5.00", at: str = "2026-08-10 10:00") -> bytes:
    return a_line("receive_payment", command_id, at, account="customer/C1", amount=amount, reference="slip")


def send(home: Home, *lines: bytes, now: datetime = NOW) -> list[Answer]:
    """Submits the lines as one batch."""
    return submit(home, [Line(raw, pos) for pos, raw in enumerate(lines)], "file:a", now, lambda _: {})


def a_record(
    call_id: str | None = "k",
    start: str = "2026-08-10 10:00",
    *,
    length: timedelta = timedelta(minutes=1),
    **values: Any,
) -> dict[str, Any]:
    """An answered call of one minute to NUMBER, as a decoder gives it."""
    begun = instant(start)
    record = dict.fromkeys(RECORD.names) | {
        "call_id": call_id, "service_number": NUMBER, "caller_number": "13853100001", "start_at": begun,
        "answer_at": begun, "end_at": begun + length, "raw": f"raw of {call_id}".encode(), "source_pos": 0,
    }  # fmt: skip
    return record | values


def charged(home: Home, *records: dict[str, Any], at: str = "2026-08-10 12:00") -> dict[str, int]:
    """Charges the records as one batch that arrives at `at`; counts by outcome and reason."""
    table = pa.Table.from_pylist(list(records), schema=RECORD)
    return dict(charge(home, table, "file:a", instant(at), {"file:a": len(records)}))


def rows(log: Log, since: int = 0) -> list[dict[str, Any]]:
    """A table's rows in seq order."""
    found: list[dict[str, Any]] = log.read_since(since).to_pylist()
    return found
