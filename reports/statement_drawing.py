"""Draws a statement's pages. What stands where was decided before (statement_pages.py): a page is its blocks, each
with its height and its texts, final.

Lengths here are hundredths of a point; those of the pages' data are tenths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from reports.pdf_canvas import CENTRE, LEFT, RIGHT, Canvas, Style, colour
from reports.pdf_document import Document
from reports.pdf_fonts import SEMIBOLD, width
from reports.statement_book import PAGE_HEIGHT
from reports.statement_tables import WIDTH

MARGIN_LEFT, MARGIN_TOP = 5_100, 5_700

_INK, _GREY, _HAIR = colour("#1c2430"), colour("#67707e"), colour("#d8dee6")
_SOFT, _FAINT, _PALE, _ACCENT = colour("#f3f6fa"), colour("#d9e4f0"), colour("#a9c1dc"), colour("#12467f")
_RED, _WHITE = colour("#b3261e"), colour("#ffffff")
_THIN, _MIDDLE, _THICK = 50, 75, 150

_WIDE = WIDTH * 10
_FOOT = PAGE_HEIGHT * 10 + 700
_SMALL = Style(1_400, 750)
_BY_ROW = {150: Style(1_500, 850), 120: Style(1_200, 800), 115: Style(1_150, 800)}

_BARS_TALL = 6_200
_DAY_ROW = 1_150
_DAYS = Style(_DAY_ROW, 750)
_DAYS_WIDE = 15_100
_DAY_BAR_WIDE = 3_600
_DAY_COLUMNS = ((0, LEFT), (6_700, RIGHT), (9_200, RIGHT), (11_900, RIGHT), (_DAYS_WIDE, RIGHT))

Edges = Sequence[tuple[int, int]]
"""Where each column's texts stand, and which side of them that is."""


def draw(document: Document, book: dict[str, Any]) -> None:
    """Adds every page of a statement."""
    for at, page in enumerate(book["pages"]):
        canvas = document.page()
        if at:
            _label(canvas, 0, -2_900, book["running"])
            canvas.text(_WIDE, -2_900, book["issuer"], _SMALL, _GREY, RIGHT)
            canvas.rules(0, [-1_200], _WIDE, _THIN, _HAIR)
        y = 0
        for block in page["blocks"]:
            _BLOCKS[block["kind"]](canvas, y, block)
            y += block["height"] * 10
        _label(canvas, 0, _FOOT, book["number"])
        canvas.text(_WIDE, _FOOT, page["foot"], _SMALL, _GREY, RIGHT)


def _label(canvas: Canvas, x: int, y: int, text: str) -> None:
    canvas.text(x, y, text, _SMALL, _GREY)


def _letterhead(canvas: Canvas, y: int, block: dict[str, Any]) -> None:
    canvas.text(0, y - 1_000, block["title"], Style(2_400, 1_800), _ACCENT)
    canvas.text(_WIDE, y - 1_000, block["month"], Style(2_400, 1_200), _ACCENT, RIGHT)
    _label(canvas, 0, y + 1_600, block["issuer"])
    canvas.rules(0, [y + 3_400], _WIDE, _THICK, _ACCENT)


def _parties(canvas: Canvas, y: int, block: dict[str, Any]) -> None:
    canvas.text(0, y - 1_100, block["name"], Style(1_800, 1_300), _INK)
    facts = Style(1_250, 800)
    canvas.text(26_700, y - 900, block["labels"], facts, _GREY)
    canvas.text(_WIDE, y - 900, block["values"], facts, _INK, RIGHT)


def _equation(canvas: Canvas, y: int, block: dict[str, Any]) -> None:
    """Opening + paid − charged = closing, in large figures."""
    tall = 5_200
    canvas.bars([(0, y, _WIDE, tall)], _SOFT)
    terms = block["terms"]
    for at, term in enumerate(terms):
        left = at * _WIDE // len(terms)
        last = at == len(terms) - 1
        fill = _RED if term["alert"] else _ACCENT if last else _INK
        canvas.text(left - 400, y, term["sign"], Style(tall, 1_300), _GREY)
        _label(canvas, left + 1_400, y + 900, term["label"])
        canvas.text(left + 1_400, y + 2_300, term["amount"], Style(2_000, 1_400, SEMIBOLD), fill)


def _title(canvas: Canvas, y: int, block: dict[str, Any]) -> None:
    canvas.bars([(0, y + 1_200, 300, 1_100)], _ACCENT)
    canvas.text(900, y + 600, block["text"], Style(2_400, 1_100), _ACCENT)


def _note(canvas: Canvas, y: int, block: dict[str, Any]) -> None:
    _label(canvas, 0, y - 100, block["text"])


def _basis(canvas: Canvas, y: int, block: dict[str, Any]) -> None:
    _label(canvas, 0, y + 600, block["text"])


def _rows(canvas: Canvas, y: int, block: dict[str, Any]) -> None:
    """A table's heading and rows."""
    edges = _edges(block)
    if block["name"]:
        name = Style(1_800, 1_000, SEMIBOLD)
        canvas.text(0, y + 700, block["name"], name, _ACCENT)
        after = width(block["name"], name.weight) * name.size // 1000
        canvas.text(after, y + 700, block["continued"], Style(1_800, 1_000), _ACCENT)
        y += 2_600
    _columns(canvas, y + 150, edges, block["heads"], _SMALL, _GREY)
    canvas.rules(0, [y + 1_700], _WIDE, _MIDDLE, _ACCENT)
    _parts(canvas, y + 1_700, edges, _BY_ROW[block["row"]], block["parts"])


