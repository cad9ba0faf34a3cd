"""The PDF: the same figures as the JSON, hostile text as text, the same bytes everywhere."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from reports.statement import CustomerPart, Statement
from reports.statement_json import statement_json
from reports.statement_pages import pages
from reports.statement_pdf import statement_pdf
from reports.statement_text import printable
from tests.statements_made import a_customer, a_number, a_provider

HOSTILE = '#read("/etc/passwd") 0041> Tj ET % (x) $x$ *b* _i_ `c` <l> @r \\ [x] {y} // c /* d */ = e \'; DROP TABLE customers; --'


def text_of(pdf: bytes) -> list[str]:
    """Each page's text."""
    return [page.extract_text() for page in PdfReader(io.BytesIO(pdf), strict=True).pages]


def printed_amounts(texts: list[str]) -> set[str]:
    """The amounts on the pages, in the JSON's spelling."""
    found = re.findall(r"−?[\d,]+\.\d{2,4}", "\n".join(texts))
    return {amount.replace(",", "").replace("−", "-") for amount in found}


def figures(value: object) -> Iterator[str]:
    """Every amount in a statement's JSON; the caller's own leg is not printed."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "caller_estimate":
                yield from figures(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from figures(inner)
    elif isinstance(value, str) and re.fullmatch(r"-?\d+\.\d{2,4}", value):
        yield value


@pytest.mark.parametrize(
    "statement",
    [a_customer([a_number(calls=70, late=3), a_number("4008123456", 30, 2)]), a_customer(), a_provider()],
    ids=["customer", "no numbers", "provider"],
)
def test_the_pdf_has_every_figure_of_the_json(statement: Statement) -> None:
    """R-ARR-4, R-INV-4: amounts are the same to the last digit."""
    whole = json.loads(statement_json(statement))
    del whole["days"]  # the chart's bars; by number they are printed
    expected = set(figures(whole))
    printed = printed_amounts(text_of(statement_pdf(statement)))
    blank = {"0.00"}  # zero is left blank in some columns
    assert expected - printed <= blank


def test_page_one_adds_up_in_words_and_figures() -> None:
    """R-ARR-4: opening + paid − charged = closing."""
    first = text_of(statement_pdf(a_customer([a_number(calls=0)])))[0]
    for label, amount in [
        ("期初余额", "547.00"),
        ("本期存入", "300.00"),
        ("本期费用", "50.00"),
        ("期末余额", "797.00"),
    ]:
        assert label in first
        assert amount in first


def test_the_way_to_the_minimum_is_printed_with_its_rules() -> None:
    """R-MIN-3"""
    texts = "\n".join(text_of(statement_pdf(a_customer([a_number()]))))
    assert "基准 100.00 × 0.15 ÷ 0.30 = 50.00" in texts
    assert "R-MIN-3" in texts
    assert "R-MIN-1" in texts


def test_hostile_text_is_printed_as_it_is() -> None:
    """F-24: nothing of a name, reference or number is read as SQL, or as an operator of the PDF."""
    statement = a_customer([a_number(HOSTILE[:40], calls=2)], name=HOSTILE, issuer=HOSTILE, party_id=HOSTILE)
    entries = tuple(
        replace(entry, reference=HOSTILE, posting_id=HOSTILE, kind="payment") for entry in statement.entries
    )
    whole = "".join("".join(text_of(statement_pdf(replace(statement, entries=entries)))).split())
    for piece in ('#read("/etc/passwd")0041>TjET%(x)$x$', "DROPTABLE"):
        assert piece in whole
    assert "root:" not in whole


def test_names_of_any_length_and_script_are_set() -> None:
    """F-26"""
    for name in ("超长" * 150, "x" * 300, "한국 あいう 🙂 العربية", "evil\u202e\x00\n", ""):
        assert statement_pdf(a_customer(name=name)).startswith(b"%PDF")


def test_a_statement_without_calls_has_one_page() -> None:
    assert len(text_of(statement_pdf(a_customer()))) == 1


def test_long_details_repeat_their_heading_and_number_their_pages() -> None:
    """R-CALL-7: all calls are there, whatever the page."""
    number = a_number(calls=500)
    statement = a_customer([number])
    texts = text_of(statement_pdf(statement))
    assert len(texts) == len(pages(statement)["pages"])
    details = texts[1:]
    assert all("主叫号码" in page and "4001170392" in page for page in details)
    assert all(statement.head.number in page for page in texts)
    assert [f"第 {at} 页，共 {len(texts)} 页" in page for at, page in enumerate(texts, 1)] == [True] * len(
        texts
    )
    assert sum(len(re.findall(r"\b\d\d:\d\d:\d\d\b", page)) for page in details) == 500


def test_a_rate_is_told_once_until_it_changes() -> None:
    """R-CALL-8: a contract that begins within the month at the rate of the days before is no change."""
    first, second, third = (date(2026, 11, day) for day in (1, 2, 20))
    number = a_number(calls=3)

    def heading(*rates: tuple[date, int]) -> str:
        texts = text_of(statement_pdf(a_customer([replace(number, rates=rates)]), "en"))
        return next(line for line in "\n".join(texts).splitlines() if "yuan/min" in line)

    assert "  ·  0.30 yuan/min  ·  " in heading((first, 3000), (second, 3000))
    changed = "from 11-01 0.30 yuan/min  ·  from 11-20 0.15 yuan/min"
    assert changed in heading((first, 3000), (second, 3000), (third, 1500))


def test_english_is_the_same_statement() -> None:
    statement = a_customer([a_number(calls=30)])
    chinese, english = text_of(statement_pdf(statement)), text_of(statement_pdf(statement, "en"))
    assert printed_amounts(chinese) == printed_amounts(english)
    assert "Closing balance" in english[0]
    assert "Page 1 of" in english[0]


def test_late_calls_stand_apart_with_what_they_took_back() -> None:
    """R-MIN-7, F-14"""
    statement = a_customer([a_number(late=2)])
    last = text_of(statement_pdf(statement))[-1]
    assert "迟到话单" in last
    assert "2026-10-" in last
    assert "冲抵" in last


def test_callers_of_twelve_digits_are_printed_whole() -> None:
    """R-CALL-7: an area code and eight digits, in the month's calls and in late ones."""
    number = a_number(calls=30, late=30)
    printed = "".join(text_of(statement_pdf(a_customer([number]))))
    assert number.call_details is not None
    assert number.late_calls is not None
    for calls in (number.call_details, number.late_calls):
        callers = {who for who in calls["caller_number"].to_pylist() if who is not None}
        assert {len(who) for who in callers} >= {11, 12}
        assert [who for who in callers if who not in printed] == []


