"""Rows of text -> calls: columns by the mapping, times and seconds read, what is wrong said in a sentence.

No rule of rating is here: numbers are passed on as delivered, durations unchecked.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating.reasons import Reason
from rating.records import INSTANT, RECORD
from streams import instants
from streams.mapping import CALL_ID_MAX, REQUIRED, TEXTS, TIMES, Mapping
from streams.rows import Fault, Rows, shown, unreadable
from streams.spans import Flags, is_digits, places, put

_INT64_MAX = (1 << 63) - 1


Typed = dict[str, Any]


def to_records(rows: Rows, mapping: Mapping, typed: Typed | None = None) -> Any:
    """A table of `rating.records.RECORD`, one row for each of `rows`. Columns that could be read are kept
    beside a fault (F-09).

    typed: times that the file holds as such, by column
    """
    return _Typing(rows, mapping, typed or {}).table()


class _Typing:
    def __init__(self, rows: Rows, mapping: Mapping, typed: Typed) -> None:
        self._typed = typed
        self._rows = rows
        self._mapping = mapping
        self._count = len(rows)
        self._faults: dict[int, Fault] = dict(rows.faults)

    def table(self) -> Any:
        count, mapping = self._count, self._mapping
        texts = {name: self._text(name) for name in (*TEXTS, *TIMES, "duration_s")}
        for name in ("call_id", "service_number"):
            self._missing(name, texts[name])
        texts["call_id"] = self._short_id(texts["call_id"])
        answered = self._answered()
        columns: dict[str, Any] = {name: texts[name] for name in TEXTS}
        for name in TIMES:
            if name in mapping.call and name in REQUIRED:
                self._missing(name, texts[name])
            columns[name] = self._instants(name, texts[name], answered)
        seconds = self._seconds(texts["duration_s"])
        if answered is not None:
            billed = answered & (pc.fill_null(seconds, 1).to_numpy() > 0)
            unbilled = pa.array(~billed)
            columns["answer_at"] = pc.if_else(unbilled, pa.scalar(None, INSTANT), columns["answer_at"])
            seconds = pc.if_else(unbilled, 0, seconds)
        columns["duration_s"] = seconds
        self._derive(columns)
        columns["extra"], columns["raw"] = self._rows.extra, self._rows.raw
        columns["source_pos"] = pa.array(self._rows.at, pa.int64())
        columns["fault"], columns["fault_detail"] = _fault_columns(self._faults, count)
        return pa.table([columns[name] for name in RECORD.names], schema=RECORD)

    def _text(self, column: str) -> Any:
        """The column's text before it is typed."""
        source = self._mapping.call.get(column)
        if source is None:
            return pa.nulls(self._count, pa.string())
        if source.constant is not None:
            return pa.repeat(pa.scalar(source.constant), self._count)
        parts = [self._rows.text[name] for name in source.fields]
        if self._mapping.empty:
            none = pa.array(self._mapping.empty)
            parts = [pc.if_else(pc.is_in(part, none), None, part) for part in parts]
        text = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "/")
        if source.match is not None:
            text = pc.struct_field(pc.extract_regex(text, source.match), "value")
            text = pc.if_else(pc.equal(text, ""), None, text)
        return text

    def _fault(self, row: int, fault: Fault) -> None:
        self._faults.setdefault(row, fault)

    def _label(self, column: str) -> str:
        """The column's name, and the field's where it is called otherwise."""
        source = self._mapping.call.get(column)
        fields = "/".join(source.fields) if source else ""
        return column if fields in {"", column} else f"{column} ({fields})"

    def _missing(self, column: str, text: Any) -> None:
        if text.null_count:
            for row in places(text.is_null()).tolist():
                self._fault(row, (Reason.MISSING_FIELD, f"{self._label(column)} is missing or empty."))

    def _short_id(self, text: Any) -> Any:
        """Ids longer than the contract allows are a fault; their beginning is kept, to find them by."""
        if not self._count or (pc.max(pc.binary_length(text)).as_py() or 0) <= CALL_ID_MAX:
            return text
        long = places(pc.greater(pc.utf8_length(text), CALL_ID_MAX))
        values = text.take(pa.array(long)).to_pylist()
        for row, value in zip(long.tolist(), values, strict=True):
            sentence = f"{self._label('call_id')} is {shown(value)}, longer than {CALL_ID_MAX} characters."
            self._fault(row, unreadable(sentence))
        return put(text, long, [value[:CALL_ID_MAX] for value in values])

    def _instants(self, column: str, text: Any, answered: Flags | None) -> Any:
        if column in self._typed:
            return self._typed[column]
        found, bad = instants.parse(text, self._mapping.times)
        for row, value in zip(bad.tolist(), text.take(pa.array(bad)).to_pylist(), strict=True):
            if column == "answer_at" and answered is not None and not answered[row]:
                continue  # a switch may write anything there for a call that nobody answered
            self._fault(
                row,
                unreadable(f"{self._label(column)} is {shown(value)}, not a time like {self._example()}."),
            )
        return found

    def _example(self) -> str:
        pattern = self._mapping.times.patterns[0]
        return "2026-11-03T10:15:00+08:00" if pattern == instants.RFC_3339 else pattern

    def _answered(self) -> Flags | None:
        """Which rows the mapping says were answered; None if it does not say."""
        when = self._mapping.bill_when
        if when is None:
            return None
        flags: Flags = pc.is_in(self._rows.text[when.field], pa.array(when.values)).to_numpy(
            zero_copy_only=False
        )
        return flags

    def _seconds(self, text: Any) -> Any:
        """Billed seconds as int64; what is no such number, or does not fit (F-04), is a fault."""
        unit = self._mapping.unit
        whole = unit in {"seconds", "fractions"}
        if whole and is_digits(text):
            return text.cast(pa.int64())
        plain = pc.fill_null(pc.ascii_is_decimal(text), fill_value=True) if whole else text.is_null()
        rows = places(
            pc.invert(pc.and_(plain, pc.less(pc.fill_null(pc.binary_length(text), 0), _DIGITS_MAX)))
        )
        known: dict[str | None, int | None] = {None: None}
        values: list[int | None] = []
        for row, value in zip(rows.tolist(), text.take(pa.array(rows)).to_pylist(), strict=True):
            if value not in known:
                known[value] = _read_seconds(value, unit)
            seconds = known[value]
            if value is not None and seconds is None:
                self._fault(
                    row, unreadable(f"{self._label('duration_s')} is {shown(value)}, not {_WANTED[unit]}.")
                )
            elif seconds is not None and abs(seconds) > _INT64_MAX:
                self._fault(
                    row, (Reason.DURATION_LIMIT, f"{self._label('duration_s')} is {shown(value)} seconds.")
                )
                seconds = None
            values.append(seconds)
        return put(put(text, rows, [None] * len(rows)).cast(pa.int64()), rows, values)

    def _derive(self, columns: dict[str, Any]) -> None:
        """Times that the file does not give, from those that it does and the duration."""
        call = self._mapping.call
        length = pc.fill_null(columns["duration_s"], 0)
        if not {"answer_at", "end_at"} - call.keys() or "duration_s" not in call:
            return
        sane = pc.if_else(pc.less(pc.abs(length), _YEAR_S), length, 0)
        span = pc.multiply(sane, 1_000_000).cast(pa.duration("us"))
        if "end_at" not in call:
            begin = pc.coalesce(columns["answer_at"], columns["start_at"])
            columns["end_at"] = pc.add(begin, span)
        if "answer_at" not in call:
            begin = pc.subtract(columns["end_at"], span)
            columns["answer_at"] = pc.if_else(pc.greater(length, 0), begin, pa.scalar(None, INSTANT))


