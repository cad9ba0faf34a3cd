"""The alerts as they stand in the ledger, and live: a line each as soon as they are committed."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from ledger.cells import neutral
from ledger.faults import BadRequest
from ledger.home import Home
from ledger.log import Log
from ledger.outbox import Outbox, Told, told_id
from ledger.tail import seq_at
from rating.masking import masked
from reports.ask import views

POLL_S = 0.1  # not money: how long between two looks


def first_seq(events: Log, since: int | datetime) -> int:
    """The seq that `since` means. Raises BadRequest for one that the ledger has not reached."""
    if isinstance(since, datetime):
        return seq_at(events, since)
    if since > events.next_seq:
        raise BadRequest(
            f"The ledger's events end before seq {since}: the next one has seq {events.next_seq}."
        )
    return since


def alerts_so_far(folder: Path, since: int | datetime, now: datetime) -> pa.Table:
    """The view `alerts` from there on, oldest first, with phone numbers masked (F-27)."""
    events, calls = Home.open_logs(folder)
    with views(events, calls, now) as con:
        rows = con.sql(
            "SELECT * FROM alerts WHERE seq >= $first ORDER BY seq",
            params={"first": first_seq(events, since)},
        ).to_arrow_table()
    ids = zip(rows.column("alert_id").to_pylist(), rows.column("seq").to_pylist(), strict=True)
    told = {
        "alert_id": [told_id(alert_id, seq) for alert_id, seq in ids],
        "account": [masked(account) for account in rows.column("account").to_pylist()],
    }
    for name, texts in told.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(texts, pa.string()))
    return rows


def follow_alerts(
    folder: Path,
    since: int | datetime | None,
    form: str,
    stop: Callable[[], bool],
    say: Callable[[str], None],
) -> None:
    """Says each alert within a moment of its commit, until `stop`; by default only those that come from now on.

    As a line for people, as CSV below a line of names, or as one JSON object a line.
    """
    events, _ = Home.open_logs(folder)
    outbox = Outbox(events, events.next_seq if since is None else first_seq(events, since))
    spell = {"table": sentence, "csv": _csv_line, "json": _json_line}[form]
    if form == "csv":
        say(",".join(field.name for field in fields(Told)))
    while not stop():
        found = outbox.fresh()
        for alert in found:
            say(spell(alert.told()))
        if not found:
            time.sleep(POLL_S)


def sentence(told: Told) -> str:
    """One line for people."""
    at = told.at.replace("T", " ").removesuffix("+08:00")
    number = f"  {told.service_number}" if told.service_number else ""
    return f"{at}  {told.kind:<13} {told.account}{number}  balance {told.balance}"


def _json_line(told: Told) -> str:
    return json.dumps(asdict(told), ensure_ascii=False)


def _csv_line(told: Told) -> str:
    out = io.StringIO()
    cells = {name: neutral(cell) if isinstance(cell, str) else cell for name, cell in asdict(told).items()}
    csv.writer(out, lineterminator="").writerow((cells | {"balance": told.balance}).values())
    return out.getvalue()
