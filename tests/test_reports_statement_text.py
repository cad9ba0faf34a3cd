"""Values as they are printed: exact, aligned, and never wider than their place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import statement_text as text


@pytest.mark.parametrize(
    ("hao", "places", "shown"),
    [
        (0, 2, "0.00"),
        (123_456_700, 2, "12,345.67"),
        (-15_000, 2, "−1.50"),
        (15_000, 4, "1.5000"),
        (15_025, 2, "1.5025"),  # never rounded
        (-1, 2, "−0.0001"),
        (10**15 - 1, 2, "99,999,999,999.9999"),
    ],
)
def test_amounts_are_exact_with_separators_and_a_true_minus(hao: int, places: int, shown: str) -> None:
    """R-INV-4"""
    assert text.amount(hao, places) == shown


def test_a_column_has_four_decimals_only_if_one_amount_needs_them() -> None:
    assert text.decimals([15_000, 100]) == 2
    assert text.decimals([15_000, 1]) == 4
    assert text.decimals([]) == 2


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0"), (60, "1"), (74_040, "1,234"), (6, "0.1"), (1, "0.02")]
)
def test_billed_seconds_are_printed_as_minutes(seconds: int, shown: str) -> None:
    """R-CALL-3"""
    assert text.minutes(seconds) == shown


def test_durations_and_times_of_day() -> None:
    assert [text.duration(one) for one in (0, 61, 3723)] == ["0:00", "1:01", "1:02:03"]
    assert text.time_of_day(33_300) == "09:15:00"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("济南泉城", "济南泉城"),
        ("a\nb\tc", "a b c"),
        ("evil\u202egnp.exe", "evil\ufffdgnp.exe"),
        ("nul\x00", "nul\ufffd"),
        ("\ud800", "\ufffd"),
        ("zero\u200bwidth", "zero\ufffdwidth"),
        ('#read("x") $y$ *b*', '#read("x") $y$ *b*'),
    ],
)
def test_what_hides_or_turns_text_is_shown_as_such(raw: str, shown: str) -> None:
    """F-08"""
    assert text.printable(raw) == shown


@given(st.text(max_size=200), st.integers(min_value=1500, max_value=20_000))
def test_cut_text_fits_its_place(raw: str, room: int) -> None:
    """F-26: names of any length"""
    shown = text.fit(raw, room)
    assert text.width(shown) <= room
    assert "\n" not in shown


@given(st.text(max_size=120), st.integers(min_value=1000, max_value=20_000))
def test_wrapped_text_fits_and_loses_nothing(raw: str, room: int) -> None:
    """F-26"""
    lines = text.wrap(raw, room)
    assert lines
    assert all(text.width(line) <= room or len(line) <= 2 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.printable(raw).split())


def test_lines_break_beside_chinese_but_not_before_what_closes() -> None:
    assert text.wrap("按占用天数折算：50.00 × 15 ÷ 30 = 25.00。", 9_000) == [
        "按占用天数折算：",
        "50.00 × 15 ÷ 30 =",
        "25.00。",
    ]
