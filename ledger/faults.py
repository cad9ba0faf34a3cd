"""The two ways in which the ledger says no."""

from __future__ import annotations


class LostRace(Exception):
    """Somebody committed first: what was decided may be stale. Read what is new and decide again."""


class LedgerFault(Exception):
    """The ledger cannot be trusted or written as it is; one sentence says why and what to do (exit 4)."""
