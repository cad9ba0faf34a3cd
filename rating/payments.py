"""Money that comes in, and postings that are taken back by their opposite (R-INV-3)."""

from __future__ import annotations

from rating import accounts
from rating.accounts import BANK, DERIVED_KINDS, Command, Event, Posting, Refused
from rating.calendar import month_of
from rating.commands import AMOUNT, TEXT
from rating.kind import Kind
from rating.money import yuan_text
from rating.reasons import Reason
from rating.state import State


def leaf_of(state: State, account: str) -> tuple[str, str | None, str | None]:
    """`customer/C` -> its cash leaf, `provider/P` -> its deposit; with the customer's and provider's id."""
    kind, _, owner = account.partition("/")
    if kind == "customer" and owner in state.customers:
        return accounts.cash(owner), owner, state.customers[owner].provider_id
    if kind == "provider" and owner in state.providers:
        return accounts.deposit(owner), None, owner
    raise Refused(
        Reason.UNKNOWN_ACCOUNT, f"There is no account {account!r}: write customer/ID or provider/ID."
    )


def positive(amount_hao: int) -> int:
    """The amount of a command; Refused if it is not above zero."""
    if amount_hao <= 0:
        raise Refused(Reason.BAD_VALUE, f"amount {yuan_text(amount_hao)} is not above zero.")
    return amount_hao


def _receive_payment(state: State, command: Command) -> Event:
    leaf, customer_id, provider_id = leaf_of(state, command.fields["account"])
    amount_hao = positive(command.fields["amount"])
    month = state.billed_month(month_of(command.at))
    posting = Posting(
        "payment",
        month,
        BANK,
        leaf,
        amount_hao,
        None,
        customer_id,
        provider_id,
        reason=command.fields["reference"],
    )
    return Event(
        command.command_id, command.kind, command.at, {"account": command.fields["account"]}, (posting,)
    )


def _reverse_posting(state: State, command: Command) -> Event:
    posting_id = command.fields["posting_id"]
    posting = state.gathered.get(posting_id)
    if posting is None:
        raise Refused(Reason.UNKNOWN_POSTING, f"There is no posting {posting_id!r}.")
    if posting_id in state.reversed:
        raise Refused(Reason.ALREADY_REVERSED, f"{posting_id} was reversed by {state.reversed[posting_id]}.")
    if posting.kind in DERIVED_KINDS:
        raise Refused(
            Reason.NOT_REVERSIBLE,
            f"{posting_id} is a {posting.kind}: it follows from other entries by itself.",
        )
    reversal = Posting(
        "reversal",
        state.billed_month(month_of(command.at)),
        posting.credit,
        posting.debit,
        posting.amount_hao,
        posting.service_number,
        posting.customer_id,
        posting.provider_id,
        reverses=posting_id,
        reason=command.fields["reason"],
    )
    return Event(command.command_id, command.kind, command.at, {"posting_id": posting_id}, (reversal,))


def _posting_reversed(state: State, event: Event) -> None:
    state.reversed.put(event.effect["posting_id"], event.command_id)


def _nothing_more(_state: State, _event: Event) -> None:
    """The postings say it all."""


KINDS = {
    "receive_payment": Kind(
        {"account": TEXT, "amount": AMOUNT, "reference": TEXT}, _receive_payment, _nothing_more
    ),
    "reverse_posting": Kind({"posting_id": TEXT, "reason": TEXT}, _reverse_posting, _posting_reversed),
}
