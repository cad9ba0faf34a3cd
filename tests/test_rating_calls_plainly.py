"""What each call costs, done plainly: the rules with Decimals for one call, against the rating of batches."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.areas import caller_areas
from rating.calendar import SHANGHAI
from rating.calls import charges, rate
from rating.catalogue import Catalogue
from rating.money import from_decimal_array
from rating.numbers import normalise_caller, normalise_service_number
from rating.records import RECORD
from rating.terms import CallerRates, Terms
from tests.rating_records import MOBILE, NUMBER, a_catalogue, instant, records

DAY0 = datetime(2026, 10, 31, 22, 0, tzinfo=SHANGHAI)
NOW = datetime(2026, 11, 1, 4, 0, tzinfo=SHANGHAI)
PROPERTY_TERMS = Terms(
    (
        CallerRates(instant("2026-01-01"), 1000, {"0531": 800, "010": 1100}, ("1701",)),
        CallerRates(instant("2026-11-01"), 1300, {"0531": 900}, ("139", "0532")),
    ),
    duration_limit_s=7200,
    duration_tolerance_s=1,
    clock_tolerance_s=300,
    late_months=0,
)
SEGMENTS = [
    (number, instant(from_at), state, rate_text, increment_s)
    for number in (NUMBER, "4008123456", "8008101234", "95588")
    for from_at, state, rate_text, increment_s in [
        ("2026-10-31 22:30", "active", "0.15", 60),
        ("2026-11-01 00:00", "suspended", "0.1234", 6),
        ("2026-11-01 01:00", "frozen", "0.0007", 1),
        ("2026-11-01 02:00", "free", "0.30", 60),
        ("2026-11-01 03:00", "active", "9999.9999", 7),
    ]
]
PROPERTY_TOWN = "number | facet | from | says\n" + "\n".join(
    f"""{number} | class | 2026-01-01 00:00 | ordinary
    {number} | holder | 2026-01-01 00:00 | C{number[-1]} of P1
    {number} | state | {at.astimezone(SHANGHAI):%Y-%m-%d %H:%M} | {state}
    {number} | rate | {at.astimezone(SHANGHAI):%Y-%m-%d %H:%M} | {rate_text} per {increment_s} s"""
    for number, at, state, rate_text, increment_s in SEGMENTS
)


def fault_of(call: dict[str, Any], arrived: datetime) -> str | None:
    """The first fault in the order of looking."""
    start, answer, end, given_s = call["start_at"], call["answer_at"], call["end_at"], call["duration_s"]
    span = end - answer if answer is not None else timedelta()
    a_second = timedelta(seconds=1)
    try:
        number = normalise_service_number(call["service_number"])
    except ValueError:
        number = None
    begun = [segment for segment in SEGMENTS if segment[0] == number and segment[1] <= start]
    return next(
        (
            reason
            for reason, hit in (
                ("BAD_NUMBER", number is None),
                ("BAD_INTERVAL", end < start or (answer is not None and not start <= answer <= end)),
                ("BAD_INTERVAL", (given_s or 0) < 0),
                ("DURATION_LIMIT", seconds_of(call) > PROPERTY_TERMS.duration_limit_s),
                ("BAD_INTERVAL", answer is None and (given_s or 0) > 0),
                (
                    "BAD_INTERVAL",
                    given_s is not None and abs(timedelta(seconds=min(given_s, 9999)) - span) > a_second,
                ),
                ("CLOCK_SKEW", max(start, end) > arrived + timedelta(seconds=300)),
                ("TOO_LATE", start.astimezone(SHANGHAI).month != 11),
                ("UNKNOWN_NUMBER", all(segment[0] != number for segment in SEGMENTS)),
                ("NO_PLAN", not begun or begun[-1][2] == "free"),
            )
            if hit
        ),
        None,
    )


def seconds_of(call: dict[str, Any]) -> int:
    """As delivered, else from the answer to the end, rounded up."""
    span = call["end_at"] - (call["answer_at"] or call["end_at"])
    seconds: int = -(-span // timedelta(seconds=1)) if call["duration_s"] is None else call["duration_s"]
    return seconds


def plainly(call: dict[str, Any]) -> dict[str, Any]:
    """The rules one by one with Decimals: what one call without a fault costs."""
    number, start, duration_s = (
        normalise_service_number(call["service_number"]),
        call["start_at"],
        seconds_of(call),
    )
    begun = [segment for segment in SEGMENTS if segment[0] == number and segment[1] <= start]
    _, _, state, rate_text, increment_s = begun[-1]

    caller = normalise_caller(call["caller_number"])
    outside = caller is not None and caller.startswith("00") and caller != "0000000000"
    area = caller_areas(pa.array([caller], pa.string()))[0].as_py()
    callers = [rates for rates in PROPERTY_TERMS.caller_rates if rates.from_at <= start][-1]
    per_min = Decimal(callers.by_area.get(area, callers.default_hao_per_min)).scaleb(-4)
    started_min = -(-duration_s // 60)
    billed_s = -(-duration_s // increment_s) * increment_s
    fee = (Decimal(rate_text) * billed_s / 60).quantize(Decimal("0.0001"), ROUND_HALF_UP)
    estimate = Decimal(0) if (caller or "").startswith(callers.bundled_prefixes) else per_min * started_min
    tags = ["outside_mainland"] * outside + [state] * (state != "active")
    if number.startswith("800"):
        fee, estimate = fee + (Decimal(0) if outside else per_min * started_min), Decimal(0)
        tags += ["mobile_caller_to_800"] * ((caller or "").startswith("1") and len(caller or "") == 11)
    if number.startswith("95"):
        fee = Decimal(0)
    return {
        "month": "2026-11",
        "customer_id": f"C{number[-1]}",
        "duration_s": duration_s,
        "billed_s": billed_s,
        "owner_fee": fee,
        "caller_estimate": None if outside else estimate,
        "caller_number": caller,
        "caller_area": area,
        "tags": tags,
    }


@st.composite
def some_calls(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Calls around the changes of rate and state, most of them in order."""
    calls = []
    for place in range(draw(st.integers(1, 25))):
        start = DAY0 + timedelta(
            minutes=draw(st.integers(0, 400)), microseconds=draw(st.sampled_from([0, 0, 1]))
        )
        rings = timedelta(seconds=draw(st.sampled_from([0, 5, 5, 5, -1])))
        talks_s = draw(st.sampled_from([0, 1, 59, 60, 61, 600, 7200, 7201]))
        off_us = draw(st.sampled_from([0, 0, 0, 1, 999_999, 1_000_000, 1_000_001]))
        answered = draw(st.sampled_from([True, True, True, False]))
        end = start + rings + timedelta(seconds=talks_s, microseconds=off_us)
        if draw(st.integers(0, 20)) == 0:
            end = start - timedelta(seconds=1)
        calls.append(
            {
                "call_id": f"c{place}",
                "service_number": draw(
                    st.sampled_from(
                        [NUMBER, NUMBER, "400-812-3456", "8008101234", "95588", "4001234567", "0104001170392"]
                    )
                ),
                "caller_number": draw(
                    st.sampled_from(
                        [MOBILE, "+8613905311234", "053188881234", "053288881234", "01065551234", "17015311234",
                         "0085291234567", "8001", "0000000000", "anonymous", None]
                    )
                ),
                "start_at": start,
                "answer_at": start + rings if answered else None,
                "end_at": end,
                "duration_s": draw(st.sampled_from([talks_s, talks_s, None, talks_s + 1, talks_s + 3, -1, 2**62])),
                "raw": b"raw",
            }
        )  # fmt: skip
    return calls


