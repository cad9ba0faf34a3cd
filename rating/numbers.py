"""Service numbers and callers' numbers: one normal form each, for a text and for an Arrow array (R-CALL-6).

A service number is 400 or 800 and seven digits, or 95 and three or four. A caller's number is `139…` (mobile),
`0531…` (fixed line with its area code), `00852…` (from outside the mainland), or text that is none of these
and is kept. Arrays that are in normal form already cost next to nothing; the rest is rewritten by the same
patterns that the functions for one text use, and never value by value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating.columns import is_valid, text_parts
from rating.folding import fold, fold_array, without_head

if TYPE_CHECKING:
    import numpy.typing as npt

    from rating.columns import Bools

    Int32s = npt.NDArray[np.int32]

_SERVICE = "(?P<number>[48]00[0-9]{7}|95[0-9]{3,4})"
_AREA = r"(?:10|2[0-9]|[3-9][0-9]{2})"
_COUNTRY = r"(?:\+86|0086|86)"
_SERVICE_FORM = rf"^{_COUNTRY}?{_SERVICE}$"
_WITH_AREA_FORM = rf"^(?:{_COUNTRY}0?|0){_AREA}{_SERVICE}$"

# What is delivered; each group is what normal form keeps, behind a head.
_CALLER_FORM = (
    rf"^(?:{_COUNTRY}?0?(?P<mobile>1[3-9][0-9]{{9}})"  # also behind a trunk 0
    rf"|{_COUNTRY}0?(?P<fixed>{_AREA}[0-9]{{7,8}})"
    r"|(?:\+|00)(?P<abroad>[1-79][0-9]{3,14}|8[0-57-9][0-9]{2,13})"  # any country but +86
    r"|(?P<nearby>85[23][0-9]{8}|886[0-9]{8,9}))$"  # Hong Kong, Macao, Taiwan without the plus
)
_CALLER_HEADS = {"mobile": "", "fixed": "0", "abroad": "00", "nearby": "00"}

# Places of service numbers in one dense range, so that a bitmap can say which are known.
_KEY_OF_800 = 10_000_000
_KEY_OF_95 = 20_000_000
_KEY_OF_95_LONG = 20_001_000
KEYS = 20_011_000

MOBILE_FROM = 1_300_000
"""The least origin of a mobile: origins from here on are a mobile's first seven digits."""
UNKNOWN_ORIGIN = -1
OUTSIDE_ORIGIN = -2

_COUNTRIES = ("+86", "0086", "86")
_SHORT_FORM = "^95[0-9]{3,4}$"
_SHOWN = 40
_HAS_AREA = " has an area code, which a service number never has; send "
_NOT_A_NUMBER = (
    " is not a service number; send ten digits that begin with 400 or 800, or 95 with three or four more."
)


class ServiceNumbers(NamedTuple):
    """`texts`: normal form, null where invalid. `keys`: int32 place below KEYS, -1 where invalid."""

    texts: pa.Array
    keys: Int32s


class Callers(NamedTuple):
    """`texts`: normal form, or what was delivered; null if withheld.

    `origins`: int32; from MOBILE_FROM on a mobile's first seven digits, below 1000 the three digits after a
    fixed line's leading 0, UNKNOWN_ORIGIN, or OUTSIDE_ORIGIN for callers outside the mainland.
    """

    texts: pa.Array
    origins: Int32s


def normalise_service_number(text: str) -> str:
    """`+86 400-123-4567` -> `4001234567`. ValueError with a sentence if it is no service number (R-CALL-6)."""
    folded = fold(text)
    if match := re.search(_SERVICE_FORM, folded):
        return match[1]
    shown = folded[:_SHOWN]
    if match := re.search(_WITH_AREA_FORM, folded):
        raise ValueError(f'"{shown}"{_HAS_AREA}{match[1]}.')
    raise ValueError(f'"{shown}"{_NOT_A_NUMBER}')


def bad_number_details(numbers: pa.Array) -> pa.Array:
    """What `normalise_service_number` says of each invalid number."""
    folded = fold_array(numbers)
    with_area = pc.match_substring_regex(folded, _WITH_AREA_FORM)
    shown = pc.utf8_slice_codeunits(folded.filter(pc.invert(with_area)), 0, _SHOWN)
    told = pc.binary_join_element_wise('"', shown, f'"{_NOT_A_NUMBER}', "")
    if len(told) == len(numbers):
        return told
    dialled = folded.filter(with_area)
    number = pc.utf8_slice_codeunits(dialled, -10)
    if (_ten_digit_keys(number) < 0).any():  # a 95 number is shorter
        number = pc.struct_field(pc.extract_regex(dialled, _WITH_AREA_FORM), 0)
    told_area = pc.binary_join_element_wise('"', dialled, f'"{_HAS_AREA}', number, ".", "")
    if len(told_area) == len(numbers):
        return told_area
    return pc.replace_with_mask(
        pc.replace_with_mask(folded, with_area, told_area), pc.invert(with_area), told
    )


