"""Pre-occupation of numbers (R-HOLD-1 … 4): how long, who may not hold again, cooling, intent forms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from rating.accounts import PLATFORM, Change, Command, Event, Refused
from rating.calendar import instant_text, parse_instant
from rating.commands import DETAILS, TEXT, TEXT_OR_NONE
from rating.kind import Kind
from rating.life_table import check_step
from rating.reasons import Reason
from rating.registry import in_order, known_number, open_provider
from rating.state import Hold, Intent, Number, Provider, State


def _submit_intent(state: State, command: Command) -> Event:
    intent_id = command.fields["intent_id"] or command.command_id
    if intent_id in state.intents:
        raise Refused(Reason.ALREADY_EXISTS, f"The intent form {intent_id!r} was submitted already.")
    provider = open_provider(state, command.fields["provider_id"])
    number = known_number(state, command.fields["service_number"])
    effect = {
        "intent_id": intent_id,
        "provider_id": provider.provider_id,
        "service_number": number.service_number,
    }
    return Event(command.command_id, command.kind, command.at, effect)


def _intent_submitted(state: State, event: Event) -> None:
    effect = event.effect
    intent = Intent(effect["intent_id"], effect["provider_id"], effect["service_number"], approved=False)
    state.intents.put(intent.intent_id, intent)


def _approve_intent(state: State, command: Command) -> Event:
    intent_id = command.fields["intent_id"]
    if intent_id not in state.intents:
        raise Refused(Reason.UNKNOWN_INTENT, f"There is no intent form {intent_id!r}.")
    return Event(command.command_id, command.kind, command.at, {"intent_id": intent_id})


def _intent_approved(state: State, event: Event) -> None:
    intent_id = event.effect["intent_id"]
    state.intents.put(intent_id, state.intents[intent_id]._replace(approved=True))


def _hold_number(state: State, command: Command) -> Event:
    number = known_number(state, command.fields["service_number"])
    provider = open_provider(state, command.fields["provider_id"])
    in_order(number, command)
    check_step(number, command.kind, command.at)
    _refuse_consecutive(state, number, provider, command.at)
    _refuse_cooling(state, number, command.at)
    _refuse_without_intent(state, number, provider, command.fields["intent_id"])
    cycle = timedelta(hours=state.book.holding.hours(number.service_number, number.number_class))
    until = command.at + cycle
    effect = {
        "service_number": number.service_number,
        "provider_id": provider.provider_id,
        "until": instant_text(until),
        "cycle_s": int(cycle.total_seconds()),
    }
    changes = (
        Change(number.service_number, "state", command.at, until, "held"),
        Change(number.service_number, "holder", command.at, provider_id=provider.provider_id),
    )
    return Event(command.command_id, command.kind, command.at, effect, changes=changes)


def _refuse_consecutive(state: State, number: Number, provider: Provider, at: datetime) -> None:
    """Whoever belongs to a tree that held the number in the cycle before must wait it out (R-HOLD-2)."""
    if provider.top == PLATFORM:
        return
    for hold in number.holds:
        free_from = hold.from_at + timedelta(seconds=state.book.holding.blocked_cycles * hold.cycle_s)
        if hold.top == provider.top and at < free_from:
            raise Refused(
                Reason.HOLD_CONSECUTIVE,
                f"{number.service_number} was held by the tree of {hold.top} from {instant_text(hold.from_at)}; "
                f"that tree may hold it again from {instant_text(free_from)}.",
            )


def _refuse_cooling(state: State, number: Number, at: datetime) -> None:
    ended = number.released_at
    if number.stage == "held":
        ended = number.holds[-1].until_at
    if ended is None:
        return
    free_from = ended + timedelta(minutes=state.book.holding.cooling_minutes)
    if at < free_from:
        raise Refused(
            Reason.NUMBER_COOLING,
            f"{number.service_number} was released on {instant_text(ended)}; anyone may hold it from {instant_text(free_from)}.",
        )


def _refuse_without_intent(state: State, number: Number, provider: Provider, intent_id: str | None) -> None:
    if not state.book.holding.is_special(number.number_class):
        return
    if intent_id is None:
        raise Refused(
            Reason.INTENT_MISSING,
            f"{number.service_number} is a special number ({number.number_class}): holding it needs an approved intent form.",
        )
    intent = state.intents.get(intent_id)
    if intent is None:
        raise Refused(Reason.UNKNOWN_INTENT, f"There is no intent form {intent_id!r}.")
    if not intent.approved:
        raise Refused(Reason.INTENT_MISSING, f"The intent form {intent_id} is not approved.")
    if (intent.service_number, intent.provider_id) != (number.service_number, provider.provider_id):
        raise Refused(
            Reason.INTENT_MISSING,
            f"The intent form {intent_id} is for {intent.service_number} and the provider {intent.provider_id}.",
        )


def _number_held(state: State, event: Event) -> None:
    effect = event.effect
    number = state.numbers[effect["service_number"]]
    provider = state.providers[effect["provider_id"]]
    hold = Hold(
        provider.provider_id, provider.top, event.at, parse_instant(effect["until"]), int(effect["cycle_s"])
    )
    blocking = tuple(
        old
        for old in number.holds
        if event.at < old.from_at + timedelta(seconds=state.book.holding.blocked_cycles * old.cycle_s)
    )
    held = number._replace(stage="held", since_at=event.at, released_at=None, holds=(*blocking, hold))
    state.numbers.put(number.service_number, held)


def _release_number(state: State, command: Command) -> Event:
    number = known_number(state, command.fields["service_number"])
    in_order(number, command)
    check_step(number, command.kind, command.at)
    changes = (Change(number.service_number, "state", command.at, value="free"),)
    effect = {"service_number": number.service_number}
    return Event(command.command_id, command.kind, command.at, effect, changes=changes)


def releasing(numbers: Iterable[Number], at: datetime) -> Iterator[Change]:
    """The catalogue's changes where holds end early."""
    for number in numbers:
        yield Change(number.service_number, "state", max(at, number.since_at), value="free")


def fold_released(state: State, event: Event) -> None:
    """Folds numbers in that are free again, and cool from then on (R-HOLD-3)."""
    for change in event.changes:
        if change.facet != "state" or change.value != "free":
            continue
        number = state.numbers[change.number]
        holds = number.holds
        if number.stage == "held":
            holds = (*holds[:-1], holds[-1]._replace(until_at=change.from_at))
        freed = number._replace(
            stage="free", since_at=change.from_at, released_at=change.from_at, holds=holds
        )
        state.numbers.put(number.service_number, freed)


def held_for(state: State, number: Number, customer_provider: str) -> bool:
    """True if the number is held by the customer's provider or by a relative in its tree."""
    holder = number.holds[-1]
    provider = state.providers[customer_provider]
    return holder.provider_id == customer_provider or (holder.top == provider.top and holder.top != PLATFORM)


KINDS = {
    "submit_intent": Kind(
        {"intent_id": TEXT_OR_NONE, "provider_id": TEXT, "service_number": TEXT, "prospect": DETAILS},
        _submit_intent,
        _intent_submitted,
    ),
    "approve_intent": Kind({"intent_id": TEXT}, _approve_intent, _intent_approved),
    "hold_number": Kind(
        {"service_number": TEXT, "provider_id": TEXT, "intent_id": TEXT_OR_NONE}, _hold_number, _number_held
    ),
    "release_number": Kind({"service_number": TEXT}, _release_number, fold_released),
}
