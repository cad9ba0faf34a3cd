"""The monthly minimum (R-MIN-1 … 8): formula, ratchet, opening month, proration, top-up; and rate changes.

A number's minimum in a month has a closed form, so it does not depend on the order in which raises and
rates were recorded: the greatest of what was raised by then and of the formula at every rate that was in
force from activation until then. Before activation only the latest rate counts (R-MIN-4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rating import accounts
from rating.accounts import REVENUE_MINIMUM, Change, Command, Event, Posting, Refused
from rating.calendar import (
    day_of,
    days_in,
    end_of_month,
    first_day,
    instant_text,
    month_of,
    next_month,
    parse_instant,
    start_of_day,
    start_of_month,
)
from rating.commands import AMOUNT, MONTH_OR_NONE, TEXT
from rating.kind import Kind
from rating.money import HAO_PER_FEN, MAX_HAO, mul_div_up_to_fen, parse_yuan, yuan_text
from rating.price_book import MAX_RATE_HAO
from rating.reasons import Reason
from rating.registry import contracted_number, refuse_closed
from rating.state import Contract, Number, State


def reaches_back(state: State, from_at: datetime) -> bool:
    """True if a price from this instant on may concern calls that were charged already."""
    latest: datetime | None = state.facts.get("latest_start")
    return latest is not None and from_at <= latest


def formula(base_hao: int, rate_hao: int, base_rate_hao: int) -> int:
    """base × rate ÷ base rate, rounded up to the fen (R-MIN-3): 100.00 at 0.15 is 50.00."""
    return mul_div_up_to_fen(base_hao, rate_hao, base_rate_hao)


def checked_rate(rate_hao: int, base_hao: int, base_rate_hao: int) -> int:
    """The rate of a command, if a fee and a minimum at it can be written down; Refused otherwise."""
    if not 0 <= rate_hao <= MAX_RATE_HAO:
        raise Refused(
            Reason.BAD_VALUE,
            f"rate {yuan_text(rate_hao)} is not between 0 and {yuan_text(MAX_RATE_HAO)} yuan a minute.",
        )
    if formula(base_hao, rate_hao, base_rate_hao) > MAX_HAO:
        raise Refused(
            Reason.BAD_VALUE, f"rate {yuan_text(rate_hao)} makes a minimum of more than {yuan_text(MAX_HAO)}."
        )
    return rate_hao


def rate_at(contract: Contract, at: datetime) -> int:
    """The rate in force: the entry that began last, of equals the one recorded last."""
    found = contract.rates[0][1]
    latest = contract.rates[0][0]
    for from_at, rate_hao in contract.rates[1:]:
        if latest <= from_at <= at:
            latest, found = from_at, rate_hao
    return found


def held_minimum(contract: Contract, month: str) -> int:
    """The minimum that the number has in a month, before proration and opening month (R-MIN-2 … 5)."""
    raised = 0
    for from_month, hao in contract.raises:
        if from_month <= month and hao > raised:
            raised = hao
    activated = contract.activated_at
    if activated is None:
        return max(
            raised,
            _formula_at(contract, rate_at(contract, datetime.max.replace(tzinfo=contract.signed_at.tzinfo))),
        )
    start, highest_hao = start_of_month(month), rate_at(contract, activated)
    for from_at, rate_hao in contract.rates:
        if activated < from_at <= start and rate_hao > highest_hao:
            highest_hao = rate_hao
    return max(raised, _formula_at(contract, highest_hao))


def _formula_at(contract: Contract, rate_hao: int) -> int:
    return formula(contract.base_minimum_hao, rate_hao, contract.base_rate_hao)


@dataclass(frozen=True, slots=True)
class Charged:
    """How the minimum of one number in one month came about: what explain and statements show."""

    minimum_hao: int
    held_hao: int
    days_held: int
    days: int
    opening: bool


def charged_minimum(contract: Contract, month: str) -> Charged:
    """The minimum that is charged for a month: 0 in the opening month, prorated where not held (R-MIN-6, 8)."""
    days = days_in(month)
    activated = contract.activated_at
    if activated is None or month < month_of(activated):
        return Charged(0, 0, 0, days, opening=False)
    held = held_minimum(contract, month)
    if contract.opening_month_free and month == month_of(activated):
        return Charged(0, held, days, days, opening=True)
    days_held = _days_held(contract, month)
    return Charged(mul_div_up_to_fen(held, days_held, days), held, days_held, days, opening=False)


def _days_held(contract: Contract, month: str) -> int:
    """Days of the month on which the number was held: a day frozen for any part is not (R-MIN-8)."""
    day, end = first_day(month), end_of_month(month)
    count = 0
    while (start := start_of_day(day)) < end:
        after = start + timedelta(days=1)
        gone = contract.ended_at is not None and contract.ended_at <= start
        frozen = any(a < after and (b is None or b > start) for a, b in contract.frozen)
        count += not gone and not frozen
        day += timedelta(days=1)
    return count


def top_up(minimum_hao: int, calls_hao: int) -> int:
    """What closing a month adds: max(0, minimum − calls of the month) (R-MIN-1, R-MIN-7)."""
    return max(0, minimum_hao - calls_hao)


def closed_minimums(
    state: State, number: Number, before: Contract, after: Contract, from_at: datetime
) -> dict[str, str]:
    """month -> minimum as charged so far, of each closed month whose minimum a fact recorded late changes."""
    found: dict[str, str] = {}
    earlier = [one for one in number.contracts[:-1] if one.customer_id == before.customer_id]
    closed, month = state.closed_month, month_of(from_at)
    while closed is not None and month <= closed:
        least_hao = max((charged_minimum(one, month).minimum_hao for one in earlier), default=0)
        charged_hao = max(least_hao, charged_minimum(before, month).minimum_hao)
        if charged_hao != max(least_hao, charged_minimum(after, month).minimum_hao):
            found[month] = yuan_text(charged_hao)
        month = next_month(month)
    return found


def adjustment(
    number: Number,
    contract: Contract,
    month: str,
    before_hao: int,
    after_hao: int,
    billed_month: str,
    minimums_hao: tuple[int, int] | None = None,
) -> Posting | None:
    """The posting that keeps a closed month's top-up right when its calls change (R-MIN-7).

    `minimums_hao` is the minimum that was charged so far and the one to charge, if that changes too.
    """
    if minimums_hao is None:
        minimums_hao = (charged_minimum(contract, month).minimum_hao,) * 2
    earlier_hao, minimum_hao = minimums_hao
    delta_hao = top_up(minimum_hao, after_hao) - top_up(earlier_hao, before_hao)
    if delta_hao == 0:
        return None
    usage = accounts.usage(contract.customer_id)
    more = delta_hao > 0
    return Posting(
        "minimum_top_up" if more else "late_call_adjustment",
        billed_month,
        usage if more else REVENUE_MINIMUM,
        REVENUE_MINIMUM if more else usage,
        abs(delta_hao),
        number.service_number,
        contract.customer_id,
        contract.provider_id,
        reason=f"top-up of {month}",
    )


def contract_of(number: Number, customer_id: str, month: str) -> Contract | None:
    """The customer's contract on the number that covers the month.

    If several do, since it was reclaimed and contracted anew, the one with the greatest minimum, of equals the latest:
    the new one's opening month does not make up for the days of the old one (R-MIN-8).
    """
    found = [
        contract
        for contract in reversed(number.contracts)
        if contract.customer_id == customer_id and _covers(contract, month)
    ]
    if len(found) > 1:
        return max(found, key=lambda contract: charged_minimum(contract, month).minimum_hao)
    return found[0] if found else None


def _covers(contract: Contract, month: str) -> bool:
    activated, ended = contract.activated_at, contract.ended_at
    if activated is None or month_of(activated) > month:
        return False
    return ended is None or month_of(ended) >= month


def latest_contract_of(number: Number, customer_id: str) -> Contract | None:
    """The customer's latest contract on the number."""
    return next((one for one in reversed(number.contracts) if one.customer_id == customer_id), None)