def _read_seconds(text: str, unit: str) -> int | None:
    """Text of this unit -> seconds, fractions rounded up; None if it is no such text."""
    found = _PATTERNS[unit].fullmatch(text)
    if found is None or len(text) > 300:
        return None
    if unit == "clock":
        hours, minutes, seconds = int(found[1] or "0"), int(found[2]), int(found[3])
        return None if minutes > 59 or seconds > 59 else hours * 3600 + minutes * 60 + seconds
    if unit == "milliseconds":
        return -(-int(found[0]) // 1000)
    if unit == "fractions" and found[2] and found[2].strip("0"):
        return int(found[1]) + (0 if found[1].startswith("-") else 1)
    return int(found[1])


def _fault_columns(faults: dict[int, Fault], count: int) -> tuple[Any, Any]:
    none = pa.nulls(count, pa.string())
    rows = np.array(sorted(faults), np.int64)
    found = [faults[row] for row in rows.tolist()]
    return put(none, rows, [str(reason) for reason, _ in found]), put(
        none, rows, [detail for _, detail in found]
    )


_DIGITS_MAX = 19  # fewer always fit into int64
_YEAR_S = 366 * 86_400
_PATTERNS = {
    "seconds": re.compile(r"(-?[0-9]+)", re.ASCII),
    "fractions": re.compile(r"(-?[0-9]+)(?:\.([0-9]+))?", re.ASCII),
    "milliseconds": re.compile(r"-?[0-9]+", re.ASCII),
    "clock": re.compile(r"(?:([0-9]+):)?([0-9]{1,2}):([0-9]{2})", re.ASCII),
}
_WANTED = {
    "seconds": "a whole number of seconds",
    "fractions": "a number of seconds",
    "milliseconds": "a whole number of milliseconds",
    "clock": "a duration like 00:05:12",
}
