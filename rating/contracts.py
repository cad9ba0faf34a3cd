"""Contracts (R-PLAN-1 … 4): signing locks the number and pays the plan's fee, which becomes call credit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from rating import accounts
from rating.accounts import BANK, Change, Command, Event, Posting, Refused
from rating.calendar import add_months, day_of, month_of, parse_day, start_of_day
from rating.commands import AMOUNT_OR_NONE, DAY, TEXT, TEXT_OR_NONE
from rating.decisions import fresh_id
from rating.holds import held_for
from rating.kind import Kind
from rating.life_table import check_step
from rating.minimums import checked_rate, formula, held_minimum, put_contract, rate_at
from rating.money import HAO_PER_FEN, parse_yuan, yuan_text
from rating.price_book import Plan
from rating.reasons import Reason
from rating.registry import contracted_number, in_order, known_customer, known_number, refuse_closed
from rating.state import Contract, Credit, Number, State


def _plan(state: State, plan_id: str, day: date) -> Plan:
    plan = state.book.plan(plan_id, day)
    if plan is None:
        raise Refused(Reason.UNKNOWN_PLAN, f"The price book has no plan {plan_id!r} on {day}.")
    return plan


def _sign_contract(state: State, command: Command) -> Event:
    fields = command.fields
    number = known_number(state, fields["service_number"])
    customer = known_customer(state, fields["customer_id"])
    starts_on: date = fields["starts_on"]
    plan = _plan(state, fields["plan_id"], starts_on)
    refuse_closed(state, customer.provider_id)
    in_order(number, command)
    _refuse_unless_held(state, number, customer.provider_id, command.at)
    base_hao = state.book.base_minimum_hao(number.number_class, starts_on)
    base_rate_hao = state.book.base_rate_hao(starts_on)
    given_hao = plan.rate_hao if fields["rate"] is None else fields["rate"]
    rate_hao = checked_rate(given_hao, base_hao, base_rate_hao)
    lowest_hao = formula(base_hao, rate_hao, base_rate_hao)
    minimum_hao = fields["minimum"] if fields["minimum"] is not None else lowest_hao
    if minimum_hao < lowest_hao:
        raise Refused(
            Reason.MINIMUM_BELOW_FORMULA,
            f"The minimum {yuan_text(minimum_hao)} is below the base minimum of {number.service_number} "
            f"at the rate {yuan_text(rate_hao)}: the lowest minimum you can set is {yuan_text(lowest_hao)}.",
        )
    if minimum_hao % HAO_PER_FEN:
        raise Refused(Reason.BAD_VALUE, f"minimum {yuan_text(minimum_hao)} is not a whole number of fen.")
    effect: dict[str, Any] = {
        "service_number": number.service_number,
        "customer_id": customer.customer_id,
        "provider_id": customer.provider_id,
        "plan_id": plan.plan_id,
        "starts_on": starts_on.isoformat(),
        "paid_months": plan.fee_months or 0,
        "rate": yuan_text(rate_hao),
        "base_minimum": yuan_text(base_hao),
        "base_rate": yuan_text(base_rate_hao),
        "minimum": yuan_text(minimum_hao),
        "raised": minimum_hao > lowest_hao,
        "increment_s": plan.increment_s,
        "opening_month_free": plan.opening_month == "use",
    }
    postings = _fee(
        state, effect, plan, number, starts_on, add_months(starts_on, plan.fee_months or 0), command
    )
    contract = _contract(effect, command.at)
    changes = (
        Change(number.service_number, "state", command.at, value="locked"),
        holder_change(number.service_number, contract, command.at),
        Change(number.service_number, "rate", command.at, rate_hao=rate_hao, increment_s=plan.increment_s),
        Change(number.service_number, "minimum", command.at, minimum_hao=minimum_hao),
        *again_later(number, contract, command.at, {"holder", "rate", "minimum"}),
    )
    return Event(command.command_id, command.kind, command.at, effect, postings, changes)


def _refuse_unless_held(state: State, number: Number, provider_id: str, at: datetime) -> None:
    check_step(number, "sign_contract", at)
    if not held_for(state, number, provider_id):
        raise Refused(
            Reason.NOT_HELD,
            f"{number.service_number} is held by {number.holds[-1].provider_id}, not for the customer's provider {provider_id}.",
        )


def _fee(
    state: State,
    effect: dict[str, object],
    plan: Plan,
    number: Number,
    starts: date,
    ends: date,
    command: Command,
) -> tuple[Posting, ...]:
    """The plan's fee as credit for [starts, ends); puts the credit into the effect (R-PLAN-1, R-PLAN-2)."""
    fee_hao = plan.fee_hao_for(number.number_class)
    if fee_hao == 0 or not plan.fee_months:
        return ()
    customer_id, provider_id = str(effect["customer_id"]), str(effect["provider_id"])
    name = f"{number.service_number}-{starts:%Y%m%d}"
    account, copy = accounts.credit(customer_id, name), 1
    while account in state.leaves:  # the same period of the same number again, after a reclaim
        copy += 1
        account = accounts.credit(customer_id, f"{name}-{copy}")
    effect["fee"] = yuan_text(fee_hao)
    effect["credit"] = account
    effect["credit_starts_on"] = starts.isoformat()
    effect["credit_ends_on"] = (ends - timedelta(days=1)).isoformat()
    month = state.billed_month(month_of(command.at))
    reference = command.fields["reference"]
    return (
        Posting(
            "plan_fee",
            month,
            BANK,
            account,
            fee_hao,
            number.service_number,
            customer_id,
            provider_id,
            reason=reference,
        ),
    )


