"""Makers of small real ledgers: rows with defaults, written as Parquet files by `ledger.files`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ledger.files import write_rows
from ledger.query import connect
from ledger.schema import CALLS, CHANGE_COLUMNS, EVENTS, POSTING_COLUMNS
from rating.calendar import SHANGHAI, month_of, parse_instant

NUMBER = "4001170392"


def instant(text: str) -> datetime:
    """`2026-08-03 09:00` in Shanghai, or RFC 3339 -> aware UTC."""
    if "T" in text:
        return parse_instant(text)
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


def a_call(start: str = "2026-08-03 09:00", fee: str | None = "0.15", **values: Any) -> dict[str, Any]:
    """A rated call of one minute; `fee` None for one that was not rated."""
    at = instant(start)
    return {
        "outcome": "rated" if fee is not None else "rejected",
        "service_number": NUMBER,
        "customer_id": "C1",
        "provider_id": "P1",
        "start_at": at,
        "month": month_of(at),
        "duration_s": 60,
        "billed_s": 60,
        "rate": Decimal("0.15"),
        "owner_fee": None if fee is None else Decimal(fee),
        "tags": [],
        "source": "file:1",
        "received_at": at,
        "events_seq": 0,
        **values,
    }


def an_event(
    kind: str,
    at: str = "2026-08-03 09:00",
    effect: dict[str, Any] | None = None,
    postings: list[dict[str, Any]] | None = None,
    changes: list[dict[str, Any]] | None = None,
    **values: Any,
) -> dict[str, Any]:
    """An accepted event with its postings and changes as lists side by side."""
    return {
        "kind": kind,
        "outcome": "accepted",
        "at": instant(at),
        "received_at": instant(at),
        "effect": None if effect is None else json.dumps(effect),
        "calls_seq": 0,
        **{name: [one.get(name) for one in postings or []] for name in POSTING_COLUMNS},
        **{name: [one.get(name) for one in changes or []] for name in CHANGE_COLUMNS},
        **values,
    }


def a_posting(
    kind: str, debit: str, credit: str, amount: str, month: str = "2026-08", **values: Any
) -> dict[str, Any]:
    """A posting; the customer or provider is the owner of whichever account has one."""
    owner = next((path.split("/") for path in (debit, credit) if not path.startswith("platform/")), ["", ""])
    return {
        "p_kind": kind,
        "p_debit": debit,
        "p_credit": credit,
        "p_amount": Decimal(amount),
        "p_month": month,
        "p_customer_id": owner[1] if owner[0] == "customer" else None,
        "p_provider_id": owner[1] if owner[0] == "provider" else "P1",
        **{f"p_{name}": value for name, value in values.items()},
    }


def a_change(
    facet: str, from_at: str = "2026-08-03 09:00", number: str = NUMBER, **values: Any
) -> dict[str, Any]:
    """A change of the catalogue."""
    return {"c_number": number, "c_facet": facet, "c_from_at": instant(from_at)} | {
        f"c_{name}": value for name, value in values.items()
    }


def an_alert(
    kind: str, at: str, account: str = "customer/C1", balance: str = "-1.00", **effect: Any
) -> dict[str, Any]:
    """An alert as the watcher commits it."""
    body = {
        "alert_id": f"{account}/{kind}/1",
        "account": account,
        "kind": kind,
        "balance": balance,
        "episode": 1,
    }
    return an_event("alert", at, body | effect)


@dataclass
class Ledger:
    """Rows in order of `seq`, which they get from their place; each `write` adds files."""

    folder: Path
    calls: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    calls_files: list[str] = field(default_factory=list)
    events_files: list[str] = field(default_factory=list)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    written: list[int] = field(default_factory=lambda: [0, 0])

    def write(self) -> None:
        """The rows that are new since the last time as files of one commit."""
        for place, (name, rows, schema, files, by) in enumerate(
            (
                ("calls", self.calls, CALLS, self.calls_files, ["month"]),
                ("events", self.events, EVENTS, self.events_files, []),
            )
        ):
            new = [{**row, "seq": seq} for seq, row in enumerate(rows)][self.written[place] :]
            if new:
                folder = self.folder / name
                folder.mkdir(parents=True, exist_ok=True)
                live = write_rows(folder, pa.Table.from_pylist(new, schema), by)
                files.extend(str(folder / one.path) for one in live)
                self.spans |= {str(folder / one.path): (one.seq_min, one.seq_max) for one in live}
            self.written[place] = len(rows)

    def connect(
        self,
        now: str = "2026-12-01 00:00",
        calls_seq: int | None = None,
        events_seq: int | None = None,
        **options: Any,
    ) -> duckdb.DuckDBPyConnection:
        """A connection to all rows, or to those below the given seq."""
        self.write()
        return connect(
            self.calls_files,
            self.events_files,
            now=instant(now),
            calls_seq=len(self.calls) if calls_seq is None else calls_seq,
            events_seq=len(self.events) if events_seq is None else events_seq,
            threads=1,
            **{"spans": self.spans, **options},
        )


def ask(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    """The rows of an answer."""
    found: list[tuple[Any, ...]] = con.cursor().execute(sql).fetchall()
    return found


def calls_files_read(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """Which data files of calls a question reads, by DuckDB's own account."""
    found: list[str] = []
    nodes: list[Any] = [json.loads(ask(con, f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")[0][1])]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            found += [name for name in str(node.get("Filename(s)", "")).split(", ") if "/calls/" in name]
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
    return found
