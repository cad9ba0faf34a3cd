"""What the price book knows, and looking it up: prices by day, periods and thresholds.

Amounts are hao, rates hao a minute, days are Shanghai days. `rating.price_book` reads one from its file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Generic, TypeVar

from rating.numbers import ORDINARY
from rating.terms import Terms

T = TypeVar("T")

FEATURES = (
    "ivr",
    "ringback",
    "recording",
    "screen_pop",
    "block_list",
    "time_routing",
    "area_routing",
    "voicemail",
    "queue",
    "satisfaction",
    "fax",
    "conference",
)
PERIODS = ("once", "month", "year")
OPENING_MONTHS = ("use", "minimum")
VAT_KINDS = (
    "call",
    "minimum_top_up",
    "late_call_adjustment",
    "rerating",
    "credit_expiry",
    "feature_fee",
    "plan_fee",
    "fine",
)
"""Kinds of movement that can contain VAT; the others move money that is taxed elsewhere or not at all."""

SINCE_EVER = date(1900, 1, 1)
"""The first day of an entry without `from`: before any 400 number."""


@dataclass(frozen=True, slots=True)
class Dated(Generic[T]):
    """What holds from a day (inclusive) until a day (exclusive; None: the next entry, or for ever)."""

    from_day: date
    until: date | None
    value: T


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan on a day (R-PLAN-1): what is paid for how long, and what a minute costs."""

    plan_id: str
    fee_hao: int
    """paid for each `fee_months`, becomes call credit; 0: no fee"""
    fee_months: int
    """0: no paid period"""
    contract_months: int
    """0: no term"""
    rate_hao: int
    increment_s: int
    opening_month: str
    """"use" or "minimum": what the month of activation is charged (R-MIN-6)"""
    fee_by_class: Mapping[str, int] = field(default_factory=dict)

    def fee_hao_for(self, number_class: str) -> int:
        """The fee of a number of this class, in hao (R-PLAN-4)."""
        return self.fee_by_class.get(number_class, self.fee_hao)


@dataclass(frozen=True, slots=True)
class Rates:
    """The rate that minimums are quoted at, and what a plan has that names no rate or increment."""

    base_hao: int
    default_hao: int
    increment_s: int


@dataclass(frozen=True, slots=True)
class FeaturePrice:
    """What enabling a feature costs its provider, "once" or again each "month" or "year" (R-FEAT-1)."""

    price_hao: int
    period: str


@dataclass(frozen=True, slots=True)
class Holding:
    """Pre-occupation (R-HOLD-1 … R-HOLD-4)."""

    ordinary_hours: int
    special_hours: int
    special_hours_for: tuple[str, ...]
    special_classes: tuple[str, ...]
    blocked_cycles: int
    cooling_minutes: int

    def is_special(self, number_class: str) -> bool:
        """True if holding such a number needs an approved intent form (R-HOLD-4)."""
        return number_class in self.special_classes

    def hours(self, service_number: str, number_class: str) -> int:
        """How long a hold lasts (R-HOLD-1)."""
        long = self.is_special(number_class) or service_number.startswith(self.special_hours_for)
        return self.special_hours if long else self.ordinary_hours


@dataclass(frozen=True, slots=True)
class Documents:
    """What must be submitted, and the deadlines of documents and real names (R-NUM-2, R-NUM-3)."""

    required: tuple[str, ...]
    due_days: int
    real_name_deadline_days: int
    restricted_days: int


@dataclass(frozen=True, slots=True)
class Arrears:
    """Days since a customer fell into arrears until each step (R-ARR-1)."""

    suspend_after_days: int
    freeze_after_days: int
    long_arrears_after_days: int


@dataclass(frozen=True, slots=True)
class Penalties:
    """Fines per number, and periods in Chinese working days (R-PEN-1 … R-PEN-4)."""

    fraud_fine_hao: int
    secondary_sale_fine_hao: int
    secondary_sale_repeated_fine_hao: int
    rectify_working_days: int
    fine_due_working_days: int


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """Holidays on weekdays and working days on weekends, for years that the calendar does not cover."""

    holidays: frozenset[date]
    workdays: frozenset[date]


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A plan as written: None where it follows the default rate or increment of the day."""

    plan: Plan
    rate_hao: int | None
    increment_s: int | None


@dataclass(frozen=True, slots=True)
class PriceBook:
    """All prices; a look-up takes the day that it is asked for."""

    operator: str
    """the name that statements are issued under"""
    plans: Mapping[str, tuple[Dated[PlanEntry], ...]]
    rates: tuple[Dated[Rates], ...]
    minimums: Mapping[str, tuple[Dated[int], ...]]
    features: Mapping[str, tuple[Dated[FeaturePrice], ...]]
    vat: Mapping[str, tuple[Dated[int], ...]]
    call_terms: Terms
    holding: Holding
    ahead: timedelta
    """how long after its arrival a command may take effect (F-01)"""
    renewal_due_days: int
    """how long before a paid period ends the alert `renewal_due` comes (R-PLAN-1)"""
    documents: Documents
    arrears: Arrears
    penalties: Penalties
    working_days: WorkingDays

    def plan(self, plan_id: str, day: date) -> Plan | None:
        """The plan with the rate and increment that hold on the day; None if it is not sold then."""
        entry = _on(self.plans.get(plan_id, ()), day)
        if entry is None:
            return None
        if entry.rate_hao is not None and entry.increment_s is not None:
            return entry.plan
        rates = self._rates(day)
        return replace(
            entry.plan,
            rate_hao=rates.default_hao if entry.rate_hao is None else entry.rate_hao,
            increment_s=rates.increment_s if entry.increment_s is None else entry.increment_s,
        )

    def base_rate_hao(self, day: date) -> int:
        """The rate that the base minimums are quoted at (R-MIN-3)."""
        return self._rates(day).base_hao

    def default_rate_hao(self, day: date) -> int:
        """The rate of a contract whose plan names none."""
        return self._rates(day).default_hao

    def base_minimum_hao(self, number_class: str, day: date) -> int:
        """A month's minimum at the base rate (R-MIN-3); a class without an entry has the ordinary one."""
        own = _on(self.minimums.get(number_class, ()), day)
        return _held(self.minimums[ORDINARY], day) if own is None else own

    def feature(self, feature: str, day: date) -> FeaturePrice:
        """The price of a feature of FEATURES on the day; KeyError for any other."""
        return _held(self.features[feature], day)

    def vat_percent_hundredths(self, kind: str, day: date) -> int:
        """VAT contained in a movement of this kind: 900 is 9 %; 0 for a kind without an entry.

        A reversal has the VAT of the kind that it reverses: ask for that one.
        """
        return _on(self.vat.get(kind, ()), day) or 0

    def terms(self) -> Terms:
        """What the rating kernel needs: limits of a record and the callers' rates."""
        return self.call_terms

    def _rates(self, day: date) -> Rates:
        return _held(self.rates, day)


def _on(entries: tuple[Dated[T], ...], day: date) -> T | None:
    """What holds on the day; days before SINCE_EVER count as that day."""
    day = max(day, SINCE_EVER)
    for entry in reversed(entries):
        if entry.from_day <= day:
            return entry.value if entry.until is None or day < entry.until else None
    return None


def _held(entries: tuple[Dated[T], ...], day: date) -> T:
    """The same for entries that were checked to have no gap."""
    value = _on(entries, day)
    if value is None:
        raise LookupError(f"No price on {day}: the price book was changed after it was read.")
    return value
