"""What a statement says (R-ARR-4): one customer or one provider and one month, as values.

Amounts are hao (1/10000 yuan) as the account's owner sees them: what comes in is above zero, what goes out
below. Charges of a number, a call or a feature are prices: above zero is owed. The figures of a statement
must add up (`findings`) or it is not issued. Nothing here knows how a statement looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import pyarrow as pa

from rating.calendar import month_of
from rating.money import HAO_PER_FEN, MONEY, from_decimal_array, mul_div_half_up, yuan_text
from rating.records import INSTANT

POTS = {"customer": ("credit", "cash", "usage"), "provider": ("deposit", "fines")}
"""The columns of an account: what a customer has, what a provider has. A line's amounts come in this order."""

LINE_KINDS = (
    "plan_fee", "payment", "refund", "call", "late_call", "minimum_top_up", "late_call_adjustment", "rerating",
    "feature_fee", "fine", "fine_payment", "reversal", "write_off", "settlement", "credit_expiry",
)  # fmt: skip
"""Why an account moved, in the order of a statement: the postings' kinds, and calls of this and earlier months."""

CHARGES = frozenset(
    {
        "call",
        "late_call",
        "minimum_top_up",
        "late_call_adjustment",
        "rerating",
        "feature_fee",
        "fine",
        "credit_expiry",
    }
)
"""The kinds of line that are charges; all others but settlement are money that was paid in, or went back."""

CALLS = pa.schema(
    [
        pa.field("call_id", pa.string(), nullable=False),
        pa.field("start_at", INSTANT, nullable=False),
        pa.field("caller_number", pa.string()),  # null: withheld
        pa.field("caller_area", pa.string()),  # its name, as printed; null: unknown
        pa.field("answered", pa.bool_(), nullable=False),
        pa.field("duration_s", pa.int64(), nullable=False),
        pa.field("billed_s", pa.int64(), nullable=False),
        pa.field("rate", MONEY, nullable=False),  # yuan a minute
        pa.field("owner_fee", MONEY, nullable=False),
        pa.field("caller_estimate", MONEY),  # the caller's leg, never ours (R-CALL-1); null: unknown
        pa.field("tags", pa.list_(pa.string())),
    ]
)
"""One number's calls of the statement's month, in order of start (R-CALL-7)."""

LATE_CALLS = CALLS.append(pa.field("adjustment", MONEY, nullable=False))
"""Calls of closed months that came since the last statement; `adjustment` is what the call took back of its
month's top-up, 0 or below (R-MIN-7)."""


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody with an id and a name."""

    party_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Head:
    """Who tells whom about which month, from which rows of the ledger.

    `number` is the statement's own number, unique among all; `issued_at` (aware) the instant of the close;
    `calls_seq` and `events_seq` count the rows that the figures cover, `chain_head` is the hash over them.
    """

    number: str
    party: Party
    month: str
    issuer: str
    issued_at: datetime
    calls_seq: int
    events_seq: int
    chain_head: str
    currency: str = "CNY"


@dataclass(frozen=True, slots=True)
class Line:
    """What one kind of movement came to in the month: how many, and hao for each pot."""

    kind: str
    count: int | None
    amounts: tuple[int, ...]

    @property
    def total_hao(self) -> int:
        return sum(self.amounts)


@dataclass(frozen=True, slots=True)
class Account:
    """Balance before, what happened, balance after: hao for each of `pots`."""

    pots: tuple[str, ...]
    opening: tuple[int, ...]
    lines: tuple[Line, ...]
    closing: tuple[int, ...]

    @property
    def paid_hao(self) -> int:
        """What was paid in, less what went back: opening + paid − charged = closing."""
        return sum(line.total_hao for line in self.lines if line.kind not in CHARGES)

    @property
    def charged_hao(self) -> int:
        """What was charged, less what was taken back of it."""
        return -sum(line.total_hao for line in self.lines if line.kind in CHARGES)

    def total_hao(self, kind: str) -> int:
        """The sum of the lines of a kind."""
        return sum(line.total_hao for line in self.lines if line.kind == kind)


@dataclass(frozen=True, slots=True)
class Entry:
    """One posting of the month that is not a number's regular charge: hao in (above zero) or out."""

    posting_id: str
    at: datetime
    kind: str
    amount_hao: int
    service_number: str | None = None
    reference: str | None = None
    """the payment's reference, or the reason that was given"""


