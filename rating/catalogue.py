"""The catalogue: who holds which number at what rate since when, as sorted arrays that a batch looks up at once.

It is a fold over the events' changes (`CHANGES`). Compiling them all and patching an earlier catalogue with the
new ones give the same. A catalogue never changes: patching makes another one that shares what stayed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating.columns import int64s, one_chunk
from rating.money import MONEY, from_decimal_array, to_decimal_array
from rating.numbers import KEYS, normalise_service_numbers, number_texts
from rating.records import INSTANT
from rating.segments import (
    BILLABLE,
    FACETS,
    FOR_EVER,
    HOLDER,
    NOT_BILLABLE,
    NOTHING,
    RATE,
    STATE,
    Facts,
    Segments,
    begins,
    resolve,
)
from rating.terms import MAX_INCREMENT_S, MAX_RATE_HAO, Terms

if TYPE_CHECKING:
    import numpy.typing as npt

    from rating.columns import Bools, Int64s

    Int32s = npt.NDArray[np.int32]
    Places = npt.NDArray[np.intp]

CHANGES = pa.schema(
    [
        pa.field("seq", pa.int64()),
        pa.field("number", pa.string()),
        pa.field("facet", pa.string()),
        pa.field("from_at", INSTANT),
        pa.field("until_at", INSTANT),
        pa.field("value", pa.string()),
        pa.field("customer_id", pa.string()),
        pa.field("provider_id", pa.string()),
        pa.field("plan_id", pa.string()),
        pa.field("rate", MONEY),
        pa.field("minimum", MONEY),
        pa.field("increment_s", pa.int64()),
    ]
)
"""One effective-dated fact of a number a row. Rating reads the facets class, state, holder and rate."""
_UNRATED = pa.array(["minimum", "tag"])
"""Facets that rating does not read."""
_READ = [name for name in CHANGES.names if name not in {"plan_id", "minimum"}]


@dataclass(frozen=True, eq=False)
class Words:
    """Texts that rows name by their place: customers, providers. Only ever extended, so places stay true."""

    places: dict[str, int]
    texts: pa.Array

    def extended(self, column: pa.Array) -> tuple[Words, Int32s]:
        """The place of each value, NOTHING for null; what is new is appended (to a copy)."""
        coded = column.dictionary_encode()
        texts = coded.dictionary.to_pylist()
        places, words = self.places, self
        if new := [text for text in texts if text not in places]:
            places = {**places, **{text: at for at, text in enumerate(new, len(places))}}
            words = Words(places, pa.concat_arrays([self.texts, pa.array(new, pa.string())]))
        of_code = np.array([places[text] for text in texts] + [NOTHING], dtype=np.int32)
        return words, of_code[pc.fill_null(coded.indices, len(texts)).to_numpy(zero_copy_only=False)]


@dataclass(frozen=True, eq=False)
class Prices:
    """Rates with their increments, named by their place; extended as Words are."""

    places: dict[tuple[int, int], int]
    rate_hao: Int64s
    increment_s: Int64s

    @property
    def by_minute(self) -> bool:
        """True if every increment is a minute, which makes billing one division less."""
        return bool((self.increment_s == 60).all())

    def extended(self, rate_hao: Int64s, increment_s: Int64s) -> tuple[Prices, Int32s]:
        """The place of each (rate, increment). ValueError if one is out of bounds."""
        if len(rate_hao) and not (rate_hao.min() >= 0 and rate_hao.max() <= MAX_RATE_HAO):
            raise ValueError(f"a rate is outside 0 to {MAX_RATE_HAO} hao a minute")
        if len(increment_s) and not (increment_s.min() >= 1 and increment_s.max() <= MAX_INCREMENT_S):
            raise ValueError(f"an increment is outside 1 to {MAX_INCREMENT_S} s")
        coded = pa.array(rate_hao * (MAX_INCREMENT_S + 1) + increment_s).dictionary_encode()
        pairs = [divmod(pair, MAX_INCREMENT_S + 1) for pair in coded.dictionary.to_pylist()]
        places, prices = self.places, self
        if new := [pair for pair in pairs if pair not in places]:
            places = {**places, **{pair: at for at, pair in enumerate(new, len(places))}}
            both = np.array(list(places), dtype=np.int64)
            prices = Prices(places, both[:, 0].copy(), both[:, 1].copy())
        return prices, np.array([places[pair] for pair in pairs], dtype=np.int32)[coded.indices.to_numpy()]


@dataclass(frozen=True, eq=False)
class KnownNumbers:
    """Which keys are known, and the place of each among them.

    A word for each 32 keys: its low half marks the known ones, its high half counts those before. That is 5 MB
    whatever is known, and one look into memory a number.
    """

    words: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, keys: Int32s) -> KnownNumbers:
        """Of sorted keys."""
        words = np.zeros(-(-KEYS // 32), dtype=np.uint64)
        if len(keys):
            word = keys >> 5
            starts = np.flatnonzero(begins(word))
            marks = np.left_shift(np.uint64(1), (keys & 31).astype(np.uint64))
            words[word[starts]] = np.bitwise_or.reduceat(marks, starts)
            words[1:] |= np.cumsum(np.bitwise_count(words[:-1]), dtype=np.uint64) << np.uint64(32)
        return cls(words)

    def find(self, keys: Int32s) -> tuple[Int32s, Bools]:
        """The place of each key, and whether it is known; the key -1 is not."""
        words = self.words.take((keys >> 5).astype(np.intp), mode="wrap")
        bit = (keys & 31).view(np.uint32)
        marks = words.astype(np.uint32)
        known = (marks >> bit & np.uint32(1)) != 0
        marks &= (np.uint32(1) << bit) - np.uint32(1)
        return (words >> np.uint64(32)).astype(np.int32) + np.bitwise_count(marks), known


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What rating looks up. `events_seq` is the number of events that were folded into it."""

    terms: Terms
    events_seq: int
    segments: Segments
    customers: Words
    providers: Words
    prices: Prices
    numbers: KnownNumbers
    history: tuple[Facts, ...]
    """all facts, in sorted runs of falling length: what resolving a number anew needs"""

    @classmethod
    def empty(cls, terms: Terms) -> Catalogue:
        """No number is known."""
        facts = Facts(*(np.zeros(0, kind) for kind in ("i4", "i1", "i8", "i8", "i8", "i4", "i4")))
        no_words = Words({}, pa.array([], pa.string()))
        free = Prices({(0, 60): 0}, np.array([0]), np.array([60]))
        segments = resolve(facts)
        return cls(terms, 0, segments, no_words, no_words, free, KnownNumbers.of(segments.keys), ())

    def patched(self, changes: pa.Table, terms: Terms, events_seq: int | None = None) -> Catalogue:
        """This catalogue with more changes (CHANGES) folded in: only their numbers are resolved anew.

        `events_seq`: the number of events folded then; by default one above the greatest `seq` seen.
        ValueError if a change has a number, facet, rate or increment that cannot be.
        """
        rows = changes.select(_READ)
        skipped = pc.is_in(rows["facet"], value_set=_UNRATED)
        if pc.any(skipped).as_py():
            rows = rows.filter(pc.invert(skipped))
        seen = self.events_seq if events_seq is None else events_seq
        if events_seq is None and len(changes):
            seen = max(seen, pc.max(changes["seq"]).as_py() + 1)
        if not len(rows):
            return replace(self, terms=terms, events_seq=seen)
        customers, customer = self.customers.extended(one_chunk(rows["customer_id"], pa.string()))
        providers, provider = self.providers.extended(one_chunk(rows["provider_id"], pa.string()))
        prices, facts = _read(rows, self.prices, customer, provider)
        facts = facts.sorted()
        touched = facts.key[begins(facts.key)]
        before = [run.of(touched) for run in self.history]
        resolved = resolve(Facts.joined([*before, facts]).sorted() if before else facts)
        segments = self.segments.replaced(resolved) if len(self.segments.keys) else resolved
        numbers = self.numbers
        if len(segments.keys) != len(self.segments.keys):
            numbers = KnownNumbers.of(segments.keys)
        history = _with_run(self.history, facts)
        return Catalogue(terms, seen, segments, customers, providers, prices, numbers, history)

    def find(self, keys: Int32s, at_us: Int64s) -> tuple[Bools, npt.NDArray[np.void]]:
        """Service numbers' keys and instants, n each -> which numbers are known, and the TERMS that hold then.

        The terms are NOTHING where the number is unknown or its calls are not billed.
        """
        segments = self.segments
        number, known = self.numbers.find(keys)
        if not len(segments.keys):
            return known, segments.terms.take(np.full(len(keys), NOTHING))
        number = (number * known).astype(np.intp)
        begin = segments.first.take(number, mode="clip")
        number += 1
        place = segments.first.take(number, mode="clip").astype(np.intp) - 1
        # Most calls are of today, in their number's last segment; only the others have to search.
        early = np.flatnonzero(segments.from_us.take(place, mode="wrap") > at_us)
        if len(early):
            place[early] = _last_begun(segments.from_us, begin[early], place[early], at_us[early])
        found = (place >= begin) & known
        place = place if found.all() else np.where(found, place, len(segments.terms) - 1)
        return known, segments.terms.take(place, mode="clip")

    def table(self) -> pa.Table:
        """The segments for people and tests: number, from_at, customer_id, provider_id, state, rate, increment_s.

        A number has a row for each stretch; where calls are not billed all but the first two are null. A number
        without any has none.
        """
        segments = self.segments
        terms = segments.terms[:-1]
        billed = terms["tariff"] != NOTHING
        price, state = np.divmod(terms["tariff"], NOT_BILLABLE)

        def words(places: Int32s, texts: pa.Array) -> pa.Array:
            return texts.take(pa.array(places, mask=places == NOTHING))

        return pa.table(
            {
                "number": number_texts(np.repeat(segments.keys, np.diff(segments.first))),
                "from_at": pa.array(segments.from_us[:-1]).cast(INSTANT),
                "customer_id": words(terms["customer"], self.customers.texts),
                "provider_id": words(terms["provider"], self.providers.texts),
                "state": words(np.where(billed, state, NOTHING), pa.array(BILLABLE)),
                "rate": to_decimal_array(self.prices.rate_hao[price], billed),
                "increment_s": pa.array(self.prices.increment_s[price], mask=~billed),
            }
        )


