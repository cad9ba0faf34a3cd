"""What each call costs and who pays it: `rate`, from decoded records to rated or rejected calls (R-CALL-1 … 8).

Pure and without a loop over records: every step is one operation over the whole batch. Money is int64 of
1/10000 yuan throughout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating import areas
from rating.calendar import day_of, month_of, months_between, next_month, start_of_month
from rating.columns import dictionary_array, int64_array, int64s, is_valid, one_chunk, text_parts
from rating.money import MONEY, to_decimal_array
from rating.numbers import is_95, is_800, normalise_callers, normalise_service_numbers
from rating.records import INSTANT, RECORD
from rating.rejects import CALL_ID_LIMIT, REASONS, Fault, Rejects, instant_texts, mark
from rating.segments import BILLABLE, NOT_BILLABLE, NOTHING
from rating.times import Times, instant, microseconds

if TYPE_CHECKING:
    from datetime import datetime

    import numpy.typing as npt

    from rating.catalogue import Catalogue, Prices
    from rating.columns import Bools, Int64s
    from rating.terms import Terms

    Int32s = npt.NDArray[np.int32]
    Places = npt.NDArray[np.intp]

_WORD = pa.dictionary(pa.int32(), pa.string())
_SHORT_WORD = pa.dictionary(pa.int8(), pa.string())

RATED = pa.schema(
    [
        pa.field("outcome", _SHORT_WORD),  # rated, rejected
        pa.field("reason", _SHORT_WORD),
        pa.field("detail", pa.string()),
        pa.field("call_id", pa.string()),
        pa.field("service_number", pa.string()),
        pa.field("customer_id", _WORD),
        pa.field("provider_id", _WORD),
        pa.field("caller_number", pa.string()),
        pa.field("caller_area", _WORD),
        pa.field("start_at", INSTANT),
        pa.field("answer_at", INSTANT),
        pa.field("end_at", INSTANT),
        pa.field("month", _WORD),
        pa.field("duration_s", pa.int64()),
        pa.field("billed_s", pa.int64()),
        pa.field("rate", MONEY),
        pa.field("owner_fee", MONEY),
        pa.field("caller_estimate", MONEY),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("answering_phone", pa.string()),
        pa.field("answer_rule", pa.string()),
        pa.field("recording_ref", pa.string()),
        pa.field("extra", pa.string()),
        pa.field("raw", pa.binary()),
        pa.field("source_pos", pa.int64()),
    ]
)
"""What `rate` gives: the columns of the ledger's calls that rating knows. Few texts for many rows come as
dictionaries. `month` is the month of the start if the call is rated, else that of its arrival."""

REPRICED_BY = ("service_number", "caller_number", "caller_area", "start_at", "duration_s")
"""The columns of RATED that `charges` looks at."""

_OUTCOMES = pa.array(["rated", "rejected"])
TAGS = pa.array(["outside_mainland", "suspended", "frozen", "mobile_caller_to_800"])
_SUSPENDED, _FROZEN = BILLABLE.index("suspended"), BILLABLE.index("frozen")


def rate(records: pa.Table, catalogue: Catalogue, received_at: datetime) -> pa.Table:
    """Records (RECORD) of n calls -> what each became (RATED), in the same order.

    A record without a fault is rated at the terms of its start; any other is rejected with a reason, a sentence
    and its raw bytes. `received_at` (aware) is when they arrived, or when a retry took them up again.
    """
    if received_at.tzinfo is None:
        raise ValueError(f"received_at {received_at} has no time zone")
    n = len(records)
    given = {
        field.name: one_chunk(records[field.name], field.type) for field in RECORD if field.name != "raw"
    }
    numbers = normalise_service_numbers(given["service_number"])
    times = Times.of(given)
    known, found = catalogue.find(numbers.keys, times.start)

    faults = np.zeros(n, dtype=np.int8)
    _mark_missing(faults, given)
    mark(faults, numbers.keys < 0, Fault.BAD_NUMBER)
    times.mark_bad(faults, catalogue.terms, received_at)
    mark(faults, ~known, Fault.UNKNOWN_NUMBER)
    mark(faults, found["tariff"] == NOTHING, Fault.NO_PLAN)
    rated = faults == Fault.NONE
    valid = None if rated.all() else rated

    out = given | {
        "outcome": dictionary_array((~rated).view(np.int8), _OUTCOMES),
        "service_number": numbers.texts,
        "month": _months(times.start, valid, month_of(received_at)),
        **_charged(given, numbers.keys, times, found, catalogue, valid),
    }
    if valid is None:
        reasons = np.full(n, NOTHING, dtype=np.int8)
        out |= {"detail": pa.nulls(n, pa.string()), "raw": pa.nulls(n, pa.binary())}
    else:
        rejects = _rejects(given, numbers.texts, times, catalogue.terms, received_at)
        reasons = rejects.reasons(faults)
        raw = one_chunk(records["raw"], pa.binary())
        out |= {
            "detail": rejects.details(faults),
            "service_number": pc.coalesce(numbers.texts, given["service_number"]),
            "duration_s": pc.if_else(pa.array(rated), out["duration_s"], given["duration_s"]),
            "raw": pc.if_else(pa.array(~rated), raw, pa.scalar(None, pa.binary())),
        }
    out["reason"] = dictionary_array(reasons, REASONS)
    return pa.table([out[name] for name in RATED.names], schema=RATED)


class Charges(NamedTuple):
    """Who pays for n calls, with which provider the number is (both null: nobody pays), and how much."""

    customer_id: pa.DictionaryArray
    provider_id: pa.DictionaryArray
    fee_hao: Int64s


def charges(calls: pa.Table, catalogue: Catalogue) -> Charges:
    """Calls that were rated before, n rows of RATED, at the terms that this catalogue has for their starts.

    What was checked when they arrived is not checked again: they stay rated (R-INV-1).
    """
    given = {name: one_chunk(calls.column(name), RATED.field(name).type) for name in REPRICED_BY}
    keys, start = normalise_service_numbers(given["service_number"]).keys, int64s(given["start_at"])
    _, found = catalogue.find(keys, start)
    customer, provider, tariff = (
        np.ascontiguousarray(found[name]) for name in ("customer", "provider", "tariff")
    )
    valid = tariff != NOTHING
    duration_s = np.where(valid, int64s(given["duration_s"]), 0)
    per_min, bundled = np.zeros(len(keys), dtype=np.int64), None
    if is_800(keys).any():  # only there the caller's leg is the owner's
        callers = normalise_callers(given["caller_number"])
        area, codes, outside = _areas(callers.origins, one_chunk(given["caller_area"], pa.string()))
        per_min, bundled = _caller_rates(catalogue.terms, area, codes, outside, callers.texts, start)
    price = (tariff // NOT_BILLABLE).astype(np.intp)
    legs = _legs(keys, duration_s, catalogue.prices, price, per_min, bundled)
    return Charges(
        dictionary_array(np.where(valid, customer, NOTHING), catalogue.customers.texts),
        dictionary_array(np.where(valid, provider, NOTHING), catalogue.providers.texts),
        legs.owner_hao,
    )


def _charged(
    given: dict[str, pa.Array],
    keys: Int32s,
    times: Times,
    found: npt.NDArray[np.void],
    catalogue: Catalogue,
    valid: Bools | None,
) -> dict[str, pa.Array]:
    """Who pays what: the columns that are null (tags: empty) where a call is not `valid`; None: all are."""
    customer, provider, tariff = (
        np.ascontiguousarray(found[name]) for name in ("customer", "provider", "tariff")
    )
    duration_s = times.duration_s
    if valid is not None:
        customer, provider = np.where(valid, customer, NOTHING), np.where(valid, provider, NOTHING)
        duration_s = np.where(valid, duration_s, 0)
    price = tariff // NOT_BILLABLE
    state = tariff - price * NOT_BILLABLE

    callers = normalise_callers(given["caller_number"])
    area, area_codes, outside = _areas(callers.origins, given["caller_area"])
    per_min, bundled = _caller_rates(catalogue.terms, area, area_codes, outside, callers.texts, times.start)
    legs = _legs(keys, duration_s, catalogue.prices, price.astype(np.intp), per_min, bundled)
    mobile_to_800 = areas.is_mobile(callers.origins) & is_800(keys)
    return {
        "customer_id": dictionary_array(customer, catalogue.customers.texts),
        "provider_id": dictionary_array(provider, catalogue.providers.texts),
        "caller_number": callers.texts,
        "caller_area": dictionary_array(area, area_codes),
        "duration_s": int64_array(duration_s, pa.int64(), valid),
        "billed_s": int64_array(legs.billed_s, pa.int64(), valid),
        "rate": to_decimal_array(legs.rate_hao, valid),
        "owner_fee": to_decimal_array(legs.owner_hao, valid),
        "caller_estimate": to_decimal_array(legs.caller_hao, _known_estimates(valid, outside)),
        "tags": _tag_lists([outside, state == _SUSPENDED, state == _FROZEN, mobile_to_800], valid),
    }


def _mark_missing(faults: npt.NDArray[np.int8], given: dict[str, pa.Array]) -> None:
    """What the decoder found, and what a call cannot do without."""
    if given["fault"].null_count < len(faults):
        mark(faults, pc.is_valid(given["fault"]).to_numpy(zero_copy_only=False), Fault.DECODER)
    for name, fault in (("call_id", Fault.NO_CALL_ID), ("service_number", Fault.NO_SERVICE_NUMBER)):
        if (present := is_valid(given[name])) is not None:
            mark(faults, ~present, fault)
        offsets, _ = text_parts(given[name])
        mark(faults, offsets[1:] == offsets[:-1], fault)
    for name, fault in (("start_at", Fault.NO_START), ("end_at", Fault.NO_END)):
        if (present := is_valid(given[name])) is not None:
            mark(faults, ~present, fault)
    offsets, _ = text_parts(given["call_id"])
    if np.diff(offsets).max(initial=0) > CALL_ID_LIMIT:
        long = pc.fill_null(pc.greater(pc.utf8_length(given["call_id"]), CALL_ID_LIMIT), fill_value=False)
        mark(faults, long.to_numpy(zero_copy_only=False), Fault.LONG_CALL_ID)


def _areas(origins: Int32s, given: pa.Array) -> tuple[Int32s, pa.Array, Bools]:
    """Places of the callers' areas, the codes they are places in, and who is outside the mainland (R-CALL-4).

    An area that came with the record stands; otherwise the caller's number says it.
    """
    derived, outside = areas.area_of(origins), areas.is_outside_mainland(origins)
    if given.null_count == len(given):
        return derived, areas.areas().codes, outside
    named, codes, named_outside = areas.delivered_areas(given)
    return np.where(named == areas.NO_AREA, derived, named), codes, outside | named_outside


def _caller_rates(
    terms: Terms, area: Int32s, codes: pa.Array, outside: Bools, callers: pa.Array, start: Int64s
) -> tuple[Int64s, Bools | None]:
    """What a local minute costs each caller at the start of the call, and whose plan bundles it (R-CALL-2).

    0 for who is `outside` the mainland.
    """
    names = codes.to_pylist()
    tables = np.array(
        [
            [rates.by_area.get(name, rates.default_hao_per_min) for name in names]
            + [rates.default_hao_per_min]
            for rates in terms.caller_rates
        ],
        dtype=np.int64,
    )
    begins = np.array([microseconds(rates.from_at) for rates in terms.caller_rates])
    # a call before the first is estimated by the first; an area that is not known is the last column
    period = np.searchsorted(begins[1:], start, "right") if len(begins) > 1 else np.zeros(1, dtype=np.intp)
    per_min = tables[0].take(area.astype(np.intp), mode="wrap") if len(begins) == 1 else tables[period, area]
    bundled = None
    for at, rates in enumerate(terms.caller_rates):
        for prefix in rates.bundled_prefixes:
            begun = pc.fill_null(pc.starts_with(callers, prefix), fill_value=False).to_numpy(
                zero_copy_only=False
            )
            begun = begun & (period == at)
            bundled = begun if bundled is None else bundled | begun
    if outside.any():
        per_min[outside] = 0
    return per_min, bundled


class _Legs(NamedTuple):
    """What n calls cost, in hao; the rate is a minute's."""

    billed_s: Int64s
    rate_hao: Int64s
    owner_hao: Int64s
    caller_hao: Int64s


