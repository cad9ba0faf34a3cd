"""Re-rating: a fact recorded late that reaches back to calls already charged (R-CALL-8, R-MIN-7, F-15).

The difference is posted, as the call or the other way; what was charged to a holder who was none is taken
back whole. Closed months are adjusted in the open one, and their top-ups with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rating import accounts, minimums
from rating.accounts import REVENUE_CALLS, Event, Posting
from rating.money import parse_yuan, yuan_text
from rating.state import State


@dataclass(frozen=True, slots=True)
class Rerated:
    """One call as it is charged so far and as it is priced now."""

    call_id: str
    service_number: str
    customer_id: str
    month: str
    charged_hao: int
    fee_hao: int


def rerate(
    state: State, cause: Event, calls: Sequence[Rerated], usage_before: Mapping[tuple[str, str, str], int]
) -> Event:
    """The event with a posting for each call whose charge differs; none may differ.

    `usage_before` holds (number, customer, month) -> hao for the closed months among the calls.
    """
    postings: list[Posting] = []
    moved: dict[tuple[str, str, str], int] = defaultdict(int)
    for call in calls:
        if call.fee_hao != call.charged_hao:
            postings.append(_difference(state, call))
            moved[call.service_number, call.customer_id, call.month] += call.fee_hao - call.charged_hao
    closed = state.closed_month
    for (service_number, customer_id, month), delta_hao in sorted(moved.items()):
        if closed is None or month > closed:
            continue
        number = state.numbers[service_number]
        contract = minimums.contract_of(number, customer_id, month)
        if contract is not None:
            before = usage_before.get((service_number, customer_id, month), 0)
            billed = state.billed_month(month)
            adjusted = minimums.adjustment(number, contract, month, before, before + delta_hao, billed)
            postings += [adjusted] if adjusted else []
    effect = {
        "caused_by": cause.command_id,
        "calls": len(calls),
        "rerated": [[*key, yuan_text(hao)] for key, hao in sorted(moved.items())],
    }
    return Event(f"rerate/{cause.command_id}", "rerate", cause.at, effect, tuple(postings))


def _difference(state: State, call: Rerated) -> Posting:
    usage = accounts.usage(call.customer_id)
    more = call.fee_hao > call.charged_hao
    return Posting(
        "rerating",
        state.billed_month(call.month),
        usage if more else REVENUE_CALLS,
        REVENUE_CALLS if more else usage,
        abs(call.fee_hao - call.charged_hao),
        call.service_number,
        call.customer_id,
        state.customers[call.customer_id].provider_id,
        reverses=f"call/{call.call_id}",
        reason=f"call of {call.month}",
    )


def rerated(state: State, event: Event) -> None:
    """Folds `rerate`: what a month's calls cost by re-rating, beside their rows."""
    for service_number, customer_id, month, amount in event.effect["rerated"]:
        key = (service_number, customer_id, month)
        state.rerated.put(key, state.rerated.get(key, 0) + parse_yuan(amount))
    state.facts.drop("reaching_back")
