"""Disputes about a feature's charge (R-FEAT-2): opened, then upheld or reversed; nothing is edited."""

from __future__ import annotations

from rating.accounts import Command, Event, Posting, Refused
from rating.cases import Dispute
from rating.commands import TEXT, TEXT_OR_NONE
from rating.kind import Kind
from rating.payments import known_posting, refuse_reversed, reversal_of
from rating.reasons import Reason
from rating.registry import refuse_closed
from rating.state import State

DISPUTABLE = ("feature_fee",)
OUTCOMES = ("upheld", "reversed")


def _open_dispute(state: State, command: Command) -> Event:
    dispute_id = command.fields["dispute_id"] or command.command_id
    if dispute_id in state.disputes:
        raise Refused(Reason.ALREADY_EXISTS, f"The dispute {dispute_id!r} was opened already.")
    posting_id = command.fields["posting_id"]
    posting = known_posting(state, posting_id)
    if posting.kind not in DISPUTABLE:
        raise Refused(
            Reason.NOT_DISPUTABLE,
            f"{posting_id} is a {posting.kind}: charges for features can be disputed (R-FEAT-2).",
        )
    if posting_id in state.disputed:
        earlier = state.disputes[state.disputed[posting_id]]
        said = f"was settled: {earlier.outcome}" if earlier.outcome else "is open"
        raise Refused(Reason.ALREADY_DISPUTED, f"The dispute {earlier.dispute_id} about {posting_id} {said}.")
    refuse_reversed(state, posting_id)
    refuse_closed(state, str(posting.provider_id))
    effect = {"dispute_id": dispute_id, "posting_id": posting_id}
    return Event(command.command_id, command.kind, command.at, effect)


def _dispute_opened(state: State, event: Event) -> None:
    dispute = Dispute(event.effect["dispute_id"], event.effect["posting_id"])
    state.disputes.put(dispute.dispute_id, dispute)
    state.disputed.put(dispute.posting_id, dispute.dispute_id)


def _settle_dispute(state: State, command: Command) -> Event:
    dispute_id, outcome = command.fields["dispute_id"], command.fields["outcome"]
    dispute = state.disputes.get(dispute_id)
    if dispute is None:
        raise Refused(Reason.UNKNOWN_DISPUTE, f"There is no dispute {dispute_id!r}.")
    if outcome not in OUTCOMES:
        raise Refused(Reason.BAD_VALUE, f"outcome {outcome!r} is not one of {', '.join(OUTCOMES)}.")
    if dispute.outcome is not None:
        raise Refused(Reason.DISPUTE_SETTLED, f"The dispute {dispute_id} was settled: {dispute.outcome}.")
    effect = {"dispute_id": dispute_id, "outcome": outcome, "posting_id": dispute.posting_id}
    postings: tuple[Posting, ...] = ()
    if outcome == "reversed":
        said = f"dispute {dispute_id}"
        posting = state.gathered[dispute.posting_id]
        postings = (reversal_of(state, dispute.posting_id, posting, command.at, said),)
    return Event(command.command_id, command.kind, command.at, effect, postings)


def _dispute_settled(state: State, event: Event) -> None:
    effect = event.effect
    dispute = state.disputes[effect["dispute_id"]]
    state.disputes.put(dispute.dispute_id, dispute._replace(outcome=effect["outcome"]))
    if effect["outcome"] == "reversed":
        state.reversed.put(dispute.posting_id, event.command_id)


KINDS = {
    "open_dispute": Kind(
        {"posting_id": TEXT, "reason": TEXT, "dispute_id": TEXT_OR_NONE}, _open_dispute, _dispute_opened
    ),
    "settle_dispute": Kind({"dispute_id": TEXT, "outcome": TEXT}, _settle_dispute, _dispute_settled),
}
