"""The price book: one TOML file, read strictly; `default.toml` beside this file explains every key.

Everything wrong in it is refused with file, key and reason before anything is billed. The nouns and their
look-ups are in `rating.prices`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from rating.calendar import start_of_day
from rating.numbers import CLASSES, ORDINARY
from rating.prices import (
    FEATURES,
    OPENING_MONTHS,
    PERIODS,
    SINCE_EVER,
    VAT_KINDS,
    Arrears,
    Dated,
    Documents,
    FeaturePrice,
    Holding,
    Penalties,
    Plan,
    PlanEntry,
    PriceBook,
    Rates,
    WorkingDays,
)
from rating.terms import CallerRates, Terms
from rating.toml_table import SettingsError, Table, read_toml

__all__ = ["FEATURES", "Plan", "PriceBook", "PriceBookError", "default_text", "load", "parse"]

T = TypeVar("T")

MAX_RATE_HAO = 10_000 * 10_000
"""10,000 yuan a minute: far above any tariff, and a year-long call's fee still fits into an int64."""
MAX_DAYS = 3660
MAX_MONTHS = 1200


class PriceBookError(ValueError):
    """A price book that cannot be used: one sentence with file, key and reason."""


def default_text() -> str:
    """The price book that a new home begins with."""
    return Path(__file__).with_name("default.toml").read_text(encoding="utf-8")


