"""Where a caller is: the area code of a caller's number, and the name of an area (R-CALL-2, R-CALL-7).

A fixed line says its area code itself. A mobile's first seven digits say where it was sold; the package
`phone` brings those 500,000 prefixes with their area codes as one file, which is read here once into a table
that is then indexed directly. (`phonenumbers` names places, but has no area codes, and knows one at a time.)
Numbers that were carried to another network keep their area, so carrying does not matter here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating.columns import dictionary_array
from rating.folding import fold
from rating.numbers import MOBILE_FROM, OUTSIDE_ORIGIN, normalise_callers

if TYPE_CHECKING:
    import numpy.typing as npt

    from rating.columns import Bools

    Int32s = npt.NDArray[np.int32]

NO_AREA = -1
_ORIGINS = 2_000_000


@dataclass(frozen=True)
class Areas:
    """The known areas: `codes` sorted, their (province, city) `names`, and the area of every origin."""

    codes: pa.Array
    places: dict[str, int]
    names: tuple[tuple[str, str], ...]
    by_origin: npt.NDArray[np.int32]
    """place in `codes` by origin; the negative origins count from the end and have NO_AREA"""


@cache
def areas() -> Areas:
    """The table of areas, read on first use (0.1 s) and kept."""
    data = files("phone").joinpath("phone.dat").read_bytes()
    index_start = int.from_bytes(data[4:8], "little")
    entry = np.dtype([("prefix", "<i4"), ("record", "<i4"), ("network", "u1")])
    entries = np.frombuffer(data, dtype=entry, offset=index_start)
    records, used = np.unique(entries["record"], return_counts=True)
    places = [data[record : data.index(b"\0", record)].decode().split("|") for record in records.tolist()]
    # some records have one zero too many
    of_record = ["0" + area.lstrip("0") for _, _, _, area in places]
    names: dict[str, tuple[str, str]] = {}
    # one code may serve several cities: its name is the one with most mobiles
    for at in np.argsort(used, kind="stable").tolist():
        names[of_record[at]] = (places[at][0], places[at][1])
    codes = tuple(sorted(names))

    by_origin = np.full(_ORIGINS + 2, NO_AREA, dtype=np.int32)
    code_at = np.array([codes.index(area) for area in of_record], dtype=np.int32)
    by_origin[entries["prefix"]] = code_at[np.searchsorted(records, entries["record"])]
    for at, code in enumerate(codes):
        first = int(code[1:].ljust(3, "0"))
        by_origin[first : first + 10 ** (4 - len(code))] = at
    by_origin.setflags(write=False)
    places_of = {code: at for at, code in enumerate(codes)}
    return Areas(pa.array(codes), places_of, tuple(names[code] for code in codes), by_origin)


def area_of(origins: Int32s) -> Int32s:
    """Origins of callers -> places in `areas().codes`, NO_AREA where unknown or outside the mainland."""
    return areas().by_origin.take(origins.astype(np.intp), mode="wrap")


def is_mobile(origins: Int32s) -> Bools:
    """Whose number is a mobile's."""
    found: Bools = origins >= MOBILE_FROM
    return found


def is_outside_mainland(origins: Int32s) -> Bools:
    """Whose number is one of Hong Kong, Macao, Taiwan or abroad (R-CALL-4)."""
    found: Bools = origins == OUTSIDE_ORIGIN
    return found


def caller_areas(callers: pa.Array) -> pa.DictionaryArray:
    """Callers' numbers as delivered -> area codes such as `0531`; null if unknown or outside the mainland."""
    return dictionary_array(area_of(normalise_callers(callers).origins), areas().codes)


def area_name(area: str) -> tuple[str, str] | None:
    """`0531` -> (`山东`, `济南`); None for a code that is not known."""
    place = areas().places.get(area)
    return None if place is None else areas().names[place]


def normalise_area(text: str) -> tuple[str | None, bool]:
    """An area as a switch delivers it -> (area code, or what it says, and whether it is outside the mainland).

    `531`, `０５３１` and `+86 531` are `0531`; `+852` is `00852` and outside; blank is None.
    """
    folded = fold(text)
    for country in ("+86", "0086"):
        folded = folded.removeprefix(country)
    if folded.startswith("+"):
        folded = f"00{folded[1:]}"
    if folded.startswith("00"):
        return folded, True
    code = "0" + folded.lstrip("0")
    return (code if code in areas().places else text if folded else None), False


def delivered_areas(column: pa.Array) -> tuple[Int32s, pa.Array, Bools]:
    """Areas as delivered, n -> places (NO_AREA where null), the codes they are places in, who is outside.

    The codes begin with the known ones, so places from `area_of` are places in them too.
    """
    coded = column.dictionary_encode()
    n_words = len(coded.dictionary)
    places = dict(areas().places)
    of_word = np.full(n_words + 1, NO_AREA, dtype=np.int32)
    outside = np.zeros(n_words + 1, dtype=np.bool_)
    for word, text in enumerate(coded.dictionary.to_pylist()):
        code, outside[word] = normalise_area(text)
        if code is not None:
            of_word[word] = places.setdefault(code, len(places))
    more = list(places)[len(areas().places) :]
    codes = pa.concat_arrays([areas().codes, pa.array(more, pa.string())]) if more else areas().codes
    words = pc.fill_null(coded.indices, n_words).to_numpy(zero_copy_only=False)
    return of_word[words], codes, outside[words]
