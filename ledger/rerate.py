"""Re-rates the calls that a late fact reaches back to: gathers them, decides, commits (R-CALL-8, F-15)."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from ledger import scan
from ledger.faults import LedgerFault
from ledger.garbage import uncollected
from ledger.home import Home
from ledger.log import LostRace
from ledger.rows import EventRows
from rating import business, rerating
from rating.accounts import Event
from rating.calendar import month_of
from rating.calls import rate
from rating.columns import to_list
from rating.money import from_decimal_array
from rating.records import RECORD
from rating.rerating import Rerated


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
    charged = _charged(home, cause)
    with uncollected():
        found = rerating.differences(state, _differing(home, charged))
        keys = rerating.keys_of(state, cause, found)
        before = scan.usage_before(home.calls, state, keys, state.calls_seq)
        event = rerating.rerate(state, cause, charged.num_rows, found, before)
    business.decided(state, event)
    rows.add(event, state.calls_seq, cause.at)
    for alert in business.consequences(state, event):
        rows.add(alert, state.calls_seq, cause.at)


def _charged(home: Home, cause: Event) -> pa.Table:
    """The rated calls that the cause reaches, in seq order, with who is charged how much for each so far."""
    reach = rerating.reach(cause)
    if not home.calls.files() or not reach:
        return pa.table({})
    names = [field.name for field in RECORD if field.name not in {"fault", "fault_detail", "raw"}]
    columns = ", ".join(f"c.{name}" for name in [*names, "seq", "month", "received_at"])
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
               CAST(coalesce(m.amount, c.owner_fee) AS DECIMAL(18, 4)) AS charged
        FROM reached c LEFT JOIN moved m ON m.call_id = c.call_id
        ORDER BY c.seq"""
    return scan.ask(
        query,
        numbers=list(reach),
        starts=list(reach.values()),
        month=month_of(min(reach.values())),
        until=home.state.calls_seq,
    )


def _differing(home: Home, charged: pa.Table) -> Iterator[Rerated]:
    """The calls that the catalogue charges otherwise now; each keeps the arrival that it was rated with."""
    if not charged.num_rows:
        return
    for arrival in pc.unique(charged.column("received_at")).to_pylist():
        received = pa.scalar(arrival, charged.column("received_at").type)
        part = charged.filter(pc.equal(charged.column("received_at"), received))
        rated = rate(_as_records(part), home.prices, arrival)
        fees = pc.fill_null(rated.column("owner_fee"), 0)
        payers = rated.column("customer_id").cast(pa.string())
        same = pc.and_(
            pc.equal(fees, part.column("charged")),
            pc.or_kleene(pc.equal(fees, 0), pc.equal(payers, part.column("customer_id"))),
        )
        other = pc.invert(pc.fill_null(same, False))  # noqa: FBT003 - Arrow's own signature
        providers = rated.column("provider_id").cast(pa.string())
        part, fees, payers, providers = (column.filter(other) for column in (part, fees, payers, providers))
        columns = (
            to_list(part.column(name))
            for name in ("call_id", "service_number", "customer_id", "provider_id", "month")
        )
        so_far = from_decimal_array(part.column("charged")).tolist()
        now = from_decimal_array(fees.combine_chunks()).tolist()
        yield from map(Rerated, *columns, so_far, to_list(payers), to_list(providers), now)


def _as_records(rows: pa.Table) -> pa.Table:
    """Rows of `calls` as the records that they were."""
    columns = [
        rows.column(field.name).cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in RECORD
    ]
    return pa.table(columns, schema=RECORD)
