"""Events as rows and back: the parallel lists of postings and changes are built flat, not row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from ledger.schema import CHANGE_COLUMNS, EVENTS, POSTING_COLUMNS
from rating.accounts import Change, Event, Posting
from rating.columns import to_list
from rating.money import to_decimal_array
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
        self._postings.extend(event.postings)
        self._changes.extend(event.changes)
        self._posting_offsets.append(len(self._postings))
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
        self._posting_offsets.append(len(self._postings))
        self._change_offsets.append(len(self._changes))

    def table(self, first_seq: int) -> pa.Table:
        """The rows, numbered from `first_seq`, in the schema of `events`."""
        columns: dict[str, Any] = {"seq": pa.array(range(first_seq, first_seq + len(self)), pa.int64())}
        plain = zip(*self._plain, strict=True) if self._plain else ([] for _ in _PLAIN)
        for name, values in zip(_PLAIN, plain, strict=True):
            columns[name] = pa.array(values, EVENTS.field(name).type)
        _add_lists(columns, POSTING_COLUMNS, self._postings, self._posting_offsets)
        _add_lists(columns, CHANGE_COLUMNS, self._changes, self._change_offsets)
        return pa.table([columns[field.name] for field in EVENTS], schema=EVENTS)


def _add_lists(
    columns: dict[str, Any], names: list[str], entries: Sequence[Posting | Change], offsets: list[int]
) -> None:
    """The columns are in the order of the entries' fields."""
    bounds = pa.array(offsets, pa.int32())
    fields = zip(*entries, strict=True) if entries else ([] for _ in names)
    for name, values in zip(names, fields, strict=True):
        kind = EVENTS.field(name).type.value_type
        if pa.types.is_decimal(kind):
            valid = np.array([value is not None for value in values], dtype=bool)
            hao = np.array([0 if value is None else value for value in values], dtype=np.int64)
            flat = to_decimal_array(hao, None if valid.all() else valid)
        else:
            flat = pa.array(values, kind)
        columns[name] = pa.ListArray.from_arrays(bounds, flat)


def read_events(rows: pa.Table) -> Iterator[tuple[int, Event]]:
    """Rows of `events`, in seq order, as (calls_seq, event); what was not accepted has no effect."""
    rows = rows.combine_chunks()
    ids, kinds, outcomes, ats, effects, calls = (
        to_list(rows.column(name)) for name in ("command_id", "kind", "outcome", "at", "effect", "calls_seq")
    )
    postings, posting_bounds = _entries(rows, POSTING_COLUMNS, Posting)
    changes, change_bounds = _entries(rows, CHANGE_COLUMNS, Change)
    for index, outcome in enumerate(outcomes):
        if outcome != "accepted":
            yield calls[index], Event(ids[index], kinds[index], ats[index], outcome=outcome)
            continue
        yield (
            calls[index],
            Event(
                ids[index],
                kinds[index],
                ats[index],
                orjson.loads(effects[index]) if effects[index] else {},
                tuple(postings[posting_bounds[index] : posting_bounds[index + 1]]),
                tuple(changes[change_bounds[index] : change_bounds[index + 1]]),
            ),
        )


def read_postings(rows: pa.Table) -> Iterator[tuple[str, Posting]]:
    """(posting_id, posting) of every row; needs the columns seq and p_*."""
    rows = rows.combine_chunks()
    entries, bounds = _entries(rows, POSTING_COLUMNS, Posting)
    for index, seq in enumerate(rows.column("seq").to_pylist()):
        for place, posting in enumerate(entries[bounds[index] : bounds[index + 1]], start=1):
            yield f"{seq}-{place}", posting


def _entries(rows: pa.Table, names: list[str], make: type[Any]) -> tuple[list[Any], list[int]]:
    lists = [_whole(rows.column(name)) for name in names]
    lengths = lists[0].value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    bounds: list[int] = np.concatenate([[0], np.cumsum(lengths)]).tolist()
    columns = (to_list(array.flatten()) for array in lists)
    return [make(*values) for values in zip(*columns, strict=True)], bounds


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)
