"""A PDF of text and lines: pages that are drawn on canvases, fonts with just the glyphs that they use.

pydyf writes the file. Its bytes depend on what was drawn and on pinned packages only: the time is an argument,
and a pinned library deflates, as one system's zlib packs otherwise than another's.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b

import cramjam
import pydyf

from reports.pdf_canvas import Canvas, points
from reports.pdf_text import Codes, Font

_A4_WIDE, _A4_TALL = 59_528, 84_189  # hundredths of a point
_PAGE_LEVEL, _FONT_LEVEL = 3, 1  # more takes twice as long and saves a twentieth
_SECTION = 100  # entries in a section of a ToUnicode map, at most
_SYMBOLIC = 4


class Document:
    """Pages of A4 one after the other, then `to_bytes`. The margins are in hundredths of a point."""

    def __init__(self, left: int, top: int) -> None:
        self._left, self._top = left, _A4_TALL - top
        self._codes = Codes()
        self._pages: list[Canvas] = []

    def page(self) -> Canvas:
        """A new page; (0, 0) is where its margins meet."""
        self._pages.append(Canvas(self._codes, self._left, self._top))
        return self._pages[-1]

    def to_bytes(self, title: str, author: str, language: str, made_at: datetime) -> bytes:
        """The file; `language` as "zh-CN"."""
        pdf = pydyf.PDF()
        pdf.info["Title"] = pydyf.String(title)
        pdf.info["Author"] = pydyf.String(author)
        pdf.info["CreationDate"] = pydyf.String(made_at.astimezone(UTC).strftime("D:%Y%m%d%H%M%SZ"))
        pdf.catalog["Lang"] = pydyf.String(language)
        pdf.catalog["ViewerPreferences"] = pydyf.Dictionary({"DisplayDocTitle": "true"})
        pdf.pages["MediaBox"] = pydyf.Array([0, 0, points(_A4_WIDE), points(_A4_TALL)])
        fonts = {font.face.name: _added(pdf, font) for font in self._codes.fonts()}
        pdf.pages["Resources"] = pydyf.Dictionary({"Font": pydyf.Dictionary(fonts)})
        for page in self._pages:
            contents = _reference(pdf, _stream(page.content()))
            pdf.add_page(
                pydyf.Dictionary({"Type": "/Page", "Parent": pdf.pages.reference, "Contents": contents})
            )
        file = io.BytesIO()
        pdf.write(file, identifier=True)
        return file.getvalue()


def _added(pdf: pydyf.PDF, font: Font) -> bytes:
    """Embeds a font's subset and returns the reference to it: a composite font whose codes are two bytes."""
    face, characters = font.face, list(font.characters)
    program, glyphs = face.subset(characters)
    tag = "".join(chr(ord("A") + byte % 26) for byte in blake2b(program, digest_size=6).digest())
    name = f"/{tag}+{face.name}"
    above, below = face.reach
    descriptor = pydyf.Dictionary(
        {
            "Type": "/FontDescriptor",
            "FontName": name,
            "Flags": _SYMBOLIC,
            "FontBBox": pydyf.Array([0, below, 1000, above]),
            "ItalicAngle": 0,
            "Ascent": above,
            "Descent": below,
            "CapHeight": 733,
            "StemV": face.weight // 5,
            "FontFile2": _reference(pdf, _stream(program, _FONT_LEVEL, Length1=len(program))),
        }
    )
    by_code = b"".join(glyph.to_bytes(2, "big") for glyph in (0, *glyphs))
    descendant = pydyf.Dictionary(
        {
            "Type": "/Font",
            "Subtype": "/CIDFontType2",
            "BaseFont": name,
            "CIDSystemInfo": pydyf.Dictionary(
                {"Registry": pydyf.String("Adobe"), "Ordering": pydyf.String("Identity"), "Supplement": 0}
            ),
            "FontDescriptor": _reference(pdf, descriptor),
            "W": f"[1 [{' '.join(str(face.advance(one)) for one in characters)}]]",
            "CIDToGIDMap": _reference(pdf, _stream(by_code)),
        }
    )
    whole = pydyf.Dictionary(
        {
            "Type": "/Font",
            "Subtype": "/Type0",
            "BaseFont": name,
            "Encoding": "/Identity-H",
            "DescendantFonts": pydyf.Array([_reference(pdf, descendant)]),
            "ToUnicode": _reference(pdf, _stream("\n".join(_to_unicode(characters)).encode("ascii"))),
        }
    )
    return _reference(pdf, whole)


def _to_unicode(characters: list[int]) -> Iterator[str]:
    """A map from codes to characters, so that text can be searched and copied (PDF 1.7, 9.10.3)."""
    yield "/CIDInit /ProcSet findresource begin 12 dict begin begincmap"
    yield "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def"
    yield "/CMapName /Adobe-Identity-UCS def /CMapType 2 def"
    yield "1 begincodespacerange <0000> <ffff> endcodespacerange"
    for start in range(0, len(characters), _SECTION):
        section = characters[start : start + _SECTION]
        yield f"{len(section)} beginbfchar"
        for code, character in enumerate(section, start + 1):
            yield f"<{code:04x}> <{_utf_16(character)}>"
        yield "endbfchar"
    yield "endcmap CMapName currentdict /CMap defineresource pop end end"


@cache
def _utf_16(character: int) -> str:
    return chr(character).encode("utf-16-be").hex()


def _stream(content: bytes, level: int = _PAGE_LEVEL, **extra: int) -> pydyf.Stream:
    packed = bytes(cramjam.zlib.compress(content, level))
    return pydyf.Stream([packed], {"Filter": "/FlateDecode", **extra})


def _reference(pdf: pydyf.PDF, thing: pydyf.Object) -> bytes:
    pdf.add_object(thing)
    return bytes(thing.reference)
