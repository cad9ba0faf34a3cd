"""Arrears (R-ARR-1, R-ARR-2): low balance, arrears, suspension, freeze, long arrears, and the way back.

Each step is an event and an alert, once per crossing; its id is made of account, kind and how often it
happened, so a repeat has the same id. Providers' arrears are alerts only (R-FEAT-3).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rating.accounts import Event, customer
from rating.calendar import instant_text, parse_instant
from rating.decisions import note_decided
from rating.minimums import minimums_recalled
from rating.money import yuan_text
from rating.state import CLEAR, Bar, Number, Standing, State
from rating.suspensions import ARREARS, bars_text, put_bars, state_changes, with_bar, without_bars

_STEPS = {"suspended": "suspended", "frozen": "frozen", "long_arrears": "long_arrears"}


def next_alert(state: State, account: str, at: datetime) -> Event | None:
    """The next crossing of an account's balance, if it has crossed something since its last alert.

    Called until it returns None; each event must be folded in before the next call.
    """
    kind, owner = account.split("/", 1)
    standing = state.standings.get(account, CLEAR)
    balance = state.balance(account)
    if balance >= 0 and standing.stage != "clear":
        return _alert(state, account, "cleared", at, standing.since)
    if kind == "customer":
        low = state.customers[owner].low_balance_hao
        if low is not None and (balance < low) != standing.low:
            return (
                _restored(account, at, standing)
                if standing.low
                else _alert(state, account, "low_balance", at, None)
            )
    if balance < 0 and standing.stage == "clear":
        return _alert(state, account, "arrears", at, at)
    if kind == "customer" and standing.stage == "arrears" and state.book.arrears.suspend_after_days == 0:
        return _alert(state, account, "suspended", at, standing.since)
    return None


def crosses(state: State, customer_id: str, spent_hao: int) -> bool:
    """True if a customer's spending so much more could raise an alert: only then calls are looked at one by one."""
    account = customer(customer_id)
    after = state.balance(account) - spent_hao
    low = state.customers[customer_id].low_balance_hao
    if after >= 0 and (low is None or after >= low):
        return False
    standing = state.standings.get(account, CLEAR)
    return (after < 0 and standing.stage == "clear") or (low is not None and after < low and not standing.low)


def due_step(state: State, key: str, at: datetime) -> Event:
    """What follows so many days after the crossing: `key` is `<step> <account>`."""
    step, account = key.split(" ", 1)
    return _alert(state, account, step, at, state.standings[account].since)


def _alert(state: State, account: str, kind: str, at: datetime, since: datetime | None) -> Event:
    episode = state.standings.get(account, CLEAR).times(kind) + 1
    effect: dict[str, Any] = {
        "alert_id": f"{account}/{kind}/{episode}",
        "account": account,
        "kind": kind,
        "balance": yuan_text(state.balance(account)),
        "episode": episode,
    }
    if since is not None:
        effect["since"] = instant_text(since)
    moved: list[tuple[Number, Number]] = []
    if kind in {"suspended", "frozen"}:
        moved = _barred(state, account, Bar(kind, ARREARS), at)
    elif kind == "cleared":
        moved = _lifted(state, account, at)
    if moved:
        effect["bars"] = {
            after.service_number: bars_text(after.bars)
            for before, after in moved
            if after.bars != before.bars
        }
    effect |= _recalled(state, moved, at)
    changes = tuple(
        change for before, after in moved for change in state_changes(before, after, max(at, before.since_at))
    )
    return Event(str(effect["alert_id"]), "alert", at, effect, changes=changes)


def _recalled(state: State, moved: list[tuple[Number, Number]], at: datetime) -> dict[str, Any]:
    """The minimums of closed months that a freeze or its end changes, if it is recorded late (R-MIN-7, R-MIN-8)."""
    months: dict[str, Any] = {}
    for before, after in moved:
        held, holds = before.contract, after.contract
        if held is not None and holds is not None and held.frozen != holds.frozen:
            recalled = minimums_recalled(state, before, held, holds, max(at, before.since_at))
            months |= recalled.get("closed_minimums", {})
    return {"reaches_back": True, "closed_minimums": months} if months else {}


def _restored(account: str, at: datetime, standing: Standing) -> Event:
    """The balance is back at its limit, so the low-balance alert may come again; nobody is told."""
    event_id = f"{account}/balance_restored/{standing.times('low_balance')}"
    return Event(event_id, "balance_restored", at, {"account": account})


def balance_restored(state: State, event: Event) -> None:
    """Folds `balance_restored` in."""
    account = event.effect["account"]
    state.standings.put(account, state.standings[account]._replace(low=False))


def _barred(state: State, account: str, bar: Bar, at: datetime) -> list[tuple[Number, Number]]:
    """The account's numbers in use, before and with one bar more."""
    return [
        (number, with_bar(number, bar, max(at, number.since_at)))
        for number in _numbers(state, account)
        if number.stage == "active"
    ]


def _lifted(state: State, account: str, at: datetime) -> list[tuple[Number, Number]]:
    """A payment that clears lifts what arrears did, and nothing else (R-ARR-2)."""
    bars = {Bar("suspended", ARREARS), Bar("frozen", ARREARS)}
    return [
        (number, without_bars(number, bars, max(at, number.since_at))) for number in _numbers(state, account)
    ]


def _numbers(state: State, account: str) -> list[Number]:
    kind, owner = account.split("/", 1)
    if kind != "customer":
        return []
    numbers = (state.numbers[service_number] for service_number in state.numbers_of.get(owner, ()))
    return [
        number for number in numbers if number.contract is not None and number.contract.customer_id == owner
    ]


def alerted(state: State, event: Event) -> None:
    """Folds an alert in: the account's standing, its numbers' states, what falls due next."""
    kind, account = event.effect["kind"], event.effect["account"]
    if kind in {"renewal_due", "documents_due"}:
        state.unschedule(kind, event.effect["service_number"])
        note_decided(state, event.effect["service_number"], event)
        return
    standing = state.standings.get(account, CLEAR)
    raised = tuple(sorted((dict(standing.raised) | {kind: event.effect["episode"]}).items()))
    since = parse_instant(event.effect["since"]) if "since" in event.effect else standing.since
    if kind == "low_balance":
        moved = standing._replace(raised=raised, low=True)
    elif kind == "cleared":
        moved = Standing("clear", None, standing.low, raised)
    else:
        moved = standing._replace(stage=kind, since=since, raised=raised)
    state.standings.put(account, moved)
    _reschedule(state, account, kind, since)
    for service_number, bars in event.effect.get("bars", {}).items():
        put_bars(state, service_number, bars, event.at)


def _reschedule(state: State, account: str, kind: str, since: datetime | None) -> None:
    rules = state.book.arrears
    days = {
        "suspended": rules.suspend_after_days,
        "frozen": rules.freeze_after_days,
        "long_arrears": rules.long_arrears_after_days,
    }
    if kind == "cleared":
        for step in days:
            state.unschedule("arrears_step", f"{step} {account}")
    elif kind in _STEPS:
        state.unschedule("arrears_step", f"{kind} {account}")
    elif kind == "arrears" and account.startswith("customer/") and since is not None:
        for step, after in days.items():
            if step != "suspended" or after > 0:
                state.schedule("arrears_step", f"{step} {account}", since + timedelta(days=after))
