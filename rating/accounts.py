"""Account paths and what moves money or prices: Posting, Change, Command, Event, Refused.

Accounts are paths, `customer/C1/cash`; everything under `customer/C1/` is what the customer has. A posting
takes its amount from the debit account and gives it to the credit account, so all accounts sum to zero
(R-INV-2). The kinds and their accounts are in docs/sql.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from rating.reasons import Reason

if TYPE_CHECKING:
    import pyarrow as pa

PLATFORM = "platform"
BANK = "platform/bank"
REVENUE_CALLS = "platform/revenue/calls"
REVENUE_MINIMUM = "platform/revenue/minimum"
REVENUE_FEATURES = "platform/revenue/features"
REVENUE_BREAKAGE = "platform/revenue/breakage"
REVENUE_FINES = "platform/revenue/fines"
BAD_DEBT = "platform/expense/bad_debt"

DERIVED_KINDS = frozenset(
    {"minimum_top_up", "late_call_adjustment", "rerating", "settlement", "credit_expiry", "reversal"}
)
"""Posting kinds that follow from other facts: correct the cause, not the posting."""

_NOTHING: Mapping[str, Any] = {}
_ID = re.compile(r"\w[\w.\-]{0,63}")


def check_id(what: str, value: str) -> str:
    """An id that may stand in an account's path and in a file's name (F-24, F-26); Refused otherwise."""
    if not _ID.fullmatch(value):
        shown = value if len(value) <= 80 else value[:80] + "…"
        raise Refused(
            Reason.BAD_ID, f"{what} {shown!r} must be 1 to 64 letters, digits, dots, dashes or underscores."
        )
    return value


def customer(customer_id: str) -> str:
    return f"customer/{customer_id}"


def provider(provider_id: str) -> str:
    return f"provider/{provider_id}"


def cash(customer_id: str) -> str:
    return f"customer/{customer_id}/cash"


def usage(customer_id: str) -> str:
    return f"customer/{customer_id}/usage"


def credit(customer_id: str, credit_id: str) -> str:
    return f"customer/{customer_id}/credit/{credit_id}"


def deposit(provider_id: str) -> str:
    return f"provider/{provider_id}/deposit"


def fines(provider_id: str) -> str:
    return f"provider/{provider_id}/fines"


class Posting(NamedTuple):
    """One movement of money; `month` is the month that it is billed to."""

    kind: str
    month: str
    debit: str
    credit: str
    amount_hao: int
    service_number: str | None = None
    customer_id: str | None = None
    provider_id: str | None = None
    reverses: str | None = None
    reason: str | None = None


class Change(NamedTuple):
    """One effective-dated fact about a number, which the catalogue and the view `numbers` resolve.

    Facets: class, state, holder, rate, minimum, tag. At an instant the entry with the greatest (from_at, seq)
    holds; a state whose `until_at` has come is `free`.
    """

    number: str
    facet: str
    from_at: datetime
    until_at: datetime | None = None
    value: str | None = None
    customer_id: str | None = None
    provider_id: str | None = None
    plan_id: str | None = None
    rate_hao: int | None = None
    minimum_hao: int | None = None
    increment_s: int | None = None


class Command(NamedTuple):
    """A business command whose fields were checked for presence and type: `fields` holds parsed values.

    `slips` names what was given and its kind does not have, where a field that it may have is not given.
    """

    command_id: str
    kind: str
    at: datetime
    fields: Mapping[str, Any]
    slips: tuple[str, ...] = ()


class Event(NamedTuple):
    """What was decided: a row of `events`. `effect` is all that `mutate` needs beside postings and changes.

    `of_calls` holds postings of calls as columns (`posting_columns.POSTINGS`); in the row they come before `postings`.
    """

    command_id: str
    kind: str
    at: datetime
    effect: Mapping[str, Any] = _NOTHING
    postings: tuple[Posting, ...] = ()
    changes: tuple[Change, ...] = ()
    outcome: str = "accepted"
    reason: Reason | None = None
    detail: str | None = None
    of_calls: pa.Table | None = None


class Refused(Exception):
    """A rule said no: the reason and a sentence that says by which value and what would be allowed."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
