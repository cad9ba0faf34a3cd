"""Suspected fraud, serious cases and what is reported of them (R-PEN-1, R-PEN-2)."""

from __future__ import annotations

from rating.accounts import PLATFORM, Command, Event, Posting, Refused
from rating.calendar import instant_text
from rating.cases import Suspicion
from rating.commands import TEXT
from rating.fines import NO_FINE, fine_taken_back, fining, fold_fine, take_back_fine
from rating.holds import fold_released, releasing
from rating.kind import Kind, changes_nothing
from rating.life import fold_reclaimed, numbers_of_provider, reclaiming
from rating.life_table import check_step
from rating.reasons import Reason
from rating.registry import close_provider, in_order, known_number, known_provider, reopen_provider
from rating.state import Bar, State
from rating.suspensions import (
    SUSPICION,
    bars_effect,
    bars_of,
    bars_text,
    fold_bars,
    state_changes,
    with_bar,
    without_bars,
)

_BAR = Bar("frozen", SUSPICION)
_CONFIRMED = Bar("frozen", "fraud")
"""What unfreeze_number may lift, once the number is in other hands."""


def _suspicion_of(state: State, service_number: str) -> Suspicion:
    suspicion = state.suspicions.get(service_number)
    if suspicion is None or suspicion.confirmed:
        said = "was confirmed already" if suspicion else "does not exist: suspect_fraud comes first"
        raise Refused(Reason.NOT_SUSPECTED, f"An open suspicion of {service_number} {said} (R-PEN-1).")
    return suspicion


def _suspect_fraud(state: State, command: Command) -> Event:
    """Freezes the number, closes its provider and fines it, all at once."""
    number = known_number(state, command.fields["service_number"])
    check_step(number, command.kind, command.at)
    in_order(number, command)
    name = number.service_number
    provider_id = number.contracts[-1].provider_id
    earlier = state.suspicions.get(name)
    if earlier is not None and not _of_another(earlier, provider_id):
        said = "confirmed" if earlier.confirmed else "open"
        raise Refused(Reason.ALREADY_SUSPECTED, f"The suspicion of {name} is {said} already (R-PEN-1).")
    after = with_bar(number, _BAR, command.at)
    effect = bars_effect(state, number, after, command.at) | {"provider_id": provider_id}
    fine = NO_FINE
    if provider_id != PLATFORM:
        amount_hao = state.book.penalties.fraud_fine_hao
        fine = fining(state, command.command_id, provider_id, amount_hao, command.at, name, "suspected_fraud")
    changes = state_changes(number, after, command.at)
    return Event(
        command.command_id,
        command.kind,
        command.at,
        effect | fine.effect,
        fine.postings,
        changes,
        detail=fine.warning,
    )


def _of_another(suspicion: Suspicion, provider_id: str) -> bool:
    """True of a confirmed case that was closed with another provider: the number may be suspected with this one."""
    return suspicion.confirmed and suspicion.provider_id != provider_id


def _fraud_suspected(state: State, event: Event) -> None:
    name, provider_id = event.effect["service_number"], event.effect["provider_id"]
    fold_bars(state, event)
    fold_fine(state, event)
    earlier = state.suspicions.get(name)
    if earlier is not None:  # its provider's case stays (R-PEN-2), under a key of its own
        state.suspicions.put(f"{name} {earlier.provider_id}", earlier)
    state.suspicions.put(name, Suspicion(name, provider_id, event.effect.get("fine_id")))
    close_provider(state, provider_id, f"fraud {name}")


def _clear_suspicion(state: State, command: Command) -> Event:
    """Takes all three back; a number that was reclaimed meanwhile stays so."""
    number = known_number(state, command.fields["service_number"])
    suspicion = _suspicion_of(state, number.service_number)
    in_order(number, command)
    after = without_bars(number, {_BAR}, command.at)
    effect = bars_effect(state, number, after, command.at)
    postings: tuple[Posting, ...] = ()
    if suspicion.fine_id is not None:
        fine = state.fines[suspicion.fine_id]
        effect["fine_id"] = fine.fine_id
        postings = (take_back_fine(state, fine, command.at, command.fields["reason"]),)
    changes = state_changes(number, after, command.at)
    return Event(command.command_id, command.kind, command.at, effect, postings, changes)


