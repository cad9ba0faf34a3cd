"""Statements as PDF, the same bytes on every machine: a PDF depends on the statement and the pinned packages only."""

from __future__ import annotations

from reports.pdf_document import Document
from reports.statement import Statement
from reports.statement_drawing import MARGIN_LEFT, MARGIN_TOP, draw
from reports.statement_pages import pages

_TAGS = {"zh": "zh-CN", "en": "en"}


def statement_pdf(statement: Statement, language: str = "zh") -> bytes:
    """The statement as PDF, dated with the instant of its issue. The first one in a process loads the fonts."""
    book = pages(statement, language)
    document = Document(MARGIN_LEFT, MARGIN_TOP)
    draw(document, book)
    return document.to_bytes(book["title"], book["issuer"], _TAGS[language], statement.head.issued_at)
