"""Who exists: providers in their tree, customers, service numbers; and how a command names them."""

from __future__ import annotations

from rating import accounts
from rating.accounts import PLATFORM, Change, Command, Event, Refused
from rating.calendar import instant_text
from rating.commands import AMOUNT_OR_NONE, TEXT, TEXT_OR_NONE
from rating.kind import Kind
from rating.money import parse_yuan, yuan_text
from rating.numbers import CLASSES, normalise_service_number, number_class
from rating.reasons import Reason
from rating.state import Contract, Customer, Number, Provider, State


def number_text(text: str) -> str:
    """The canonical digits of a service number in a command (R-CALL-6); Refused if malformed."""
    try:
        return normalise_service_number(text)
    except ValueError as error:
        raise Refused(Reason.BAD_NUMBER, str(error)) from None


def known_provider(state: State, provider_id: str) -> Provider:
    """The provider; Refused if nobody registered it."""
    found = state.providers.get(provider_id)
    if found is None:
        raise Refused(Reason.UNKNOWN_PROVIDER, f"There is no provider {provider_id!r}.")
    return found


_CLOSED = {
    "serious": "after a serious case (R-PEN-2)",
    "fraud": "for a suspected fraud with {about} (R-PEN-1)",
    "fine": "for the overdue fine {about} (R-PEN-4)",
}


def refuse_closed(state: State, provider_id: str) -> None:
    """Refused if the provider is closed: it may do nothing more (R-PEN-1, R-PEN-2, R-PEN-4)."""
    causes = state.providers[provider_id].closed_for
    if causes:
        cause, _, about = causes[-1].partition(" ")
        raise Refused(
            Reason.PROVIDER_CLOSED,
            f"{provider_id} is closed {_CLOSED[cause].format(about=about)}: it may do nothing more.",
        )


def open_provider(state: State, provider_id: str) -> Provider:
    """The provider; Refused if nobody registered it or if it is closed."""
    found = known_provider(state, provider_id)
    refuse_closed(state, provider_id)
    return found


def close_provider(state: State, provider_id: str, cause: str) -> None:
    """One more cause for which the provider may do nothing; the platform is never closed."""
    provider = state.providers[provider_id]
    if provider_id != PLATFORM and cause not in provider.closed_for:
        state.providers.put(provider_id, provider._replace(closed_for=(*provider.closed_for, cause)))


def reopen_provider(state: State, provider_id: str, cause: str) -> None:
    """The cause is gone; the provider is open if it was the last."""
    provider = state.providers[provider_id]
    if cause in provider.closed_for:
        left = tuple(other for other in provider.closed_for if other != cause)
        state.providers.put(provider_id, provider._replace(closed_for=left))


def known_customer(state: State, customer_id: str) -> Customer:
    """The customer; Refused if nobody registered it."""
    found = state.customers.get(customer_id)
    if found is None:
        raise Refused(Reason.UNKNOWN_CUSTOMER, f"There is no customer {customer_id!r}.")
    return found


def known_number(state: State, text: str) -> Number:
    """The number; Refused if it is malformed or nobody added it."""
    service_number = number_text(text)
    found = state.numbers.get(service_number)
    if found is None:
        raise Refused(Reason.UNKNOWN_NUMBER, f"Nobody added the number {service_number}.")
    return found


def contracted_number(state: State, text: str) -> tuple[Number, Contract]:
    """The number and its contract in force."""
    number = known_number(state, text)
    contract = number.contract
    if contract is None:
        raise Refused(Reason.NOT_CONTRACTED, f"{number.service_number} has no contract.")
    return number, contract


def in_order(number: Number, command: Command) -> None:
    """A change of a number's state must not lie before its last one: two lives can't be told at once."""
    if command.at < number.since_at:
        raise Refused(
            Reason.BAD_STATE,
            f"{number.service_number} became {number.state} on {instant_text(number.since_at)}, "
            f"after this command's time {instant_text(command.at)}.",
        )


def _register_provider(state: State, command: Command) -> Event:
    provider_id = accounts.check_id("provider_id", command.fields["provider_id"])
    if provider_id in state.providers:
        raise Refused(Reason.ALREADY_EXISTS, f"The provider {provider_id} is registered already.")
    parent = open_provider(state, command.fields["parent_id"] or PLATFORM)
    effect = {"provider_id": provider_id, "name": command.fields["name"], "parent_id": parent.provider_id}
    return Event(command.command_id, command.kind, command.at, effect)


def _provider_registered(state: State, event: Event) -> None:
    effect = event.effect
    parent = state.providers[effect["parent_id"]]
    top = effect["provider_id"] if parent.provider_id == PLATFORM else parent.top
    state.providers.put(
        effect["provider_id"], Provider(effect["provider_id"], effect["name"], parent.provider_id, top)
    )


def _register_customer(state: State, command: Command) -> Event:
    customer_id = accounts.check_id("customer_id", command.fields["customer_id"])
    if customer_id in state.customers:
        raise Refused(Reason.ALREADY_EXISTS, f"The customer {customer_id} is registered already.")
    provider = open_provider(state, command.fields["provider_id"])
    low_hao = command.fields["low_balance"]
    effect = {"customer_id": customer_id, "provider_id": provider.provider_id, "name": command.fields["name"]}
    if low_hao is not None:
        effect["low_balance"] = yuan_text(low_hao)
    return Event(command.command_id, command.kind, command.at, effect)


def _customer_registered(state: State, event: Event) -> None:
    effect = event.effect
    low = effect.get("low_balance")
    low_hao = None if low is None else parse_yuan(low)
    customer = Customer(effect["customer_id"], effect["provider_id"], effect["name"], low_hao)
    state.customers.put(customer.customer_id, customer)


def _add_number(state: State, command: Command) -> Event:
    service_number = number_text(command.fields["service_number"])
    if service_number in state.numbers:
        raise Refused(Reason.ALREADY_EXISTS, f"The number {service_number} was added already.")
    override = command.fields["number_class"]
    if override is not None and override not in CLASSES:
        raise Refused(Reason.BAD_VALUE, f"number_class {override!r} is not one of {', '.join(CLASSES)}.")
    found = number_class(service_number, override)
    effect = {"service_number": service_number, "number_class": found}
    if command.fields["carrier"]:
        effect["carrier"] = command.fields["carrier"]
    changes = (
        Change(service_number, "class", command.at, value=found),
        Change(service_number, "state", command.at, value="free"),
    )
    return Event(command.command_id, command.kind, command.at, effect, changes=changes)


def _number_added(state: State, event: Event) -> None:
    service_number = event.effect["service_number"]
    number = Number(service_number, event.effect["number_class"], "free", event.at)
    state.numbers.put(service_number, number)


KINDS = {
    "register_provider": Kind(
        {"provider_id": TEXT, "name": TEXT, "parent_id": TEXT_OR_NONE},
        _register_provider,
        _provider_registered,
    ),
    "register_customer": Kind(
        {"customer_id": TEXT, "provider_id": TEXT, "name": TEXT, "low_balance": AMOUNT_OR_NONE},
        _register_customer,
        _customer_registered,
    ),
    "add_number": Kind(
        {"service_number": TEXT, "carrier": TEXT_OR_NONE, "number_class": TEXT_OR_NONE},
        _add_number,
        _number_added,
    ),
}
