"""Every fault that rating finds in a call record, in the order of looking: its reason and its sentence.

The first fault that hits a record is its reason. Sentences name the value and say what to do; they are made
for whole columns, so a batch of nothing but rejects is not slow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating.calendar import SHANGHAI_OFFSET_US
from rating.columns import placed
from rating.numbers import bad_number_details
from rating.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from rating.columns import Bools, Int64s

CALL_ID_LIMIT = 64

_OLDEST_US = -62_135_596_800_000_000
_NEWEST_US = 253_402_214_400_000_000
"""The years 1 to 9999: beyond them an instant is told as the nearest of these."""


class Fault(IntEnum):
    """What can be wrong, first things first. NONE is a call that is rated."""

    NONE = 0
    DECODER = 1
    NO_CALL_ID = 2
    NO_SERVICE_NUMBER = 3
    NO_START = 4
    NO_END = 5
    LONG_CALL_ID = 6
    BAD_NUMBER = 7
    END_BEFORE_START = 8
    ANSWER_BEFORE_START = 9
    ANSWER_AFTER_END = 10
    NEGATIVE_DURATION = 11
    OVER_LIMIT = 12
    DURATION_UNANSWERED = 13
    DURATION_DISAGREES = 14
    STARTS_IN_FUTURE = 15
    ENDS_IN_FUTURE = 16
    TOO_LATE = 17
    UNKNOWN_NUMBER = 18
    NO_PLAN = 19


_TEXTS: dict[Fault, tuple[Reason, str]] = {
    Fault.NO_CALL_ID: (Reason.MISSING_FIELD, "The call_id is missing"),
    Fault.NO_SERVICE_NUMBER: (Reason.MISSING_FIELD, "The service_number is missing"),
    Fault.NO_START: (Reason.MISSING_FIELD, "The start_at is missing"),
    Fault.NO_END: (Reason.MISSING_FIELD, "The end_at is missing"),
    Fault.LONG_CALL_ID: (Reason.UNREADABLE, f"The call_id has more than {CALL_ID_LIMIT} characters"),
    Fault.BAD_NUMBER: (Reason.BAD_NUMBER, ""),
    Fault.END_BEFORE_START: (Reason.BAD_INTERVAL, "The call ends at {end}, before its start at {start}"),
    Fault.ANSWER_BEFORE_START: (
        Reason.BAD_INTERVAL, "The call was answered at {answer}, before its start at {start}"
    ),
    Fault.ANSWER_AFTER_END: (Reason.BAD_INTERVAL, "The call was answered at {answer}, after its end at {end}"),
    Fault.NEGATIVE_DURATION: (Reason.BAD_INTERVAL, "The duration of {given} s is negative"),
    Fault.OVER_LIMIT: (Reason.DURATION_LIMIT, "The duration of {duration} s is over the limit of {limit} s"),
    Fault.DURATION_UNANSWERED: (Reason.BAD_INTERVAL, "The duration is {given} s, but there is no answer_at"),
    Fault.DURATION_DISAGREES: (
        Reason.BAD_INTERVAL, "The duration is {given} s, but from {answer} to {end} it is {span} s"
    ),
    Fault.STARTS_IN_FUTURE: (Reason.CLOCK_SKEW, "The call starts at {start}, but arrived at {received}"),
    Fault.ENDS_IN_FUTURE: (Reason.CLOCK_SKEW, "The call ends at {end}, but arrived at {received}"),
    Fault.TOO_LATE: (
        Reason.TOO_LATE, "The call of {day} arrived on {arrival_day}, more than {late_months} months after its own"
    ),
    Fault.UNKNOWN_NUMBER: (Reason.UNKNOWN_NUMBER, "The number {number} is unknown"),
    Fault.NO_PLAN: (Reason.NO_PLAN, "No plan for {number} on {day}"),
}  # fmt: skip

REASONS = pa.array([reason.value for reason in Reason], pa.string())
"""The words that `reasons` counts in."""
_PLACE = {reason: place for place, reason in enumerate(Reason)}
_PLACE_OF_FAULT = np.array(
    [_PLACE[_TEXTS[fault][0]] if fault in _TEXTS else -1 for fault in Fault], dtype=np.int8
)


@dataclass(frozen=True)
class Rejects:
    """What the sentences speak of: columns of the whole batch, n rows each, and the batch's own figures."""

    columns: Mapping[str, pa.Array]
    """fault, fault_detail, service_number as delivered; number normalised"""
    instants: Mapping[str, Int64s]
    """start, answer, end"""
    span_us: Int64s
    """from answer to end"""
    seconds: Mapping[str, Int64s]
    """given, duration"""
    constants: Mapping[str, str]
    """limit, received, arrival_day, late_months"""

    def reasons(self, faults: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """Place in REASONS of each row's reason; -1 where it is rated."""
        places = _PLACE_OF_FAULT[faults]
        rows = np.flatnonzero(faults == Fault.DECODER)
        if len(rows):
            coded = self.columns["fault"].take(pa.array(rows)).dictionary_encode()
            known = [
                Reason(text) if text in _PLACE else Reason.UNREADABLE for text in coded.dictionary.to_pylist()
            ]
            places[rows] = np.array([_PLACE[reason] for reason in known], dtype=np.int8)[
                coded.indices.to_numpy()
            ]
        return places

    def details(self, faults: npt.NDArray[np.int8]) -> pa.Array:
        """A sentence for each row with a fault, null for the others."""
        pieces = []
        for code in np.unique(faults).tolist():
            rows = np.flatnonzero(faults == code)
            if code != Fault.NONE:
                pieces.append((rows, self._sentences(Fault(code), rows)))
        return placed(len(faults), pieces) if pieces else pa.nulls(len(faults), pa.string())

    def _sentences(self, fault: Fault, rows: npt.NDArray[np.intp]) -> pa.Array:
        if fault == Fault.DECODER:
            unsaid = f"The record could not be read; {Reason.UNREADABLE.what_to_do}."
            return pc.fill_null(self.columns["fault_detail"].take(pa.array(rows)), unsaid)
        if fault == Fault.BAD_NUMBER:
            return bad_number_details(self.columns["service_number"].take(pa.array(rows)))
        reason, text = _TEXTS[fault]
        # what stands between the braces is every second part
        parts = re.split(r"\{(\w+)\}", f"{text}; {reason.what_to_do}.")
        filled = [self._values(part, rows) if at % 2 else part for at, part in enumerate(parts)]
        if not any(isinstance(part, pa.Array) for part in filled):
            return pa.array(["".join(filled)]).take(pa.array(np.zeros(len(rows), dtype=np.int8)))
        return pc.binary_join_element_wise(*filled, "")

    def _values(self, name: str, rows: npt.NDArray[np.intp]) -> pa.Array | str:
        if name in self.constants:
            return self.constants[name]
        if name in self.instants:
            return instant_texts(self.instants[name][rows])
        if name in self.seconds:
            return pa.array(self.seconds[name][rows]).cast(pa.string())
        if name == "span":
            return _second_texts(self.span_us[rows])
        if name == "day":
            return pc.utf8_slice_codeunits(instant_texts(self.instants["start"][rows]), 0, 10)
        return self.columns[name].take(pa.array(rows))


def mark(faults: npt.NDArray[np.int8], rows: Bools, fault: Fault) -> None:
    """Gives `fault` to the rows that have none yet."""
    if rows.any():
        faults[rows & (faults == Fault.NONE)] = fault


def instant_texts(instants_us: Int64s) -> pa.Array:
    """UTC microseconds -> Shanghai times such as `2026-11-03 10:15:00`, with a fraction if any has one."""
    local = np.clip(instants_us, _OLDEST_US, _NEWEST_US) + SHANGHAI_OFFSET_US
    unit, divisor = ("us", 1) if (local % 1_000_000).any() else ("s", 1_000_000)
    return pa.array(local // divisor).cast(pa.timestamp(unit)).cast(pa.string())


def _second_texts(spans_us: Int64s) -> pa.Array:
    """Microseconds -> seconds such as `58`, or `58.900000` if any has a fraction."""
    seconds, fraction = np.divmod(spans_us, 1_000_000)
    whole = pa.array(seconds).cast(pa.string())
    if not fraction.any():
        return whole
    return pc.binary_join_element_wise(whole, pc.utf8_lpad(pa.array(fraction).cast(pa.string()), 6, "0"), ".")
