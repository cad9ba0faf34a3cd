"""Who answers which command: one table of kinds; what is due before it; what follows from it.

`handle` is the whole of deciding: values in, events out, the state folded on. A new kind of command is one
Kind in its topic's module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from rating import (
    arrears,
    closing,
    contracts,
    disputes,
    features,
    fines,
    fraud,
    holds,
    life,
    minimums,
    payments,
    price_book,
    real_name,
    registry,
    rerating,
    reversals,
    secondary_sales,
    suspensions,
    transfers,
)
from rating.accounts import PLATFORM, Command, Event, Refused
from rating.calendar import instant_text, month_of
from rating.commands import Field
from rating.kind import Kind, changes_nothing
from rating.posting_columns import moved_hao, payers
from rating.reasons import Reason
from rating.state import State


def _tick(_: State, command: Command) -> Event:
    return Event(command.command_id, command.kind, command.at)


KINDS: dict[str, Kind] = {
    **registry.KINDS,
    **holds.KINDS,
    **contracts.KINDS,
    **real_name.KINDS,
    **life.KINDS,
    **suspensions.KINDS,
    **transfers.KINDS,
    **minimums.KINDS,
    **features.KINDS,
    **disputes.KINDS,
    **payments.KINDS,
    **reversals.KINDS,
    **fraud.KINDS,
    **secondary_sales.KINDS,
    **fines.KINDS,
    "tick": Kind({}, _tick, changes_nothing),
}

_DUE: dict[str, Callable[[State, str, datetime], Event]] = {
    "renewal_due": contracts.renewal_due,
    "documents_due": real_name.documents_due,
    "restrict_number": real_name.restrict_number,
    "suspend_unverified": real_name.suspend_unverified,
    "feature_period": features.feature_period,
    "arrears_step": arrears.due_step,
    "rectify": secondary_sales.not_rectified,
    "fine_overdue": fines.fine_overdue,
}


def _adopted(state: State, event: Event) -> None:
    state.facts.put("book", price_book.parse(event.effect["price_book"], event.effect["name"]))


_OWN: dict[str, Callable[[State, Event], None]] = {
    "adopt_price_book": _adopted,
    "alert": arrears.alerted,
    "balance_restored": arrears.balance_restored,
    "charge_feature": features.feature_charged,
    "close_customer": closing.customer_closed,
    "close_month": closing.month_closed,
    "restrict_number": real_name.number_restricted,
    "suspend_unverified": real_name.unverified_suspended,
    "not_rectified": secondary_sales.rectification_missed,
    "fine_overdue": fines.fine_fell_overdue,
    "adjust_minimum": changes_nothing,
    "rerate": rerating.rerated,
}
"""Events that are decided by ourselves, not commanded."""


def fields_of(kind: str) -> Mapping[str, Field] | None:
    """The fields of a kind of command; None if there is no such kind."""
    found = KINDS.get(kind)
    return None if found is None else found.fields


def fold(state: State, event: Event) -> None:
    """Folds one row of `events` in, whatever its outcome: the next row has the next seq."""
    if event.outcome == "accepted":
        if event.of_calls is not None:
            for (account, month), hao in moved_hao(event.of_calls).items():
                state.move(account, hao, month)
        state.post(event.postings)
        own = _OWN.get(event.kind)
        mutate = own if own is not None else KINDS[event.kind].mutate
        mutate(state, event)
        if event.changes:
            contracts.note_changes(state, event)
        if event.effect.get("reaches_back"):
            rerating.note_due(state, event)
        if event.kind not in _OWN:
            _note_month(state, event)
    pass_over(state)


def _note_month(state: State, event: Event) -> None:
    """The first month to close is that of the first command, or of money that moved earlier and was told later."""
    first = state.facts.get("first_month")
    if first is None or (event.postings and month_of(event.at) < first):
        state.facts.put("first_month", month_of(event.at))


def pass_over(state: State) -> None:
    """A row that changes nothing still has its place."""
    state.facts.put("events_seq", state.events_seq + 1)


def handle(state: State, command: Command, received_at: datetime) -> list[Event]:
    """Decides one command: what fell due before it, its answer, and what follows from that (R-ARR-1).

    One that lies too far ahead of its arrival is a slip of somebody's clock: nothing falls due for it (F-01).
    """
    too_far = command.at - received_at > state.book.ahead
    events = [] if too_far else what_fell_due(state, command.at)
    kind = KINDS.get(command.kind)
    try:
        if too_far:
            raise Refused(
                Reason.CLOCK_SKEW,
                f"at, {instant_text(command.at)}, lies more than {state.book.ahead.days} days after the command arrived, "
                f"at {instant_text(received_at)}.",
            )
        if kind is None:
            raise Refused(Reason.UNKNOWN_KIND, f"There is no command {command.kind!r}.")
        event = kind.decide(state, command)
    except Refused as no:
        event = Event(
            command.command_id,
            command.kind,
            command.at,
            outcome="refused",
            reason=no.reason,
            detail=no.detail,
        )
    events.append(event)
    decided(state, event)
    events.extend(consequences(state, event))
    return events


def what_fell_due(state: State, at: datetime) -> list[Event]:
    """What fell due by `at`, each dated at its own instant and folded in, in order of time."""
    events: list[Event] = []
    while (due := state.next_due(at)) is not None:
        due_at, kind, key = due
        event = _DUE[kind](state, key, due_at)
        decided(state, event)
        events.append(event)
        events.extend(consequences(state, event))
    return events


def close_month(state: State, month: str, at: datetime, usage_of: closing.UsageOf) -> Iterator[Event]:
    """The events of closing a month, folded in, with the alerts that they cause."""
    return closing.close_month(state, month, at, usage_of, decided, consequences)


def decided(state: State, event: Event) -> None:
    """Folds a new event in and makes its postings known to the commands after it.

    Not those of a re-rating: it is committed before any other command is decided.
    """
    if event.kind != "rerate":
        for index, posting in enumerate(event.postings, start=1):
            state.gathered[f"{state.events_seq}-{index}"] = posting
    fold(state, event)


def consequences(state: State, event: Event) -> Iterator[Event]:
    """The alerts that an event's postings cause, folded in one by one."""
    if event.outcome != "accepted":
        return
    touched = dict.fromkeys(
        account[: account.index("/", account.index("/") + 1)]
        for posting in event.postings
        for account in (posting.debit, posting.credit)
        if not account.startswith("platform/")
    )
    if event.of_calls is not None:
        touched = dict.fromkeys([*payers(event.of_calls), *touched])
    for account in touched:
        if account == f"provider/{PLATFORM}":  # the platform owes itself nothing
            continue
        yield from crossings(state, account, event.at)


def crossings(state: State, account: str, at: datetime) -> Iterator[Event]:
    """Every alert that an account's balance calls for now, folded in one by one."""
    while (alert := arrears.next_alert(state, account, at)) is not None:
        decided(state, alert)
        yield alert
