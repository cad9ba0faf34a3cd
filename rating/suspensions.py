"""Suspensions and freezes (R-NUM-4, R-ARR-2): each bar stands until its own cause ends.

A number shows the strongest of its bars. So a payment lifts what arrears did and leaves a freeze for fraud, and
a resumption by command leaves what arrears did.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rating import accounts
from rating.accounts import Change, Command, Event, Refused
from rating.commands import TEXT
from rating.kind import Kind
from rating.life_table import check_step
from rating.minimums import minimums_recalled
from rating.money import yuan_text
from rating.reasons import Reason
from rating.registry import in_order, known_number
from rating.state import CLEAR, Bar, Contract, Number, State

FREEZE_REASONS = ("identity_mismatch", "prohibited_business", "complaint", "fraud", "arrears")
ARREARS, REAL_NAME, COMMAND, SUSPICION = "arrears", "real_name", "command", "suspicion"
"""Why a bar stands, beside the reasons of freeze_number."""


def with_bar(number: Number, bar: Bar, at: datetime) -> Number:
    """The number with one bar more, from `at` on."""
    return number if bar in number.bars else with_bars(number, (*number.bars, bar), at)


def without_bars(number: Number, bars: set[Bar], at: datetime) -> Number:
    """The number without these bars, from `at` on."""
    return with_bars(number, tuple(bar for bar in number.bars if bar not in bars), at)


def with_bars(number: Number, bars: tuple[Bar, ...], at: datetime) -> Number:
    """The number with just these bars; days that it is frozen are not held (R-MIN-8)."""
    after = number._replace(bars=bars)
    if after.state == number.state:
        return after
    contracts, contract = number.contracts, number.contract
    if contract is not None and "frozen" in {number.state, after.state}:
        moved = _frozen(contract, at) if after.state == "frozen" else _thawed(contract, at)
        contracts = (*contracts[:-1], moved)
    return after._replace(since_at=at, contracts=contracts)


def _frozen(contract: Contract, at: datetime) -> Contract:
    return contract._replace(frozen=(*contract.frozen, (at, None)))


def _thawed(contract: Contract, at: datetime) -> Contract:
    return contract._replace(frozen=(*contract.frozen[:-1], (contract.frozen[-1][0], at)))


def state_changes(before: Number, after: Number, at: datetime) -> tuple[Change, ...]:
    """The catalogue's change, if the number shows another state."""
    if before.state == after.state:
        return ()
    return (Change(after.service_number, "state", at, value=after.state),)


def barred_event(state: State, command: Command, before: Number, after: Number) -> Event:
    """The event that changes a number's bars, and the minimums of closed months with them (R-MIN-7)."""
    effect = bars_effect(state, before, after, command.at)
    changes = state_changes(before, after, command.at)
    return Event(command.command_id, command.kind, command.at, effect, changes=changes)


def bars_effect(state: State, before: Number, after: Number, at: datetime) -> dict[str, Any]:
    """What an effect says of a number whose bars change at `at`, and of the minimums that this changes."""
    effect: dict[str, Any] = {"service_number": before.service_number, "bars": bars_text(after.bars)}
    if before.contract is not None and after.contract is not None:
        effect |= minimums_recalled(state, before, before.contract, after.contract, at)
    return effect


def bars_text(bars: tuple[Bar, ...]) -> list[list[str]]:
    """Bars as an effect writes them."""
    return [[bar.state, bar.why] for bar in bars]


def bars_of(texts: list[list[str]]) -> tuple[Bar, ...]:
    """Bars as an effect has them."""
    return tuple(Bar(*text) for text in texts)


def fold_bars(state: State, event: Event) -> None:
    """Folds the bars of the event's number in."""
    put_bars(state, event.effect["service_number"], event.effect["bars"], event.at)


def put_bars(state: State, service_number: str, bars: list[list[str]], at: datetime) -> None:
    """The number has just these bars from `at` on, or since its state changed last if that is later."""
    number = state.numbers[service_number]
    state.numbers.put(service_number, with_bars(number, bars_of(bars), max(at, number.since_at)))


