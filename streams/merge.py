"""Several rows of one call -> one record (CONTRACT, "A switch may write several rows for one call").

Rows belong to one call if they have the same call_id and no more than `window` bytes of the file lie between
the begins of one and the next. That depends on the file alone, so the records are the same however it is cut.

The record: answered if a row was answered and has billed seconds; the earliest start, the earliest answer of a
billed row, the latest end; the billed seconds of the billed rows added up, equal rows once; the numbers of the
row that began first, the answering phone of the first billed row; raw is all rows. The charge is for the sum of
the seconds, which two phones in parallel or a gap between two make differ from the time between answer and end;
then `end_at` is set to the answer plus the sum, so that the record agrees with itself (F-03), and the real end
stands in `extra` as `ended_at`. A row that could not be read makes the call a fault: a part is not billed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating.calendar import instant_text
from rating.records import INSTANT, RECORD
from streams.spans import Flags, Ints, put

_SECOND_US = 1_000_000
_AGREES_US = 1_000_000
_SANE_S = 1 << 40
_EARLIEST, _LATEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
_CLOCK_ROWS = 1_000
_FAR = 1 << 30
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Groups:
    """Which rows are one call. of: the group of each row, numbered by first row; sizes: rows of each group."""

    of: Ints
    sizes: Ints


def groups_of(rows: Any, window: int) -> Groups:
    """The calls that these rows of RECORD, in file order, belong to. A row without an id is alone."""
    count = rows.num_rows
    ids = rows["call_id"].combine_chunks()
    code = pc.fill_null(ids.dictionary_encode().indices, -1).to_numpy().astype(np.int64)
    alone = np.flatnonzero(code < 0)
    code[alone] = -1 - alone
    at = rows["source_pos"].to_numpy()
    order = np.argsort(code, kind="stable")
    begins = np.ones(count, np.bool_)
    begins[1:] = (np.diff(code[order]) != 0) | (np.diff(at[order]) > window)
    first = order[np.flatnonzero(begins)]
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    of = np.empty(count, np.int64)
    of[order] = rank[np.cumsum(begins) - 1]
    return Groups(of, np.bincount(of, minlength=len(first)))


def clean_cuts(groups: Groups) -> Flags:
    """For each row, whether the file may be cut before it: no call has rows on both sides."""
    last = np.zeros(len(groups.sizes), np.int64)
    last[groups.of] = np.arange(len(groups.of))
    until: Ints = np.maximum.accumulate(last[groups.of])
    clean = np.ones(len(groups.of), np.bool_)
    clean[1:] = until[:-1] < np.arange(1, len(groups.of))
    return clean


def closed_cuts(rows: Any, hold_open_s: int) -> Flags:
    """For each row, whether the calls before it are over: some row from here on ended more than `hold_open_s`
    later than the last 1,000 rows before it. A row with a wrong date far ahead holds up no more than those."""
    ends = _micros(rows["end_at"], _EARLIEST)
    count = len(ends)
    newest = np.maximum.accumulate(ends[::-1])[::-1]
    padded = np.concatenate([np.full(_CLOCK_ROWS, _EARLIEST), ends])
    size = -(-len(padded) // _CLOCK_ROWS) * _CLOCK_ROWS
    padded = np.concatenate([padded, np.full(size - len(padded), _EARLIEST)]).reshape(-1, _CLOCK_ROWS)
    forward = np.maximum.accumulate(padded, axis=1).ravel()
    backward = np.maximum.accumulate(padded[:, ::-1], axis=1)[:, ::-1].ravel()
    clock = np.maximum(backward[:count], forward[_CLOCK_ROWS - 1 : _CLOCK_ROWS - 1 + count])
    closed: Flags = (clock == _EARLIEST) | (newest > clock + hold_open_s * _SECOND_US)
    return closed


def merge(rows: Any, groups: Groups) -> Any:
    """Rows of RECORD -> one row for each group, in the order of their first rows."""
    count = len(groups.sizes)
    if count == rows.num_rows:
        return rows
    rows = rows.combine_chunks()
    several = np.flatnonzero(groups.sizes[groups.of] > 1)
    several = several[np.argsort(groups.of[several], kind="stable")]
    begins = np.flatnonzero(np.diff(groups.of[several], prepend=-1))
    merged = _Merging(rows.take(pa.array(several)).combine_chunks(), begins)
    which = np.zeros(count, np.bool_)
    which[groups.of[several]] = True
    first = np.empty(count, np.int64)
    first[groups.of] = np.arange(rows.num_rows)  # the row itself where it is the only one
    billed = first.copy()
    first[which], billed[which] = several[merged.first_begun()], several[merged.chosen()]
    columns = {
        name: rows[name].take(pa.array(first if name in _OF_THE_FIRST else billed)) for name in RECORD.names
    }
    for name, values in merged.columns().items():
        whole = columns[name].combine_chunks()
        columns[name] = pc.replace_with_mask(whole, pa.array(which), values)
    return pa.table([columns[name] for name in RECORD.names], schema=RECORD)


class _Merging:
    """Groups of two rows or more, side by side; `begins` are their first rows."""

    def __init__(self, rows: Any, begins: Ints) -> None:
        self._rows = rows
        self._begins = begins
        self._sizes = np.diff(begins, append=rows.num_rows)
        self._start = _micros(rows["start_at"], _LATEST)
        self._answer = _micros(rows["answer_at"], _LATEST)
        self._end = _micros(rows["end_at"], _EARLIEST)
        self._seconds = self._billed_seconds()
        self._billed = self._seconds > 0

    def columns(self) -> dict[str, Any]:
        """The columns that are not those of a single row, one value a group."""
        start = np.minimum.reduceat(self._start, self._begins)
        answer = np.minimum.reduceat(np.where(self._billed, self._answer, _LATEST), self._begins)
        ended = np.maximum.reduceat(self._end, self._begins)
        seconds = np.add.reduceat(np.where(self._again(), 0, self._seconds), self._begins)
        least = np.minimum.reduceat(self._rows["duration_s"].fill_null(0).to_numpy(), self._begins)
        seconds = np.where(least < 0, least, seconds)  # nonsense is passed on, not summed away (F-02)
        answered = answer < _LATEST
        span = np.where(answered & (ended > _EARLIEST), ended - np.where(answered, answer, 0), 0)
        differs = answered & (np.abs(span - seconds * _SECOND_US) > _AGREES_US)
        end = np.where(
            differs, np.where(answered, answer, 0) + np.minimum(seconds, 1 << 33) * _SECOND_US, ended
        )
        fault, detail = self._fault()
        raws = self._rows["raw"].to_pylist()
        return {
            "start_at": _instants(start, start < _LATEST),
            "answer_at": _instants(answer, answered),
            "end_at": _instants(end, end > _EARLIEST),
            "duration_s": pa.array(seconds),
            "extra": self._extra(ended, differs),
            "fault": fault,
            "fault_detail": detail,
            "raw": pa.array([b"\n".join(raws[a:b]) for a, b in self._slices()], pa.binary()),
            "source_pos": self._rows["source_pos"].take(pa.array(self._begins)).combine_chunks(),
        }

    def _slices(self) -> list[tuple[int, int]]:
        return list(zip(self._begins.tolist(), (self._begins + self._sizes).tolist(), strict=True))

    def _billed_seconds(self) -> Ints:
        """Billed seconds of each row, 0 if it was not answered; without a duration, the time since the answer."""
        given = self._rows["duration_s"].fill_null(-1).to_numpy()
        absent = self._rows["duration_s"].is_null().to_numpy()
        answered = (self._answer < _LATEST) & (self._end > _EARLIEST)
        span = np.where(answered, self._end, 0) - np.where(answered, self._answer, 0)
        seconds = np.where(absent, -(-span // _SECOND_US), given)
        billed: Ints = np.where(self._answer < _LATEST, np.clip(seconds, 0, _SANE_S), 0)
        return billed

    def _again(self) -> Flags:
        """Rows that stand in their group before, byte for byte."""
        raw = self._rows["raw"].combine_chunks().dictionary_encode().indices.to_numpy()
        key = np.repeat(self._begins, self._sizes) * (self._rows.num_rows + 1) + raw
        again = np.ones(len(key), np.bool_)
        again[np.unique(key, return_index=True)[1]] = False
        return again

    def first_begun(self) -> Ints:
        """In each group the row that began first."""
        earliest = np.repeat(np.minimum.reduceat(self._start, self._begins), self._sizes)
        return self._first_where(self._start == earliest)

    def chosen(self) -> Ints:
        """In each group the first billed row, else the one that began first."""
        any_billed = np.repeat(np.logical_or.reduceat(self._billed, self._begins), self._sizes)
        first = np.zeros(len(self._billed), np.bool_)
        first[self.first_begun()] = True
        return self._first_where(np.where(any_billed, self._billed, first))

    def _first_where(self, flags: Flags) -> Ints:
        places = np.where(flags, np.arange(len(flags)), _LATEST)
        return np.minimum.reduceat(places, self._begins)

    def _extra(self, ended: Ints, differs: Flags) -> Any:
        kept = self._rows["extra"].take(pa.array(self.chosen())).combine_chunks()
        begin = pc.if_else(kept.is_null(), "{", pc.utf8_replace_slice(kept, -1, _FAR, ","))
        real = np.flatnonzero(differs & (ended > _EARLIEST))
        texts = [
            f',"ended_at":"{instant_text(_EPOCH + timedelta(microseconds=end))}"'
            for end in ended[real].tolist()
        ]
        late = put(pa.repeat(pa.scalar(""), len(kept)), real, texts)
        count = pa.array(self._sizes).cast(pa.string())
        return pc.binary_join_element_wise(begin, '"merged_rows":', count, late, "}", "")

    def _fault(self) -> tuple[Any, Any]:
        if self._rows["fault"].null_count == len(self._rows):
            return pa.nulls(len(self._begins), pa.string()), pa.nulls(len(self._begins), pa.string())
        fault, detail = self._rows["fault"].to_pylist(), self._rows["fault_detail"].to_pylist()
        reasons: list[str | None] = []
        details: list[str | None] = []
        for begin, end in self._slices():
            bad = next((row for row in range(begin, end) if fault[row]), None)
            reasons.append(None if bad is None else fault[bad])
            details.append(
                None if bad is None else f"Row {bad - begin + 1} of the call's {end - begin}: {detail[bad]}"
            )
        return pa.array(reasons, pa.string()), pa.array(details, pa.string())


def _micros(column: Any, none: int) -> Ints:
    """Microseconds since 1970, `none` where there is no time."""
    micros: Ints = column.cast(pa.int64()).fill_null(none).to_numpy()
    return micros


def _instants(micros: Ints, valid: Flags) -> Any:
    return pa.array(np.where(valid, micros, 0), mask=~valid).cast(INSTANT)


_OF_THE_FIRST = ("call_id", "service_number", "caller_number", "caller_area")
_OF_THE_BILLED = ("answering_phone", "answer_rule", "recording_ref")
