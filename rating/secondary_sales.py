"""Secondary sales (R-PEN-3): noticed, rectified within three working days, or fined."""

from __future__ import annotations

from datetime import datetime

from rating import working_days
from rating.accounts import PLATFORM, Command, Event, Refused
from rating.calendar import day_of, instant_text, parse_instant
from rating.cases import Sale
from rating.commands import TEXT, TRUTH_OR_NONE
from rating.decisions import fresh_id, note_decided
from rating.fines import fining, fold_fine
from rating.kind import Kind
from rating.reasons import Reason
from rating.registry import contracted_number
from rating.state import State

_CAUSE = "secondary_sale"


def _fine_hao(state: State, times: int) -> int:
    penalties = state.book.penalties
    return penalties.secondary_sale_repeated_fine_hao if times > 1 else penalties.secondary_sale_fine_hao


def _notice_secondary_sale(state: State, command: Command) -> Event:
    number, contract = contracted_number(state, command.fields["service_number"])
    name, provider_id = number.service_number, contract.provider_id
    if provider_id == PLATFORM:
        raise Refused(Reason.BAD_STATE, f"{name} is with the platform, which fines providers, not itself.")
    if ("rectify", name) in state.due:
        due = instant_text(state.due["rectify", name])
        raise Refused(
            Reason.CASE_OPEN, f"The secondary sale of {name} was noticed already; it has until {due}."
        )
    earlier = state.sales.get(name)
    times = 1 + (earlier.times if earlier is not None and earlier.provider_id == provider_id else 0)
    effect: dict[str, object] = {"service_number": name, "provider_id": provider_id, "times": times}
    if command.fields["legitimate"] is False:  # to be rectified at once: the fine falls with the notice
        fine = fining(
            state, command.command_id, provider_id, _fine_hao(state, times), command.at, name, _CAUSE
        )
        return Event(
            command.command_id,
            command.kind,
            command.at,
            effect | fine.effect,
            fine.postings,
            detail=fine.warning,
        )
    days = state.book.penalties.rectify_working_days
    until, warning = working_days.end_after(command.at, days, state.book.working_days)
    effect["rectify_by"] = instant_text(until)
    return Event(command.command_id, command.kind, command.at, effect, detail=warning)


def _secondary_sale_noticed(state: State, event: Event) -> None:
    effect = event.effect
    name = effect["service_number"]
    due_at = parse_instant(effect["rectify_by"]) if "rectify_by" in effect else None
    state.sales.put(name, Sale(name, effect["provider_id"], effect["times"], due_at))
    if due_at is not None:
        state.schedule("rectify", name, due_at)
    fold_fine(state, event)


def not_rectified(state: State, service_number: str, at: datetime) -> Event:
    """The sale was not rectified by 24:00 of the last working day: the fine is issued (R-PEN-3)."""
    sale = state.sales[service_number]
    name = fresh_id(state.numbers[service_number], f"unrectified/{service_number}/{instant_text(at)}")
    fine_id = _free_fine_id(state, f"{service_number}-{day_of(at)}")
    fine = fining(state, fine_id, sale.provider_id, _fine_hao(state, sale.times), at, service_number, _CAUSE)
    effect = {"service_number": service_number} | fine.effect
    return Event(name, "not_rectified", at, effect, fine.postings, detail=fine.warning)


def _free_fine_id(state: State, fine_id: str) -> str:
    """The id, numbered if a clerk gave it to another fine: what falls due can't be refused."""
    found, copy = fine_id, 1
    while found in state.fines:
        copy += 1
        found = f"{fine_id}-{copy}"
    return found


def rectification_missed(state: State, event: Event) -> None:
    """Folds `not_rectified`."""
    state.unschedule("rectify", event.effect["service_number"])
    note_decided(state, event.effect["service_number"], event)
    fold_fine(state, event)


def _confirm_rectified(state: State, command: Command) -> Event:
    number, _ = contracted_number(state, command.fields["service_number"])
    sale = state.sales.get(number.service_number)
    if sale is None or sale.rectified:
        raise Refused(
            Reason.NO_CASE,
            f"No secondary sale of {number.service_number} is open: notice_secondary_sale comes first (R-PEN-3).",
        )
    return Event(command.command_id, command.kind, command.at, {"service_number": number.service_number})


def _rectified(state: State, event: Event) -> None:
    name = event.effect["service_number"]
    state.sales.put(name, state.sales[name]._replace(rectified=True))
    state.unschedule("rectify", name)


KINDS = {
    "notice_secondary_sale": Kind(
        {"service_number": TEXT, "legitimate": TRUTH_OR_NONE}, _notice_secondary_sale, _secondary_sale_noticed
    ),
    "confirm_rectified": Kind({"service_number": TEXT}, _confirm_rectified, _rectified),
}