def _change_rate(state: State, command: Command) -> Event:
    number, contract = contracted_number(state, command.fields["service_number"])
    refuse_closed(state, contract.provider_id)
    rate_hao = checked_rate(command.fields["rate"], contract.base_minimum_hao, contract.base_rate_hao)
    from_at = _effective(contract, command)
    changed = _with_rate(contract, command.at, from_at, rate_hao)
    changes = [
        Change(number.service_number, "rate", from_at, rate_hao=rate_hao, increment_s=contract.increment_s),
        *minimum_changes(number.service_number, changed, from_at),
    ]
    effect: dict[str, object] = {
        "service_number": number.service_number,
        "rate": yuan_text(rate_hao),
        "from": instant_text(from_at),
        "minimum": yuan_text(held_minimum(changed, month_of(from_at))),
    }
    if contract.activated_at is not None and reaches_back(state, from_at):
        effect["reaches_back"] = True
    effect |= minimums_recalled(state, number, contract, changed, from_at)
    return Event(command.command_id, command.kind, command.at, effect, changes=tuple(changes))


def minimums_recalled(
    state: State, number: Number, before: Contract, after: Contract, from_at: datetime
) -> dict[str, Any]:
    """What an effect says if it changes minimums of closed months: their top-ups are made up for next (R-MIN-7)."""
    months = closed_minimums(state, number, before, after, from_at)
    return {"reaches_back": True, "closed_minimums": {number.service_number: months}} if months else {}


