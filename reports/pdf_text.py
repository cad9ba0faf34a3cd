"""The characters that a document uses, each with a code in its font: how a PDF spells a text.

A code is two bytes, given in the order of first use, so a font that is embedded has just these glyphs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reports.pdf_fonts import Face, faces, family_of

_SIZE = "%"  # where a font's size is still to be put


@dataclass(frozen=True, slots=True)
class Font:
    """A font of a document, by its face's name, and its characters, whose codes are 1, 2, 3 …"""

    face: Face
    characters: dict[int, int]


class Codes:
    """The fonts of one document, each from the first character on that needs it."""

    def __init__(self) -> None:
        self._fonts: dict[tuple[int, int], Font] = {}
        self._tables: dict[int, _Table] = {}

    def font(self, weight: int, family: int = 0) -> Font:
        """A family at a weight."""
        key = weight, family
        if key not in self._fonts:
            self._fonts[key] = Font(faces(weight)[family], {})
        return self._fonts[key]

    def spelt(self, lines: str, weight: int, size: int) -> str:
        """What stands between < and > to show lines in the weight's main font, which is set; lines stay lines."""
        if weight not in self._tables:
            self._tables[weight] = _Table(self, weight)
        spelt = lines.translate(self._tables[weight])
        return spelt.replace(_SIZE, str(size)) if _SIZE in spelt else spelt

    def fonts(self) -> Iterable[Font]:
        """Every font that a text was set in."""
        return self._fonts.values()


class _Table(dict[int, str]):
    """What stands for code points, made when one is first met."""

    def __init__(self, codes: Codes, weight: int) -> None:
        super().__init__({ord("\n"): "\n"})
        self._codes, self._weight = codes, weight

    def __missing__(self, character: int) -> str:
        family = family_of(character, self._weight)
        font = self._codes.font(self._weight, family)
        code = font.characters.setdefault(character, len(font.characters) + 1)
        spelt = f"{code:04x}"
        if family:  # the text is left, shown in another font, and gone on with
            main = self._codes.font(self._weight)
            spelt = f"> Tj /{font.face.name} {_SIZE} Tf <{spelt}> Tj /{main.face.name} {_SIZE} Tf <"
        self[character] = spelt
        return spelt
