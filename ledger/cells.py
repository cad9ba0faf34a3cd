"""Cells of a CSV file or a worksheet that a spreadsheet must not execute (F-25)."""

from __future__ import annotations

_STARTS = ("=", "+", "-", "@", "\t", "\r")


def neutral(text: str) -> str:
    """Text that begins like a formula gets an apostrophe before it; our own numbers never come here."""
    return f"'{text}" if text.startswith(_STARTS) else text
