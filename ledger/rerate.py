"""Re-rates the calls that a late fact reaches back to: gathers them, decides, commits (R-CALL-8, F-15)."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ledger import scan
from ledger.home import Home
from ledger.log import LostRace
from ledger.rows import EventRows
from rating import business, rerating
from rating.accounts import Event
from rating.calendar import month_of
from rating.calls import rate
from rating.money import from_decimal_array
from rating.records import RECORD


def rerate_due(home: Home) -> None:
    """Commits the re-rating that the last reaching-back event calls for, if one is due.

    The event is known from the fold, so a crash between it and its re-rating is made up for at the next open.
    """
    while home.state.facts.get("reaching_back") is not None:
        try:
            _rerate(home)
        except LostRace:
            home.see()


def _rerate(home: Home) -> None:
    rows = EventRows()
    try:
        decide_rerating(home, rows)
    except BaseException:
        home.state.take_back()
        raise
    home.commit_events(rows)


def decide_rerating(home: Home, rows: EventRows) -> None:
    """Decides the re-rating that is due onto the state and into `rows`; commits nothing."""
    state = home.state
    cause: Event = state.facts["reaching_back"]
    from_at = min(change.from_at for change in cause.changes)
    calls = _priced_now(home, _charged(home, cause.changes[0].number, from_at))
    before = scan.usage_before(
        home.calls, state, {(c.service_number, c.customer_id, c.month) for c in calls}, state.calls_seq
    )
    event = rerating.rerate(state, cause, calls, before)
    business.decided(state, event)
    rows.add(event, state.calls_seq, cause.at)
    for alert in business.consequences(state, event):
        rows.add(alert, state.calls_seq, cause.at)


def _charged(home: Home, number: str, from_at: datetime) -> pa.Table:
    """The number's rated calls from an instant on, with what they have been charged so far."""
    names = [field.name for field in RECORD if field.name not in {"fault", "fault_detail"}]
    columns = ", ".join(f"c.{name}" for name in [*names, "seq", "month", "customer_id", "received_at"])
    if not home.calls.files():
        return pa.table({})
    query = f"""
        WITH moved AS (
            SELECT p.call, sum(CASE WHEN p.debit LIKE 'customer/%' THEN p.amount ELSE -p.amount END) AS amount
            FROM (SELECT unnest(p_kind) AS kind, unnest(p_reverses) AS call, unnest(p_debit) AS debit,
                         unnest(p_amount) AS amount, unnest(p_service_number) AS service_number
                  FROM {home.events.scan_sql()} WHERE kind = 'rerate' AND outcome = 'accepted') p
            WHERE p.kind = 'rerating' AND p.service_number = $number GROUP BY p.call)
        SELECT {columns}, c.owner_fee + coalesce(m.amount, 0) AS charged
        FROM {home.calls.scan_sql()} c LEFT JOIN moved m ON m.call = 'call/' || c.call_id
        WHERE c.outcome = 'rated' AND c.service_number = $number AND c.start_at >= $from_at AND c.month >= $month
          AND c.seq < $until
        ORDER BY c.seq"""
    return scan.ask(
        query, number=number, from_at=from_at, month=month_of(from_at), until=home.state.calls_seq
    )


def _priced_now(home: Home, charged: pa.Table) -> list[rerating.Rerated]:
    """The calls as the catalogue prices them now; each keeps the arrival that it was rated with."""
    priced: list[rerating.Rerated] = []
    if not charged.num_rows:
        return priced
    for arrival in pc.unique(charged.column("received_at")).to_pylist():
        part = charged.filter(
            pc.equal(charged.column("received_at"), pa.scalar(arrival, charged.column("received_at").type))
        )
        nulls = pa.nulls(part.num_rows, pa.string())
        records = pa.table(
            [nulls if f.name.startswith("fault") else part.column(f.name).cast(f.type) for f in RECORD],
            schema=RECORD,
        )
        rated = rate(records, home.prices, arrival)
        fees = from_decimal_array(rated.column("owner_fee")).tolist()
        so_far = from_decimal_array(part.column("charged").cast(pa.decimal128(18, 4))).tolist()
        rest = (
            part.column(name).to_pylist() for name in ("call_id", "service_number", "customer_id", "month")
        )
        priced += [rerating.Rerated(*values) for values in zip(*rest, so_far, fees, strict=True)]
    return priced
