"""Money as whole numbers of 1/10000 yuan (毫, `_hao`), with every rounding named (R-INV-4).

Text in yuan ("0.15") at the borders, `decimal128(18, 4)` in Arrow, `int` everywhere else. No binary
floating point: a float is refused, not converted.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

HAO_PER_YUAN = 10_000
HAO_PER_FEN = 100
MONEY = pa.decimal128(18, 4)
MAX_HAO = 10**15 - 1
"""15 digits: what Delta's JSON statistics can still hold exactly (LEDGER: decimal statistics are floats)."""

_TEXT = re.compile(r"[+-]?\d{1,11}(?:\.\d{1,4})?", re.ASCII)


def parse_yuan(value: object) -> int:
    """Decimal text in yuan to hao: "0.15" -> 1500.

    Raises ValueError for anything but text with at most 11 digits and 4 decimals; a float or a number
    is refused too, for it may have been rounded before it came here.
    """
    if not isinstance(value, str):
        raise ValueError(_no_amount(value))
    return _parsed_yuan(value)


@lru_cache(10_000)  # the same few rates, fees and minimums come again and again
def _parsed_yuan(text: str) -> int:
    if not _TEXT.fullmatch(text):
        raise ValueError(_no_amount(text))
    whole, _, part = text.partition(".")
    return int(whole + part.ljust(4, "0"))


def _no_amount(value: object) -> str:
    return f'{value!r} is not an amount: write yuan as text with at most 4 decimals, like "0.15"'


def to_yuan(hao: int) -> Decimal:
    """Hao to a Decimal in yuan, exact, 4 places."""
    return Decimal(hao).scaleb(-4)


def yuan_text(hao: int) -> str:
    """Hao as text, at least two decimals, no idle zeros beyond: 500000 -> "50.00", 1234 -> "0.1234"."""
    sign, rest = ("-" if hao < 0 else ""), abs(hao)
    whole, part = divmod(rest, HAO_PER_YUAN)
    digits = f"{part:04d}"
    return f"{sign}{whole}.{digits if digits[2:] != '00' else digits[:2]}"


def mul_div_half_up(value: int, numerator: int, denominator: int) -> int:
    """value × numerator ÷ denominator, rounded half away from zero; denominator > 0."""
    product = value * numerator
    rounded = (abs(product) * 2 + denominator) // (2 * denominator)
    return rounded if product >= 0 else -rounded


def mul_div_up_to_fen(value_hao: int, numerator: int, denominator: int) -> int:
    """value × numerator ÷ denominator, multiplied first, rounded up to the whole fen (R-MIN-3, R-MIN-8)."""
    fen = -((-value_hao * numerator) // (denominator * HAO_PER_FEN))
    return fen * HAO_PER_FEN


def to_decimal_array(hao: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """int64 hao -> decimal128(18, 4), without a detour through Python; `valid` False becomes null."""
    words = np.empty((len(hao), 2), dtype=np.int64)
    words[:, 0] = hao
    words[:, 1] = hao >> 63
    nulls = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(MONEY, len(hao), [nulls, pa.py_buffer(words)])


def from_decimal_array(amounts: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """decimal128(18, 4) -> int64 hao; null becomes 0. Exact: 18 digits fit into the low word."""
    array = amounts.combine_chunks() if isinstance(amounts, pa.ChunkedArray) else amounts
    if array.null_count:
        array = array.fill_null(Decimal(0))
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), dtype=np.int64)
    words = np.frombuffer(data, dtype=np.int64).reshape(-1, 2)
    return words[array.offset : array.offset + len(array), 0].copy()