def _asked(state: State, command: Command) -> Number:
    """The number of the command, if it may take this step."""
    number = known_number(state, command.fields["service_number"])
    in_order(number, command)
    check_step(number, command.kind, command.at)
    return number


def _suspend_number(state: State, command: Command) -> Event:
    number = _asked(state, command)
    bar = Bar("suspended", COMMAND)
    if bar in number.bars:
        raise Refused(Reason.BAD_STATE, f"{number.service_number} is suspended by command already.")
    return barred_event(state, command, number, with_bar(number, bar, command.at))


def _resume_number(state: State, command: Command) -> Event:
    number = _asked(state, command)
    bar = Bar("suspended", COMMAND)
    if bar not in number.bars:
        raise _still_barred(state, number)
    return barred_event(state, command, number, without_bars(number, {bar}, command.at))


def _freeze_number(state: State, command: Command) -> Event:
    reason = command.fields["reason"]
    if reason not in FREEZE_REASONS:
        raise Refused(Reason.BAD_VALUE, f"reason {reason!r} is not one of {', '.join(FREEZE_REASONS)}.")
    number = _asked(state, command)
    bar = Bar("frozen", reason)
    if bar in number.bars:
        raise Refused(Reason.BAD_STATE, f"{number.service_number} is frozen for {reason} already.")
    if reason == ARREARS:
        _refuse_unless_in_arrears(state, number)
    return barred_event(state, command, number, with_bar(number, bar, command.at))


def _refuse_unless_in_arrears(state: State, number: Number) -> None:
    customer_id = number.contracts[-1].customer_id
    if state.standings.get(accounts.customer(customer_id), CLEAR).stage == "clear":
        raise Refused(
            Reason.NOTHING_OWED,
            f"{customer_id} is not in arrears: {number.service_number} can't be frozen for it (R-NUM-4).",
        )


def _unfreeze_number(state: State, command: Command) -> Event:
    number = _asked(state, command)
    lifted = {bar for bar in number.bars if bar.state == "frozen" and bar.why not in {ARREARS, SUSPICION}}
    if not lifted:
        raise _still_barred(state, number)
    return barred_event(state, command, number, without_bars(number, lifted, command.at))


def _still_barred(state: State, number: Number) -> Refused:
    """Why no command of this kind can lift what bars the number."""
    whys = {bar.why for bar in number.bars if bar.state == number.state}
    customer_id = number.contracts[-1].customer_id
    if SUSPICION in whys:
        return Refused(
            Reason.UNDER_SUSPICION,
            f"{number.service_number} is frozen for a suspected fraud: clear_suspicion lifts that (R-PEN-1).",
        )
    if ARREARS in whys:
        owed = yuan_text(-state.balance(accounts.customer(customer_id)))
        return Refused(
            Reason.CUSTOMER_IN_ARREARS,
            f"{number.service_number} is {number.state} because {customer_id} owes {owed}: a payment that clears it "
            "lifts that (R-ARR-2).",
        )
    if REAL_NAME in whys:
        return Refused(
            Reason.NOT_REAL_NAMED,
            f"{number.service_number} is suspended until its holder's real name is approved again (R-NUM-3).",
        )
    return Refused(
        Reason.BAD_STATE,
        f"{number.service_number} is {number.state} for {', '.join(sorted(whys))}: "
        f"{'unfreeze_number' if number.state == 'frozen' else 'resume_number'} lifts that.",
    )


_ABOUT = {"service_number": TEXT, "reason": TEXT}
KINDS = {
    "suspend_number": Kind(_ABOUT, _suspend_number, fold_bars),
    "resume_number": Kind(_ABOUT, _resume_number, fold_bars),
    "freeze_number": Kind(_ABOUT, _freeze_number, fold_bars),
    "unfreeze_number": Kind(_ABOUT, _unfreeze_number, fold_bars),
}