def fonts_of(pdf: bytes) -> set[str]:
    pages = PdfReader(io.BytesIO(pdf), strict=True).pages
    fonts = (font.get_object() for page in pages for font in page["/Resources"]["/Font"].values())
    return {str(font["/BaseFont"]).split("+")[1] for font in fonts}


def test_only_our_fonts_are_embedded_and_only_those_that_draw_something() -> None:
    """F-26: a name has its kana or hangul from a font that has them."""
    chinese = {"NotoSansSC-Regular", "NotoSansSC-SemiBold"}
    assert fonts_of(statement_pdf(a_customer([a_number()]))) == chinese
    korean = a_customer([a_number()], name="한국 ー主 Ltd.")
    assert fonts_of(statement_pdf(korean)) == chinese | {"NotoSansKR-Regular"}
    assert "한국 ー主 Ltd." in text_of(statement_pdf(korean))[0]


LEFT_TO_RIGHT = st.characters(exclude_categories=["Cs", "Cc", "Mn", "Mc", "Me", "Zs"]).filter(
    lambda one: unicodedata.bidirectional(one) not in {"R", "AL", "AN"}  # the reader turns those round
)


@settings(deadline=None, max_examples=40)
@given(st.text(LEFT_TO_RIGHT, min_size=1, max_size=12))
@example("a<>%()\\Tj🙂")
def test_a_name_can_be_copied_from_the_pdf_as_it_was_written(name: str) -> None:
    """F-24, F-26: also what no font of ours can draw."""
    first = text_of(statement_pdf(a_customer(name=name)))[0]
    assert "".join(printable(name).split()) in "".join(first.split())


def test_the_same_statement_gives_the_same_bytes_in_another_process() -> None:
    """F-14: byte for byte, whatever was drawn before, at another time."""
    statement = a_customer([a_number(late=1)])
    assert isinstance(statement.part, CustomerPart)
    here = statement_pdf(statement)
    assert statement_pdf(statement) == here
    script = (
        "import hashlib\n"
        "from reports.statement_pdf import statement_pdf\n"
        "from tests.statements_made import a_customer, a_number\n"
        "pdf = statement_pdf(a_customer([a_number(late=1)]))\n"
        "print(hashlib.sha256(pdf).hexdigest())\n"
    )
    there = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).resolve().parent.parent,
        env={"PYTHONHASHSEED": "7", "TZ": "America/New_York", "LANG": "C"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert there.stdout.strip() == hashlib.sha256(here).hexdigest()
