"""Statements as PDF: Typst with our template and one Chinese font, the same bytes on every machine.

System fonts are ignored and the time is an argument, so a PDF depends on the statement, the template and the
pinned versions only. The statement reaches the template as JSON, so nothing in it can be read as Typst.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import typst

from reports.statement import Statement
from reports.statement_pages import pages

TEMPLATE = Path(str(files("reports").joinpath("statement.typ")))
_FONT_PACKAGE = "justmytype_intl_cjk"
_FONT_FOLDERS = ("notosanssc", "notosansjp", "notosanskr")  # Chinese; kana and hangul where a name has them


def render_pdf(statement: Statement, language: str = "zh") -> bytes:
    """A statement as PDF. The first one in a process loads the template and fonts; keep the process."""
    data = json.dumps(pages(statement, language), ensure_ascii=False)
    rendered = _compiler().compile(
        sys_inputs={"statement": data},
        timestamp=int(statement.head.issued_at.timestamp()),
        format="pdf",
        pdf_tags=False,
    )
    assert isinstance(rendered, bytes)
    return rendered


@cache
def _compiler() -> typst.Compiler:
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=_font_folders())
    return typst.Compiler(TEMPLATE, root=TEMPLATE.parent, font_paths=fonts, ignore_system_fonts=True)


def _font_folders() -> list[str]:
    package = find_spec(_FONT_PACKAGE)
    if package is None or package.origin is None:
        raise FileNotFoundError(
            f"The package {_FONT_PACKAGE} with the statements' font is not installed; run `make setup`."
        )
    fonts = Path(package.origin).parent / "fonts" / "ofl"
    return [str(fonts / folder) for folder in _FONT_FOLDERS]