def _in_use(contract: Contract, at: datetime) -> bool:
    """True from activation on, whichever was recorded first (R-MIN-4, F-15)."""
    return contract.activated_at is not None and contract.activated_at <= at


def _with_rate(contract: Contract, at: datetime, from_at: datetime, rate_hao: int) -> Contract:
    """The contract with a rate that was asked for at `at`.

    A rate that this one replaces before it began was never in force. In use a rate never lowers the minimum,
    not even if it is backdated to before activation (R-MIN-4).
    """
    rates, raises = contract.rates, contract.raises
    if _in_use(contract, at):
        rates = tuple(entry for entry in rates if entry[0] != from_at or entry[0] <= at)
        if contract.activated_at is not None and from_at <= contract.activated_at:
            month = month_of(contract.activated_at)
            raises = (*raises, (month, held_minimum(contract, month)))
    return contract._replace(rates=(*rates, (from_at, rate_hao)), raises=raises)


def _effective(contract: Contract, command: Command) -> datetime:
    """The first of `from_month`, by default the month after `at`; before activation at once (R-MIN-6)."""
    if not _in_use(contract, command.at):
        return max(command.at, contract.signed_at)
    month = command.fields["from_month"] or next_month(month_of(command.at))
    return max(start_of_month(month), contract.rates[0][0])


def _rate_changed(state: State, event: Event) -> None:
    number = state.numbers[event.effect["service_number"]]
    from_at, rate_hao = parse_instant(event.effect["from"]), parse_yuan(event.effect["rate"])
    put_contract(state, number, _with_rate(number.contracts[-1], event.at, from_at, rate_hao))


