"""Where callers are: by their own area code, by a mobile's prefix, or as the switch says."""

from __future__ import annotations

import re
import time

import numpy as np
import pyarrow as pa
import pytest
from phone import Phone

from rating.areas import area_name, area_of, areas, caller_areas, delivered_areas, is_mobile, normalise_area
from rating.numbers import MOBILE_FROM, normalise_callers


@pytest.mark.parametrize(
    ("caller", "area"),
    [
        ("053188881234", "0531"),
        ("01065551234", "010"),
        ("02161234567", "021"),
        ("02912345678", "029"),
        ("+8653188881234", "0531"),
        ("13905311234", "0531"),
        ("0085291234567", None),
        ("+12125551234", None),
        ("099988881234", "0999"),
        ("040012345678", None),
        ("88881234", None),
        ("10086", None),
        ("anonymous", None),
        ("12345678901", None),
        (None, None),
    ],
)
def test_a_callers_number_says_its_area(caller: str | None, area: str | None) -> None:
    """R-CALL-2, R-CALL-4: outside the mainland there is none."""
    assert caller_areas(pa.array([caller], pa.string())).to_pylist() == [area]


def test_mobiles_have_the_area_that_the_library_says() -> None:
    """R-CALL-7: the table answers as the library does, prefix by prefix."""
    prefixes = np.random.default_rng(7).integers(MOBILE_FROM, 2_000_000, 2_000)
    found = caller_areas(pa.array([f"{prefix}1234" for prefix in prefixes.tolist()])).to_pylist()
    library = Phone()
    for prefix, area in zip(prefixes.tolist(), found, strict=True):
        said = library.find(prefix)
        assert area == (said and "0" + said["area_code"].lstrip("0"))


def test_every_area_has_a_code_and_a_name() -> None:
    """R-CALL-7: the caller's region on a statement."""
    known = areas()
    codes = known.codes.to_pylist()
    assert len(codes) > 300
    assert codes == sorted(codes)
    assert all(re.fullmatch(r"010|02\d|0[3-9]\d\d", code) for code in codes)
    assert all(province and city for province, city in known.names)
    assert area_name("0531") == ("山东", "济南")
    assert area_name("010") == ("北京", "北京")
    assert area_name("028") == ("四川", "成都")
    assert area_name("0000") is None


def test_mobiles_are_told_from_fixed_lines() -> None:
    """R-CALL-5."""
    callers = pa.array(["13905311234", "053188881234", "+85291234567", None, "8001"])
    assert is_mobile(normalise_callers(callers).origins).tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("typed", "area", "outside"),
    [
        ("0531", "0531", False),
        ("531", "0531", False),
        ("０５３１", "0531", False),
        ("+86 531", "0531", False),
        ("10", "010", False),
        ("00852", "00852", True),
        ("+852", "00852", True),
        ("济南", "济南", False),
        ("9999", "9999", False),
        (" ", None, False),
    ],
)
def test_an_area_that_came_with_the_record_is_normalised(typed: str, area: str | None, outside: bool) -> None:
    """R-CALL-4, F-08: and is its own normal form."""
    assert normalise_area(typed) == (area, outside)
    assert area is None or normalise_area(area) == (area, outside)
    places, codes, abroad = delivered_areas(pa.array([None, typed, "010"], pa.string()))
    named = [codes[place].as_py() if place >= 0 else None for place in places.tolist()]
    assert named == [None, area, "010"]
    assert abroad.tolist() == [False, outside, False]


def test_the_table_is_read_fast_and_looked_up_directly() -> None:
    """R-CALL-7: the hot path never searches the library, and the file is read once."""
    areas.cache_clear()
    began = time.process_time()
    areas()
    assert time.process_time() - began < 3
    assert areas() is areas()
    origins = np.full(100_000, 1_390_531, np.int32)
    assert (area_of(origins) == areas().places["0531"]).all()
