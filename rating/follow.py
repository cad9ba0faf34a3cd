"""What rated calls do to accounts: usage, adjusted minimums of closed months, alerts; call by call.

Calls whose fee cannot cross anything are added in bulk; only those of accounts near a crossing, and late
ones, are looked at one by one in `seq` order, so the outcome does not depend on how records were cut into
batches (R-INV-5).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rating import accounts, arrears, business, minimums
from rating.accounts import Event
from rating.state import State


@dataclass(frozen=True, slots=True)
class Spent:
    """One rated call with a fee, as the watcher sees it."""

    seq: int
    call_id: str
    service_number: str
    customer_id: str
    month: str
    fee_hao: int
    received_at: datetime


UsageBefore = Mapping[tuple[str, str, str], int]
"""(service_number, customer_id, month) -> hao of the calls of a closed month below the first of the batch."""


def careful_customers(state: State, totals: Mapping[tuple[str, str], int]) -> set[str]:
    """Customers whose calls must be looked at one by one: late ones, or a crossing is possible."""
    closed = state.closed_month
    spent: dict[str, int] = defaultdict(int)
    careful: set[str] = set()
    for (customer_id, month), hao in totals.items():
        spent[customer_id] += hao
        if closed is not None and month <= closed:
            careful.add(customer_id)
    careful.update(
        customer_id
        for customer_id, hao in spent.items()
        if customer_id not in careful and arrears.crosses(state, customer_id, hao)
    )
    return careful


def fold_totals(state: State, totals: Mapping[tuple[str, str], int]) -> None:
    """Adds calls in bulk: (customer, month of the call) -> hao."""
    billed = {month: state.billed_month(month) for month in {month for _, month in totals}}
    for (customer_id, month), hao in totals.items():
        state.spend(customer_id, hao, billed[month])


def follow_calls(
    state: State, calls: list[Spent], usage_before: UsageBefore, note: Callable[[Event, int, datetime], None]
) -> None:
    """Folds calls one by one and notes each event that follows, with the calls_seq that it had seen."""
    usage = dict(usage_before)
    for call in calls:
        billed = state.billed_month(call.month)
        state.spend(call.customer_id, call.fee_hao, billed)
        if billed != call.month:
            key = (call.service_number, call.customer_id, call.month)
            before = usage.get(key, 0)
            usage[key] = before + call.fee_hao
            event = _adjustment(state, call, before, usage[key], billed)
            if event is not None:
                business.decided(state, event)
                note(event, call.seq + 1, call.received_at)
        for alert in business.crossings(state, accounts.customer(call.customer_id), call.received_at):
            note(alert, call.seq + 1, call.received_at)


def _adjustment(state: State, call: Spent, before_hao: int, after_hao: int, billed: str) -> Event | None:
    """What is left of the closed month's top-up is taken back by min(call, rest) (R-MIN-7)."""
    number = state.numbers[call.service_number]
    contract = minimums.contract_of(number, call.customer_id, call.month)
    if contract is None:
        return None
    posting = minimums.adjustment(number, contract, call.month, before_hao, after_hao, billed)
    if posting is None:
        return None
    effect = {"call_id": call.call_id, "service_number": call.service_number, "month": call.month}
    return Event(f"adjust/{call.call_id}", "adjust_minimum", call.received_at, effect, (posting,))
