"""Events as rows and back: the parallel lists of postings and changes are built flat, not row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ledger.schema import CHANGE_COLUMNS, EVENTS, POSTING_COLUMNS
from rating.accounts import Change, Event, Posting
from rating.columns import one_chunk, to_list
from rating.money import to_decimal_array
from rating.posting_columns import POSTINGS, as_columns, as_postings
from rating.reasons import Reason

_PLAIN = ["command_id", "kind", "outcome", "reason", "detail", "at", "received_at", "payload", "effect", "raw",
          "source", "source_pos", "calls_seq"]  # fmt: skip
_KIND = _PLAIN.index("kind")


def canonical(value: Mapping[str, Any]) -> str:
    """JSON that is the same for the same content."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


class EventRows:
    """Rows of `events` being gathered for one commit."""

    def __init__(self) -> None:
        self._plain: list[tuple[Any, ...]] = []
        self._postings: list[Posting] = []
        self._postings_before: list[pa.Table] = []  # as columns
        self._changes: list[Change] = []
        self._posting_offsets = [0]
        self._change_offsets = [0]

    def __len__(self) -> int:
        return len(self._plain)

    @property
    def changed(self) -> bool:
        """True if a row changes what calls cost."""
        return bool(self._changes) or any(row[_KIND] == "adopt_price_book" for row in self._plain)

    def add(
        self,
        event: Event,
        calls_seq: int,
        received_at: datetime,
        *,
        payload: str | None = None,
        raw: bytes | None = None,
        source: str | None = None,
        source_pos: int | None = None,
    ) -> None:
        """One decided event; `payload` and `source` are those of its command, absent for our own."""
        self._plain.append((
            event.command_id, event.kind, event.outcome, event.reason and str(event.reason), event.detail, event.at,
            received_at, payload, canonical(event.effect) if event.effect else None, raw, source, source_pos, calls_seq,
        ))  # fmt: skip
        of_calls = 0 if event.of_calls is None else event.of_calls.num_rows
        if event.of_calls is not None:
            self._postings_before += [as_columns(self._postings), event.of_calls]
            self._postings.clear()
        self._postings.extend(event.postings)
        self._changes.extend(event.changes)
        self._posting_offsets.append(self._posting_offsets[-1] + of_calls + len(event.postings))
        self._change_offsets.append(len(self._changes))

    def add_unread(
        self,
        outcome: str,
        reason: Reason,
        detail: str,
        seen: Mapping[str, Any],
        at: datetime | None,
        calls_seq: int,
        received_at: datetime,
        *,
        payload: str | None,
        raw: bytes,
        source: str | None,
        source_pos: int | None,
    ) -> None:
        """A line that was rejected or is a duplicate: it changes nothing, and its bytes are kept (R-INV-1)."""
        command_id, kind = (seen.get(name) for name in ("command_id", "kind"))
        self._plain.append((
            command_id if isinstance(command_id, str) else None, kind if isinstance(kind, str) else None, outcome,
            str(reason), detail, at, received_at, payload, None, raw, source, source_pos, calls_seq,
        ))  # fmt: skip
        self._posting_offsets.append(self._posting_offsets[-1])
        self._change_offsets.append(len(self._changes))

    def table(self, first_seq: int) -> pa.Table:
        """The rows, numbered from `first_seq`, in the schema of `events`."""
        columns: dict[str, Any] = {"seq": pa.array(range(first_seq, first_seq + len(self)), pa.int64())}
        plain = zip(*self._plain, strict=True) if self._plain else ([] for _ in _PLAIN)
        for name, values in zip(_PLAIN, plain, strict=True):
            columns[name] = pa.array(values, EVENTS.field(name).type)
        postings = pa.concat_tables([*self._postings_before, as_columns(self._postings)])
        lists = zip(POSTING_COLUMNS, postings.columns, strict=True)
        columns |= _lists(self._posting_offsets, {name: one_chunk(flat, flat.type) for name, flat in lists})
        columns |= _lists(self._change_offsets, _flat_changes(self._changes))
        return pa.table([columns[field.name] for field in EVENTS], schema=EVENTS)


