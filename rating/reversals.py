"""Taking a posting back by its opposite (R-INV-3); a fine, its payment or used credit changes with it."""

from __future__ import annotations

from rating import accounts
from rating.accounts import DERIVED_KINDS, Command, Event, Posting, Refused
from rating.cases import Fine
from rating.commands import TEXT
from rating.fines import fine_taken_back
from rating.kind import Kind
from rating.money import yuan_text
from rating.payments import known_posting, refuse_reversed, reversal_of
from rating.reasons import Reason
from rating.state import State


def _reverse_posting(state: State, command: Command) -> Event:
    posting_id = command.fields["posting_id"]
    posting = known_posting(state, posting_id)
    refuse_reversed(state, posting_id)
    if posting.kind in DERIVED_KINDS:
        raise Refused(
            Reason.NOT_REVERSIBLE,
            f"{posting_id} is a {posting.kind}: it follows from other entries by itself.",
        )
    _refuse_open_cases(state, posting_id)
    reversal = reversal_of(state, posting_id, posting, command.at, command.fields["reason"])
    postings = (reversal, *_used_from_cash(state, posting_id, posting, reversal.month))
    return Event(command.command_id, command.kind, command.at, {"posting_id": posting_id}, postings)


def _used_from_cash(state: State, posting_id: str, posting: Posting, month: str) -> tuple[Posting, ...]:
    """A plan's fee: what usage drew of its credit is paid from cash instead, so no credit is below zero (R-PLAN-3).

    Refused once the credit has ended: the ledger does not know any more what of it was used (R-PLAN-2).
    """
    if posting.kind != "plan_fee":
        return ()
    customer_id, account = str(posting.customer_id), posting.credit
    if all(credit.account != account for credit in state.credits.get(customer_id, ())):
        raise Refused(
            Reason.CREDIT_ENDED,
            f"The credit of {posting_id}, {account}, has ended: what of its {yuan_text(posting.amount_hao)} was not used "
            "went with the close of its last month.",
        )
    used_hao = posting.amount_hao - max(0, state.leaves.get(account, 0))
    if used_hao <= 0:
        return ()
    cash = accounts.cash(customer_id)
    return (
        Posting(
            "settlement",
            month,
            cash,
            account,
            used_hao,
            posting.service_number,
            customer_id,
            posting.provider_id,
            reason=f"used of {posting_id}",
        ),
    )


def _refuse_open_cases(state: State, posting_id: str) -> None:
    """A charge that is disputed, and a fine that was paid or hangs on a suspicion, have a way of their own."""
    dispute = state.disputes.get(state.disputed.get(posting_id, ""))
    if dispute is not None and dispute.outcome is None:
        raise Refused(
            Reason.DISPUTE_OPEN,
            f"The dispute {dispute.dispute_id} about {posting_id} is open: settle_dispute decides it (R-FEAT-2).",
        )
    fine = state.fines.get(state.fined_by.get(posting_id, ""))
    if fine is None or posting_id != fine.posting_id:
        return
    if fine.state == "paid":
        raise Refused(
            Reason.FINE_SETTLED, f"The fine {fine.fine_id} was paid: reverse its payment before the fine."
        )
    for suspicion in state.suspicions.values():
        if suspicion.fine_id == fine.fine_id:
            said = (
                "was confirmed: it is final"
                if suspicion.confirmed
                else "is open: clear_suspicion takes it back"
            )
            raise Refused(
                Reason.UNDER_SUSPICION,
                f"The suspicion of {fine.cause} that the fine {fine.fine_id} belongs to {said} (R-PEN-1).",
            )


def _posting_reversed(state: State, event: Event) -> None:
    posting_id = event.effect["posting_id"]
    state.reversed.put(posting_id, event.command_id)
    fine = state.fines.get(state.fined_by.get(posting_id, ""))
    if fine is None:
        return
    if posting_id == fine.posting_id:
        fine_taken_back(state, fine, event.command_id)
    else:
        _payment_bounced(state, fine)


def _payment_bounced(state: State, fine: Fine) -> None:
    """It is due as before, at once if its day is over; what shut the provider down already does so once."""
    if f"fine {fine.fine_id}" in state.providers[fine.provider_id].closed_for:
        state.fines.put(fine.fine_id, fine._replace(state="overdue"))
        return
    state.fines.put(fine.fine_id, fine._replace(state="open"))
    state.schedule("fine_overdue", fine.fine_id, fine.due_at)


KINDS = {
    "reverse_posting": Kind({"posting_id": TEXT, "reason": TEXT}, _reverse_posting, _posting_reversed),
}
