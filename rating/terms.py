"""What the rating kernel needs of the price book: limits, tolerances, and what callers pay (R-CALL-2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_RATE_HAO = 10**8
"""10,000 yuan a minute: what rates are held to, so that a fee fits into int64 whatever the duration."""
MAX_DURATION_S = 366 * 86_400
MAX_INCREMENT_S = 86_400


@dataclass(frozen=True)
class CallerRates:
    """What a caller's own carrier charges for a local minute, from `from_at` on (R-CALL-2)."""

    from_at: datetime
    default_hao_per_min: int
    by_area: Mapping[str, int]
    """area code such as `0531` -> hao a minute"""
    bundled_prefixes: tuple[str, ...]
    """callers whose number begins so have local minutes in their plan: the estimate is 0"""

    def __post_init__(self) -> None:
        for area, rate in [("default", self.default_hao_per_min), *self.by_area.items()]:
            if not 0 <= rate <= MAX_RATE_HAO:
                raise ValueError(
                    f"a caller's rate of {rate} hao a minute ({area}) is outside 0 to {MAX_RATE_HAO}"
                )


@dataclass(frozen=True)
class Terms:
    """Limits of a call record, and the caller's rates sorted by `from_at`: the last one begun applies.

    A call before the first `from_at` is estimated by the first. ValueError for a value out of bounds.
    """

    caller_rates: tuple[CallerRates, ...]
    duration_limit_s: int
    duration_tolerance_s: int
    clock_tolerance_s: int
    late_months: int

    def __post_init__(self) -> None:
        begins = [rates.from_at for rates in self.caller_rates]
        if not begins or begins != sorted(set(begins)):
            raise ValueError("the caller's rates must be one or more, ascending by the instant they begin")
        if not 0 < self.duration_limit_s <= MAX_DURATION_S:
            raise ValueError(
                f"a duration limit of {self.duration_limit_s} s is outside 1 to {MAX_DURATION_S}"
            )
        if min(self.duration_tolerance_s, self.clock_tolerance_s, self.late_months) < 0:
            raise ValueError("a tolerance or window cannot be negative")