def _legs(
    keys: Int32s, duration_s: Int64s, prices: Prices, price: Places, per_min: Int64s, bundled: Bools | None
) -> _Legs:
    """The owner's fee and the caller's estimate (R-CALL-1, 2, 3, 5). Bounds in rating/terms.py exclude overflow."""
    rate_hao = prices.rate_hao.take(price)
    started_min = (duration_s + 59) // 60
    if prices.by_minute:
        billed_s, owner_hao = started_min * 60, rate_hao * started_min
    else:
        increment_s = prices.increment_s.take(price)
        billed_s = -(-duration_s // increment_s) * increment_s
        minutes = billed_s // 60
        owner_hao = rate_hao * minutes + (2 * rate_hao * (billed_s - minutes * 60) + 60) // 120
    caller_hao = per_min * started_min
    estimate = caller_hao if bundled is None else np.where(bundled, 0, caller_hao)
    if (eights := is_800(keys)).any():
        owner_hao = np.where(eights, owner_hao + caller_hao, owner_hao)
        estimate = np.where(eights, 0, estimate)
    if (nineties := is_95(keys)).any():
        rate_hao, owner_hao = np.where(nineties, 0, rate_hao), np.where(nineties, 0, owner_hao)
    return _Legs(billed_s, rate_hao, owner_hao, estimate)


def _known_estimates(valid: Bools | None, outside: Bools) -> Bools | None:
    if not outside.any():
        return valid
    return ~outside if valid is None else valid & ~outside


def _months(start: Int64s, valid: Bools | None, arrival_month: str) -> pa.DictionaryArray:
    """The Shanghai month of each start; of the arrival where the call is not rated (R-CALL-8)."""
    starts = start if valid is None else start[valid]
    if not len(starts):
        return dictionary_array(np.zeros(len(start), dtype=np.int32), pa.array([arrival_month]))
    first, last = (month_of(instant(int(us))) for us in (starts.min(), starts.max()))
    months = [next_month(first, later) for later in range(months_between(first, last) + 1)]
    begins = np.array([microseconds(start_of_month(month)) for month in months[1:]], dtype=np.int64)
    codes = np.searchsorted(begins, start, "right") if len(begins) else np.zeros(len(start), dtype=np.intp)
    if valid is not None:
        months = months if arrival_month in months else [*months, arrival_month]
        codes = np.where(valid, codes, months.index(arrival_month))
    return dictionary_array(codes.astype(np.int32), pa.array(months))


def _tag_lists(tags: list[Bools], valid: Bools | None) -> pa.ListArray:
    """The TAGS of each row; a reject has none."""
    offsets = np.zeros(len(tags[0]) + 1, dtype=np.int32)
    if not any(tag.any() for tag in tags):
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array([], pa.string()))
    flags = np.stack(tags if valid is None else [tag & valid for tag in tags], axis=1)
    np.cumsum(flags.sum(axis=1), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), TAGS.take(pa.array(np.nonzero(flags)[1])))


def _rejects(
    given: dict[str, pa.Array], number: pa.Array, times: Times, terms: Terms, received_at: datetime
) -> Rejects:
    return Rejects(
        columns={**given, "number": number},
        instants={"start": times.start, "answer": times.answer, "end": times.end},
        span_us=times.span_us,
        seconds={"given": times.given_s, "duration": times.duration_s},
        constants={
            "limit": str(terms.duration_limit_s),
            "received": instant_texts(np.array([microseconds(received_at)]))[0].as_py(),
            "arrival_day": str(day_of(received_at)),
            "late_months": str(terms.late_months),
        },
    )
