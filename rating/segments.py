"""Facts about numbers, resolved: who holds a number at which rate from when (R-CALL-8, F-06, F-07).

A fact is an effective-dated entry of one facet of one number. At an instant the entry with the greatest
(from_at, seq) of a facet holds; a state whose `until_at` has come is free. Where a number is active, suspended
or frozen and has a holder and a rate, calls are billed: such stretches become segments.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from rating.columns import Bools, Int64s

    Int32s = npt.NDArray[np.int32]
    Places = npt.NDArray[np.intp]

CLASS, STATE, HOLDER, RATE, _END = range(5)
FACETS = {"class": CLASS, "state": STATE, "holder": HOLDER, "rate": RATE}

BILLABLE = ("active", "suspended", "frozen")
NOT_BILLABLE = len(BILLABLE)
"""The code of every other state."""
FOR_EVER = np.iinfo(np.int64).max
NOTHING = -1

TERMS = np.dtype([("customer", "i4"), ("provider", "i4"), ("tariff", "i4"), ("", "i4")])
"""Who pays and what: places of customer and provider; tariff = price × NOT_BILLABLE + state. Sixteen bytes, so
that looking one up touches the memory once."""


def begins(key: Int32s) -> Bools:
    """Of sorted keys: which row is the first of its number."""
    first = np.ones(len(key), dtype=np.bool_)
    first[1:] = key[1:] != key[:-1]
    return first


def _stable_order(key: Int32s) -> Places:
    """The rows by key. A row's number fits below its key of 25 bits, so this is one sort of whole numbers."""
    order: Places = np.sort(key.astype(np.int64) << 32 | np.arange(len(key))) & 0xFFFF_FFFF
    return order


