"""Re-rating: a fact recorded late that reaches back to calls already charged (R-CALL-8, R-MIN-7, F-15).

The difference is posted, as the call or the other way. Where another holder pays by what is known now, what was
charged is taken back whole and charged to him; where nobody held the number, it is taken back. Closed months are
adjusted in the open one, and their top-ups with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from rating import accounts, minimums
from rating.accounts import REVENUE_CALLS, Event, Posting
from rating.money import parse_yuan, yuan_text
from rating.state import State

Key = tuple[str, str, str]
"""(service_number, customer_id, month)"""


class Rerated(NamedTuple):
    """One call whose charge differs: what `customer_id` is charged so far, and what `payer_id` pays by what is known now.

    `payer_id` None: nobody pays.
    """

    call_id: str
    service_number: str
    customer_id: str
    month: str
    charged_hao: int
    payer_id: str | None
    fee_hao: int


def note_due(state: State, cause: Event) -> None:
    """The calls that this event reaches back to are to be re-rated, after those of earlier events."""
    state.facts.put("reaching_back", (*state.facts.get("reaching_back", ()), cause))


def next_due(state: State) -> Event | None:
    """The earliest event whose re-rating has not been decided yet."""
    due: tuple[Event, ...] = state.facts.get("reaching_back", ())
    return due[0] if due else None


def reach(cause: Event) -> dict[str, datetime]:
    """service number -> from when on its calls may be charged otherwise."""
    found: dict[str, datetime] = {}
    for change in cause.changes:
        if change.number not in found or change.from_at < found[change.number]:
            found[change.number] = change.from_at
    return found


def rerate(
    state: State, cause: Event, looked_at: int, calls: Sequence[Rerated], usage_before: Mapping[Key, int]
) -> Event:
    """The event with the postings for each call whose charge differs, and for the top-ups of closed months.

    `looked_at` is how many calls the cause reached, `usage_before` holds (number, customer, month) -> hao for the
    closed months that `keys_of` names.
    """
    postings: list[Posting] = []
    for call in calls:
        postings += _differences(state, call)
    moved, recalled = _moved(calls), _recalled(state, cause)
    for key in sorted(moved.keys() | recalled.keys()):
        before = usage_before.get(key, 0)
        adjusted = _adjusted(state, key, before, before + moved.get(key, 0), recalled.get(key))
        postings += [adjusted] if adjusted else []
    effect = {
        "caused_by": cause.command_id,
        "calls": looked_at,
        "rerated": [[*key, yuan_text(hao)] for key, hao in sorted(moved.items())],
        "minimums": [[*key, yuan_text(_raised_by(state, key, hao))] for key, hao in sorted(recalled.items())],
    }
    return Event(f"rerate/{cause.command_id}", "rerate", cause.at, effect, tuple(postings))


def keys_of(state: State, cause: Event, calls: Sequence[Rerated]) -> set[Key]:
    """Whose usage of which month `rerate` needs."""
    return {*_moved(calls), *_recalled(state, cause)}


def _moved(calls: Sequence[Rerated]) -> dict[Key, int]:
    """By how much each month's calls cost more, or less."""
    moved: dict[Key, int] = defaultdict(int)
    for call in calls:
        moved[call.service_number, call.customer_id, call.month] -= call.charged_hao
        if call.payer_id is not None:
            moved[call.service_number, call.payer_id, call.month] += call.fee_hao
    return {key: hao for key, hao in moved.items() if hao}


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
    if billed == month:
        return None
    if contract is None:
        contract = minimums.latest_contract_of(number, customer_id)
    if contract is None:
        return None
    return minimums.adjustment(number, contract, month, before_hao, after_hao, billed, charged_hao)


def _raised_by(state: State, key: Key, charged_hao: int) -> int:
    service_number, customer_id, month = key
    contract = minimums.contract_of(state.numbers[service_number], customer_id, month)
    return (minimums.charged_minimum(contract, month).minimum_hao if contract else 0) - charged_hao


def _differences(state: State, call: Rerated) -> list[Posting]:
    """One posting for the same payer; for another one what takes the charge back, and the new charge."""
    if call.payer_id == call.customer_id:
        return [_posting(state, call, call.customer_id, call.fee_hao - call.charged_hao)]
    back = [_posting(state, call, call.customer_id, -call.charged_hao)] if call.charged_hao else []
    if call.payer_id is None or call.fee_hao == 0:
        return back
    return [*back, _posting(state, call, call.payer_id, call.fee_hao)]


def _posting(state: State, call: Rerated, customer_id: str, delta_hao: int) -> Posting:
    usage = accounts.usage(customer_id)
    more = delta_hao > 0
    return Posting(
        "rerating",
        state.billed_month(call.month),
        usage if more else REVENUE_CALLS,
        REVENUE_CALLS if more else usage,
        abs(delta_hao),
        call.service_number,
        customer_id,
        state.customers[customer_id].provider_id,
        reverses=f"call/{call.call_id}",
        reason=f"call of {call.month}",
    )


def rerated(state: State, event: Event) -> None:
    """Folds `rerate`: what a month's calls cost by re-rating, beside their rows."""
    for service_number, customer_id, month, amount in event.effect["rerated"]:
        key = (service_number, customer_id, month)
        state.rerated.put(key, state.rerated.get(key, 0) + parse_yuan(amount))
    due: tuple[Event, ...] = state.facts["reaching_back"]
    if len(due) > 1:
        state.facts.put("reaching_back", due[1:])
    else:
        state.facts.drop("reaching_back")
