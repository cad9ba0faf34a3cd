"""A page of a PDF to draw on: lines of text, rules, bars.

Lengths are hundredths of a point, so that all of them are integers; y grows downwards from the upper margin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from reports.pdf_fonts import REGULAR, width
from reports.pdf_text import Codes

LEFT, CENTRE, RIGHT = 0, 1, 2

_CAPITALS = 72  # hundredths of an em: what a line has in its middle


@dataclass(frozen=True, slots=True)
class Style:
    """How texts are set: a line's height, the font's size, its weight."""

    height: int
    size: int
    weight: int = REGULAR


def colour(code: str) -> str:
    """ "#ff0000" as the operands of a PDF's colour operators, in thousandths."""
    parts = (int(code[at : at + 2], 16) * 1000 // 255 for at in (1, 3, 5))
    return " ".join("1" if part == 1000 else f".{part:03d}" for part in parts)


class Canvas:
    """One page. What is drawn later lies above."""

    def __init__(self, codes: Codes, left: int, top: int) -> None:
        """`left` and `top` are where (0, 0) is, from the page's lower left corner."""
        self._codes = codes
        self._drawn = [f".01 0 0 .01 {points(left)} {points(top)} cm"]
        self._state: dict[str, str] = {}

    def content(self) -> bytes:
        """The page's operators."""
        return "\n".join(self._drawn).encode("ascii")

    def text(self, x: int, y: int, lines: str, style: Style, fill: str, side: int = LEFT) -> None:
        """Lines below one another from `y` on, each with its left edge, centre or right edge at `x`."""
        if not lines:
            return
        self._set("rg", fill)
        self._set("Tf", f"/{self._codes.font(style.weight).face.name} {style.size}")
        shown = self._codes.spelt(lines, style.weight, style.size)
        moves = [0]
        if side != LEFT:
            wide = [width(line, style.weight) * style.size * side // 2000 for line in lines.split("\n")]
            x -= wide[0]
            moves = [one - other for one, other in pairwise(wide)]
        if any(moves):
            first, *others = shown.split("\n")
            steps = (f"{move} {-style.height} Td <{line}" for move, line in zip(moves, others, strict=True))
            shown = "> Tj ".join((first, *steps))
        else:
            shown = shown.replace("\n", "> Tj T* <")
        down = -(y + (style.height + style.size * _CAPITALS // 100) // 2)
        self._drawn.append(f"BT {style.height} TL {x} {down} Td <{shown}> Tj ET")

    def rules(self, x: int, ys: Iterable[int], length: int, thickness: int, stroke: str) -> None:
        """Lines across."""
        path = " ".join(f"{x} {-y} m {x + length} {-y} l" for y in ys)
        if path:
            self._set("RG", stroke)
            self._set("w", str(thickness))
            self._drawn.append(f"{path} S")

    def bars(self, boxes: Iterable[tuple[int, int, int, int]], fill: str) -> None:
        """Rectangles: left, top, width, height."""
        path = " ".join(f"{x} {-y - tall} {wide} {tall} re" for x, y, wide, tall in boxes)
        if path:
            self._set("rg", fill)
            self._drawn.append(f"{path} f")

    def _set(self, operator: str, operands: str) -> None:
        if self._state.get(operator) != operands:
            self._state[operator] = operands
            self._drawn.append(f"{operands} {operator}")


def points(hundredths: int) -> str:
    """Hundredths of a point as a PDF's number."""
    whole, part = divmod(hundredths, 100)
    return f"{whole}.{part:02d}"