def normalise_service_numbers(numbers: pa.Array) -> ServiceNumbers:
    """String array of n -> normal forms and keys; the same rule as `normalise_service_number`. Null -> null."""
    keys = _ten_digit_keys(numbers)
    odd = keys < 0
    places = np.flatnonzero(odd)
    if not len(places):
        return ServiceNumbers(numbers, keys)
    texts = without_head(fold_array(numbers.take(pa.array(places))), _COUNTRIES)
    found = _ten_digit_keys(texts)
    short = pc.fill_null(pc.match_substring_regex(texts, _SHORT_FORM), fill_value=False)
    if pc.any(short).as_py():
        values = texts.filter(short).cast(pa.int64()).to_numpy()
        found[short.to_numpy(zero_copy_only=False)] = np.where(
            values >= 950_000, values - 950_000 + _KEY_OF_95_LONG, values - 95_000 + _KEY_OF_95
        )
    keys[places] = found
    texts = pc.if_else(pa.array(found >= 0), texts, pa.scalar(None, pa.string()))
    return ServiceNumbers(pc.replace_with_mask(numbers, pa.array(odd), texts), keys)


def _ten_digit_keys(numbers: pa.Array) -> Int32s:
    """Keys of what is 400 or 800 and seven ASCII digits; -1 for all else."""
    n = len(numbers)
    offsets, data = text_parts(numbers)
    valid = is_valid(numbers)
    if valid is None and n and len(data) == 10 * n and (np.diff(offsets) == 10).all():
        return _keys_of_rows(data.reshape(n, 10))
    keys = np.full(n, -1, dtype=np.int32)
    ten = np.diff(offsets) == 10 if valid is None else (np.diff(offsets) == 10) & valid
    places = np.flatnonzero(ten)
    if len(places):
        _, data = text_parts(numbers.take(pa.array(places)))
        keys[places] = _keys_of_rows(data.reshape(len(places), 10))
    return keys


def _keys_of_rows(rows: npt.NDArray[np.uint8]) -> Int32s:
    keys = np.zeros(len(rows), dtype=np.int32)
    for column in range(3, 10):
        keys *= 10
        keys += rows[:, column]
    keys -= 48 * 1_111_111  # the digits are ASCII
    eight = rows[:, 0] == ord("8")
    good = (rows[:, 0] == ord("4")) | eight
    good &= (rows[:, 1] == 48) & (rows[:, 2] == 48)
    if rows.max() > 57 or rows.min() < 48:
        good &= ((rows - np.uint8(48)) <= 9).all(axis=1)
    if eight.any():
        keys[eight] += _KEY_OF_800
    if not good.all():
        keys[~good] = -1
    return keys


def number_texts(keys: Int32s) -> pa.Array:
    """Keys -> service numbers, what `normalise_service_numbers` made them from."""
    wide = keys.astype(np.int64)
    values = np.select(
        [wide >= _KEY_OF_95_LONG, wide >= _KEY_OF_95, wide >= _KEY_OF_800],
        [wide - _KEY_OF_95_LONG + 950_000, wide - _KEY_OF_95 + 95_000, wide - _KEY_OF_800 + 8_000_000_000],
        wide + 4_000_000_000,
    )
    return pa.array(values).cast(pa.string())


def is_800(keys: Int32s) -> Bools:
    """Whose both legs the owner pays (R-CALL-5)."""
    return (keys >= _KEY_OF_800) & (keys < _KEY_OF_95)


def is_95(keys: Int32s) -> Bools:
    """Whose owner pays nothing for calls (R-CALL-5)."""
    found: Bools = keys >= _KEY_OF_95
    return found


def kind_of(digits: str) -> str:
    """`400`, `800` or `95`: who pays which leg (R-CALL-5). ValueError if it is not a service number's form."""
    normalise_service_number(digits)
    return "95" if digits.startswith("95") else digits[:3]


# R-NUM-6, highest first; each looks at the number's tail
_CLASSES = {
    name: re.compile(f"(?:{tail})$", re.ASCII)
    for name, tail in {
        "AAA-AAA": r"(\d)\1{5}",
        "AAAAA": r"(\d)\1{4}",
        "ABCDE": "01234|12345|23456|34567|45678|56789",
        "AAA-BBB": r"(\d)\1\1(\d)\2\2",
        "AAAA": r"(\d)\1{3}",
        "ABCD": "0123|1234|2345|3456|4567|5678|6789",
        "ABC-ABC": r"(\d\d\d)\1",
        "AABBCC": r"(\d)\1(\d)\2(\d)\3",
    }.items()
}
ORDINARY = "ordinary"
CLASSES = (*_CLASSES, ORDINARY)
"""Classes of numbers, highest first (R-NUM-6)."""


def number_class(digits: str, override: str | None = None) -> str:
    """The class of a number from its last digits, or `override` if there is one (R-NUM-6).

    Six equal digits are AAA-AAA, so AAA-BBB, ABC-ABC and AABBCC below it never have all letters equal.
    ValueError if `override` is not one of CLASSES.
    """
    if override is not None:
        if override not in CLASSES:
            raise ValueError(f"{override!r} is not a class of numbers: write one of {', '.join(CLASSES)}.")
        return override
    return next((name for name, tail in _CLASSES.items() if tail.search(digits)), ORDINARY)