@pytest.fixture(scope="module")
def midnight_town() -> Catalogue:
    return a_catalogue(PROPERTY_TOWN, PROPERTY_TERMS)


@settings(max_examples=60, deadline=None)
@given(calls=some_calls())
def test_a_batch_is_rated_as_each_call_would_be_plainly(
    midnight_town: Catalogue, calls: list[dict[str, Any]]
) -> None:
    """R-CALL-1 … R-CALL-8, F-01 … F-08, F-12, R-INV-4: against Decimals, call by call."""
    rated = rate(records(*calls), midnight_town, NOW).to_pylist()
    for call, row in zip(calls, rated, strict=True):
        assert row["reason"] == fault_of(call, NOW), call
        if row["reason"]:
            assert (row["outcome"], row["raw"]) == ("rejected", b"raw")
            assert row["detail"].endswith(".")
        else:
            expected = plainly(call)
            assert {name: row[name] for name in expected} == expected, call


@settings(max_examples=30, deadline=None)
@given(calls=some_calls())
def test_rating_what_was_rated_gives_the_same(midnight_town: Catalogue, calls: list[dict[str, Any]]) -> None:
    """R-INV-5: a replay reads rows of the ledger, where numbers, areas and durations are in normal form."""
    rated = rate(records(*calls), midnight_town, NOW)
    again = [{name: row.get(name) for name in RECORD.names} | {"raw": b"raw"} for row in rated.to_pylist()]
    assert rate(records(*again), midnight_town, NOW).to_pylist() == rated.to_pylist()


@settings(max_examples=30, deadline=None)
@given(calls=some_calls())
def test_a_call_that_was_rated_is_charged_by_any_catalogue(
    midnight_town: Catalogue, calls: list[dict[str, Any]]
) -> None:
    """R-CALL-8: by the same one as before; where it bills nobody, nobody pays, but the call is not rejected."""
    rated = rate(records(*calls), midnight_town, NOW)
    rated = rated.filter(pc.equal(rated.column("outcome"), "rated"))
    again = charges(rated, midnight_town)
    assert again.customer_id.to_pylist() == rated.column("customer_id").to_pylist()
    assert again.provider_id.to_pylist() == rated.column("provider_id").to_pylist()
    assert again.fee_hao.tolist() == from_decimal_array(rated.column("owner_fee")).tolist()
    nobody = charges(rated, Catalogue.empty(PROPERTY_TERMS))
    assert (nobody.customer_id.null_count, nobody.fee_hao.any()) == (len(rated), False)
