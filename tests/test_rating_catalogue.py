"""Facts folded into the catalogue: what holds at an instant, however the facts came in."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.calendar import SHANGHAI
from rating.catalogue import Catalogue, compile_changes
from rating.money import from_decimal_array, to_decimal_array, to_yuan
from rating.numbers import normalise_service_numbers
from rating.segments import NOT_BILLABLE, NOTHING
from rating.times import microseconds
from tests.rating_records import (
    HEAD,
    NUMBER,
    a_catalogue,
    an_active,
    cells,
    changes,
    changes_of,
    instant,
    some_terms,
)

STATES = ("free", "held", "locked", "active", "suspended", "frozen", "reclaimed")
BILLED = ("active", "suspended", "frozen")


def lookup(catalogue: Catalogue, number: str, at: datetime) -> tuple[bool, tuple[Any, ...] | None]:
    """Whether the number is known, and (customer, provider, state, rate in hao, increment) if calls are billed."""
    keys = normalise_service_numbers(pa.array([number])).keys
    known, terms = catalogue.find(keys, np.array([microseconds(at)]))
    customer, provider, tariff = (int(terms[name][0]) for name in ("customer", "provider", "tariff"))
    if tariff == NOTHING:
        return bool(known[0]), None
    price, state = divmod(tariff, NOT_BILLABLE)
    return bool(known[0]), (
        catalogue.customers.texts[customer].as_py(),
        catalogue.providers.texts[provider].as_py() if provider >= 0 else None,
        BILLED[state],
        int(catalogue.prices.rate_hao[price]),
        int(catalogue.prices.increment_s[price]),
    )


def told(catalogue: Catalogue, number: str, at: str) -> str:
    """What a clerk would say: `unknown`, `no plan`, or `C1 of P1, active, 1500`."""
    known, terms = lookup(catalogue, number, instant(at))
    if terms is None:
        return "no plan" if known else "unknown"
    customer, provider, state, rate_hao, increment_s = terms
    return f"{customer} of {provider}, {state}, {rate_hao} per {increment_s} s"


LIFE = f"""
    number     | facet  | from                | until               | says
    4001170392 | class  | 2026-07-01 09:00    |                     | ordinary
    4001170392 | state  | 2026-07-01 09:00    |                     | free
    4001170392 | state  | 2026-07-02 09:00    | 2026-07-05 09:00    | held
    4001170392 | holder | 2026-07-03 10:00    |                     | C1 of P1
    4001170392 | rate   | 2026-07-03 10:00    |                     | 0.15 a minute
    4001170392 | state  | 2026-07-03 10:00    |                     | locked
    4001170392 | state  | 2026-07-10 12:00    |                     | active
    4001170392 | rate   | 2026-10-01 00:00    |                     | 0.12 a minute
    4001170392 | rate   | 2026-09-01 00:00    |                     | 0.20 per 6 s
    4001170392 | state  | 2026-09-10 00:00    | 2026-09-12 00:00    | suspended
    4001170392 | state  | 2026-09-15 00:00    |                     | active
    4001170392 | holder | 2026-11-01 00:00    |                     | C2 of P2
    4001170392 | state  | 2026-11-20 00:00    |                     | frozen
    4001170392 | state  | 2026-12-01 00:00    |                     | reclaimed
    {NUMBER}   | minimum | 2026-07-03 10:00   |                     | 50
    4008888888 | class  | 2026-07-01 09:00    |                     | AAA-AAA
    95588      | holder | 2026-07-01 09:00    |                     | C9 of P9
"""

ASKED = """
    number     | at                         | told
    4001170392 | 2026-06-30 00:00           | no plan
    4001170392 | 2026-07-03 11:00           | no plan
    4001170392 | 2026-07-10 11:59:59.999999 | no plan
    4001170392 | 2026-07-10 12:00           | C1 of P1, active, 1500 per 60 s
    4001170392 | 2026-08-31 23:59:59        | C1 of P1, active, 1500 per 60 s
    4001170392 | 2026-09-01 00:00           | C1 of P1, active, 2000 per 6 s
    4001170392 | 2026-09-10 00:00           | C1 of P1, suspended, 2000 per 6 s
    4001170392 | 2026-09-12 00:00           | no plan
    4001170392 | 2026-09-15 00:00           | C1 of P1, active, 2000 per 6 s
    4001170392 | 2026-10-01 00:00           | C1 of P1, active, 1200 per 60 s
    4001170392 | 2026-11-01 00:00           | C2 of P2, active, 1200 per 60 s
    4001170392 | 2026-11-20 00:00           | C2 of P2, frozen, 1200 per 60 s
    4001170392 | 2026-12-01 00:00           | no plan
    4008888888 | 2026-12-01 00:00           | no plan
    95588      | 2026-12-01 00:00           | unknown
    4001234567 | 2026-12-01 00:00           | unknown