def _contract(effect: Mapping[str, Any], at: datetime) -> Contract:
    """The contract that an effect of sign_contract describes."""
    raised = ((month_of(at), parse_yuan(effect["minimum"])),) if effect["raised"] else ()
    return Contract(
        customer_id=effect["customer_id"],
        provider_id=effect["provider_id"],
        plan_id=effect["plan_id"],
        signed_at=at,
        starts_on=parse_day(effect["starts_on"]),
        paid_months=effect["paid_months"],
        base_minimum_hao=parse_yuan(effect["base_minimum"]),
        base_rate_hao=parse_yuan(effect["base_rate"]),
        increment_s=effect["increment_s"],
        opening_month_free=effect["opening_month_free"],
        rates=((at, parse_yuan(effect["rate"])),),
        raises=raised,
    )


def holder_change(service_number: str, contract: Contract, at: datetime) -> Change:
    """The catalogue's change: the contract's customer, provider and plan hold the number from `at` on."""
    return Change(
        service_number,
        "holder",
        at,
        customer_id=contract.customer_id,
        provider_id=contract.provider_id,
        plan_id=contract.plan_id,
    )


def again_later(
    number: Number, contract: Contract, at: datetime, facets: Collection[str]
) -> Iterator[Change]:
    """Says anew what was recorded of the number for later instants, as this contract has it.

    A change of an earlier contract, or with an earlier provider, would else hold from there on (F-15).
    """
    name = number.service_number
    for facet, from_at in number.dated:
        if from_at <= at or facet not in facets:
            continue
        if facet == "rate":
            yield Change(
                name, "rate", from_at, rate_hao=rate_at(contract, from_at), increment_s=contract.increment_s
            )
        elif facet == "minimum":
            yield Change(name, "minimum", from_at, minimum_hao=held_minimum(contract, month_of(from_at)))
        else:
            yield holder_change(name, contract, from_at)


_DATED = {"holder", "rate", "minimum", "tag"}


def note_changes(state: State, event: Event) -> None:
    """Keeps in mind from when facets of a number changed since its contract was signed.

    What is recorded later may begin before them: it has to say what holds from each of them on.
    """
    for change in event.changes:
        if change.facet not in _DATED:
            continue
        number = state.numbers[change.number]
        signed_at = number.contracts[-1].signed_at if number.contracts else event.at
        noted = {*number.dated, (change.facet, change.from_at)}
        dated = tuple(sorted(entry for entry in noted if entry[1] > signed_at))
        if dated != number.dated:
            state.numbers.put(number.service_number, number._replace(dated=dated))