def load(path: str | Path) -> PriceBook:
    """Reads a price book; PriceBookError if it is wrong or cannot be read."""
    name = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise PriceBookError(f"{name}: this file cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise PriceBookError(f"{name}: this is not UTF-8 text: byte {error.start} cannot be read.") from None
    return parse(text, name)


def parse(text: str, name: str) -> PriceBook:
    """Reads a price book from its text; `name` is what errors call it. PriceBookError if it is wrong."""
    try:
        return _read_book(read_toml(text, name))
    except SettingsError as error:
        raise PriceBookError(str(error)) from None


def _read_book(top: Table) -> PriceBook:
    rates = _always_held(top, "rate", _read_undivided(top, "rate", _read_rates))
    callers = _always_held(top, "caller", _read_undivided(top, "caller", _read_caller))
    minimums = _read_dated(top, "minimum", "class", CLASSES, lambda entry: entry.money("yuan"))
    _always_held(top, f"minimum.{ORDINARY}", minimums.get(ORDINARY, ()))
    features = _read_dated(top, "feature", "id", FEATURES, _read_feature)
    for feature in FEATURES:
        _always_held(top, f"feature.{feature}", features.get(feature, ()))
    book = PriceBook(
        operator=top.optional("operator", lambda key: _read_operator(top.table(key))) or "Fentan",
        plans=_read_dated(top, "plan", "id", None, _read_plan),
        rates=rates,
        minimums=minimums,
        features=features,
        vat=_read_dated(top, "vat", "kind", VAT_KINDS, lambda entry: entry.percent("percent")),
        call_terms=_read_terms(top.table("calls"), callers),
        holding=_read_holding(top.table("holding")),
        ahead=_read_ahead(top.table("commands")),
        renewal_due_days=_read_renewal(top.table("contracts")),
        documents=_read_documents(top.table("documents")),
        arrears=_read_arrears(top.table("arrears")),
        penalties=_read_penalties(top.table("penalties")),
        working_days=top.optional("working_days", lambda key: _read_working_days(top.table(key)))
        or WorkingDays(frozenset(), frozenset()),
    )
    top.end()
    return book


def _read_operator(table: Table) -> str:
    name = table.word("name")
    table.end()
    return name


def _read_dated(
    top: Table, section: str, id_key: str, known: Collection[str] | None, read: Callable[[Table], T]
) -> dict[str, tuple[Dated[T], ...]]:
    """A list of entries with an id and dates, by id, each id's entries in the order of their days."""
    found: dict[str, list[Dated[T]]] = {}
    for entry in top.tables(section):
        which = entry.word(id_key, known)
        entry.call_it(f"{section}.{which}")
        found.setdefault(which, []).append(_read_days(entry, read))
    return {which: _in_order(top, f"{section}.{which}", entries) for which, entries in found.items()}


def _read_undivided(top: Table, section: str, read: Callable[[Table], T]) -> tuple[Dated[T], ...]:
    """A list of entries that have dates but no id."""
    return _in_order(top, section, [_read_days(entry, read) for entry in top.tables(section)])


def _read_days(entry: Table, read: Callable[[Table], T]) -> Dated[T]:
    from_day = entry.optional("from", entry.day)
    until = entry.optional("until", entry.day)
    if from_day is not None and from_day <= SINCE_EVER:
        raise entry.error("from", f"{from_day} is before any 400 number; leave it out for since ever.")
    if until is not None and until <= (from_day or SINCE_EVER):
        raise entry.error("until", f"{until} is not after the first day, {from_day or SINCE_EVER}.")
    dated = Dated(from_day or SINCE_EVER, until, read(entry))
    entry.end()
    return dated


def _in_order(top: Table, key: str, entries: list[Dated[T]]) -> tuple[Dated[T], ...]:
    """The entries by their first day; refuses two that hold on one day."""
    entries.sort(key=lambda entry: entry.from_day)
    for earlier, later in pairwise(entries):
        if earlier.from_day == later.from_day:
            raise top.error(key, f"dates overlap: two entries begin {_since(later.from_day)}.")
        if earlier.until is not None and earlier.until > later.from_day:
            raise top.error(
                key,
                f"dates overlap: one entry holds until {earlier.until}, the next begins on {later.from_day}.",
            )
    return tuple(entries)


def _always_held(top: Table, key: str, entries: tuple[Dated[T], ...]) -> tuple[Dated[T], ...]:
    """The entries; refuses them if there is a day without one."""
    if not entries:
        raise top.error(key, "this entry is missing.")
    if entries[0].from_day > SINCE_EVER:
        raise top.error(
            key, f"nothing holds before {entries[0].from_day}; leave `from` out of its first entry."
        )
    for entry, later in zip(entries, (*entries[1:], None), strict=True):
        if entry.until is not None and (later is None or entry.until < later.from_day):
            until = f"until {later.from_day}" if later else "any more"
            raise top.error(
                key, f"nothing holds from {entry.until} {until}; leave `until` out or add an entry."
            )
    return entries


def _since(day: date) -> str:
    return "since ever (they have no `from`)" if day == SINCE_EVER else f"on {day}"


def _rate(entry: Table, key: str) -> int:
    hao = entry.money(key)
    if hao > MAX_RATE_HAO:
        raise entry.error(key, "a rate of more than 10000 yuan a minute is not believed.")
    return hao


def _read_rates(entry: Table) -> Rates:
    base_hao = _rate(entry, "base")
    if base_hao == 0:
        raise entry.error("base", "minimums are quoted at this rate, so it must be above 0.")
    return Rates(base_hao, _rate(entry, "default"), _increment(entry, "increment_s"))


def _increment(entry: Table, key: str) -> int:
    return entry.whole(key, 1, 3600)


def _read_plan(entry: Table) -> PlanEntry:
    plan_id = entry.word("id")
    fee_hao = entry.optional("fee", entry.money)
    fee_months = entry.optional("fee_months", lambda key: entry.whole(key, 1, MAX_MONTHS))
    contract_months = entry.optional("contract_months", lambda key: entry.whole(key, 1, MAX_MONTHS))
    by_class = entry.optional("fee_by_class", entry.table)
    if fee_hao is not None and (fee_months is None or contract_months is None):
        missing = "fee_months" if fee_months is None else "contract_months"
        raise entry.error(missing, "this key is missing: a plan with a fee needs it.")
    if fee_hao is None and (fee_months is not None or by_class is not None):
        raise entry.error("fee", "this key is missing: fee_months and fee_by_class need it.")
    rate_hao = entry.optional("rate", lambda key: _rate(entry, key))
    increment_s = entry.optional("increment_s", lambda key: _increment(entry, key))
    plan = Plan(
        plan_id=plan_id,
        fee_hao=fee_hao or 0,
        fee_months=fee_months or 0,
        contract_months=contract_months or 0,
        rate_hao=rate_hao or 0,
        increment_s=increment_s or 0,
        opening_month=entry.optional("opening_month", lambda key: entry.word(key, OPENING_MONTHS)) or "use",
        fee_by_class=_read_by_class(by_class) if by_class else {},
    )
    return PlanEntry(plan, rate_hao, increment_s)


def _read_by_class(fees: Table) -> dict[str, int]:
    for key in fees:
        if key not in CLASSES:
            raise fees.error(key, f"there is no such class; it can be {', '.join(CLASSES)}.")
    return {key: fees.money(key) for key in fees}


def _read_feature(entry: Table) -> FeaturePrice:
    period = entry.optional("period", lambda key: entry.word(key, PERIODS))
    return FeaturePrice(entry.money("price"), period or "once")


def _read_caller(entry: Table) -> tuple[int, dict[str, int], tuple[str, ...]]:
    areas = entry.optional("by_area", entry.table)
    return (
        _rate(entry, "default"),
        _read_areas(areas) if areas else {},
        entry.words("bundled_prefixes", pattern="[0-9]{1,11}"),
    )


def _read_areas(areas: Table) -> dict[str, int]:
    for area in areas:
        if not re.fullmatch("0[0-9]{2,3}", area):
            raise areas.error(area, "this is not an area code, like 010 or 0531.")
    return {area: _rate(areas, area) for area in areas}


def _read_terms(
    calls: Table, callers: tuple[Dated[tuple[int, dict[str, int], tuple[str, ...]]], ...]
) -> Terms:
    terms = Terms(
        caller_rates=tuple(CallerRates(start_of_day(dated.from_day), *dated.value) for dated in callers),
        duration_limit_s=calls.whole("duration_limit_h", 1, 8784) * 3600,
        duration_tolerance_s=calls.whole("duration_tolerance_s", 0, 3600),
        clock_tolerance_s=calls.whole("clock_tolerance_s", 0, 86400),
        late_months=calls.whole("late_months", 0, MAX_MONTHS),
    )
    calls.end()
    return terms


def _read_holding(table: Table) -> Holding:
    holding = Holding(
        ordinary_hours=table.whole("ordinary_hours", 1, MAX_DAYS * 24),
        special_hours=table.whole("special_hours", 1, MAX_DAYS * 24),
        special_hours_for=table.words("special_hours_for", pattern="[0-9]{1,10}"),
        special_classes=table.words("special_classes", CLASSES),
        blocked_cycles=table.whole("blocked_cycles", 1, 100),
        cooling_minutes=table.whole("cooling_minutes", 0, MAX_DAYS * 1440),
    )
    table.end()
    return holding


def _read_ahead(table: Table) -> timedelta:
    days = table.whole("ahead_days", 0, MAX_DAYS)
    table.end()
    return timedelta(days=days)


def _read_renewal(table: Table) -> int:
    days = table.whole("renewal_due_days", 0, MAX_DAYS)
    table.end()
    return days


def _read_documents(table: Table) -> Documents:
    documents = Documents(
        required=table.words("required", pattern="[a-z][a-z0-9_]*"),
        due_days=table.whole("due_days", 0, MAX_DAYS),
        real_name_deadline_days=table.whole("real_name_deadline_days", 0, MAX_DAYS),
        restricted_days=table.whole("restricted_days", 0, MAX_DAYS),
    )
    table.end()
    return documents


def _read_arrears(table: Table) -> Arrears:
    keys = ("suspend_after_days", "freeze_after_days", "long_arrears_after_days")
    days = [table.whole(key, 0, MAX_DAYS) for key in keys]
    for place in (1, 2):
        if days[place] < days[place - 1]:
            raise table.error(
                keys[place], f"{days[place]} is less than {keys[place - 1]}, {days[place - 1]}."
            )
    table.end()
    return Arrears(*days)


def _read_penalties(table: Table) -> Penalties:
    penalties = Penalties(
        fraud_fine_hao=table.money("fraud_fine"),
        secondary_sale_fine_hao=table.money("secondary_sale_fine"),
        secondary_sale_repeated_fine_hao=table.money("secondary_sale_repeated_fine"),
        rectify_working_days=table.whole("rectify_working_days", 0, 365),
        fine_due_working_days=table.whole("fine_due_working_days", 0, 365),
    )
    table.end()
    return penalties


def _read_working_days(table: Table) -> WorkingDays:
    days = WorkingDays(frozenset(table.days("holidays")), frozenset(table.days("workdays")))
    for day in sorted(days.holidays & days.workdays):
        raise table.error("workdays", f"{day} is a holiday as well.")
    table.end()
    return days