"""


@pytest.mark.parametrize("asked", cells(ASKED), ids=lambda row: f"{row['number']} {row['at']}")
def test_the_terms_are_those_of_the_instant(asked: dict[str, str]) -> None:
    """F-06, F-07, F-12, R-CALL-8: never today's plan, and to the microsecond."""
    assert told(a_catalogue(LIFE), asked["number"], asked["at"]) == asked["told"]


def test_a_fact_that_reaches_back_replaces_what_held_from_there_on() -> None:
    """F-07: the greatest (from_at, seq) holds, so a rate given later for an earlier day does not undo a later one."""
    catalogue = a_catalogue(
        HEAD
        + an_active(rate="0.30")
        + f"""
        {NUMBER} | rate   | 2026-10-01 00:00 | 0.20 a minute
        {NUMBER} | rate   | 2026-09-01 00:00 | 0.25 a minute
        {NUMBER} | rate   | 2026-10-01 00:00 | 0.10 a minute
    """
    )
    rates = [
        told(catalogue, NUMBER, day).split(", ")[2] for day in ("2026-08-31", "2026-09-01", "2026-10-01")
    ]
    assert rates == ["3000 per 60 s", "2500 per 60 s", "1000 per 60 s"]


def test_a_renewal_that_changes_nothing_is_no_new_segment() -> None:
    """R-CALL-8."""
    catalogue = a_catalogue(HEAD + an_active() + f"{NUMBER} | holder | 2027-08-01 00:00 | C1 of P1")
    assert catalogue.table().num_rows == 1


def test_a_number_without_a_holder_or_a_rate_is_not_billed() -> None:
    """F-06."""
    lines = [line for line in an_active().splitlines() if line.strip()]
    for left_out in ("holder", "rate", "state"):
        catalogue = a_catalogue(HEAD + "\n".join(line for line in lines if left_out not in line))
        assert told(catalogue, NUMBER, "2026-09-01") == "no plan"


def test_an_empty_catalogue_knows_nothing() -> None:
    """F-05: and grows by patching."""
    empty = Catalogue.empty(some_terms())
    assert told(empty, NUMBER, "2026-09-01") == "unknown"
    assert (empty.events_seq, empty.table().num_rows) == (0, 0)
    grown = empty.patched(changes_of(HEAD + an_active()), some_terms())
    assert told(grown, NUMBER, "2026-09-01") == "C1 of P1, active, 1500 per 60 s"
    assert told(empty, NUMBER, "2026-09-01") == "unknown"


def test_the_catalogue_says_how_many_events_it_has_folded() -> None:
    """R-INV-5: what `events_seq` of a call means; events without changes count too."""
    table = changes_of(HEAD + an_active())
    assert compile_changes(table, some_terms()).events_seq == 4
    assert compile_changes(table, some_terms(), events_seq=9).events_seq == 9
    patched = compile_changes(table, some_terms()).patched(
        table.slice(0, 0), some_terms(late_months=1), events_seq=7
    )
    assert (patched.events_seq, patched.terms.late_months) == (7, 1)


@pytest.mark.parametrize(
    ("wrong", "told_why"),
    [
        ({"number": "400123"}, "'400123', which is no service number"),
        ({"facet": "colour"}, "another facet"),
        ({"facet": None}, "another facet"),
        ({"rate": to_yuan(10**8 + 1)}, "a rate is outside"),
        ({"rate": to_yuan(-1)}, "a rate is outside"),
        ({"rate": None}, "no rate"),
        ({"increment_s": 0}, "an increment is outside"),
        ({"increment_s": None}, "no increment_s"),
        ({"from_at": None}, "no from_at"),
    ],
)
def test_a_change_that_cannot_be_is_refused(wrong: dict[str, Any], told_why: str) -> None:
    """R-INV-4: bounds that keep every fee within int64."""
    row = {
        "number": NUMBER,
        "facet": "rate",
        "from_at": instant("2026-08-01"),
        "rate": to_yuan(1),
        "increment_s": 60,
    }
    with pytest.raises(ValueError, match=told_why):
        compile_changes(changes(row | wrong), some_terms())


# properties

DAY0 = datetime(2026, 8, 1, tzinfo=SHANGHAI)
HOURS = st.integers(0, 12).map(lambda hours: DAY0 + timedelta(hours=hours))


