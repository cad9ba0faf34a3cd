"""Numbers that move to another provider or to the platform, which renews them itself (R-PEN-5)."""

from __future__ import annotations

from rating.accounts import PLATFORM, Command, Event, Refused
from rating.calendar import instant_text
from rating.commands import TEXT
from rating.contracts import again_later, holder_change
from rating.kind import Kind
from rating.life_table import check_step
from rating.minimums import put_contract
from rating.reasons import Reason
from rating.registry import in_order, known_number, open_provider
from rating.state import Number, State


def _transfer_number(state: State, command: Command) -> Event:
    number = known_number(state, command.fields["service_number"])
    check_step(number, command.kind, command.at)
    provider = open_provider(state, command.fields["provider_id"])
    return _moved(number, provider.provider_id, command)


def _complain_no_service(state: State, command: Command) -> Event:
    number = known_number(state, command.fields["service_number"])
    check_step(number, command.kind, command.at)
    return _moved(number, PLATFORM, command)


def _moved(number: Number, provider_id: str, command: Command) -> Event:
    in_order(number, command)
    contract = number.contracts[-1]
    if contract.provider_id == provider_id:
        raise Refused(
            Reason.SAME_PROVIDER, f"{number.service_number} is with {provider_id} already: nothing was moved."
        )
    since_at = contract.moved_at or contract.signed_at
    if command.at < since_at:
        said = "was transferred" if contract.moved_at else "was signed"
        raise Refused(
            Reason.BAD_STATE,
            f"The contract of {number.service_number} {said} on {instant_text(since_at)}, after this "
            f"command's time {instant_text(command.at)}.",
        )
    moved = contract._replace(provider_id=provider_id)
    holder = holder_change(number.service_number, moved, command.at)
    effect = {
        "service_number": number.service_number,
        "provider_id": provider_id,
        "from_provider_id": contract.provider_id,
    }
    changes = (holder, *again_later(number, moved, command.at, {"holder"}))
    return Event(command.command_id, command.kind, command.at, effect, changes=changes)


def _number_moved(state: State, event: Event) -> None:
    number = state.numbers[event.effect["service_number"]]
    moved = number.contracts[-1]._replace(provider_id=event.effect["provider_id"], moved_at=event.at)
    put_contract(state, number, moved)


KINDS = {
    "transfer_number": Kind(
        {"service_number": TEXT, "provider_id": TEXT, "reason": TEXT}, _transfer_number, _number_moved
    ),
    "complain_no_service": Kind({"service_number": TEXT}, _complain_no_service, _number_moved),
}
