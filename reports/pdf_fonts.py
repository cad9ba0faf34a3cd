"""Fonts of a PDF: which glyph draws a character, how wide it is, and the subset that a document embeds.

Noto Sans for Chinese, and for kana and hangul where a name has them, at two weights of one variable file.
HarfBuzz cuts out the glyphs that a document uses. Lengths are thousandths of an em.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

import uharfbuzz as harfbuzz

REGULAR, SEMIBOLD = 400, 600

_NAMES = {REGULAR: "Regular", SEMIBOLD: "SemiBold"}
_PACKAGE = "justmytype_intl_cjk"
_FAMILIES = ("NotoSansSC", "NotoSansJP", "NotoSansKR")
_NEEDED = {"glyf", "head", "hhea", "hmtx", "loca", "maxp"}  # of a TrueType font in a PDF
_OF_VARIATIONS = {"avar", "fvar", "gvar", "HVAR", "MVAR"}  # used up where a weight is chosen
_HALF_BLANK = ("）", "】", "》", "」", "』", "，", "。", "；", "：")
_KEPT = harfbuzz.SubsetFlags.NO_HINTING | harfbuzz.SubsetFlags.NOTDEF_OUTLINE


class Face:
    """A family at one weight."""

    def __init__(self, family: str, weight: int) -> None:
        path = _folder() / family.lower() / f"{family}[wght].ttf"
        self.name = f"{family}-{_NAMES[weight]}"
        self.weight = weight
        self._family = harfbuzz.Face(harfbuzz.Blob.from_file_path(str(path)))
        self._font = harfbuzz.Font(self._family)
        self._font.set_variations({"wght": weight})

    def glyph(self, character: int) -> int:
        """The glyph of a code point; 0, a box, if the family has none."""
        return int(self._font.get_nominal_glyph(character) or 0)

    def advance(self, character: int) -> int:
        """How wide the glyph of a code point is."""
        return self._thousandths(self._font.get_glyph_h_advance(self.glyph(character)))

    @property
    def reach(self) -> tuple[int, int]:
        """How far glyphs reach above and below (negative) the base line."""
        extents = self._font.get_font_extents("ltr")
        return self._thousandths(extents.ascender), self._thousandths(extents.descender)

    def subset(self, characters: Sequence[int]) -> tuple[bytes, list[int]]:
        """A TrueType font with the glyphs of these characters, and the glyph of each in it."""
        glyphs = [self.glyph(character) for character in characters]
        wanted = harfbuzz.SubsetInput()
        wanted.glyph_set.update(glyphs)
        wanted.flags = _KEPT
        plan = harfbuzz.SubsetPlan(self._at_weight, wanted)
        places = plan.old_to_new_glyph_mapping
        return bytes(plan.execute().blob.data), [places[glyph] for glyph in glyphs]

    @cached_property
    def _at_weight(self) -> harfbuzz.Face:
        """Every glyph at this weight: a fifth of a second once, where each subset would take 5 ms to choose it."""
        wanted = harfbuzz.SubsetInput()
        wanted.glyph_set.update(self.glyph(character) for character in self._family.unicodes)
        idle = set(self._family.table_tags) - _NEEDED - _OF_VARIATIONS
        wanted.drop_table_tag_set.update(int.from_bytes(tag.encode("ascii"), "big") for tag in idle)
        wanted.flags = _KEPT | harfbuzz.SubsetFlags.RETAIN_GIDS
        wanted.pin_axis_location(self._family, "wght", self.weight)
        return harfbuzz.subset(self._family, wanted)

    def _thousandths(self, units: int) -> int:
        return int(units * 1000 // self._family.upem)


@cache
def faces(weight: int) -> tuple[Face, ...]:
    """The families in the order in which they are asked for a glyph; loaded once a process."""
    return tuple(Face(family, weight) for family in _FAMILIES)


@cache
def family_of(character: int, weight: int) -> int:
    """The first family that has a code point; the first of all if none has it."""
    having = (at for at, face in enumerate(faces(weight)) if face.glyph(character))
    return next(having, 0)


@cache
def advance(character: int, weight: int) -> int:
    """How wide a code point is, in the family that has it."""
    return faces(weight)[family_of(character, weight)].advance(character)


@lru_cache(maxsize=1 << 16)
def width(text: str, weight: int) -> int:
    """How wide a line is, without the blank half of a full-width mark at its end."""
    whole = sum(advance(one, weight) for one in map(ord, text))
    return whole - 500 if text.endswith(_HALF_BLANK) else whole


def _folder() -> Path:
    package = find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise FileNotFoundError(
            f"The package {_PACKAGE} with the statements' font is not installed; run `make setup`."
        )
    return Path(package.origin).parent / "fonts" / "ofl"
