"""Statements as PDF: Typst with our template and one Chinese font, the same bytes on every machine.

System fonts are ignored and the time is an argument, so a PDF depends on the statement, the template and the
pinned versions only. The statement reaches the template as a JSON file, so nothing in it can be read as Typst;
and as only that file changes from one statement to the next, Typst keeps the layout of what they share.
"""

from __future__ import annotations

import json
import os
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import typst

from reports.statement import Statement
from reports.statement_pages import pages

_TEMPLATE, _MAIN, _DATA = "statement.typ", "main.typ", "statement.json"
_SOURCE = f'#import "{_TEMPLATE}": statement\n#statement(json("{_DATA}"))\n'
_FONT_PACKAGE = "justmytype_intl_cjk"
_FONT_FOLDERS = ("notosanssc", "notosansjp", "notosanskr")  # Chinese; kana and hangul where a name has them


class Typesetter:
    """Renders one statement after the other; the first one loads template and fonts. `folder` is for it alone."""

    def __init__(self, folder: Path) -> None:
        # Typst reads this when it first sets something. Statements are set by a process a core: threads would
        # only wait for one another.
        os.environ.setdefault("RAYON_NUM_THREADS", "1")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _TEMPLATE).write_bytes(files("reports").joinpath(_TEMPLATE).read_bytes())
        (folder / _MAIN).write_text(_SOURCE, encoding="utf-8")
        self._data = folder / _DATA
        self._compiler = typst.Compiler(
            folder / _MAIN, root=folder, font_paths=_fonts(), ignore_system_fonts=True, package_path=folder
        )

    def pdf(self, statement: Statement, language: str = "zh") -> bytes:
        """The statement as PDF, dated with the instant of its issue."""
        self._data.write_text(json.dumps(pages(statement, language), ensure_ascii=False), encoding="utf-8")
        rendered = self._compiler.compile(
            format="pdf", timestamp=int(statement.head.issued_at.timestamp()), pdf_tags=False
        )
        return cast("bytes", rendered)


def _fonts() -> typst.Fonts:
    package = find_spec(_FONT_PACKAGE)
    if package is None or package.origin is None:
        raise FileNotFoundError(
            f"The package {_FONT_PACKAGE} with the statements' font is not installed; run `make setup`."
        )
    fonts = Path(package.origin).parent / "fonts" / "ofl"
    folders = [str(fonts / folder) for folder in _FONT_FOLDERS]
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=folders)
