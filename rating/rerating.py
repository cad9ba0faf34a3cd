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

Key = tuple[str, str, str]
"""(service_number, customer_id, month)"""


@dataclass(frozen=True, slots=True)
class Rerated:
    """One call as it is charged so far and as it is priced now."""

    call_id: str
    service_number: str
    customer_id: str
    month: str
    charged_hao: int
    fee_hao: int


def rerate(state: State, cause: Event, calls: Sequence[Rerated], usage_before: Mapping[Key, int]) -> Event:
    """The event with a posting for each call whose charge differs, if any, and for the top-ups of closed months.

    `usage_before` holds (number, customer, month) -> hao for the closed months among the calls.
    """
    postings: list[Posting] = []
    moved: dict[Key, int] = defaultdict(int)
    for call in calls:
        if call.fee_hao != call.charged_hao:
            postings.append(_difference(state, call))
            moved[call.service_number, call.customer_id, call.month] += call.fee_hao - call.charged_hao
    recalled = _recalled(state, cause)
    for key in sorted(moved.keys() | recalled.keys()):
        before = usage_before.get(key, 0)
        adjusted = _adjusted(state, key, before, before + moved.get(key, 0), recalled.get(key))
        postings += [adjusted] if adjusted else []
    effect = {
        "caused_by": cause.command_id,
        "calls": len(calls),
        "rerated": [[*key, yuan_text(hao)] for key, hao in sorted(moved.items())],
        "minimums": [[*key, yuan_text(_raised_by(state, key, hao))] for key, hao in sorted(recalled.items())],
    }
    return Event(f"rerate/{cause.command_id}", "rerate", cause.at, effect, tuple(postings))


def _recalled(state: State, cause: Event) -> dict[Key, int]:
    """The minimums of closed months that the cause changed, as they were charged before (R-MIN-7)."""
    return {
        (service_number, state.numbers[service_number].contracts[-1].customer_id, month): parse_yuan(charged)
        for service_number, months in cause.effect.get("closed_minimums", {}).items()
        for month, charged in months.items()
    }


def _adjusted(
    state: State, key: Key, before_hao: int, after_hao: int, charged_hao: int | None
) -> Posting | None:
    """What makes up a closed month's top-up for other calls or another minimum; None for an open month."""
    service_number, customer_id, month = key
    number, billed = state.numbers[service_number], state.billed_month(month)
    contract = minimums.contract_of(number, customer_id, month)
    if contract is None or billed == month:
        return None
    return minimums.adjustment(number, contract, month, before_hao, after_hao, billed, charged_hao)


def _raised_by(state: State, key: Key, charged_hao: int) -> int:
    service_number, customer_id, month = key
    contract = minimums.contract_of(state.numbers[service_number], customer_id, month)
    return (minimums.charged_minimum(contract, month).minimum_hao if contract else 0) - charged_hao


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
