"""Re-rates the calls that a late fact reaches back to: gathers them, decides, commits (R-CALL-8, F-15)."""

from __future__ import annotations

import pyarrow as pa

from ledger import scan
from ledger.faults import LedgerFault
from ledger.home import Home
from ledger.log import LostRace
from ledger.rows import EventRows
from rating import business, rerating
from rating.accounts import Event
from rating.calendar import month_of
from rating.calls import REPRICED_BY, charges
from rating.columns import int64_array
from rating.differences import REPRICED, differences


def rerate_due(home: Home) -> None:
    """Commits the re-ratings that events reaching back call for, in their order.

    They are known from the fold, so a crash between an event and its re-rating is made up for at the next open.
    """
    while rerating.next_due(home.state) is not None:
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
    """Decides the first re-rating that is due onto the state and into `rows`; commits nothing.

    The event that causes it must be in the ledger: calls are priced by what was committed.
    """
    state = home.state
    cause = rerating.next_due(state)
    if cause is None:
        raise LedgerFault("No event reaches back: run `fentan verify`.")
    calls = _repriced(home, _charged(home, cause))
    found = differences(state, calls)
    keys = rerating.keys_of(state, cause, found)
    before = scan.usage_before(home.calls, state, keys, state.calls_seq)
    event = rerating.rerate(state, cause, calls.num_rows, found, before)
    business.decided(state, event)
    rows.add(event, state.calls_seq, cause.at)
    for alert in business.consequences(state, event):
        rows.add(alert, state.calls_seq, cause.at)


def _charged(home: Home, cause: Event) -> pa.Table | None:
    """The rated calls that the cause reaches, in seq order, with who is charged how much for each so far."""
    reach = rerating.reach(cause)
    if not home.calls.files() or not reach:
        return None
    columns = ", ".join(f"c.{name}" for name in ("call_id", "month", *REPRICED_BY))
    query = f"""
        WITH starts AS (SELECT unnest($numbers) AS number, unnest($starts) AS from_at),
        reached AS (
            SELECT c.* FROM {home.calls.scan_sql()} c JOIN starts s ON c.service_number = s.number
            WHERE c.outcome = 'rated' AND c.start_at >= s.from_at AND c.month >= $month AND c.seq < $until),
        moves AS (
            SELECT p.call_id, p.customer_id, p.provider_id,
                   CASE WHEN starts_with(p.debit, 'customer/') THEN p.amount ELSE -p.amount END AS amount
            FROM (SELECT unnest(p_kind) AS kind, substr(unnest(p_reverses), length('call/') + 1) AS call_id,
                         unnest(p_debit) AS debit, unnest(p_amount) AS amount,
                         unnest(p_service_number) AS number, unnest(p_customer_id) AS customer_id,
                         unnest(p_provider_id) AS provider_id
                  FROM {home.events.scan_sql()} WHERE kind = 'rerate' AND outcome = 'accepted') p
            WHERE p.kind = 'rerating' AND list_contains($numbers, p.number)),
        sums AS (
            SELECT call_id, customer_id, any_value(provider_id) AS provider_id, sum(amount) AS amount
            FROM (FROM moves UNION ALL
                  SELECT call_id, customer_id, provider_id, owner_fee FROM reached
                  WHERE call_id IN (SELECT call_id FROM moves))
            GROUP BY call_id, customer_id),
        moved AS (
            SELECT call_id, arg_max(customer_id, abs(amount)) AS customer_id,
                   arg_max(provider_id, abs(amount)) AS provider_id, arg_max(amount, abs(amount)) AS amount
            FROM sums GROUP BY call_id)
        SELECT {columns}, coalesce(m.customer_id, c.customer_id) AS customer_id,
               coalesce(m.provider_id, c.provider_id) AS provider_id,
               (coalesce(m.amount, c.owner_fee) * 10000)::BIGINT AS charged_hao
        FROM reached c LEFT JOIN moved m ON m.call_id = c.call_id
        ORDER BY c.seq"""
    return scan.ask(
        query,
        numbers=list(reach),
        starts=list(reach.values()),
        month=month_of(min(reach.values())),
        until=home.state.calls_seq,
    )


def _repriced(home: Home, charged: pa.Table | None) -> pa.Table:
    """The calls (REPRICED) with what they cost by the catalogue of now."""
    if charged is None:
        return REPRICED.empty_table()
    now = charges(charged, home.prices)
    columns = {
        "payer_id": now.customer_id.cast(pa.string()),
        "payer_provider_id": now.provider_id.cast(pa.string()),
        "fee_hao": int64_array(now.fee_hao, pa.int64()),
    }
    columns |= {name: charged.column(name) for name in REPRICED.names if name not in columns}
    return pa.table([columns[name] for name in REPRICED.names], schema=REPRICED)
