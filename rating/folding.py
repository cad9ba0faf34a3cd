"""One rule that takes the typing away from digits: spaces, hyphens, brackets, invisible marks, full-width forms.

`fold` does it for one text, `fold_array` for an Arrow array; both read the same table (R-CALL-6, F-08).
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rating.columns import is_valid, text_array, text_parts

if TYPE_CHECKING:
    import numpy.typing as npt

_INVISIBLE = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x061C, 0x061C),  # Arabic letter mark
    (0x200B, 0x200F),  # zero width, left-to-right and right-to-left marks
    (0x202A, 0x202E),  # embeddings and overrides
    (0x2060, 0x2064),  # word joiner, invisible operators
    (0x2066, 0x2069),  # isolates
    (0xFEFF, 0xFEFF),  # byte order mark
)
_SPACES = "\t\n\v\f\r" + "".join(
    chr(code) for code in range(0x10000) if unicodedata.category(chr(code)) == "Zs"
)
_HYPHENS = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d"
_BRACKETS = "()\uff08\uff09"

_FOLDS: dict[int, str | None] = {
    **{ord(char): None for char in _SPACES + _HYPHENS + _BRACKETS},
    **{code: None for first, last in _INVISIBLE for code in range(first, last + 1)},
    **{0xFF10 + digit: str(digit) for digit in range(10)},
    0xFF0B: "+",
}

_KEPT, _DROPPED = -1, 0
_LOOK_UP = np.full(0x10000, _KEPT, dtype=np.int16)
for _code, _char in _FOLDS.items():
    _LOOK_UP[_code] = _DROPPED if _char is None else ord(_char)
_ASCII_KEPT = _LOOK_UP[:0x100] == _KEPT
_ASCII_KEPT[0x80:] = True  # bytes of longer characters are judged together


def fold(text: str) -> str:
    """The text without spaces, hyphens, brackets and invisible marks; full-width digits and plus as ASCII."""
    return text.translate(_FOLDS)


def fold_array(texts: pa.Array) -> pa.Array:
    """`fold` of every value; null stays null. About 20 ns a value, 50 if it is not ASCII."""
    _, data = text_parts(texts)
    kept = _ASCII_KEPT[data]
    leads = np.flatnonzero(data >= 0xC0)
    if len(leads):
        data = data.copy()
        first = data[leads].astype(np.int32)
        second, third = (data.take(leads + step, mode="clip").astype(np.int32) & 0x3F for step in (1, 2))
        is_pair, is_triple = first < 0xE0, (first >= 0xE0) & (first < 0xF0)
        code = np.where(is_pair, (first & 0x1F) << 6 | second, (first & 0x0F) << 12 | second << 6 | third)
        to = np.where(is_pair | is_triple, _LOOK_UP[code], _KEPT)
        gone = to != _KEPT
        kept[leads[gone]] = kept[leads[gone] + 1] = False
        kept[leads[gone & is_triple] + 2] = False
        to_ascii = to > _DROPPED
        data[leads[to_ascii]] = to[to_ascii]
        kept[leads[to_ascii]] = True
    elif kept.all():
        return texts
    return _kept_bytes(texts, data, kept)


def without_head(texts: pa.Array, heads: tuple[str, ...]) -> pa.Array:
    """Every value without the ASCII head that it begins with, of those given; none may begin with another."""
    offsets, data = text_parts(texts)
    kept = np.ones(len(data), dtype=np.bool_)
    for head in heads:
        begins = pc.fill_null(pc.starts_with(texts, head), fill_value=False).to_numpy(zero_copy_only=False)
        starts = offsets[:-1][begins]
        for step in range(len(head)):
            kept[starts + step] = False
    return texts if kept.all() else _kept_bytes(texts, data, kept)


def _kept_bytes(texts: pa.Array, data: npt.NDArray[np.uint8], kept: npt.NDArray[np.bool_]) -> pa.Array:
    ends = np.zeros(len(data) + 1, dtype=np.int32)
    np.cumsum(kept, out=ends[1:])
    return text_array(ends[text_parts(texts)[0]], data[kept], is_valid(texts))