def _contract_signed(state: State, event: Event) -> None:
    effect = event.effect
    number = state.numbers[effect["service_number"]]
    contract = _contract(effect, event.at)
    holds = (*number.holds[:-1], number.holds[-1]._replace(until_at=event.at))
    signed = number._replace(
        stage="locked",
        since_at=event.at,
        holds=holds,
        contracts=(*number.contracts, contract),
        features=frozenset(),
    )
    state.numbers.put(number.service_number, signed)
    of_customer = state.numbers_of.get(contract.customer_id, ())
    if number.service_number not in of_customer:
        state.numbers_of.put(contract.customer_id, (*of_customer, number.service_number))
    due_at = event.at + timedelta(days=state.book.documents.due_days)
    state.schedule("documents_due", number.service_number, due_at)
    _credit_paid(state, event, contract)


def _credit_paid(state: State, event: Event, contract: Contract) -> None:
    effect = event.effect
    if "credit" not in effect:
        return
    customer_id, ends_on = effect["customer_id"], parse_day(effect["credit_ends_on"])
    starts_on = parse_day(effect["credit_starts_on"])
    credit = Credit(effect["credit"], starts_on, ends_on, contract.signed_at)
    state.credits.put(customer_id, (*state.credits.get(customer_id, ()), credit))
    remind_at = start_of_day(ends_on + timedelta(days=1)) - timedelta(days=state.book.renewal_due_days)
    state.schedule("renewal_due", effect["service_number"], remind_at)


def _renew_contract(state: State, command: Command) -> Event:
    """The next paid period starts the day after the old one; rate, minimum and ratchet stay (R-PLAN-2)."""
    number, contract = contracted_number(state, command.fields["service_number"])
    refuse_closed(state, contract.provider_id)
    anchor, paid = contract.starts_on, contract.paid_months
    if paid == 0:  # so far without a paid period: it starts with the payment
        anchor = max(anchor, day_of(command.at))
    starts = add_months(anchor, paid)
    plan = _plan(state, command.fields["plan_id"], starts)
    if not plan.fee_months:
        raise Refused(
            Reason.BAD_VALUE, f"The plan {plan.plan_id} has no paid period: there is nothing to renew."
        )
    effect: dict[str, object] = {
        "service_number": number.service_number,
        "customer_id": contract.customer_id,
        "provider_id": contract.provider_id,
        "plan_id": plan.plan_id,
        "starts_on": anchor.isoformat(),
        "paid_months": paid + plan.fee_months,
    }
    ends = add_months(anchor, paid + plan.fee_months)
    postings = _fee(state, effect, plan, number, starts, ends, command)
    holder = holder_change(
        number.service_number,
        contract._replace(plan_id=plan.plan_id),
        max(start_of_day(starts), contract.signed_at),
    )
    return Event(command.command_id, command.kind, command.at, effect, postings, (holder,))


def _contract_renewed(state: State, event: Event) -> None:
    effect = event.effect
    number = state.numbers[effect["service_number"]]
    contract = number.contracts[-1]._replace(
        plan_id=effect["plan_id"],
        starts_on=parse_day(effect["starts_on"]),
        paid_months=effect["paid_months"],
    )
    put_contract(state, number, contract)
    _credit_paid(state, event, contract)


def renewal_due(state: State, service_number: str, at: datetime) -> Event:
    """The alert before a paid period ends (R-PLAN-1)."""
    number = state.numbers[service_number]
    contract = number.contracts[-1]
    account = accounts.customer(contract.customer_id)
    ends = add_months(contract.starts_on, contract.paid_months) - timedelta(days=1)
    effect = {
        "alert_id": fresh_id(number, f"{account}/renewal_due/{service_number}/{ends}"),
        "account": account,
        "kind": "renewal_due",
        "balance": yuan_text(state.balance(account)),
        "service_number": service_number,
        "ends_on": ends.isoformat(),
    }
    return Event(str(effect["alert_id"]), "alert", at, effect)


KINDS = {
    "sign_contract": Kind(
        {
            "service_number": TEXT,
            "customer_id": TEXT,
            "plan_id": TEXT,
            "starts_on": DAY,
            "rate": AMOUNT_OR_NONE,
            "minimum": AMOUNT_OR_NONE,
            "reference": TEXT_OR_NONE,
        },
        _sign_contract,
        _contract_signed,
    ),
    "renew_contract": Kind(
        {"service_number": TEXT, "plan_id": TEXT, "reference": TEXT_OR_NONE},
        _renew_contract,
        _contract_renewed,
    ),
}
