"""Times as files write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.records import INSTANT
from streams.instants import PatternError, Times, check_pattern, parse

FIRST, LAST = datetime.fromisoformat("1900-01-02"), datetime.fromisoformat("2199-12-30")


def read(texts: list[str | None], times: Times = Times()) -> tuple[list[Any], list[int]]:  # noqa: B008
    found, bad = parse(pa.array(texts, pa.string()), times)
    found.validate(full=True)
    assert found.type == INSTANT
    return found.to_pylist(), bad.tolist()


def test_rfc_3339_is_read_with_any_offset() -> None:
    """CONTRACT: fractions beyond microseconds are cut, local times are Shanghai's."""
    texts = [
        "2026-11-03T10:15:00+08:00",
        None,
        "2026-11-03T02:15:00Z",
        "2026-11-03t02:15:00z",
        "2026-11-02 22:45:00-03:30",
        "2026-11-03 10:15:00",
        "2026-11-03T10:15:00.9999999+08:00",
    ]
    found, bad = read(texts)
    moment = datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
    assert not bad
    assert found[:6] == [moment, None, moment, moment, moment, moment]
    assert found[6] == moment + timedelta(microseconds=999_999)


@pytest.mark.parametrize(
    "text",
    ["2026-02-30T10:00:00Z", "2025-02-29T10:00:00Z", "2026-11-03T24:00:00Z", "2026-11-03T10:60:00Z", "2026-11-03T10:00:60Z",
     "2026-11-03T10:00:00+24:00", "2026-11-03T10:00:00+08:60", "2026-11-03T10:00:00.12+08", "2026-11-03T10:00:00+0800",
     "2026-11-03T10:00+08:00", "2026-11-03", "2026-1-3T10:00:00Z", "2026-11-03T10:00:00 Z", "+2026-11-03T10:00:00Z",
     "٢٠٢٦-11-03T10:15:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00", "yesterday", " "],
)  # fmt: skip
def test_what_is_no_time_is_found_among_thousands(text: str) -> None:
    """F-09: one bad time does not cost the others."""
    good = "2026-11-03T10:15:00+08:00"
    texts: list[str | None] = [good] * 3000
    texts[1700] = text
    found, bad = read(texts)
    assert bad == [1700]
    assert found[1700] is None
    assert set(found[:1700] + found[1701:]) == {datetime(2026, 11, 3, 2, 15, tzinfo=UTC)}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.datetimes(FIRST, LAST),
            st.sampled_from(["", "Z", "+08:00", "-11:30"]),
            st.sampled_from(["seconds", "milliseconds", "microseconds"]),
            st.sampled_from("T t"),
        ),
        max_size=60,
    )
)
def test_any_time_is_what_python_says_it_is(made: list[tuple[datetime, str, str, str]]) -> None:
    texts = [moment.isoformat(sep=sep, timespec=spec) + offset for moment, offset, spec, sep in made]
    found, bad = read(list(texts))
    assert not bad
    expected = [
        datetime.fromisoformat(
            t.upper() + ("+08:00" if t[-1] != "Z" and "+" not in t and t[-6:-5] != "-" else "")
        )
        for t in texts
    ]
    assert found == [each.astimezone(UTC) for each in expected]


def test_patterns_are_tried_in_order_and_need_no_leading_zeros() -> None:
    """CONTRACT, ingest: dates with and without seconds."""
    times = Times(("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M%z"))
    found, bad = read(["2026/11/3 9:05:07", "2026/11/03 09:05", "3.11.2026 9:05+0200", "2026/11/3"], times)
    assert found[:3] == [
        datetime(2026, 11, 3, 1, 5, 7, tzinfo=UTC),
        datetime(2026, 11, 3, 1, 5, tzinfo=UTC),
        datetime(2026, 11, 3, 7, 5, tzinfo=UTC),
    ]
    assert bad == [3]


def test_epochs_are_whole_or_have_a_fraction() -> None:
    moment = datetime(2026, 11, 3, 2, 15, tzinfo=UTC)
    second = int(moment.timestamp())
    for pattern, text in (
        ("epoch_s", f"{second}"),
        ("epoch_ms", f"{second}000"),
        ("epoch_us", f"{second}000000"),
    ):
        assert read([text, "-1", "x", "9" * 18], Times((pattern,))) == ([moment, None, None, None], [1, 2, 3])
    [found], _ = read([f"{second}.25"], Times(("epoch_s",)))
    assert found == moment + timedelta(microseconds=250_000)


def test_local_times_follow_the_zone_of_the_mapping() -> None:
    """An hour that comes twice is read as the first; one that is skipped as if the clock had not moved."""
    times = Times(("rfc3339", "%Y-%m-%d %H:%M"), ZoneInfo("Europe/Berlin"))
    found, bad = read(
        ["2026-07-01 12:00:00", "2026-12-01 12:00", "2026-10-25 02:30:00", "2026-03-29 02:30:00"], times
    )
    assert not bad
    assert found == [
        datetime(2026, 7, 1, 10, tzinfo=UTC),
        datetime(2026, 12, 1, 11, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    ]


def test_a_pattern_that_cannot_be_read_is_refused() -> None:
    for pattern in ("%Y-%m-%d", "%Y-%m-%d %H:%M %Q", "%Y %Y %m %d %H %M", "", "%"):
        with pytest.raises(PatternError):
            check_pattern(pattern)
