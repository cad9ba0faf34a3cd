"""Service numbers, callers' numbers and classes of numbers: one normal form, whichever way it was typed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.folding import fold, fold_array
from rating.numbers import (
    CLASSES,
    KEYS,
    OUTSIDE_ORIGIN,
    UNKNOWN_ORIGIN,
    bad_number_details,
    kind_of,
    normalise_caller,
    normalise_callers,
    normalise_service_number,
    normalise_service_numbers,
    number_class,
    number_texts,
)

_PIECES = (
    "4001170392", "8008101234", "95588", "400", "800", "95", "1170392", "+86", "0086", "86", "010", "0531", "+",
    "13905311234", "+852", "852", "00", "0", "5", "-", " ", "(", "\u3000", "\u00a0", "\u202e", "\u200b", "\ufeff",
    "４００", "＋", "–", "0000000", "安", "𝟒", "٤", "²", "\n", "\x00", "é", "a", "\u00ad", "\U000e0001",
)  # fmt: skip
TYPED = st.lists(st.sampled_from(_PIECES), max_size=6).map("".join)


def scalar(text: str | None) -> str | None:
    try:
        return None if text is None else normalise_service_number(text)
    except ValueError:
        return None


# service numbers


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("4001170392", "4001170392"),
        ("+864001170392", "4001170392"),
        ("00864001170392", "4001170392"),
        ("864001170392", "4001170392"),
        ("400-117-0392", "4001170392"),
        (" 400 1170 392\t", "4001170392"),
        ("４００－１１７－０３９２", "4001170392"),
        ("＋８６\u3000４００１１７０３９２", "4001170392"),
        ("\u202e4001170392\u202c", "4001170392"),
        ("\u2067400\u200b117\u20690392\ufeff", "4001170392"),
        ("400\u00a01170392", "4001170392"),
        ("8008101234", "8008101234"),
        ("95588", "95588"),
        ("955 088", "955088"),
    ],
)
def test_a_service_number_has_one_form_however_it_was_typed(typed: str, normal: str) -> None:
    """R-CALL-6, F-08."""
    assert normalise_service_number(typed) == normal


@pytest.mark.parametrize(
    "typed",
    ["", "400117039", "40011703920", "4011170392", "9558", "9558888", "+8495588", "400117039a", "400117039²",
     "٤٠٠1170392", "4001170392\x00", "400.117.0392", "++864001170392"],
)  # fmt: skip
def test_what_is_no_service_number_is_refused_with_a_sentence(typed: str) -> None:
    """R-CALL-6, F-08: digits of other scripts are not guessed at."""
    with pytest.raises(ValueError, match=r"is not a service number; send ten digits"):
        normalise_service_number(typed)


@pytest.mark.parametrize(
    "typed", ["010-4001170392", "+86 10 400 1170392", "0531 4001170392", "+86(0531)8008101234"]
)
def test_a_service_number_never_has_an_area_code(typed: str) -> None:
    """R-CALL-6: the sentence says so, and which number to send."""
    with pytest.raises(ValueError, match=r"has an area code, .*; send (4001170392|8008101234)\.$"):
        normalise_service_number(typed)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | TYPED, max_size=40), st.integers(0, 2))
def test_arrays_of_service_numbers_obey_the_same_rule_as_one(typed: list[str | None], skipped: int) -> None:
    """R-CALL-6, F-08: one rule, so never two accounts; also for a slice of a column."""
    array = pa.array(["010", *typed], pa.string()).slice(min(skipped, len(typed)))
    found = normalise_service_numbers(array)
    texts = array.to_pylist()
    assert found.texts.to_pylist() == [scalar(text) for text in texts]
    assert (found.keys >= 0).tolist() == [scalar(text) is not None for text in texts]
    known = found.keys[found.keys >= 0]
    assert (known < KEYS).all()
    assert number_texts(known).to_pylist() == found.texts.drop_null().to_pylist()


@settings(max_examples=30, deadline=None)
@given(st.lists(TYPED, max_size=40))
def test_arrays_of_bad_numbers_get_the_same_sentences_as_one(typed: list[str]) -> None:
    """R-CALL-6: what is told of a reject is what a command is told."""
    bad = [text for text in typed if scalar(text) is None]
    sentences = []
    for text in bad:
        with pytest.raises(ValueError, match=r"\.$") as error:
            normalise_service_number(text)
        sentences.append(str(error.value))
    assert bad_number_details(pa.array(bad, pa.string())).to_pylist() == sentences


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | TYPED, max_size=40))
def test_folding_an_array_is_folding_each_text(typed: list[str | None]) -> None:
    """F-08."""
    assert fold_array(pa.array(typed, pa.string())).to_pylist() == [
        None if t is None else fold(t) for t in typed
    ]


def test_every_service_number_has_its_own_key() -> None:
    """F-08: a key names one number only."""
    edges = np.array(
        [0, 9_999_999, 10_000_000, 19_999_999, 20_000_000, 20_000_999, 20_001_000, KEYS - 1], np.int32
    )
    texts = number_texts(edges).to_pylist()
    assert texts == [
        "4000000000",
        "4009999999",
        "8000000000",
        "8009999999",
        "95000",
        "95999",
        "950000",
        "959999",
    ]
    assert normalise_service_numbers(pa.array(texts)).keys.tolist() == edges.tolist()


@pytest.mark.parametrize(("digits", "kind"), [("4001170392", "400"), ("8008101234", "800"), ("95588", "95")])
def test_the_prefix_says_who_pays_which_leg(digits: str, kind: str) -> None:
    """R-CALL-5."""
    assert kind_of(digits) == kind
    with pytest.raises(ValueError, match="not a service number"):
        kind_of("5" + digits)


# classes


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("1666666", "AAA-AAA"),
        ("6666666", "AAA-AAA"),
        ("1066666", "AAAAA"),
        ("1023456", "ABCDE"),
        ("1056789", "ABCDE"),
        ("1067890", "ordinary"),
        ("1098765", "ordinary"),
        ("1555666", "AAA-BBB"),
        ("1000111", "AAA-BBB"),
        ("1235555", "AAAA"),
        ("1116666", "AAAA"),
        ("1011234", "ABCD"),
        ("1016789", "ABCD"),
        ("1017890", "ordinary"),
        ("1024680", "ordinary"),
        ("1135135", "ABC-ABC"),
        ("1112112", "ABC-ABC"),
        ("1991991", "ABC-ABC"),
        ("1112233", "AABBCC"),
        ("1112211", "AABBCC"),
        ("1112222", "AAAA"),
        ("1990088", "AABBCC"),
        ("6666660", "ordinary"),
        ("1170392", "ordinary"),
    ],
)
def test_the_highest_class_that_the_tail_has_wins(tail: str, expected: str) -> None:
    """R-NUM-6."""
    assert number_class("400" + tail) == expected


def test_an_override_stands_above_the_digits() -> None:
    """R-NUM-6: and must be a class."""
    assert number_class("4001170392", "AAAA") == "AAAA"
    with pytest.raises(ValueError, match="'gold' is not a class"):
        number_class("4001170392", "gold")
    assert CLASSES[0] == "AAA-AAA"
    assert CLASSES[-1] == "ordinary"


# callers


@pytest.mark.parametrize(
    ("typed", "normal", "origin"),
    [
        ("13905311234", "13905311234", 1_390_531),
        ("+8613905311234", "13905311234", 1_390_531),
        ("0086 139 0531 1234", "13905311234", 1_390_531),
        ("8613905311234", "13905311234", 1_390_531),
        ("013905311234", "13905311234", 1_390_531),
        ("053188881234", "053188881234", 531),
        ("(0531)8888-1234", "053188881234", 531),
        ("+86 531 88881234", "053188881234", 531),
        ("861065551234", "01065551234", 106),
        ("01065551234", "01065551234", 106),
        ("+85291234567", "0085291234567", OUTSIDE_ORIGIN),
        ("0085291234567", "0085291234567", OUTSIDE_ORIGIN),
        ("85291234567", "0085291234567", OUTSIDE_ORIGIN),
        ("+85366123456", "0085366123456", OUTSIDE_ORIGIN),
        ("886912345678", "00886912345678", OUTSIDE_ORIGIN),
        ("+1 (212) 555-1234", "0012125551234", OUTSIDE_ORIGIN),
        ("88881234", "88881234", UNKNOWN_ORIGIN),
        ("8888 1234", "88881234", UNKNOWN_ORIGIN),
        ("10086", "10086", UNKNOWN_ORIGIN),
        ("8001", "8001", UNKNOWN_ORIGIN),
        ("0000000000", "0000000000", UNKNOWN_ORIGIN),
        ("+86 1234", "+86 1234", UNKNOWN_ORIGIN),
        ("anonymous", "anonymous", UNKNOWN_ORIGIN),
        (" ", None, UNKNOWN_ORIGIN),
        ("", None, UNKNOWN_ORIGIN),
        (None, None, UNKNOWN_ORIGIN),
    ],
)
def test_a_caller_has_one_form_and_is_never_a_reject(
    typed: str | None, normal: str | None, origin: int
) -> None:
    """R-CALL-4, F-08: what cannot be read is kept."""
    assert normalise_caller(typed) == normal
    found = normalise_callers(pa.array([typed], pa.string()))
    assert found.texts.to_pylist() == [normal]
    assert found.origins.tolist() == [origin]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.none() | TYPED, max_size=40), st.integers(0, 2))
def test_arrays_of_callers_obey_the_same_rule_as_one(typed: list[str | None], skipped: int) -> None:
    """F-08: and a normal form is its own normal form, so a replay rates what the first run rated."""
    array = pa.array(["1", *typed], pa.string()).slice(min(skipped, len(typed)))
    found = normalise_callers(array)
    assert found.texts.to_pylist() == [normalise_caller(text) for text in array.to_pylist()]
    again = normalise_callers(found.texts)
    assert again.texts.equals(found.texts)
    assert again.origins.tolist() == found.origins.tolist()
