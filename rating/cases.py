"""What stays open about a provider or a posting until somebody settles it: disputes, fines, suspicions, sales."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Dispute(NamedTuple):
    """An objection to a feature's charge (R-FEAT-2); `outcome` is None while it is open."""

    dispute_id: str
    posting_id: str
    outcome: str | None = None


class Fine(NamedTuple):
    """A provider's fine (R-PEN-4); `state` is open, overdue, paid or reversed, `cause` the number it is about."""

    fine_id: str
    provider_id: str
    amount_hao: int
    posting_id: str
    due_at: datetime
    state: str = "open"
    cause: str | None = None


class Suspicion(NamedTuple):
    """A suspected fraud (R-PEN-1); `fine_id` is None where the platform itself is the provider."""

    service_number: str
    provider_id: str
    fine_id: str | None
    confirmed: bool = False


class Sale(NamedTuple):
    """A secondary sale that was noticed (R-PEN-3); open until it is rectified, fined at `due_at` if it is not."""

    service_number: str
    provider_id: str
    times: int
    due_at: datetime | None
    rectified: bool = False
