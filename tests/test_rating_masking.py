"""Phone numbers in text, however they are spelt, and what only looks like one (F-27)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.masking import masked, masked_number


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("13812345678", "138****5678"),
        ("customer/13812345678", "customer/138****5678"),
        ("call 5 13812345678 dropped", "call 5 138****5678 dropped"),
        ("+8613812345678", "+86****5678"),
        ("86 138-1234-5678", "86 ****5678"),
        ("１３８１２３４５６７８", "１３８****５６７８"),
        ("053188886666", "053****6666"),
        ("0531-88886666", "053****6666"),
        ("010 88886666", "010****6666"),
        ("+852 91234567", "+85****4567"),
        ("0085291234567", "008****4567"),
        ("13812345678,13912345678", "138****5678,139****5678"),
    ],
)
def test_phone_numbers_are_masked(text: str, shown: str) -> None:
    """F-27."""
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "4001170392",
        "8008102935",
        "95123",
        "customer/C0000001/arrears/12",
        "2026-11-15T09:00:00+08:00",
        "row 12345678901234567890",
        "1690000000000",
        "seq 1204 of 300000",
        "-1234567.8900",
        "00000000000000000015.json",
    ],
)
def test_what_is_no_phone_number_stays(text: str) -> None:
    """F-27: service numbers, ids, times and amounts can be read."""
    assert masked(text) == text


@given(
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.sampled_from(["", "0", "86", "+86", "0086", "+86 "])
)
def test_no_mobile_survives_behind_any_head(number: str, head: str) -> None:
    """F-27."""
    assert number not in masked(f"from {head}{number}.")
    assert number not in str(masked_number(head + number))


def test_a_field_that_is_a_phone_number_is_masked_whatever_it_holds() -> None:
    """F-27: also what is none; null stays, a service number too."""
    values = [masked_number(value) for value in (None, "4001170392", "sip:alice", "12345", "110")]
    assert values == [None, "4001170392", "sip****lice", "****45", "****"]
