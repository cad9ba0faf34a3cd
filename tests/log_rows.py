"""Small tables for the tests of the append-only log: rows whose ids say where they stand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa

from ledger.log import Log
from rating.money import MONEY
from rating.records import INSTANT

ROWS = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("call_id", pa.string()),
        pa.field("month", pa.string()),
        pa.field("owner_fee", MONEY),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("raw", pa.binary()),
        pa.field("received_at", INSTANT),
    ]
)
NOON = datetime(2026, 11, 3, 4, tzinfo=UTC)


def some_rows(
    count: int, first: int = 0, months: tuple[str | None, ...] = ("2026-11",), at: datetime = NOON
) -> pa.Table:
    """Rows without seq; the ids say where they stand."""
    places = range(first, first + count)
    return pa.table(
        {
            "call_id": [f"c-{n}" for n in places],
            "month": [months[n % len(months)] for n in places],
            "owner_fee": [Decimal(n) / 100 for n in places],
            "tags": [["late"] * (n % 3) for n in places],
            "raw": [None if n % 2 else b"\xff\x00" for n in places],
            "received_at": [at] * count,
        },
        schema=ROWS.remove(0),
    )


def new_log(place: Path) -> Log:
    return Log.create(place / "calls", ROWS, ["month"])


def again(log: Log) -> Log:
    return Log.open(log.folder, ROWS)


def ids(log: Log) -> list[str]:
    return [str(i) for i in log.read_since(0, ["call_id"]).column(0).to_pylist()]


def ask(question: str) -> list[tuple[object, ...]]:
    return duckdb.connect().execute(question).fetchall()


def unacknowledge(log: Log) -> None:
    """As if the power had gone before the chain's last line was written."""
    lines = log.chain.path.read_bytes().splitlines(keepends=True)
    log.chain.path.write_bytes(b"".join(lines[:-1]))