def _edges(frame: dict[str, Any]) -> Edges:
    return [(_WIDE - at * 10, RIGHT) if right else (at * 10, LEFT) for at, right in frame["edges"]]


def _columns(
    canvas: Canvas, y: int, edges: Edges, texts: Iterable[str], style: Style, fill: str, left: int = 0
) -> None:
    for (x, side), lines in zip(edges, texts, strict=True):
        canvas.text(left + x, y, lines, style, fill, side)


def _parts(canvas: Canvas, y: int, edges: Edges, style: Style, parts: Iterable[dict[str, Any]]) -> None:
    """Rows of one style after the other."""
    figures = next(at for at, (_, side) in enumerate(edges) if side == RIGHT)
    strong = Style(style.height, style.size, SEMIBOLD)
    for rows in parts:
        tall, texts = rows["n"] * style.height, rows["texts"]
        canvas.rules(0, [y + at * style.height for at in rows["rules"]], _WIDE, _THIN, _HAIR)
        if rows["style"] == "plain":
            _columns(canvas, y, edges, texts, style, _INK)
        elif rows["style"] == "group":
            canvas.bars([(0, y + 100, _WIDE, tall - 100)], _SOFT)
            _columns(canvas, y, edges, texts, style, _ACCENT)
        else:
            if rows["style"] == "total":
                canvas.rules(0, [y], _WIDE, _MIDDLE, _INK)
            _columns(canvas, y, edges[:figures], texts[:figures], style, _INK)
            _columns(canvas, y, edges[figures:], texts[figures:], strong, _INK)
        y += tall


def _chart(canvas: Canvas, y: int, block: dict[str, Any]) -> None:
    """The month by day; weekends are paler."""
    shares = block["bars"]
    step = _WIDE // len(shares)
    canvas.text(_WIDE, y - 2_000, block["peak"], _SMALL, _GREY, RIGHT)
    top, foot = y + 600, y + 600 + _BARS_TALL
    canvas.rules(0, [top, (top + foot) // 2], _WIDE, _THIN, _HAIR)
    canvas.rules(0, [foot], _WIDE, _MIDDLE, _GREY)
    for day in (1, 5, 10, 15, 20, 25, len(shares)):
        middle = (2 * day - 1) * _WIDE // (2 * len(shares))
        canvas.text(middle, foot + 200, str(day), Style(1_000, 700), _GREY, CENTRE)
    for weekend, fill in ((False, _ACCENT), (True, _PALE)):
        canvas.bars(
            [
                (
                    at * _WIDE // len(shares) + 200,
                    foot - share * _BARS_TALL // 1000,
                    step - 400,
                    share * _BARS_TALL // 1000,
                )
                for at, share in enumerate(shares)
                if share and block["weekend"][at] == weekend
            ],
            fill,
        )


def _card(canvas: Canvas, y: int, block: dict[str, Any]) -> None:
    """A number: its figures, how its minimum came about, its days."""
    canvas.bars([(0, y + 1_800, _WIDE, 2_200)], _ACCENT)
    canvas.text(1_000, y + 1_800, block["number"], Style(2_200, 1_200, SEMIBOLD), _WHITE)
    canvas.text(_WIDE - 1_000, y + 1_800, block["tags"], Style(2_200, 800), _WHITE, RIGHT)
    canvas.bars([(0, y + 4_000, _WIDE, 3_600)], _SOFT)
    for at, (label, figure) in enumerate(zip(block["labels"], block["figures"], strict=True)):
        left = at * _WIDE // len(block["labels"]) + 1_000
        _label(canvas, left, y + 4_400, label)
        canvas.text(left, y + 5_700, figure, Style(1_400, 1_000, SEMIBOLD), _INK)
    y += 7_600
    steps = block["steps"]
    if steps["height"]:
        edges = _edges(steps)
        _columns(canvas, y + 500, edges, steps["heads"], _SMALL, _GREY)
        _parts(canvas, y + 1_900, edges, _BY_ROW[steps["row"]], steps["parts"])
        y += steps["height"] * 10
    if block["days"] is None:
        _label(canvas, 0, y + 500, block["no_calls"])
        return
    spans = block["days"]["spans"]
    for at, span in enumerate(spans):
        _days(canvas, at * (_WIDE - _DAYS_WIDE) // (len(spans) - 1), y + 800, block["days"]["heads"], span)


def _days(canvas: Canvas, x: int, y: int, heads: Sequence[str], span: dict[str, Any]) -> None:
    """Some days one below the other, each with a bar for its share of the highest."""
    _columns(canvas, y - 100, _DAY_COLUMNS, heads, _SMALL, _GREY, x)
    canvas.rules(x, [y + 1_200], _DAYS_WIDE, _THIN, _HAIR)
    y += 1_400
    canvas.bars(
        [
            (
                x + _DAYS_WIDE - share * _DAY_BAR_WIDE // 1000,
                y + at * _DAY_ROW + 150,
                share * _DAY_BAR_WIDE // 1000,
                _DAY_ROW - 300,
            )
            for at, share in enumerate(span["bars"])
            if share
        ],
        _FAINT,
    )
    _columns(canvas, y, _DAY_COLUMNS, span["texts"], _DAYS, _INK, x)


_BLOCKS: dict[str, Callable[[Canvas, int, dict[str, Any]], None]] = {
    "letterhead": _letterhead,
    "parties": _parties,
    "equation": _equation,
    "title": _title,
    "chart": _chart,
    "rows": _rows,
    "card": _card,
    "note": _note,
    "basis": _basis,
}
