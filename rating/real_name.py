"""Documents and real names (R-NUM-2, R-NUM-3): before activation, and again when it is required."""

from __future__ import annotations

from datetime import datetime, timedelta

from rating import accounts
from rating.accounts import Change, Command, Event, Refused
from rating.calendar import instant_text, parse_instant
from rating.commands import NAMES, TEXT, WHOLE_OR_NONE
from rating.decisions import fresh_id, note_decided
from rating.kind import Kind
from rating.life_table import IN_USE, check_step, state_at
from rating.money import yuan_text
from rating.reasons import Reason
from rating.registry import in_order, known_number
from rating.state import Bar, Number, State
from rating.suspensions import (
    REAL_NAME,
    barred_event,
    bars_text,
    fold_bars,
    state_changes,
    with_bar,
    without_bars,
)

_MOST_DAYS = 3660


def moved(number: Number, command: Command, stage: str, **more: object) -> Event:
    """The number enters the next stage of its life; what bars it stays."""
    after = number._replace(stage=stage)
    changes = state_changes(number, after, command.at)
    effect = {"service_number": number.service_number, "stage": stage, **more}
    return Event(command.command_id, command.kind, command.at, effect, changes=changes)


def fold_stage(state: State, event: Event) -> Number:
    """Folds a stage of the number's life in."""
    number = state.numbers[event.effect["service_number"]]
    entered = number._replace(stage=event.effect["stage"], since_at=event.at)
    state.numbers.put(number.service_number, entered)
    return entered


def _numbered(state: State, command: Command) -> Number:
    number = known_number(state, command.fields["service_number"])
    in_order(number, command)
    return number


def _in_use(number: Number, at: datetime) -> bool:
    return state_at(number, at) in IN_USE and number.stage == "active"


def _submit_documents(state: State, command: Command) -> Event:
    number = _numbered(state, command)
    given = {_plain(name) for name in command.fields["documents"]}
    again = number.verify_by is not None and _in_use(number, command.at)
    if not again:
        check_step(number, command.kind, command.at, number.stage if number.bars else None)
    missing = [name for name in state.book.documents.required if _plain(name) not in given]
    if missing:
        raise Refused(
            Reason.DOCUMENTS_MISSING,
            f"{number.service_number} lacks the documents {', '.join(missing)} (R-NUM-2).",
        )
    return moved(number, command, number.stage if again else "documents_submitted")


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_").replace("license", "licence")


def _documents_submitted(state: State, event: Event) -> None:
    number = state.numbers[event.effect["service_number"]]
    if event.effect["stage"] != "active":
        fold_stage(state, event)
        state.unschedule("documents_due", number.service_number)


def _approve_real_name(state: State, command: Command) -> Event:
    number = _numbered(state, command)
    if not _in_use(number, command.at):
        check_step(number, command.kind, command.at, number.stage if number.bars else None)
        return moved(number, command, "real_name_approved")
    if number.verify_by is None:
        raise Refused(
            Reason.BAD_STATE,
            f"{number.service_number} is {number.state} and its holder's real name is approved; "
            "require_real_name asks for it again.",
        )
    after = without_bars(number, {Bar("suspended", REAL_NAME)}, command.at)
    event = barred_event(state, command, number, after)
    return event._replace(changes=(*event.changes, *tagged(number, command.at, restricted=False)))


def tagged(number: Number, at: datetime, *, restricted: bool) -> tuple[Change, ...]:
    """The catalogue's changes, if the number was or was not tagged `restricted` before; also for later instants."""
    if number.restricted == restricted:
        return ()
    value = "restricted" if restricted else None
    later = (from_at for facet, from_at in number.dated if facet == "tag" and from_at > at)
    return tuple(Change(number.service_number, "tag", from_at, value=value) for from_at in (at, *later))


def _real_name_approved(state: State, event: Event) -> None:
    if "bars" not in event.effect:
        fold_stage(state, event)
        return
    fold_bars(state, event)
    number = state.numbers[event.effect["service_number"]]
    state.numbers.put(number.service_number, number._replace(verify_by=None, restricted=False))
    forget_verification(state, number.service_number)


def forget_verification(state: State, service_number: str) -> None:
    """Nothing of a re-verification falls due any more."""
    state.unschedule("restrict_number", service_number)
    state.unschedule("suspend_unverified", service_number)


def _reject_real_name(state: State, command: Command) -> Event:
    number, reason = _numbered(state, command), command.fields["reason"]
    if number.verify_by is not None and _in_use(number, command.at):
        return moved(number, command, number.stage, reason=reason)
    check_step(number, command.kind, command.at, number.stage if number.bars else None)
    return moved(number, command, "locked", reason=reason)


