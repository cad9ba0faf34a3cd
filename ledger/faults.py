"""The ways in which the ledger says no."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from pathlib import Path


class LostRace(Exception):
    """Somebody committed first: what was decided may be stale. Read what is new and decide again."""


class BadRequest(Exception):
    """What was asked for does not exist or cannot be done there; one sentence says what can (exit 2)."""


class LedgerFault(Exception):
    """The ledger cannot be trusted or written as it is; one sentence says why and what to do (exit 4)."""


def is_full(error: BaseException) -> TypeGuard[OSError]:
    """Whether the disk, or somebody's share of it, has no space left (F-18)."""
    full = getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or "No space left" in str(error)
    return full and isinstance(error, OSError)


def unwritten(folder: Path, error: BaseException) -> LedgerFault:
    """F-18: a sentence for a disk that is full or fails."""
    if is_full(error) or "No space left" in str(error):
        return LedgerFault(
            f"The disk with {folder} is full: free some space and run the same command again; "
            "nothing of this batch was committed."
        )
    return LedgerFault(
        f"The table {folder.name} could not be written: {error}. Run the same command again after the "
        "cause is mended; nothing of this batch was committed."
    )