@dataclass(frozen=True, slots=True)
class Vat:
    """The VAT contained in one kind of charge; `basis_points` is 900 for 9 %."""

    kind: str
    basis_points: int
    gross_hao: int

    @property
    def vat_hao(self) -> int:
        """gross × rate ÷ (1 + rate), half-up to the fen."""
        whole = 10_000 + self.basis_points
        return mul_div_half_up(self.gross_hao, self.basis_points, whole * HAO_PER_FEN) * HAO_PER_FEN

    @property
    def net_hao(self) -> int:
        return self.gross_hao - self.vat_hao


class Day(NamedTuple):
    """A day's calls (by the day of their start) and what they cost, in hao; there are many, and a tuple is light."""

    day: date
    calls: int
    answered: int
    billed_s: int
    charges_hao: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of how a minimum came about, in both languages, with the rule it follows."""

    text_zh: str
    text_en: str
    rule: str
    amount_hao: int | None = None


@dataclass(frozen=True, slots=True)
class Credit:
    """What happened to one paid period's credit: opening + paid − drawn − expired = closing."""

    credit_id: str
    service_number: str
    plan_id: str
    starts_on: date
    ends_on: date
    opening_hao: int
    paid_hao: int
    drawn_hao: int
    expired_hao: int
    closing_hao: int


@dataclass(frozen=True, slots=True)
class NumberCharges:
    """One number in the month. `days`, `call_details` and `late_calls` hold what the sums are made of.

    `rates` are (first day, hao a minute) within the month; `minimum_hao` is None where no minimum was charged
    (opening month, no contract). `call_details` is a table of CALLS, `late_calls` of LATE_CALLS, or None.
    """

    service_number: str
    number_class: str
    state: str
    plan_id: str | None
    rates: tuple[tuple[date, int], ...]
    calls: int
    answered: int
    duration_s: int
    billed_s: int
    call_hao: int
    minimum_hao: int | None
    top_up_hao: int
    rerating_hao: int
    steps: tuple[Step, ...]
    days: tuple[Day, ...]
    call_details: pa.Table | None = None
    late_calls: pa.Table | None = None

    @property
    def late_hao(self) -> int:
        """What late calls cost."""
        return _sum_of(self.late_calls, "owner_fee")

    @property
    def adjustment_hao(self) -> int:
        """What late calls took back of earlier top-ups; 0 or below."""
        return _sum_of(self.late_calls, "adjustment")

    @property
    def total_hao(self) -> int:
        return self.call_hao + self.top_up_hao + self.late_hao + self.adjustment_hao + self.rerating_hao


@dataclass(frozen=True, slots=True)
class CustomerPart:
    """What only a customer's statement has."""

    provider: Party | None
    numbers: tuple[NumberCharges, ...]
    credits: tuple[Credit, ...] = ()


@dataclass(frozen=True, slots=True)
class FeatureFee:
    """A feature that was charged to the provider (R-FEAT-1); `dispute` is None, open, upheld or reversed."""

    posting_id: str
    day: date
    service_number: str
    feature: str
    amount_hao: int
    dispute: str | None = None


@dataclass(frozen=True, slots=True)
class Fine:
    """A fine with its notice; `paid_on` is None while it is owed."""

    fine_id: str
    notice_on: date
    due_on: date
    reason: str
    amount_hao: int
    service_number: str | None = None
    paid_on: date | None = None


@dataclass(frozen=True, slots=True)
class CustomerCharges:
    """A provider's customer in the month: sums only. `other_hao` are late calls, adjustments and re-ratings."""

    customer: Party
    numbers: int
    calls: int
    billed_s: int
    call_hao: int
    top_up_hao: int
    other_hao: int

    @property
    def total_hao(self) -> int:
        return self.call_hao + self.top_up_hao + self.other_hao


@dataclass(frozen=True, slots=True)
class ProviderGroup:
    """A provider's own customers. The statement's own provider has depth 0, its direct subordinates 1."""

    provider: Party
    depth: int
    customers: tuple[CustomerCharges, ...]