def _set_minimum(state: State, command: Command) -> Event:
    number, contract = contracted_number(state, command.fields["service_number"])
    refuse_closed(state, contract.provider_id)
    minimum_hao = command.fields["minimum"]
    from_month = command.fields["from_month"] or next_month(month_of(command.at))
    if not _in_use(contract, command.at):
        from_month = month_of(command.at)
    held_hao = held_minimum(contract, from_month)
    if minimum_hao < held_hao:
        raise Refused(
            Reason.MINIMUM_LOWERED,
            f"The minimum of {number.service_number} is {yuan_text(held_hao)} and can only be raised. "
            f"The lowest minimum you can set is {yuan_text(held_hao)}.",
        )
    if minimum_hao % HAO_PER_FEN:
        raise Refused(Reason.BAD_VALUE, f"minimum {yuan_text(minimum_hao)} is not a whole number of fen.")
    changed = contract
    if minimum_hao > held_hao:  # as in a contract, only what is above counts as raised (R-MIN-3)
        changed = contract._replace(raises=(*contract.raises, (from_month, minimum_hao)))
    from_at = max(start_of_month(from_month), contract.signed_at)
    effect: dict[str, object] = {
        "service_number": number.service_number,
        "minimum": yuan_text(minimum_hao),
        "from_month": from_month,
        "raised": minimum_hao > held_hao,
        **minimums_recalled(state, number, contract, changed, from_at),
    }
    changes = tuple(minimum_changes(number.service_number, changed, from_at))
    return Event(command.command_id, command.kind, command.at, effect, changes=changes)


def _minimum_set(state: State, event: Event) -> None:
    if not event.effect.get("raised", True):
        return
    number = state.numbers[event.effect["service_number"]]
    contract = number.contracts[-1]
    raised = (event.effect["from_month"], parse_yuan(event.effect["minimum"]))
    put_contract(state, number, contract._replace(raises=(*contract.raises, raised)))


def put_contract(state: State, number: Number, contract: Contract) -> None:
    """Replaces the number's latest contract."""
    state.numbers.put(number.service_number, number._replace(contracts=(*number.contracts[:-1], contract)))


def minimum_changes(service_number: str, contract: Contract, from_at: datetime) -> Iterator[Change]:
    """The minimum from an instant on, and again wherever a later rate or raise changes it."""
    yield Change(service_number, "minimum", from_at, minimum_hao=held_minimum(contract, month_of(from_at)))
    later = {start for start, _ in contract.rates if start > from_at}
    later.update(start for month, _ in contract.raises if (start := start_of_month(month)) > from_at)
    for start in sorted(later):
        yield Change(service_number, "minimum", start, minimum_hao=held_minimum(contract, month_of(start)))


def rates_within(contract: Contract, month: str) -> list[list[str]]:
    """[day from which, rate] for each rate in force in the month, oldest first."""
    start, end = start_of_month(month), end_of_month(month)
    starts = sorted({start, *(from_at for from_at, _ in contract.rates if start < from_at < end)})
    return [[day_of(at).isoformat(), yuan_text(rate_at(contract, at))] for at in starts]


def formula_of(contract: Contract, month: str) -> int:
    """The formula at the month's last rate (R-MIN-3)."""
    return _formula_at(contract, rate_at(contract, end_of_month(month) - timedelta(microseconds=1)))


def explained(charged: Charged, contract: Contract, month: str) -> str:
    """One sentence with the arithmetic and its rules, for explain and statements."""
    rate = rate_at(contract, end_of_month(month) - timedelta(microseconds=1))
    base = (
        f"{yuan_text(contract.base_minimum_hao)} × {yuan_text(rate)} ÷ {yuan_text(contract.base_rate_hao)}"
        f" = {yuan_text(_formula_at(contract, rate))} (R-MIN-3)"
    )
    if charged.opening:
        return f"{base}; month of activation: no minimum (R-MIN-6)"
    if charged.held_hao != _formula_at(contract, rate):
        base += f"; held at {yuan_text(charged.held_hao)} (R-MIN-5)"
    if charged.days_held != charged.days:
        base += f"; {charged.days_held} of {charged.days} days: {yuan_text(charged.minimum_hao)} (R-MIN-8)"
    return base


KINDS = {
    "change_rate": Kind(
        {"service_number": TEXT, "rate": AMOUNT, "from_month": MONTH_OR_NONE}, _change_rate, _rate_changed
    ),
    "set_minimum": Kind(
        {"service_number": TEXT, "minimum": AMOUNT, "from_month": MONTH_OR_NONE}, _set_minimum, _minimum_set
    ),
}
