"""Values as a statement prints them: amounts, minutes, durations, days; text that is safe, and fits.

Widths are thousandths of an em.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import date
from functools import cache, lru_cache

from rating.money import HAO_PER_FEN, HAO_PER_YUAN, yuan_text
from reports.pdf_fonts import REGULAR, advance
from reports.pdf_fonts import width as line_width

MINUS = "−"  # as wide as a digit
_UNPRINTABLE = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def decimals(amounts: Iterable[int]) -> int:
    """How many decimals a column of hao needs: 2, or 4 if one amount has parts of a fen."""
    return 4 if any(hao % HAO_PER_FEN for hao in amounts) else 2


@lru_cache(maxsize=1 << 16)
def amount(hao: int, places: int = 2) -> str:
    """Hao as yuan with thousands separators: -12345600 -> "−1,234.56". Four places if two would not be exact."""
    whole, part = divmod(abs(hao), HAO_PER_YUAN)
    digits = f"{part:04d}"
    shown = digits if places == 4 or part % HAO_PER_FEN else digits[:2]
    return f"{MINUS if hao < 0 else ''}{whole:,}.{shown}"


def blank_zero(hao: int, places: int = 2) -> str:
    """An amount, or nothing where it is zero."""
    return amount(hao, places) if hao else ""


@cache
def rate(hao: int) -> str:
    """Yuan a minute, at least two decimals and no idle zeros."""
    return yuan_text(hao)


@lru_cache(maxsize=1 << 16)
def minutes(billed_s: int) -> str:
    """Seconds as minutes: "1,234", or with up to two decimals where the increment is not a minute."""
    whole, rest = divmod((billed_s * 100 + 30) // 60, 100)
    return f"{whole:,}" + (f".{rest:02d}".rstrip("0") if rest else "")


@cache
def duration(seconds: int) -> str:
    """ "3:21", "1:02:03"."""
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


@cache
def time_of_day(seconds: int) -> str:
    """Seconds since midnight as "09:05:00"."""
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def month_and_day(day: date) -> str:
    return f"{day.month:02d}-{day.day:02d}"


@lru_cache(maxsize=1 << 14)
def printable(text: str) -> str:
    """Text as one line of visible characters: whatever controls, turns or hides others becomes a space or "�"."""
    if text.isascii() and text.isprintable():
        return text
    shown = (
        " " if one in "\t\n\r\u2028\u2029" else "\ufffd" if unicodedata.category(one) in _UNPRINTABLE else one
        for one in unicodedata.normalize("NFC", text)
    )
    return "".join(shown).strip()


def width(text: str) -> int:
    """How wide a line is in the statement's font, in thousandths of an em."""
    return line_width(text, REGULAR)


def fit(text: str, room: int) -> str:
    """Printable text, cut with an ellipsis to at most `room` thousandths of an em."""
    # numbers are most of what is asked, and unlike each other
    if text.isdigit() and text.isascii() and len(text) * width("0") <= room:
        return text
    return _fit(text, room)


@lru_cache(maxsize=1 << 14)
def _fit(text: str, room: int) -> str:
    shown = printable(text)
    if width(shown) <= room:
        return shown
    used = width("…")
    for at, one in enumerate(shown):
        used += advance(ord(one), REGULAR)
        if used > room:
            return shown[:at].rstrip() + "…"
    return shown


def wrap(text: str, room: int) -> list[str]:
    """Printable text in lines of at most `room`, broken at spaces and beside Chinese; at least one line."""
    if width(printable(text)) <= room:
        return [printable(text)]
    lines = [""]
    for word in _unbroken(printable(text)):
        for piece in _cut(word, room):
            if lines[-1] and width(lines[-1] + piece.rstrip()) > room:
                lines.append("")
            lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line.rstrip() for line in lines]


def _unbroken(text: str) -> list[str]:
    """Where a line may break: before a space, beside a wide character; not before what closes, or after what opens."""
    found: list[str] = []
    for one in text:
        before = found[-1][-1] if found else one
        breaks = one == " " or _is_wide(one) or _is_wide(before)
        closes = unicodedata.category(one) in {"Pe", "Pf", "Po"}
        opens = unicodedata.category(before) in {"Ps", "Pi"}
        if found and (closes or opens or not breaks):
            found[-1] += one
        else:
            found.append(one)
    return found


def _is_wide(one: str) -> bool:
    return unicodedata.east_asian_width(one) in "WF"


def _cut(word: str, room: int) -> list[str]:
    """A word that is wider than a line, in pieces that are not."""
    pieces = [""]
    for one in word:
        if pieces[-1] and width(pieces[-1] + one) > room:
            pieces.append("")
        pieces[-1] += one
    return pieces