@dataclass(frozen=True, eq=False)
class Facts:
    """Entries in the order (key, from_us, seq). What `a` and `b` say depends on the facet:

    state: place in BILLABLE or NOT_BILLABLE; holder: customer and provider; rate: price. NOTHING is none.
    """

    key: Int32s
    facet: npt.NDArray[np.int8]
    from_us: Int64s
    until_us: Int64s
    seq: Int64s
    a: Int32s
    b: Int32s

    def __len__(self) -> int:
        return len(self.key)

    def taken(self, places: Places) -> Facts:
        return Facts(*(getattr(self, field.name)[places] for field in fields(Facts)))

    def sorted(self) -> Facts:
        """In the order (key, from_us, seq); entries equal in all three keep theirs, so the later one holds."""
        rows = np.arange(len(self))
        order = rows if (self.seq[1:] >= self.seq[:-1]).all() else np.argsort(self.seq, kind="stable")
        order = order[_stable_order(self.key[order])]
        # Most entries came in the order of their instants: only the numbers where one did not are sorted again.
        key, at = self.key[order], self.from_us[order]
        starts = np.flatnonzero(begins(key))
        late = np.flatnonzero((at[1:] < at[:-1]) & (key[1:] == key[:-1]))
        if len(late):
            unsorted = np.zeros(len(starts), dtype=np.bool_)
            unsorted[np.searchsorted(starts, late, "right") - 1] = True
            again = np.flatnonzero(np.repeat(unsorted, np.diff(starts, append=len(self))))
            by_instant = np.argsort(at[again], kind="stable")
            by_instant = by_instant[_stable_order(key[again[by_instant]])]
            order[again] = order[again[by_instant]]
        return self.taken(order)

    def of(self, keys: Int32s) -> Facts:
        """The entries of sorted `keys`."""
        first, last = np.searchsorted(self.key, keys, "left"), np.searchsorted(self.key, keys, "right")
        return self.taken(np.concatenate([np.zeros(0, np.intp), *map(np.arange, first, last)]))

    @classmethod
    def joined(cls, parts: Sequence[Facts]) -> Facts:
        """The parts as one, not sorted."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True, eq=False)
class Segments:
    """Stretches of known numbers, by number and instant; a stretch ends where the number's next begins.

    `keys`: sorted known numbers, n. `first`: n + 1 places; those of number i are `first[i]:first[i + 1]`.
    Of each segment: when it begins and its TERMS, all NOTHING where calls are not billed. Behind the last one
    stands a segment of NOTHING, so the place NOTHING finds it.
    """

    keys: Int32s
    first: Int32s
    from_us: Int64s
    terms: npt.NDArray[np.void]

    def replaced(self, by: Segments) -> Segments:
        """With the segments of the numbers of `by` taken from there, known here or not; all else as it is."""
        left, right = (np.searchsorted(self.keys, by.keys, side) for side in ("left", "right"))
        new = left == right
        known, counts = self.keys, np.diff(self.first)
        if new.any():
            known, counts = np.insert(known, left[new], by.keys[new]), np.insert(counts, left[new], 0)
        counts[np.searchsorted(known, by.keys)] = np.diff(by.first)
        sides = (self.first[left], self.first[right], by.first[:-1], by.first[1:])
        spans = list(zip(*(side.tolist() for side in sides), strict=True))
        from_us, terms = _spliced(self.from_us, by.from_us, spans), _spliced(self.terms, by.terms, spans)
        return Segments(known, _starts(counts), from_us, terms)


def _spliced(
    old: npt.NDArray[Any], new: npt.NDArray[Any], spans: Sequence[tuple[int, int, int, int]]
) -> npt.NDArray[Any]:
    # As rows of whole numbers: NumPy joins those by copying memory, but records field by field.
    old_rows, new_rows = old.view(np.int64).reshape(len(old), -1), new.view(np.int64).reshape(len(new), -1)
    parts, done = [], 0
    for old_from, old_to, new_from, new_to in spans:
        parts += [old_rows[done:old_from], new_rows[new_from:new_to]]
        done = old_to
    return np.concatenate([*parts, old_rows[done:]]).reshape(-1).view(old.dtype)


def _starts(counts: Int32s) -> Int32s:
    starts = np.zeros(len(counts) + 1, dtype=np.int32)
    np.cumsum(counts, out=starts[1:])
    return starts


def resolve(facts: Facts) -> Segments:
    """Sorted facts -> segments of the numbers that have a class, which is what makes a number known."""
    known = facts.key[facts.facet == CLASS]
    known = known[begins(known)]
    facts = _with_ends(facts)
    n = len(facts)
    row = np.arange(n, dtype=np.int32)
    first = begins(facts.key)
    group = np.maximum.accumulate(np.where(first, row, 0)) if n else row

    state, has_state = _latest(facts.facet == STATE, row, group)
    holder, has_holder = _latest(facts.facet == HOLDER, row, group)
    rate, has_rate = _latest(facts.facet == RATE, row, group)
    billable = has_state & has_holder & has_rate & (facts.a[state] != NOT_BILLABLE)
    is_end = facts.facet == _END
    if is_end.any():
        # an end counts only if the state that it ends still holds: an end's `a` is that state's place before
        ends, ended = _latest(is_end & (facts.a == facts.b[state]), row, group)
        billable &= ~(ended & (ends > state))
    billable &= facts.a[holder] != NOTHING
    customer = np.where(billable, facts.a[holder], NOTHING)
    provider = np.where(billable, facts.b[holder], NOTHING)
    tariff = np.where(billable, facts.a[rate] * NOT_BILLABLE + facts.a[state], NOTHING)

    last = np.ones(n, dtype=np.bool_)  # of the entries at one instant the last row says what holds
    last[:-1] = first[1:] | (facts.from_us[1:] != facts.from_us[:-1])
    kept = np.flatnonzero(last)
    kept = kept[_changes(facts.key[kept], customer[kept], provider[kept], tariff[kept])]
    left, right = (np.searchsorted(facts.key[kept], known, side) for side in ("left", "right"))
    if (right - left).sum() != len(kept):
        kept = kept[np.isin(facts.key[kept], known)]
    terms = np.full(len(kept) + 1, NOTHING, dtype=TERMS)
    terms["customer"][:-1], terms["provider"][:-1], terms["tariff"][:-1] = (
        customer[kept],
        provider[kept],
        tariff[kept],
    )
    return Segments(known, _starts(right - left), np.append(facts.from_us[kept], FOR_EVER), terms)


def _latest(mine: Bools, row: Int32s, group: Int32s) -> tuple[Int32s, Bools]:
    """Of each row: the last row up to it that is `mine`, and whether it is of the same number."""
    latest = np.maximum.accumulate(np.where(mine, row, NOTHING)) if len(row) else row
    return latest, latest >= group


def _with_ends(facts: Facts) -> Facts:
    """Plus an entry where a billable state would end. What is not billed is so after its end, too."""
    number = np.arange(len(facts), dtype=np.int32)
    ending = np.flatnonzero((facts.facet == STATE) & (facts.until_us != FOR_EVER) & (facts.a != NOT_BILLABLE))
    if not len(ending):
        return facts
    ends = facts.taken(ending)
    ends = replace(
        ends,
        facet=np.full(len(ends), _END, dtype=np.int8),
        from_us=np.maximum(ends.until_us, ends.from_us),
        a=number[ending],
    )
    numbered = replace(facts, b=np.where(facts.facet == STATE, number, facts.b))
    return Facts.joined([numbered, ends]).sorted()


def _changes(key: Int32s, *columns: Int32s) -> Bools:
    """Which rows differ from the one before; a number's first counts only if it is billed."""
    same = np.zeros(len(key), dtype=np.bool_)
    same[1:] = key[1:] == key[:-1]
    differs = np.zeros(len(key), dtype=np.bool_)
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return np.where(same, differs, columns[-1] != NOTHING)
