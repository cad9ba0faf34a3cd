"""A contracted number's way to active (R-NUM-1, R-NUM-2): documents, real name, activation."""

from __future__ import annotations

from datetime import datetime

from rating import accounts
from rating.accounts import Change, Command, Event, Refused
from rating.calendar import instant_text, month_of
from rating.commands import NAMES, TEXT
from rating.holds import state_at
from rating.kind import Kind
from rating.minimums import minimums_recalled
from rating.money import yuan_text
from rating.reasons import Reason
from rating.registry import in_order, known_number
from rating.state import CLEAR, Contract, Number, State


def _number_in(state: State, command: Command, allowed: set[str], verb: str) -> Number:
    number = known_number(state, command.fields["service_number"])
    in_order(number, command)
    now = state_at(number, command.at)
    if now in {"free", "held", "reclaimed"}:
        raise Refused(
            Reason.NOT_CONTRACTED,
            f"{number.service_number} is {now}: it needs a contract before it can be {verb}.",
        )
    if now not in allowed:
        raise Refused(
            Reason.BAD_STATE,
            f"{number.service_number} is {now}; it can be {verb} when it is {' or '.join(sorted(allowed))}.",
        )
    return number


def _moved(number: Number, command: Command, state_name: str, **more: object) -> Event:
    effect = {"service_number": number.service_number, **more}
    change = Change(number.service_number, "state", command.at, value=state_name)
    return Event(command.command_id, command.kind, command.at, effect, changes=(change,))


def _fold_state(state: State, event: Event) -> Number:
    number = state.numbers[event.effect["service_number"]]
    moved = number._replace(state=str(event.changes[0].value), since_at=event.at, why=None)
    state.numbers.put(number.service_number, moved)
    return moved


def _submit_documents(state: State, command: Command) -> Event:
    number = _number_in(state, command, {"locked", "documents_submitted"}, "given documents")
    given = {_plain(name) for name in command.fields["documents"]}
    missing = [name for name in state.book.documents.required if _plain(name) not in given]
    if missing:
        raise Refused(
            Reason.DOCUMENTS_MISSING,
            f"{number.service_number} lacks the documents {', '.join(missing)} (R-NUM-2).",
        )
    return _moved(number, command, "documents_submitted")


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_").replace("license", "licence")


def _documents_submitted(state: State, event: Event) -> None:
    number = _fold_state(state, event)
    state.unschedule("documents_due", number.service_number)


def _approve_real_name(state: State, command: Command) -> Event:
    return _moved(
        _number_in(state, command, {"documents_submitted"}, "approved"), command, "real_name_approved"
    )


def _reject_real_name(state: State, command: Command) -> Event:
    number = _number_in(state, command, {"documents_submitted"}, "rejected")
    return _moved(number, command, "locked", reason=command.fields["reason"])


def _activate_number(state: State, command: Command) -> Event:
    number = known_number(state, command.fields["service_number"])
    now = state_at(number, command.at)
    if now in {"locked", "documents_submitted"}:
        raise Refused(
            Reason.NOT_REAL_NAMED,
            f"{number.service_number} is {now}: its holder's real name must be approved before activation (R-NUM-1).",
        )
    number = _number_in(state, command, {"real_name_approved"}, "activated")
    contract = number.contracts[-1]
    account = accounts.customer(contract.customer_id)
    if state.standings.get(account, CLEAR).stage != "clear":
        raise Refused(
            Reason.CUSTOMER_IN_ARREARS,
            f"{contract.customer_id} is in arrears by {yuan_text(-state.balance(account))}; "
            f"{number.service_number} can be activated once they are paid.",
        )
    _refuse_before_terms(number, contract, command)
    activated = contract._replace(activated_at=command.at)
    recalled = minimums_recalled(state, number, contract, activated, command.at)
    return _moved(number, command, "active", **recalled)


def _refuse_before_terms(number: Number, contract: Contract, command: Command) -> None:
    """Terms that were changed at once, as long as the number was not active, can't become those of its use."""
    changed_at, raised = contract.rates[-1][0], max((month for month, _ in contract.raises), default="")
    if command.at < changed_at or month_of(command.at) < raised:
        raise Refused(
            Reason.BAD_STATE,
            f"The rate or the minimum of {number.service_number} was changed from "
            f"{max(instant_text(changed_at)[:10], raised)} on, after this command's time {instant_text(command.at)}.",
        )


def _number_activated(state: State, event: Event) -> None:
    number = _fold_state(state, event)
    contract = number.contracts[-1]._replace(activated_at=event.at)
    state.numbers.put(number.service_number, number._replace(contracts=(*number.contracts[:-1], contract)))


def documents_due(state: State, service_number: str, at: datetime) -> Event:
    """Documents were not submitted in time: an alert only (R-NUM-3)."""
    contract = state.numbers[service_number].contracts[-1]
    account = accounts.customer(contract.customer_id)
    effect = {
        "alert_id": f"{account}/documents_due/{service_number}/{instant_text(contract.signed_at)}",
        "account": account,
        "kind": "documents_due",
        "balance": yuan_text(state.balance(account)),
        "service_number": service_number,
    }
    return Event(effect["alert_id"], "alert", at, effect)


def _folded(state: State, event: Event) -> None:
    _fold_state(state, event)


KINDS = {
    "submit_documents": Kind(
        {"service_number": TEXT, "documents": NAMES}, _submit_documents, _documents_submitted
    ),
    "approve_real_name": Kind({"service_number": TEXT}, _approve_real_name, _folded),
    "reject_real_name": Kind({"service_number": TEXT, "reason": TEXT}, _reject_real_name, _folded),
    "activate_number": Kind({"service_number": TEXT}, _activate_number, _number_activated),
}
