"""Closing a month (R-MIN-1, R-PLAN-2, R-PLAN-3): top-ups, settlement, credit that ends, closing balances.

One event a customer carries its postings and how each minimum came about; the month's own event comes
last. All are one commit, so a month is closed or it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from rating import accounts, credit, minimums
from rating.accounts import REVENUE_MINIMUM, Event, Posting
from rating.calendar import month_of, next_month
from rating.money import parse_yuan, yuan_text
from rating.state import State

UsageOf = Mapping[tuple[str, str], int]
"""(service_number, customer_id) -> hao of the month's calls, re-ratings included."""


def months_to_close(state: State, month: str) -> list[str]:
    """The open months up to this one, in order; empty if it is closed or nothing ever happened."""
    start = next_month(state.closed_month) if state.closed_month else _first_month(state)
    months: list[str] = []
    while start is not None and start <= month:
        months.append(start)
        start = next_month(start)
    return months


def _first_month(state: State) -> str | None:
    """The month of the first command, or of the first activation if that happened earlier and was recorded later."""
    first: str | None = state.facts.get("first_month")
    contracts = (contract for number in state.numbers.values() for contract in number.contracts)
    activated = (
        month_of(contract.activated_at) for contract in contracts if contract.activated_at is not None
    )
    return None if first is None else min([first, *activated])


def close_month(
    state: State,
    month: str,
    at: datetime,
    usage_of: UsageOf,
    decided: Callable[[State, Event], None],
    consequences: Callable[[State, Event], Iterator[Event]],
) -> Iterator[Event]:
    """The events of a close, folded in: each customer's, what follows from it, the month's own last.

    `decided` folds an event in, `consequences` gives the alerts that it causes (`rating.business`).
    """
    for customer_id in sorted(state.customers):
        event = _close_customer(state, customer_id, month, at, usage_of)
        if event is not None:
            decided(state, event)
            yield event
            yield from consequences(state, event)
    event = Event(f"close/{month}", "close_month", at, {"month": month})
    decided(state, event)
    yield event


def _close_customer(
    state: State, customer_id: str, month: str, at: datetime, usage_of: UsageOf
) -> Event | None:
    postings: list[Posting] = []
    workings: list[dict[str, object]] = []
    for service_number in state.numbers_of.get(customer_id, ()):
        posting, working = _top_up(state, service_number, customer_id, month, usage_of)
        workings += [working] if working else []
        postings += [posting] if posting else []
    months = state.usage.get(customer_id, {})
    open_hao = -sum(hao for billed, hao in months.items() if billed <= month)
    due_hao = open_hao + sum(posting.amount_hao for posting in postings)
    drawn: dict[str, int] = {}
    for posting in credit.settlements(state, customer_id, month, due_hao):
        postings.append(posting)
        drawn[posting.debit] = posting.amount_hao
    postings += credit.expiries(state, customer_id, month, drawn)
    if not postings and not workings and not any(billed <= month for billed in months):
        return None
    effect = {
        "month": month,
        "customer_id": customer_id,
        "minimums": workings,
        "carried": yuan_text(min(0, due_hao)),
        "closing": _closing(state, customer_id, postings, min(0, due_hao)),
    }
    return Event(f"close/{month}/{customer_id}", "close_customer", at, effect, tuple(postings))


def _top_up(
    state: State, service_number: str, customer_id: str, month: str, usage_of: UsageOf
) -> tuple[Posting | None, dict[str, object] | None]:
    number = state.numbers[service_number]
    contract = minimums.contract_of(number, customer_id, month)
    if contract is None:
        return None, None
    calls_hao = usage_of.get((service_number, customer_id), 0)
    charged = minimums.charged_minimum(contract, month)
    top_up_hao = minimums.top_up(charged.minimum_hao, calls_hao)
    working: dict[str, object] = {
        "service_number": service_number,
        "number_class": number.number_class,
        "state": number.state,
        "plan_id": contract.plan_id,
        "provider_id": contract.provider_id,
        "rates": minimums.rates_within(contract, month),
        "base": yuan_text(contract.base_minimum_hao),
        "base_rate": yuan_text(contract.base_rate_hao),
        "calls": yuan_text(calls_hao),
        "formula": yuan_text(minimums.formula_of(contract, month)),
        "held": yuan_text(charged.held_hao),
        "minimum": yuan_text(charged.minimum_hao),
        "top_up": yuan_text(top_up_hao),
        "opening": charged.opening,
        "days_held": charged.days_held,
        "days": charged.days,
        "how": minimums.explained(charged, contract, month),
    }
    if top_up_hao == 0:
        return None, working
    posting = Posting(
        "minimum_top_up",
        month,
        accounts.usage(customer_id),
        REVENUE_MINIMUM,
        top_up_hao,
        service_number,
        customer_id,
        contract.provider_id,
        reason=f"top-up of {month}",
    )
    return posting, working


def _closing(state: State, customer_id: str, postings: list[Posting], carried_hao: int) -> dict[str, str]:
    """The customer's leaves after this close, usage of later months left out: where the next month begins."""
    leaves = {accounts.cash(customer_id): state.leaves.get(accounts.cash(customer_id), 0)}
    for one in state.credits.get(customer_id, ()):
        leaves[one.account] = state.leaves.get(one.account, 0)
    for posting in postings:
        for account, sign in ((posting.debit, -1), (posting.credit, 1)):
            if account in leaves:
                leaves[account] += sign * posting.amount_hao
    prefix = f"customer/{customer_id}/"
    closing = {account.removeprefix(prefix): yuan_text(hao) for account, hao in leaves.items()}
    closing["usage"] = yuan_text(-carried_hao)
    return closing


def customer_closed(state: State, event: Event) -> None:
    """Folds `close_customer`: usage up to the month is settled; what is below zero goes on to the next.

    The carried amount is taken from the event, not from the calls, so a fold need not scan closed months.
    """
    customer_id, month = event.effect["customer_id"], event.effect["month"]
    months = state.usage.get(customer_id, {})
    settled_hao = sum(hao for billed, hao in months.items() if billed <= month)
    later = {billed: hao for billed, hao in months.items() if billed > month}
    carried_hao = -parse_yuan(event.effect["carried"])
    if carried_hao:
        after = next_month(month)
        later[after] = later.get(after, 0) + carried_hao
    state.usage.put(customer_id, later)
    account = accounts.customer(customer_id)
    state.balances.put(account, state.balance(account) - settled_hao + carried_hao)
    living = tuple(
        one
        for one in state.credits.get(customer_id, ())
        if month_of(one.ends_on) > month or state.leaves.get(one.account, 0) != 0
    )
    state.credits.put(customer_id, living)


def month_closed(state: State, event: Event) -> None:
    """Folds `close_month`."""
    state.facts.put("closed_month", event.effect["month"])