def _lists(offsets: list[int], flat: Mapping[str, pa.Array]) -> dict[str, pa.ListArray]:
    bounds = pa.array(offsets, pa.int32())
    return {name: pa.ListArray.from_arrays(bounds, values) for name, values in flat.items()}


def _flat_changes(changes: Sequence[Change]) -> dict[str, pa.Array]:
    """The columns are in the order of a change's fields."""
    flat: dict[str, pa.Array] = {}
    fields = zip(*changes, strict=True) if changes else ([] for _ in CHANGE_COLUMNS)
    for name, values in zip(CHANGE_COLUMNS, fields, strict=True):
        kind = EVENTS.field(name).type.value_type
        if pa.types.is_decimal(kind):
            valid = np.array([value is not None for value in values], dtype=bool)
            hao = np.array([0 if value is None else value for value in values], dtype=np.int64)
            flat[name] = to_decimal_array(hao, None if valid.all() else valid)
        else:
            flat[name] = pa.array(values, kind)
    return flat


def read_events(rows: pa.Table) -> Iterator[tuple[int, Event]]:
    """Rows of `events`, in seq order, as (calls_seq, event); what was not accepted has no effect.

    The postings of re-rated calls stay columns.
    """
    rows = rows.combine_chunks()
    ids, kinds, outcomes, ats, effects, calls = (
        to_list(rows.column(name)) for name in ("command_id", "kind", "outcome", "at", "effect", "calls_seq")
    )
    flat, bounds = _flat_postings(rows)
    of_calls = pc.equal(flat.column("kind"), "rerating")
    few = as_postings(flat.filter(pc.invert(of_calls)))
    few_bounds = _bounds(pc.invert(of_calls))[bounds].tolist()
    calls_bounds = _bounds(of_calls)[bounds].tolist()
    changes, change_bounds = _changes(rows)
    for index, outcome in enumerate(outcomes):
        if outcome != "accepted":
            yield calls[index], Event(ids[index], kinds[index], ats[index], outcome=outcome)
            continue
        many = calls_bounds[index + 1] - calls_bounds[index]
        yield (
            calls[index],
            Event(
                ids[index],
                kinds[index],
                ats[index],
                orjson.loads(effects[index]) if effects[index] else {},
                tuple(few[few_bounds[index] : few_bounds[index + 1]]),
                tuple(changes[change_bounds[index] : change_bounds[index + 1]]),
                of_calls=flat.slice(bounds[index], many) if many else None,
            ),
        )


def read_postings(rows: pa.Table) -> Iterator[tuple[str, Posting]]:
    """(posting_id, posting) of every row; needs the columns seq and p_*."""
    flat, bounds = _flat_postings(rows.combine_chunks())
    entries = as_postings(flat)
    for index, seq in enumerate(rows.column("seq").to_pylist()):
        for place, posting in enumerate(entries[bounds[index] : bounds[index + 1]], start=1):
            yield f"{seq}-{place}", posting


def _flat_postings(rows: pa.Table) -> tuple[pa.Table, np.ndarray]:
    """The rows' postings, one after the other, and where each row's begin; one more for the end."""
    lists = [_whole(rows.column(name)) for name in POSTING_COLUMNS]
    return pa.table([array.flatten() for array in lists], schema=POSTINGS), _bounds(lists[0].value_lengths())


def _changes(rows: pa.Table) -> tuple[list[Change], list[int]]:
    lists = [_whole(rows.column(name)) for name in CHANGE_COLUMNS]
    columns = (to_list(array.flatten()) for array in lists)
    changes = [Change(*values) for values in zip(*columns, strict=True)]
    return changes, _bounds(lists[0].value_lengths()).tolist()


def _bounds(counts: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Where each row's part begins, if the parts have these counts; null counts nothing."""
    return np.concatenate([[0], np.cumsum(counts.cast(pa.int64()).fill_null(0).to_numpy())])


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)