@dataclass(frozen=True, slots=True)
class ProviderPart:
    """What only a provider's statement has; `parent` is the provider above, None below the platform."""

    feature_fees: tuple[FeatureFee, ...]
    fines: tuple[Fine, ...]
    groups: tuple[ProviderGroup, ...]
    parent: Party | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A month of a customer or a provider. `days` are all calls of the month by day, for the chart."""

    head: Head
    account: Account
    vat: tuple[Vat, ...]
    entries: tuple[Entry, ...]
    days: tuple[Day, ...]
    part: CustomerPart | ProviderPart

    @property
    def kind(self) -> str:
        """`customer` or `provider`."""
        return "customer" if isinstance(self.part, CustomerPart) else "provider"


@dataclass(frozen=True, slots=True)
class Unmade:
    """A statement that could not be made, and why; the others go on."""

    kind: str
    party_id: str
    month: str
    why: str


def findings(statement: Statement) -> list[str]:
    """What does not add up, a sentence each; empty if the statement may be issued."""
    found = [*_account_findings(statement)]
    if isinstance(statement.part, CustomerPart):
        found += _customer_findings(statement, statement.part)
    else:
        found += _provider_findings(statement, statement.part)
    return found


def _account_findings(statement: Statement) -> Iterator[str]:
    account = statement.account
    if account.pots != POTS[statement.kind]:
        yield f"the account has the columns {account.pots}, not {POTS[statement.kind]}"
    for at, pot in enumerate(account.pots):
        after = account.opening[at] + sum(line.amounts[at] for line in account.lines)
        yield from _differs(f"{pot}: opening and lines", after, "the closing balance", account.closing[at])
    unknown = {line.kind for line in account.lines} - set(LINE_KINDS)
    if unknown:
        yield f"unknown kinds of line: {', '.join(sorted(unknown))}"
    if account.total_hao("settlement"):
        yield "settlement does not stay inside the account"


def _customer_findings(statement: Statement, part: CustomerPart) -> Iterator[str]:
    charged = {
        "call": sum(number.call_hao for number in part.numbers),
        "late_call": sum(number.late_hao for number in part.numbers),
        "minimum_top_up": sum(number.top_up_hao for number in part.numbers),
        "late_call_adjustment": sum(number.adjustment_hao for number in part.numbers),
        "rerating": sum(number.rerating_hao for number in part.numbers),
    }
    for kind, hao in charged.items():
        yield from _differs(f"the numbers' {kind}", hao, "the account's", -statement.account.total_hao(kind))
    for number in part.numbers:
        who, month = number.service_number, statement.head.month
        yield from _differs(f"{who}: days", _charges(number.days), "calls", number.call_hao)
        if any(month_of(day.day) != month for day in number.days):
            yield f"{who} has days outside of {month}"
        if number.call_details is not None:
            yield from _differs(
                f"{who}: details", _sum_of(number.call_details, "owner_fee"), "calls", number.call_hao
            )
            if len(number.call_details) != number.calls:
                yield f"{who} has {len(number.call_details)} details of {number.calls} calls"
    yield from _differs("the chart", _charges(statement.days), "calls", charged["call"])
    for credit in part.credits:
        after = credit.opening_hao + credit.paid_hao - credit.drawn_hao - credit.expired_hao
        yield from _differs(f"credit {credit.credit_id}", after, "its closing", credit.closing_hao)


def _provider_findings(statement: Statement, part: ProviderPart) -> Iterator[str]:
    fees = sum(fee.amount_hao for fee in part.feature_fees)
    yield from _differs("feature fees", fees, "the account's", -statement.account.total_hao("feature_fee"))


def _differs(what: str, hao: int, than: str, other_hao: int) -> Iterator[str]:
    if hao != other_hao:
        yield f"{what} come to {yuan_text(hao)}, {than} to {yuan_text(other_hao)}"


def _charges(days: Iterable[Day]) -> int:
    return sum(day.charges_hao for day in days)


def _sum_of(calls: pa.Table | None, column: str) -> int:
    return 0 if calls is None else int(from_decimal_array(calls[column]).sum())
