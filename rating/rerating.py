"""Re-rating: a fact recorded late that reaches back to calls already charged (R-CALL-8, R-MIN-7, F-15).

The difference is posted, as the call or the other way. Where another holder pays by what is known now, what was
charged is taken back whole and charged to him; where nobody held the number, it is taken back. Closed months are
adjusted in the open one, and their top-ups with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from rating import minimums
from rating.accounts import Event, Posting
from rating.differences import Differences, Key
from rating.money import parse_yuan, yuan_text
from rating.state import State


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


def keys_of(state: State, cause: Event, found: Differences) -> set[Key]:
    """Whose usage of which month `rerate` needs."""
    return {*found.moved_hao, *_recalled(state, cause)}


def rerate(
    state: State, cause: Event, looked_at: int, found: Differences, usage_before: Mapping[Key, int]
) -> Event:
    """The event with the differences of the calls, and with the top-ups of closed months made up for.

    `looked_at` is how many calls the cause reached, `usage_before` holds (number, customer, month) -> hao of what
    `keys_of` names.
    """
    moved, recalled = found.moved_hao, _recalled(state, cause)
    adjustments: list[Posting] = []
    for key in sorted(moved.keys() | recalled.keys()):
        before = usage_before.get(key, 0)
        now_hao = _minimum_now(state, key)
        charged = (recalled.get(key, now_hao), now_hao)
        adjusted = _adjusted(state, key, before, before + moved.get(key, 0), charged)
        adjustments += [adjusted] if adjusted else []
    effect = {
        "caused_by": cause.command_id,
        "calls": looked_at,
        "rerated": [[*key, yuan_text(hao)] for key, hao in sorted(moved.items())],
        "minimums": [[*key, yuan_text(_raised_by(state, key, hao))] for key, hao in sorted(recalled.items())],
    }
    of_calls = found.postings if found.postings.num_rows else None
    # a command may be named like an alert, and both may reach back (R-INV-6)
    name = "rerate_after_alert" if cause.kind == "alert" else "rerate"
    event_id = f"{name}/{cause.command_id}"
    return Event(event_id, "rerate", cause.at, effect, tuple(adjustments), of_calls=of_calls)


def _recalled(state: State, cause: Event) -> dict[Key, int]:
    """The minimums of closed months that the cause changed, as they were charged before (R-MIN-7)."""
    return {
        (service_number, state.numbers[service_number].contracts[-1].customer_id, month): parse_yuan(charged)
        for service_number, months in cause.effect.get("closed_minimums", {}).items()
        for month, charged in months.items()
    }


def _adjusted(
    state: State, key: Key, before_hao: int, after_hao: int, minimums_hao: tuple[int, int]
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
    return minimums.adjustment(number, contract, month, before_hao, after_hao, billed, minimums_hao)


def _raised_by(state: State, key: Key, charged_hao: int) -> int:
    return _minimum_now(state, key) - charged_hao


def _minimum_now(state: State, key: Key) -> int:
    """The month's minimum after the first event that is due, though later ones were folded in already.

    The first of those that changes it says what it was before.
    """
    due: tuple[Event, ...] = state.facts.get("reaching_back", ())
    for later in due[1:]:
        if (found := _recalled(state, later).get(key)) is not None:
            return found
    service_number, customer_id, month = key
    contract = minimums.contract_of(state.numbers[service_number], customer_id, month)
    return 0 if contract is None else minimums.charged_minimum(contract, month).minimum_hao


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