def normalise_caller(text: str | None) -> str | None:
    """A caller's number in normal form; text that is none is kept as delivered; None if withheld or blank."""
    folded = fold(text or "")
    if not folded:
        return None
    if match := re.search(_CALLER_FORM, folded):
        return _CALLER_HEADS[match.lastgroup or ""] + match[match.lastgroup or ""]
    return folded if re.search("^[0-9]+$", folded) else text


def normalise_callers(callers: pa.Array) -> Callers:
    """String array of n -> normal forms and origins; the same rule as `normalise_caller`. Never a reject."""
    origins, odd = _origins(callers)
    places = np.flatnonzero(odd)
    if not len(places):
        return Callers(callers, origins)
    delivered = callers.take(pa.array(places))
    folded = fold_array(delivered)
    # Most of what is odd is a mobile with its country: that is cut off, which is faster than a pattern.
    cut = without_head(folded, _COUNTRIES)
    texts = pc.if_else(pa.array(_origins(cut)[0] >= MOBILE_FROM), cut, folded)
    found, still_odd = _origins(texts)
    if still_odd.any():
        rest = pa.array(still_odd)
        texts = pc.replace_with_mask(texts, rest, _rewritten(delivered.filter(rest), folded.filter(rest)))
        found = _origins(texts)[0]
    origins[places] = found
    return Callers(pc.replace_with_mask(callers, pa.array(odd), texts), origins)


def _rewritten(delivered: pa.Array, folded: pa.Array) -> pa.Array:
    """What `normalise_caller` makes of each, by the same pattern."""
    found = pc.extract_regex(folded, _CALLER_FORM)
    parts = []
    for name, head in _CALLER_HEADS.items():
        part = pc.struct_field(found, name)  # empty where another one matched, null where none did
        parts += [pc.if_else(pc.equal(part, ""), "", head), part]
    kept = pc.if_else(pc.match_substring_regex(folded, "^[0-9]+$"), folded, delivered)
    kept = pc.if_else(pc.equal(pc.binary_length(folded), 0), pa.scalar(None, pa.string()), kept)
    return pc.coalesce(pc.binary_join_element_wise(*parts, ""), kept)


def _origins(callers: pa.Array) -> tuple[Int32s, Bools]:
    """Origins of what is in normal form (UNKNOWN_ORIGIN for the rest), and which may need rewriting."""
    offsets, data = text_parts(callers)
    lengths = np.diff(offsets)
    data = data if len(data) else np.zeros(1, dtype=np.uint8)
    prefix = (_number_of_eight(_eight_bytes(data, offsets[:-1].astype(np.intp))) // 10).astype(np.int32)
    mobile = (lengths == 11) & (prefix >= MOBILE_FROM) & (prefix < 2_000_000)
    fixed = (lengths >= 10) & (lengths <= 12) & (prefix >= 100_000) & (prefix < 1_000_000)
    fixed &= ~((lengths == 12) & (prefix >= 130_000) & (prefix < 200_000))  # a trunk 0 and a mobile
    origins = np.where(mobile, prefix, np.where(fixed, prefix // 1000, np.int32(UNKNOWN_ORIGIN)))
    normal = mobile | fixed
    if not normal.all():
        outside = (lengths >= 6) & (lengths <= 17) & (prefix >= 10_000) & (prefix < 100_000)
        outside &= prefix // 1000 != 86
        origins[outside] = OUTSIDE_ORIGIN
        short = (lengths > 0) & (lengths < 10) & (prefix >= 100_000)
        normal |= outside | short
    if data.max() > 57 or data.min() < 48:
        strange_bytes = np.zeros(len(data) + 1, dtype=np.int32)
        np.cumsum((data - np.uint8(48)) > 9, out=strange_bytes[1:])
        strange = strange_bytes[offsets[1:]] != strange_bytes[offsets[:-1]]
        origins[strange] = UNKNOWN_ORIGIN
        normal &= ~strange
    valid = is_valid(callers)
    if valid is not None:
        origins[~valid] = UNKNOWN_ORIGIN
        normal |= ~valid
    return origins, ~normal


def _eight_bytes(data: npt.NDArray[np.uint8], places: npt.NDArray[np.intp]) -> npt.NDArray[np.uint64]:
    """The eight bytes from each place on, first one lowest, out of the two aligned words that hold them."""
    words = np.zeros(len(data) // 8 + 2, dtype="<u8")
    words.view(np.uint8)[: len(data)] = data
    word = places >> 3
    shift = ((places & 7) << 3).view(np.uint64)
    low = words.take(word, mode="clip") >> shift
    word += 1
    # shifted twice, because a shift by 64 is none
    return low | words.take(word, mode="clip") << np.uint64(1) << (np.uint64(63) - shift)


def _number_of_eight(digits: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Eight ASCII digits, first one lowest, as a number: pairs, then fours, then all at once."""
    pairs = (digits & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(10 << 8 | 1) >> np.uint64(8)
    fours = (pairs & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(100 << 16 | 1) >> np.uint64(16)
    eight = (fours & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(10_000 << 32 | 1) >> np.uint64(32)
    return eight.view(np.int64)
