"""Tables as the typesetter takes them: columns of text, each a string with one line a row.

A line of a paragraph costs the typesetter a fourth of what a table's cell costs, so rows come in chunks:
each column of a chunk is one paragraph, and the chunk has a known height. Lengths are tenths of a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reports.statement_text import fit

WIDTH = 4930
"""What A4 leaves between the margins."""

CHUNK = 8
BLANK = "\u00a0"
_GAP = 80
_AFTER_RIGHT = 140  # a text on the left that follows a figure on the right


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading, its share of the width, and on which side its texts stand."""

    head: str
    share: int
    right: bool = False


@dataclass(slots=True)
class Table:
    """Rows in their order; `size` is the font's, in tenths of a point."""

    columns: Sequence[Column]
    size: int = 85
    parts: list[dict[str, Any]] = field(default_factory=list)

    def spans(self) -> list[tuple[int, int]]:
        """(left edge, width) of each column."""
        total, used, after_right = sum(column.share for column in self.columns), 0, False
        found: list[tuple[int, int]] = []
        for column in self.columns:
            left = WIDTH * used // total + (_AFTER_RIGHT if after_right and not column.right else 0)
            used += column.share
            found.append((left, WIDTH * used // total - left))
            after_right = column.right
        return found

    def room(self, at: int) -> int:
        """How many thousandths of an em fit into a column."""
        return (self.spans()[at][1] - _GAP) * 1000 // self.size

    def add(self, rows: Sequence[Sequence[str]], style: str = "plain") -> None:
        """Rows of texts, in a style of the template: plain, total, opening, group."""
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            self.parts.append({"n": len(chunk), "style": style, "texts": _columns(chunk)})

    def fit(self, at: int, text: str) -> str:
        return fit(text, self.room(at))

    def payload(self, title: str = "", note: str = "") -> dict[str, Any]:
        """For the template."""
        return {"title": title, "note": note, "parts": self.parts, **self.frame()}

    def frame(self) -> dict[str, Any]:
        """The columns without rows."""
        return {
            "heads": [column.head for column in self.columns],
            "spans": [[left, wide, int(column.right)] for (left, wide), column in zip(self.spans(), self.columns, strict=True)],
        }


def lines(texts: Sequence[str]) -> str:
    """One column of a chunk; a line without text would have no height. A column of blanks is nothing at all."""
    return "\n".join(text or BLANK for text in texts) if any(texts) else ""


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    return [lines(column) for column in zip(*rows, strict=True)]
