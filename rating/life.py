"""A number's way into use and out of it (R-NUM-1, R-NUM-5, R-NUM-7): activation, disuse, reclaiming.

The states that each step starts from are `rating.life_table`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from rating import accounts
from rating.accounts import Change, Command, Event, Refused
from rating.calendar import instant_text, month_of
from rating.commands import TEXT
from rating.features import forget_features
from rating.kind import Kind
from rating.life_table import CONTRACTED, check_step, state_at
from rating.minimums import minimums_recalled, reaches_back
from rating.money import yuan_text
from rating.real_name import fold_stage, forget_verification, moved, tagged
from rating.reasons import Reason
from rating.registry import in_order, known_number, refuse_closed
from rating.state import CLEAR, Contract, Number, State
from rating.suspensions import FREEZE_REASONS, SUSPICION, with_bars

RECLAIM_REASONS = ("arrears", "serious_violation", "overdue_fine", "customer_request")


def _activate_number(state: State, command: Command) -> Event:
    number = known_number(state, command.fields["service_number"])
    check_step(number, command.kind, command.at)
    in_order(number, command)
    contract = number.contracts[-1]
    refuse_closed(state, contract.provider_id)
    account = accounts.customer(contract.customer_id)
    if state.standings.get(account, CLEAR).stage != "clear":
        raise Refused(
            Reason.CUSTOMER_IN_ARREARS,
            f"{contract.customer_id} is in arrears by {yuan_text(-state.balance(account))}; "
            f"{number.service_number} can be activated once they are paid.",
        )
    _refuse_before_terms(number, contract, command)
    activated = contract._replace(activated_at=command.at)
    more = minimums_recalled(state, number, contract, activated, command.at)
    if len(number.contracts) > 1 and reaches_back(state, command.at):
        more["reaches_back"] = True  # calls that the holder before was charged and that were taken back
    return moved(number, command, "active", **more)


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
    number = fold_stage(state, event)
    contract = number.contracts[-1]._replace(activated_at=event.at)
    state.numbers.put(number.service_number, number._replace(contracts=(*number.contracts[:-1], contract)))


def _confirm_disuse(state: State, command: Command) -> Event:
    number = known_number(state, command.fields["service_number"])
    check_step(number, command.kind, command.at)
    return Event(command.command_id, command.kind, command.at, {"service_number": number.service_number})


def _disuse_confirmed(state: State, event: Event) -> None:
    number = state.numbers[event.effect["service_number"]]
    contract = number.contracts[-1]._replace(disuse_at=event.at)
    state.numbers.put(number.service_number, number._replace(contracts=(*number.contracts[:-1], contract)))


def _reclaim_number(state: State, command: Command) -> Event:
    reason = command.fields["reason"]
    if reason not in RECLAIM_REASONS:
        raise Refused(Reason.BAD_VALUE, f"reason {reason!r} is not one of {', '.join(RECLAIM_REASONS)}.")
    number = known_number(state, command.fields["service_number"])
    check_step(number, command.kind, command.at)
    in_order(number, command)
    contract = number.contracts[-1]
    if reason == "arrears":
        _refuse_unless_abandoned(state, number, contract, command.at)
    elif reason == "customer_request":
        _refuse_while_held_back(number)
    else:
        _refuse_unless_cause(state, contract.provider_id, reason)
    effect, changes = reclaiming(state, [number], command.at)
    return Event(command.command_id, command.kind, command.at, effect | {"reason": reason}, changes=changes)


def _refuse_unless_abandoned(state: State, number: Number, contract: Contract, at: datetime) -> None:
    """Reclaiming for arrears needs long arrears and the customer's word (R-NUM-5)."""
    standing = state.standings.get(accounts.customer(contract.customer_id), CLEAR)
    days = timedelta(days=state.book.arrears.long_arrears_after_days)
    if standing.stage != "long_arrears" or standing.since is None or at < standing.since + days:
        since = f"in arrears since {instant_text(standing.since)}" if standing.since else "not in arrears"
        raise Refused(
            Reason.NOT_LONG_IN_ARREARS,
            f"{contract.customer_id} is {since}: {number.service_number} can be reclaimed for arrears that have lasted "
            f"{state.book.arrears.long_arrears_after_days} days, and with confirm_disuse (R-NUM-5).",
        )
    if contract.disuse_at is None:
        raise Refused(
            Reason.DISUSE_NOT_CONFIRMED,
            f"{contract.customer_id} has not said that {number.service_number} is no longer used: confirm_disuse records "
            "that; arrears alone do not reclaim it (R-NUM-5).",
        )


