"""Pages are cut where they end: every row once, headings repeated, no sum alone on a page."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reports.statement_book import PAGE_HEIGHT, Book
from reports.statement_tables import Column, Rows, Table


def a_table(*runs: tuple[str, int], name: str = "") -> Table:
    """A table of one column whose rows say which they are."""
    table = Table([Column("row", 1)], "title", name=name, continued="（续）")
    for style, count in runs:
        table.add([[f"{style} {at}"] for at in range(count)], style)
    return table


def texts(page: list[dict[str, Any]]) -> list[str]:
    return [
        line
        for block in page
        if block["kind"] == "rows"
        for part in block["parts"]
        for line in part["texts"][0].split("\n")
    ]


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.tuples(st.sampled_from(["plain", "opening", "group"]), st.integers(1, 120)), max_size=4
            ),
            st.sampled_from(["", "4001170392"]),
        ),
        max_size=4,
    ),
    st.integers(0, PAGE_HEIGHT),
)
def test_every_row_is_printed_once_and_no_page_is_too_full(
    tables: list[tuple[list[tuple[str, int]], str]], before: int
) -> None:
    """R-CALL-7: a detail that a customer can look up is on the statement, whatever the page breaks."""
    book = Book()
    book.add("basis", before)
    expected: list[str] = []
    for runs, name in tables:
        table = a_table(*runs, ("total", 1), name=name)
        expected += [f"{style} {at}" for style, count in [*runs, ("total", 1)] for at in range(count)]
        book.table(table)
    assert [line for page in book.pages for line in texts(page)] == expected
    assert all(sum(block["height"] for block in page) <= PAGE_HEIGHT for page in book.pages)
    assert all(page for page in book.pages)


@given(st.integers(2, 400), st.integers(0, PAGE_HEIGHT), st.sampled_from([0, 200]))
def test_a_sum_follows_a_row_of_its_own_on_the_same_page(count: int, before: int, note: int) -> None:
    """And a note follows the sum."""
    book = Book()
    book.add("basis", before)
    book.table(a_table(("plain", count), ("total", 1)), followed_by=note)
    book.add("note", note)
    assert len(texts(book.pages[-1])) >= 2
    assert [line for page in book.pages for line in texts(page)] == [
        *(f"plain {at}" for at in range(count)),
        "total 0",
    ]
    assert not any(page and page[-1]["kind"] == "title" for page in book.pages)


def test_a_table_that_goes_on_repeats_its_heading_and_name() -> None:
    book = Book()
    book.table(a_table(("plain", 150), name="4001170392"))
    blocks = [block for page in book.pages for block in page if block["kind"] == "rows"]
    assert [block["heads"] for block in blocks] == [["row"]] * len(book.pages)
    assert [block["continued"] for block in blocks] == ["", *["（续）"] * (len(book.pages) - 1)]
    assert [block["kind"] for block in book.pages[1]] == ["rows"]


def test_a_page_begins_with_the_date_that_its_first_row_has() -> None:
    rows = Rows([["11-01", "", ""], ["a", "b", "c"]], [0], labels=["11-01", "11-01", "11-01"])
    assert rows.part(1, 3) == {"n": 2, "style": "plain", "rules": [], "texts": ["11-01\n", "b\nc"]}
    assert rows.part(0, 2)["rules"] == []  # the heading's own line is there already