def compile_changes(changes: pa.Table, terms: Terms, events_seq: int | None = None) -> Catalogue:
    """All changes (CHANGES) at once -> Catalogue. Errors as `Catalogue.patched`."""
    return Catalogue.empty(terms).patched(changes, terms, events_seq)


def _last_begun(from_us: Int64s, begin: Int32s, end: Places, at_us: Int64s) -> Places:
    """For each row the last place in begin … end − 1 whose instant has come, begin − 1 if none has.

    Bisection of all rows at once.
    """
    place = begin.astype(np.intp) - 1
    longest = int((end - place).max()) - 1
    for step in (1 << power for power in reversed(range(longest.bit_length()))):
        probe = place + step
        begun = from_us.take(probe, mode="clip") <= at_us
        begun &= probe < end
        place += begun * step
    return place


def _read(rows: pa.Table, prices: Prices, customer: Int32s, provider: Int32s) -> tuple[Prices, Facts]:
    """Changes as facts, in the order in which they came."""
    n = len(rows)
    texts = one_chunk(rows["number"], pa.string())
    key = normalise_service_numbers(texts).keys
    if (key < 0).any():
        raise ValueError(f"a change names {texts[int(key.argmin())].as_py()!r}, which is no service number")
    facets = one_chunk(rows["facet"], pa.string()).dictionary_encode()
    facet = _coded(facets, FACETS)
    if facets.null_count or (facet < 0).any():
        raise ValueError(f"a change has another facet than minimum, tag, {', '.join(FACETS)}")
    until = one_chunk(rows["until_at"], INSTANT)
    if rows["from_at"].null_count or rows["seq"].null_count:
        raise ValueError("a change has no from_at or no seq")

    state = np.flatnonzero(facet == STATE)
    a, b = np.full(n, NOTHING, dtype=np.int32), np.full(n, NOTHING, dtype=np.int32)
    of_state = {name: code for code, name in enumerate(BILLABLE)}
    values = one_chunk(rows["value"], pa.string()).take(pa.array(state)).dictionary_encode()
    a[state] = np.where((codes := _coded(values, of_state)) < 0, NOT_BILLABLE, codes)
    holder = facet == HOLDER
    a[holder], b[holder] = customer[holder], provider[holder]
    rate = np.flatnonzero(facet == RATE)
    rate_hao = one_chunk(rows["rate"], MONEY).take(pa.array(rate))
    increment_s = one_chunk(rows["increment_s"], pa.int64()).take(pa.array(rate))
    if rate_hao.null_count or increment_s.null_count:
        raise ValueError("a change of a rate has no rate or no increment_s")
    prices, a[rate] = prices.extended(from_decimal_array(rate_hao), int64s(increment_s))
    return prices, Facts(
        key,
        facet.astype(np.int8),
        int64s(one_chunk(rows["from_at"], INSTANT)),
        int64s(pc.fill_null(until.cast(pa.int64()), FOR_EVER)) if until.null_count else int64s(until),
        int64s(one_chunk(rows["seq"], pa.int64())),
        a,
        b,
    )


def _coded(column: pa.DictionaryArray, codes: dict[str, int]) -> Int32s:
    """The code of each value; NOTHING for what has none, null included."""
    words = [codes.get(text, NOTHING) for text in column.dictionary.to_pylist()]
    of_place = np.array([*words, NOTHING], dtype=np.int32)
    coded: Int32s = of_place[pc.fill_null(column.indices, len(words)).to_numpy(zero_copy_only=False)]
    return coded


def _with_run(history: tuple[Facts, ...], run: Facts) -> tuple[Facts, ...]:
    """The runs with one more. Runs of like length are merged, so there are few, and merging is rare."""
    runs = [*history, run]
    while len(runs) > 1 and len(runs[-2]) <= 2 * len(runs[-1]):
        runs[-2:] = [Facts.joined(runs[-2:]).sorted()]
    return tuple(runs)
