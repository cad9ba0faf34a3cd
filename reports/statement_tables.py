"""Tables as they are drawn: for each column one text with a line a row.

A text of many lines costs a fraction of what as many cells cost, so rows of one style stay together, column by
column. All heights are known here; lengths are tenths of a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reports.statement_text import fit

WIDTH = 4930
"""What A4 leaves between the margins."""

HEADS_HEIGHT = 170
_GAP = 80  # between a text on the left and what follows
_AFTER_RIGHT = 140  # before a text on the left that follows figures on the right


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading, its share of the width, and on which side its texts stand."""

    head: str
    share: int
    right: bool = False


@dataclass(slots=True)
class Rows:
    """n rows of one style (plain, opening, group, total), column by column.

    `rules` are the rows with a line above them, in order, n for one below the last. `labels` replace the first
    column in the row that a page begins with, where a text is not repeated from row to row.
    """

    columns: Sequence[Sequence[str]]
    rules: Sequence[int]
    style: str = "plain"
    labels: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.columns[0])

    def part(self, start: int, stop: int) -> dict[str, Any]:
        """Rows start … stop as they are drawn. A column of blanks is no text at all."""
        columns = [column[start:stop] for column in self.columns]
        if self.labels is not None:
            columns[0] = [self.labels[start], *columns[0][1:]]
        low, high = np.searchsorted(self.rules, [start + 1, stop + 1]).tolist()
        return {
            "n": stop - start,
            "style": self.style,
            "rules": [at - start for at in self.rules[low:high]],
            "texts": ["\n".join(column) if any(column) else "" for column in columns],
        }


@dataclass(slots=True)
class Table:
    """Runs of rows below one heading, which a new page repeats. `title` and `note` stand before the first.

    `name` is repeated with the heading, followed by `continued`.
    """

    columns: Sequence[Column]
    title: str = ""
    note: str = ""
    name: str = ""
    continued: str = ""
    size: int = 85
    row_height: int = 150
    runs: list[Rows] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        """`spans` are the columns' left edges and widths."""
        total, used, after_right = sum(column.share for column in self.columns), 0, False
        self.spans = []
        for column in self.columns:
            left = WIDTH * used // total + (_AFTER_RIGHT if after_right and not column.right else 0)
            used += column.share
            self.spans.append((left, WIDTH * used // total - left))
            after_right = column.right

    def add(self, rows: Sequence[Sequence[str]], style: str = "plain") -> None:
        """Rows of texts; plain ones have a line below each."""
        if rows:
            rules = range(1, len(rows) + 1) if style in {"plain", "opening"} else ()
            self.runs.append(Rows([list(column) for column in zip(*rows, strict=True)], rules, style))

    def fit(self, at: int, text: str) -> str:
        """The text, cut to what column `at` holds."""
        return fit(text, self.room(at))

    def room(self, at: int) -> int:
        """How many thousandths of an em column `at` holds."""
        return (self.spans[at][1] - _GAP) * 1000 // self.size

    def frame(self) -> dict[str, Any]:
        """Headings, and each column's distance from the left edge (0) or the right edge (1)."""
        edges = [
            [WIDTH - left - wide, 1] if column.right else [left, 0]
            for (left, wide), column in zip(self.spans, self.columns, strict=True)
        ]
        heads = [column.head for column in self.columns]
        return {"heads": heads, "edges": edges, "row": self.row_height}