def _suspicion_cleared(state: State, event: Event) -> None:
    name = event.effect["service_number"]
    suspicion = state.suspicions[name]
    fold_bars(state, event)
    if suspicion.fine_id is not None:
        fine_taken_back(state, state.fines[suspicion.fine_id], event.command_id)
    state.suspicions.drop(name)
    reopen_provider(state, suspicion.provider_id, f"fraud {name}")


def _confirm_fraud(state: State, command: Command) -> Event:
    """Makes fine and closing final; the freeze is one for fraud from now on."""
    number = known_number(state, command.fields["service_number"])
    suspicion = _suspicion_of(state, number.service_number)
    bars = tuple(_CONFIRMED if bar == _BAR else bar for bar in number.bars if bar != _CONFIRMED)
    effect = {
        "service_number": number.service_number,
        "provider_id": suspicion.provider_id,
        "bars": bars_text(bars),
    }
    return Event(command.command_id, command.kind, command.at, effect)


def _fraud_confirmed(state: State, event: Event) -> None:
    name = event.effect["service_number"]
    number = state.numbers[name]
    state.numbers.put(name, number._replace(bars=bars_of(event.effect["bars"])))
    state.suspicions.put(name, state.suspicions[name]._replace(confirmed=True))


def _declare_serious(state: State, command: Command) -> Event:
    """Closes the provider for good, with everything that it holds (R-PEN-2)."""
    provider = known_provider(state, command.fields["provider_id"])
    provider_id = provider.provider_id
    if "serious" in provider.closed_for:
        raise Refused(Reason.PROVIDER_CLOSED, f"{provider_id} is closed for good already (R-PEN-2).")
    cases = (one for one in state.suspicions.values() if one.provider_id == provider_id)
    if provider_id == PLATFORM or not any(one.confirmed for one in cases):
        raise Refused(
            Reason.NO_CONFIRMED_CASE,
            f"No fraud of {provider_id} was confirmed: confirm_fraud comes before declare_serious (R-PEN-2).",
        )
    contracted, held = numbers_of_provider(state, provider_id, command.at)
    late = [one for one in contracted if one.since_at > command.at]
    if late:
        raise Refused(
            Reason.BAD_STATE,
            f"{late[0].service_number} became {late[0].state} on {instant_text(late[0].since_at)}, after this command's "
            f"time {instant_text(command.at)}.",
        )
    effect, changes = reclaiming(state, contracted, command.at)
    effect["provider_id"] = provider_id
    changes = (*changes, *releasing(held, command.at))
    return Event(command.command_id, command.kind, command.at, effect, changes=changes)


def _declared_serious(state: State, event: Event) -> None:
    close_provider(state, event.effect["provider_id"], "serious")
    fold_reclaimed(state, event)
    fold_released(state, event)


def _record_filing(state: State, command: Command) -> Event:
    """A report to carriers, ministry or police, or the public announcement: recorded as it was made (R-PEN-2)."""
    provider = known_provider(state, command.fields["provider_id"])
    effect = {
        "provider_id": provider.provider_id,
        "authority": command.fields["authority"],
        "reference": command.fields["reference"],
    }
    return Event(command.command_id, command.kind, command.at, effect)


_NUMBER = {"service_number": TEXT}
KINDS = {
    "suspect_fraud": Kind(_NUMBER, _suspect_fraud, _fraud_suspected),
    "clear_suspicion": Kind(_NUMBER | {"reason": TEXT}, _clear_suspicion, _suspicion_cleared),
    "confirm_fraud": Kind(_NUMBER, _confirm_fraud, _fraud_confirmed),
    "declare_serious": Kind({"provider_id": TEXT}, _declare_serious, _declared_serious),
    "record_filing": Kind(
        {"provider_id": TEXT, "authority": TEXT, "reference": TEXT}, _record_filing, changes_nothing
    ),
}
