"""Call credit (R-PLAN-1 … 3): who pays a month's usage, and what ends unused."""

from __future__ import annotations

from collections.abc import Iterator

from rating import accounts
from rating.accounts import REVENUE_BREAKAGE, Posting
from rating.calendar import month_of
from rating.state import Credit, State


def in_drawing_order(state: State, customer_id: str) -> list[Credit]:
    """The credit that ends first, of equals the older contract's, of those the account's name (R-PLAN-3)."""
    paid = state.credits.get(customer_id, ())
    return sorted(paid, key=lambda credit: (credit.ends_on, credit.signed_at, credit.account))


def settlements(state: State, customer_id: str, month: str, usage_hao: int) -> Iterator[Posting]:
    """Pays a month's usage from the credits whose months cover it, then from cash (R-PLAN-2, R-PLAN-3).

    Usage below zero pays nothing: it stays and lessens the next month's.
    """
    usage = accounts.usage(customer_id)
    for credit in in_drawing_order(state, customer_id):
        if usage_hao <= 0:
            return
        if not month_of(credit.starts_on) <= month <= month_of(credit.ends_on):
            continue
        drawn_hao = min(usage_hao, max(0, state.leaves.get(credit.account, 0)))
        if drawn_hao:
            yield Posting("settlement", month, credit.account, usage, drawn_hao, customer_id=customer_id)
            usage_hao -= drawn_hao
    if usage_hao > 0:
        cash = accounts.cash(customer_id)
        yield Posting("settlement", month, cash, usage, usage_hao, customer_id=customer_id)


def expiries(state: State, customer_id: str, month: str, drawn_hao: dict[str, int]) -> Iterator[Posting]:
    """What is left of credit whose period ended by the month, after settlement (R-PLAN-2).

    `drawn_hao` is what this close has settled from each credit account.
    """
    for credit in in_drawing_order(state, customer_id):
        if month_of(credit.ends_on) > month:
            continue
        left_hao = state.leaves.get(credit.account, 0) - drawn_hao.get(credit.account, 0)
        if left_hao > 0:
            yield Posting(
                "credit_expiry", month, credit.account, REVENUE_BREAKAGE, left_hao, customer_id=customer_id
            )