def _refuse_while_held_back(number: Number) -> None:
    """A customer's wish does not end an inquiry into its number."""
    for bar in number.bars:
        if bar.state == "frozen" and bar.why == SUSPICION:
            raise Refused(
                Reason.UNDER_SUSPICION,
                f"{number.service_number} is frozen for a suspected fraud: clear_suspicion or confirm_fraud comes first.",
            )
        if bar.state == "frozen" and bar.why in set(FREEZE_REASONS) - {"arrears"}:
            raise Refused(
                Reason.BAD_STATE,
                f"{number.service_number} is frozen for {bar.why}: unfreeze_number comes before its customer can give it back.",
            )


def _refuse_unless_cause(state: State, provider_id: str, reason: str) -> None:
    closed_for = state.providers[provider_id].closed_for
    if reason == "serious_violation" and "serious" not in closed_for:
        raise Refused(
            Reason.NO_CONFIRMED_CASE,
            f"No serious case of {provider_id} was declared: declare_serious comes first (R-PEN-2).",
        )
    if reason == "overdue_fine" and not any(cause.startswith("fine ") for cause in closed_for):
        raise Refused(Reason.NO_OVERDUE_FINE, f"{provider_id} has no overdue fine (R-PEN-4).")


def reclaiming(
    state: State, numbers: Iterable[Number], at: datetime
) -> tuple[dict[str, Any], tuple[Change, ...]]:
    """What an effect says of numbers that are taken back from their holders, and the catalogue's changes.

    A number whose state began later than `at` ends at that later instant.
    """
    effect: dict[str, Any] = {"reclaimed": {}}
    minimums: dict[str, Any] = {}
    changes: list[Change] = []
    for number in numbers:
        ended_at = max(at, number.since_at)
        effect["reclaimed"][number.service_number] = instant_text(ended_at)
        changes.append(Change(number.service_number, "state", ended_at, value="reclaimed"))
        changes += tagged(number, ended_at, restricted=False)
        contract = number.contracts[-1]
        if contract.activated_at is None:
            continue
        ended = contract._replace(ended_at=ended_at)
        recalled = minimums_recalled(state, number, contract, ended, ended_at)
        if recalled or reaches_back(state, ended_at):
            effect["reaches_back"] = True
            minimums |= recalled.get("closed_minimums", {})
    if minimums:
        effect["closed_minimums"] = minimums
    return effect, tuple(changes)


def fold_reclaimed(state: State, event: Event) -> None:
    """Folds numbers in that were taken back: contract, bars and features end, nothing of them falls due any more."""
    for change in event.changes:
        if change.facet == "state" and change.value == "reclaimed":
            _end(state, state.numbers[change.number], change.from_at)


def _end(state: State, number: Number, at: datetime) -> None:
    forget_features(state, number)
    forget_verification(state, number.service_number)
    for kind in ("documents_due", "renewal_due", "rectify"):
        state.unschedule(kind, number.service_number)
    thawed = with_bars(number, (), at)
    contract = thawed.contracts[-1]._replace(ended_at=at)
    reclaimed = thawed._replace(
        stage="reclaimed",
        since_at=at,
        contracts=(*thawed.contracts[:-1], contract),
        features=frozenset(),
        verify_by=None,
        restricted=False,
    )
    state.numbers.put(number.service_number, reclaimed)


def numbers_of_provider(state: State, provider_id: str, at: datetime) -> tuple[list[Number], list[Number]]:
    """The numbers that a provider's contracts are about, and those that it holds."""
    contracted, held = [], []
    for number in state.numbers.values():
        if (
            number.stage == "held"
            and number.holds[-1].provider_id == provider_id
            and state_at(number, at) == "held"
        ):
            held.append(number)
        elif number.state in CONTRACTED and number.contracts[-1].provider_id == provider_id:
            contracted.append(number)
    return contracted, held


KINDS = {
    "activate_number": Kind({"service_number": TEXT}, _activate_number, _number_activated),
    "confirm_disuse": Kind({"service_number": TEXT}, _confirm_disuse, _disuse_confirmed),
    "reclaim_number": Kind({"service_number": TEXT, "reason": TEXT}, _reclaim_number, fold_reclaimed),
}