@st.composite
def some_changes(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Changes of a few numbers within half a day, so that instants often meet."""
    rows = []
    for seq in range(draw(st.integers(0, 30))):
        facet = draw(st.sampled_from(["class", "state", "state", "holder", "rate", "minimum"]))
        row: dict[str, Any] = {
            "seq": seq // 2,
            "number": draw(st.sampled_from(["4001170392", "4008888888", "8008101234", "95588"])),
            "facet": facet,
            "from_at": draw(HOURS),
        }
        if facet == "state":
            row |= {"value": draw(st.sampled_from(STATES)), "until_at": draw(st.none() | HOURS)}
        elif facet == "holder":
            row["customer_id"] = draw(st.sampled_from(["C1", "C2", None]))
            row["provider_id"] = draw(st.sampled_from(["P1", "P2", None]))
        elif facet == "rate":
            row["rate"] = to_yuan(draw(st.sampled_from([0, 1500, 3000])))
            row["increment_s"] = draw(st.sampled_from([6, 60]))
        rows.append(row)
    return rows


def plainly(rows: list[dict[str, Any]], number: str, at: datetime) -> tuple[bool, tuple[Any, ...] | None]:
    """The rule itself: of each facet the entry with the greatest (from_at, seq) at or before the instant."""

    def latest(facet: str) -> dict[str, Any] | None:
        begun = [
            row for row in rows if (row["number"], row["facet"]) == (number, facet) and row["from_at"] <= at
        ]
        return max(begun, key=lambda row: (row["from_at"], row["seq"], rows.index(row)), default=None)

    known = any(row["number"] == number and row["facet"] == "class" for row in rows)
    state, holder, rate = latest("state"), latest("holder"), latest("rate")
    if not known or not state or not holder or not rate or holder["customer_id"] is None:
        return known, None
    if state["value"] not in BILLED or (state["until_at"] is not None and state["until_at"] <= at):
        return known, None
    rate_hao = from_decimal_array(pa.array([rate["rate"]], pa.decimal128(18, 4)))[0]
    return known, (
        holder["customer_id"], holder["provider_id"], state["value"], int(rate_hao), rate["increment_s"],
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(some_changes())
def test_the_catalogue_says_what_the_facts_say(rows: list[dict[str, Any]]) -> None:
    """F-06, F-07, F-15: at every hour and between, for every number, in whatever order the facts reach back."""
    for place, row in enumerate(rows):
        row["place"] = place  # makes equal rows different
    catalogue = compile_changes(changes(*rows), some_terms())
    for number in ("4001170392", "4008888888", "8008101234", "95588", "4001234567"):
        for half_hour in range(-1, 27):
            at = DAY0 + timedelta(minutes=30 * half_hour)
            assert lookup(catalogue, number, at) == plainly(rows, number, at)


@settings(max_examples=40, deadline=None)
@given(some_changes(), st.lists(st.integers(0, 30), max_size=4))
def test_patching_gives_what_compiling_everything_gives(rows: list[dict[str, Any]], cuts: list[int]) -> None:
    """R-INV-5: however the changes are cut into patches."""
    whole = compile_changes(changes(*rows), some_terms())
    patched = Catalogue.empty(some_terms())
    edges = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    for begin, end in pairwise(edges):
        patched = patched.patched(changes(*rows).slice(begin, end - begin), some_terms())
    assert patched.table().equals(whole.table())
    assert patched.segments.keys.tolist() == whole.segments.keys.tolist()
    assert np.array_equal(patched.numbers.words, whole.numbers.words)
    assert patched.events_seq == whole.events_seq


def test_many_numbers_are_compiled_and_patched_alike() -> None:
    """R-INV-5: thousands of numbers, facts out of order, patches of all sizes, against one compilation."""
    rng = np.random.default_rng(11)
    n = 30_000
    facet = rng.choice(["class", "state", "holder", "rate"], n)
    table = pa.table(
        {
            "seq": pa.array(np.arange(n)),
            "number": pa.array([f"400{number:07d}" for number in rng.integers(0, 3_000, n).tolist()]),
            "facet": pa.array(facet.tolist()),
            "from_at": pa.array(rng.integers(0, 10**6, n) * 10**6).cast(pa.timestamp("us", "UTC")),
            "until_at": pa.array(rng.integers(0, 10**6, n) * 10**6, mask=rng.random(n) < 0.7).cast(
                pa.timestamp("us", "UTC")
            ),
            "value": pa.array(rng.choice(STATES, n).tolist()),
            "customer_id": pa.array([f"C{customer}" for customer in rng.integers(0, 500, n).tolist()]),
            "provider_id": pa.array([f"P{provider}" for provider in rng.integers(0, 9, n).tolist()]),
            "plan_id": pa.nulls(n, pa.string()),
            "rate": to_decimal_array(rng.integers(1, 40, n) * 100),
            "minimum": pa.nulls(n, pa.decimal128(18, 4)),
            "increment_s": pa.array(rng.choice([1, 6, 60], n)),
        }
    )
    whole = compile_changes(table, some_terms())
    assert whole.table().num_rows > 3_000
    patched = compile_changes(table.slice(0, 20_000), some_terms())
    begin = 20_000
    for size in (1, 10, 100, 5_000, 3, 4_886):
        patched = patched.patched(table.slice(begin, size), some_terms())
        begin += size
    assert begin == n
    assert patched.table().equals(whole.table())