def _real_name_rejected(state: State, event: Event) -> None:
    if event.effect["stage"] != "active":
        fold_stage(state, event)


def _require_real_name(state: State, command: Command) -> Event:
    number = _numbered(state, command)
    check_step(number, command.kind, command.at)
    if number.stage != "active":
        raise Refused(
            Reason.BAD_STATE,
            f"{number.service_number} was never activated: its real name is still to be approved.",
        )
    if number.verify_by is not None:
        raise Refused(
            Reason.BAD_STATE,
            f"{number.service_number} must be verified again by {instant_text(number.verify_by)} already.",
        )
    days = command.fields["deadline_days"]
    days = state.book.documents.real_name_deadline_days if days is None else days
    if not 0 <= days <= _MOST_DAYS:
        raise Refused(Reason.BAD_VALUE, f"deadline_days {days} is not between 0 and {_MOST_DAYS}.")
    verify_by = instant_text(command.at + timedelta(days=days))
    effect = {"service_number": number.service_number, "verify_by": verify_by}
    return Event(command.command_id, command.kind, command.at, effect)


def _real_name_required(state: State, event: Event) -> None:
    number = state.numbers[event.effect["service_number"]]
    verify_by = parse_instant(event.effect["verify_by"])
    state.numbers.put(number.service_number, number._replace(verify_by=verify_by))
    state.schedule("restrict_number", number.service_number, verify_by)


def restrict_number(state: State, service_number: str, at: datetime) -> Event:
    """The deadline of a re-verification was missed: the number is tagged `restricted` (R-NUM-3)."""
    number = state.numbers[service_number]
    effect = {"service_number": service_number}
    changes = tagged(number, at, restricted=True)
    event_id = fresh_id(number, f"restrict/{service_number}/{instant_text(at)}")
    return Event(event_id, "restrict_number", at, effect, changes=changes)


def number_restricted(state: State, event: Event) -> None:
    """Folds `restrict_number`: the suspension falls due."""
    number = state.numbers[event.effect["service_number"]]
    state.numbers.put(number.service_number, number._replace(restricted=True))
    note_decided(state, number.service_number, event)
    state.unschedule("restrict_number", number.service_number)
    days = state.book.documents.restricted_days
    state.schedule("suspend_unverified", number.service_number, event.at + timedelta(days=days))


def suspend_unverified(state: State, service_number: str, at: datetime) -> Event:
    """A restricted number was not approved in time: it is suspended until it is (R-NUM-3)."""
    number = state.numbers[service_number]
    from_at = max(at, number.since_at)
    after = with_bar(number, Bar("suspended", REAL_NAME), from_at)
    effect = {"service_number": service_number, "bars": bars_text(after.bars)}
    changes = state_changes(number, after, from_at)
    event_id = fresh_id(number, f"unverified/{service_number}/{instant_text(at)}")
    return Event(event_id, "suspend_unverified", at, effect, changes=changes)


def unverified_suspended(state: State, event: Event) -> None:
    """Folds `suspend_unverified`."""
    fold_bars(state, event)
    note_decided(state, event.effect["service_number"], event)
    state.unschedule("suspend_unverified", event.effect["service_number"])


def documents_due(state: State, service_number: str, at: datetime) -> Event:
    """Documents were not submitted in time: an alert only (R-NUM-3)."""
    number = state.numbers[service_number]
    contract = number.contracts[-1]
    account = accounts.customer(contract.customer_id)
    name = f"{account}/documents_due/{service_number}/{instant_text(contract.signed_at)}"
    effect = {
        "alert_id": fresh_id(number, name),
        "account": account,
        "kind": "documents_due",
        "balance": yuan_text(state.balance(account)),
        "service_number": service_number,
    }
    return Event(effect["alert_id"], "alert", at, effect)


KINDS = {
    "submit_documents": Kind(
        {"service_number": TEXT, "documents": NAMES}, _submit_documents, _documents_submitted
    ),
    "approve_real_name": Kind({"service_number": TEXT}, _approve_real_name, _real_name_approved),
    "reject_real_name": Kind(
        {"service_number": TEXT, "reason": TEXT}, _reject_real_name, _real_name_rejected
    ),
    "require_real_name": Kind(
        {"service_number": TEXT, "deadline_days": WHOLE_OR_NONE}, _require_real_name, _real_name_required
    ),
}
