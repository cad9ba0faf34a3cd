"""Money that comes in and goes out, debts that are given up, and the opposite of a posting (R-INV-3)."""

from __future__ import annotations

from datetime import datetime

from rating import accounts
from rating.accounts import BAD_DEBT, BANK, PLATFORM, Command, Event, Posting, Refused
from rating.calendar import month_of
from rating.commands import AMOUNT, TEXT
from rating.kind import Kind, changes_nothing
from rating.money import yuan_text
from rating.reasons import Reason
from rating.state import State


def leaf_of(state: State, account: str) -> tuple[str, str | None, str | None]:
    """`customer/C` -> its cash leaf, `provider/P` -> its deposit; with the customer's and provider's id."""
    kind, _, owner = account.partition("/")
    if kind == "customer" and owner in state.customers:
        return accounts.cash(owner), owner, state.customers[owner].provider_id
    if kind == "provider" and owner in state.providers and owner != PLATFORM:
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


def _refund(state: State, command: Command) -> Event:
    """Gives back what was paid in: never call credit, and never what usage still needs."""
    account = command.fields["account"]
    leaf, customer_id, provider_id = leaf_of(state, account)
    amount_hao = positive(command.fields["amount"])
    leaves = [leaf] if provider_id is None or customer_id else [accounts.fines(provider_id), leaf]
    left = {one: max(0, state.leaves.get(one, 0)) for one in leaves}
    most_hao = max(0, min(sum(left.values()), state.balance(account)))
    if amount_hao > most_hao:
        raise Refused(
            Reason.REFUND_TOO_HIGH,
            f"{account} has {yuan_text(most_hao)} that can be given back, not {yuan_text(amount_hao)}: call credit and "
            "what calls have used stay.",
        )
    month, postings = state.billed_month(month_of(command.at)), []
    for one, paid_hao in left.items():  # fines that were reversed after they were paid come first
        if part_hao := min(amount_hao, paid_hao):
            postings.append(
                Posting(
                    "refund",
                    month,
                    one,
                    BANK,
                    part_hao,
                    None,
                    customer_id,
                    provider_id,
                    reason=command.fields["reference"],
                )
            )
            amount_hao -= part_hao
    return Event(command.command_id, command.kind, command.at, {"account": account}, tuple(postings))


def _write_off(state: State, command: Command) -> Event:
    """Gives up what an account owes; a fine is not written off, it is paid or reversed (R-PEN-4)."""
    account = command.fields["account"]
    leaf, customer_id, provider_id = leaf_of(state, account)
    owed_hao = -(state.balance(account) if customer_id else state.leaves.get(leaf, 0))
    if owed_hao <= 0:
        raise Refused(
            Reason.NOTHING_OWED,
            f"{account} owes nothing that could be written off: it has {yuan_text(-owed_hao)}.",
        )
    posting = Posting(
        "write_off",
        state.billed_month(month_of(command.at)),
        BAD_DEBT,
        leaf,
        owed_hao,
        None,
        customer_id,
        provider_id,
        reason=command.fields["reason"],
    )
    return Event(command.command_id, command.kind, command.at, {"account": account}, (posting,))


def known_posting(state: State, posting_id: str) -> Posting:
    """The posting; Refused if there is none with this id."""
    posting = state.gathered.get(posting_id)
    if posting is None:
        raise Refused(Reason.UNKNOWN_POSTING, f"There is no posting {posting_id!r}.")
    return posting


def refuse_reversed(state: State, posting_id: str) -> None:
    """Refused if the posting was taken back before: that is done once (R-INV-3)."""
    if posting_id in state.reversed:
        raise Refused(Reason.ALREADY_REVERSED, f"{posting_id} was reversed by {state.reversed[posting_id]}.")


def reversal_of(state: State, posting_id: str, posting: Posting, at: datetime, reason: str) -> Posting:
    """The posting the other way that names what it takes back (R-INV-3)."""
    return Posting(
        "reversal",
        state.billed_month(month_of(at)),
        posting.credit,
        posting.debit,
        posting.amount_hao,
        posting.service_number,
        posting.customer_id,
        posting.provider_id,
        reverses=posting_id,
        reason=reason,
    )


_MOVED = {"account": TEXT, "amount": AMOUNT, "reference": TEXT}
KINDS = {
    "receive_payment": Kind(_MOVED, _receive_payment, changes_nothing),
    "refund": Kind(_MOVED, _refund, changes_nothing),
    "write_off": Kind({"account": TEXT, "reason": TEXT}, _write_off, changes_nothing),
}
