"""When calls were and how long: their instants and durations, and what can be wrong with them (R-CALL-3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from rating.calendar import month_of, next_month, start_of_month
from rating.columns import int64s, is_valid
from rating.rejects import Fault, mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from rating.columns import Bools, Int64s
    from rating.terms import Terms

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US_PER_S = 1_000_000
_LONGEST_US = np.uint64(2**62)


@dataclass(frozen=True, eq=False)
class Times:
    """Instants of n calls in microseconds since 1970, UTC, and their durations.

    `answer` is `end` where a call was not answered, so its span is 0. `duration_s` is as delivered, else the span
    from answer to end with a fraction of a second rounded up.
    """

    start: Int64s
    answer: Int64s
    end: Int64s
    answered: Bools | None
    """None: all were"""
    span_us: Int64s
    given_s: Int64s
    """durations as delivered, 0 where there is none"""
    is_given: Bools | None
    """None: all were"""
    duration_s: Int64s

    @classmethod
    def of(cls, records: Mapping[str, pa.Array]) -> Times:
        """From the columns of RECORD. Nulls in start or end leave arbitrary instants."""
        start, end = int64s(records["start_at"]), int64s(records["end_at"])
        answer, answered = int64s(records["answer_at"]), is_valid(records["answer_at"])
        if answered is not None:
            answer = np.where(answered, answer, end)
        # without a sign, so that no pair of instants overflows; what is negative is a fault anyway
        span = np.minimum(end.view(np.uint64) - answer.view(np.uint64), _LONGEST_US).view(np.int64)
        whole = (span + (_US_PER_S - 1)) // _US_PER_S
        given, is_given = int64s(records["duration_s"]), is_valid(records["duration_s"])
        if is_given is None:
            return cls(start, answer, end, answered, span, given, None, given)
        given = np.where(is_given, given, 0)
        return cls(start, answer, end, answered, span, given, is_given, np.where(is_given, given, whole))

    def mark_bad(self, faults: npt.NDArray[np.int8], terms: Terms, received_at: datetime) -> None:
        """BAD_INTERVAL, DURATION_LIMIT, CLOCK_SKEW and TOO_LATE (F-01 … F-04)."""
        mark(faults, self.end < self.start, Fault.END_BEFORE_START)
        mark(faults, self.answer < self.start, Fault.ANSWER_BEFORE_START)
        mark(faults, self.answer > self.end, Fault.ANSWER_AFTER_END)
        mark(faults, self.given_s < 0, Fault.NEGATIVE_DURATION)
        mark(faults, self.duration_s > terms.duration_limit_s, Fault.OVER_LIMIT)
        if self.answered is not None:
            mark(faults, ~self.answered & (self.given_s > 0), Fault.DURATION_UNANSWERED)
        # what is over the limit has its fault by now, so clipping changes nothing but keeps the product small
        given_us = np.clip(self.duration_s, 0, terms.duration_limit_s) * _US_PER_S
        # the span rounded up agrees whatever the tolerance: it is what a record without a duration gets
        over = given_us - self.span_us
        apart = (np.abs(over) > terms.duration_tolerance_s * _US_PER_S) & ((over < 0) | (over >= _US_PER_S))
        mark(faults, apart if self.is_given is None else apart & self.is_given, Fault.DURATION_DISAGREES)
        latest = microseconds(received_at + timedelta(seconds=terms.clock_tolerance_s))
        mark(faults, self.start > latest, Fault.STARTS_IN_FUTURE)
        mark(faults, self.end > latest, Fault.ENDS_IN_FUTURE)
        oldest = start_of_month(next_month(month_of(received_at), -terms.late_months))
        mark(faults, self.start < microseconds(oldest), Fault.TOO_LATE)


def microseconds(instant: datetime) -> int:
    """Since 1970, UTC."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def instant(us: int) -> datetime:
    """The inverse of `microseconds`."""
    return _EPOCH + timedelta(microseconds=us)
