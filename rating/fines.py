"""Fines (R-PEN-4): a receivable with a due date; overdue, the provider is shut down and its numbers reclaimed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from rating import accounts, payments, working_days
from rating.accounts import BANK, PLATFORM, REVENUE_FINES, Command, Event, Posting, Refused
from rating.calendar import instant_text, month_of, parse_instant
from rating.cases import Fine
from rating.commands import AMOUNT, TEXT, TEXT_OR_NONE
from rating.holds import fold_released, releasing
from rating.kind import Kind
from rating.life import fold_reclaimed, numbers_of_provider, reclaiming
from rating.money import parse_yuan, yuan_text
from rating.reasons import Reason
from rating.registry import close_provider, known_provider, reopen_provider
from rating.state import State


class Fining(NamedTuple):
    """What an effect says of a fine, its posting, and a warning if its due date was counted without a calendar."""

    effect: dict[str, Any]
    postings: tuple[Posting, ...]
    warning: str | None


NO_FINE = Fining({}, (), None)


def fining(
    state: State,
    fine_id: str,
    provider_id: str,
    amount_hao: int,
    at: datetime,
    service_number: str | None,
    why: str,
) -> Fining:
    """The fine that is issued; nothing for an amount of zero.

    Refused if there is a fine with this id.
    """
    if amount_hao == 0:
        return NO_FINE
    if fine_id in state.fines:
        raise Refused(Reason.ALREADY_EXISTS, f"The fine {fine_id!r} was issued already.")
    penalties = state.book.penalties
    due_at, warning = working_days.end_after(at, penalties.fine_due_working_days, state.book.working_days)
    effect = {
        "fine_id": fine_id,
        "provider_id": provider_id,
        "amount": yuan_text(amount_hao),
        "due_at": instant_text(due_at),
    }
    if service_number is not None:
        effect["cause"] = service_number
    posting = Posting(
        "fine",
        state.billed_month(month_of(at)),
        accounts.fines(provider_id),
        REVENUE_FINES,
        amount_hao,
        service_number,
        None,
        provider_id,
        reason=why,
    )
    return Fining(effect, (posting,), warning)


def fold_fine(state: State, event: Event) -> None:
    """Folds a fine in, if the event issues one: it falls due."""
    effect = event.effect
    if "fine_id" not in effect:
        return
    place = next(at for at, posting in enumerate(event.postings, start=1) if posting.kind == "fine")
    posting_id = f"{state.events_seq}-{place}"
    due_at = parse_instant(effect["due_at"])
    fine = Fine(
        effect["fine_id"], effect["provider_id"], parse_yuan(effect["amount"]), posting_id, due_at, "open",
        effect.get("cause"),
    )  # fmt: skip
    state.fines.put(fine.fine_id, fine)
    state.fined_by.put(posting_id, fine.fine_id)
    state.schedule("fine_overdue", fine.fine_id, due_at)


def take_back_fine(state: State, fine: Fine, at: datetime, reason: str) -> Posting:
    """The reversal of a fine, paid or not; what was paid can be refunded."""
    posting = Posting(
        "fine",
        "",
        accounts.fines(fine.provider_id),
        REVENUE_FINES,
        fine.amount_hao,
        fine.cause,
        None,
        fine.provider_id,
    )
    return payments.reversal_of(state, fine.posting_id, posting, at, reason)


def fine_taken_back(state: State, fine: Fine, by: str) -> None:
    """Folds the reversal of a fine in: it is not due any more, and what it closed is open."""
    state.reversed.put(fine.posting_id, by)
    state.fines.put(fine.fine_id, fine._replace(state="reversed"))
    state.unschedule("fine_overdue", fine.fine_id)
    reopen_provider(state, fine.provider_id, f"fine {fine.fine_id}")


def _issue_fine(state: State, command: Command) -> Event:
    provider = known_provider(state, command.fields["provider_id"])
    amount_hao = payments.positive(command.fields["amount"])
    if provider.provider_id == PLATFORM:
        raise Refused(Reason.UNKNOWN_PROVIDER, "The platform fines providers, not itself.")
    fine_id = command.fields["fine_id"] or command.command_id
    fine = fining(
        state, fine_id, provider.provider_id, amount_hao, command.at, None, command.fields["reason"]
    )
    return Event(
        command.command_id, command.kind, command.at, fine.effect, fine.postings, detail=fine.warning
    )


def _known_fine(state: State, fine_id: str) -> Fine:
    fine = state.fines.get(fine_id)
    if fine is None:
        raise Refused(Reason.UNKNOWN_FINE, f"There is no fine {fine_id!r}.")
    return fine


def _pay_fine(state: State, command: Command) -> Event:
    fine = _known_fine(state, command.fields["fine_id"])
    if fine.state in {"paid", "reversed"}:
        raise Refused(
            Reason.FINE_SETTLED, f"The fine {fine.fine_id} was {fine.state}: nothing is left to pay."
        )
    month = state.billed_month(month_of(command.at))
    account = accounts.fines(fine.provider_id)
    posting = Posting(
        "fine_payment", month, BANK, account, fine.amount_hao, fine.cause, None, fine.provider_id,
        reason=fine.fine_id,
    )  # fmt: skip
    return Event(command.command_id, command.kind, command.at, {"fine_id": fine.fine_id}, (posting,))


def _fine_paid(state: State, event: Event) -> None:
    fine = state.fines[event.effect["fine_id"]]
    state.fines.put(fine.fine_id, fine._replace(state="paid"))
    state.fined_by.put(f"{state.events_seq}-1", fine.fine_id)
    state.unschedule("fine_overdue", fine.fine_id)


def fine_overdue(state: State, fine_id: str, at: datetime) -> Event:
    """A fine was not paid in time: the provider is shut down, its numbers reclaimed, its holds end (R-PEN-4)."""
    fine = state.fines[fine_id]
    contracted, held = numbers_of_provider(state, fine.provider_id, at)
    effect, changes = reclaiming(state, contracted, at)
    effect |= {"fine_id": fine_id, "provider_id": fine.provider_id, "amount": yuan_text(fine.amount_hao)}
    released = releasing(held, at)
    return Event(f"overdue/{fine_id}", "fine_overdue", at, effect, changes=(*changes, *released))


def fine_fell_overdue(state: State, event: Event) -> None:
    """Folds `fine_overdue`."""
    effect = event.effect
    fine = state.fines[effect["fine_id"]]
    state.fines.put(fine.fine_id, fine._replace(state="overdue"))
    state.unschedule("fine_overdue", fine.fine_id)
    close_provider(state, fine.provider_id, f"fine {fine.fine_id}")
    fold_reclaimed(state, event)
    fold_released(state, event)


KINDS = {
    "issue_fine": Kind(
        {"provider_id": TEXT, "amount": AMOUNT, "reason": TEXT, "fine_id": TEXT_OR_NONE},
        _issue_fine,
        fold_fine,
    ),
    "pay_fine": Kind({"fine_id": TEXT}, _pay_fine, _fine_paid),
}
