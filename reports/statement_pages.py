"""A statement's pages as plain data: what stands where, every text final.

Page one is the summary: who and when, opening + paid − charged = closing, the account line by line, the month
by day, the VAT contained. What the sums are made of follows; call details come last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rating.calendar import SHANGHAI, days_in, first_day
from reports import statement_text as text
from reports.statement import Account, CustomerPart, Entry, Statement, Vat
from reports.statement_book import Book
from reports.statement_details import detail_tables
from reports.statement_numbers import add_cards, number_tables
from reports.statement_providers import provider_tables
from reports.statement_tables import Column, Table
from reports.statement_words import line_word, list_word, pot_word, vat_word, words

_NAME_EMS, _NAME_LINES = 18_500, 3
_FACT_EMS = 21_000
_RUNNING_EMS = 27_000
_LINE, _FACT_LINE = 180, 125
_BASIS = 200


def pages(statement: Statement, language: str = "zh") -> dict[str, Any]:
    """What statement_drawing.py draws: every text printable and in `language`."""
    said, head, part = words(language), statement.head, statement.part
    book = Book()
    _add_heading(book, statement, language)
    book.table(_account(statement.account, language))
    _add_chart(book, statement, language)
    if statement.vat:
        book.table(_vat(statement.vat, language))
    if isinstance(part, CustomerPart):
        for table in number_tables(part, language):
            book.table(table)
    if statement.entries:
        book.table(_entries(statement.entries, language))
    if isinstance(part, CustomerPart):
        add_cards(book, part, head.month, language)
        last = detail_tables(part, language)
    else:
        last = provider_tables(part, language)
    _add_to_the_end(book, last, _basis(statement, language))
    issuer = text.fit(head.issuer, _RUNNING_EMS)
    count = len(book.pages)
    return {
        "title": f"{said[statement.kind]} {text.printable(head.number)}",
        "issuer": issuer,
        "running": f"{text.fit(head.party.name, _RUNNING_EMS)}  ·  {_month(head.month, language)}",
        "number": f"{said['statement_no']} {text.fit(head.number, _RUNNING_EMS)}",
        "pages": [
            {"foot": said["page"].format(page=at, pages=count), "blocks": blocks}
            for at, blocks in enumerate(book.pages, 1)
        ],
    }


def _add_to_the_end(book: Book, tables: Iterator[Table], basis: str) -> None:
    """The last tables, and what the figures are based on: it has no page to itself."""
    last = next(tables, None)
    while last is not None:
        table, last = last, next(tables, None)
        book.table(table, followed_by=0 if last else _BASIS)
    book.add("basis", _BASIS, text=basis)


def _month(month: str, language: str) -> str:
    return f"{month[:4]}年{int(month[5:])}月" if language == "zh" else month


def _add_heading(book: Book, statement: Statement, language: str) -> None:
    said, head = words(language), statement.head
    book.add(
        "letterhead",
        560,
        title=said[statement.kind],
        month=_month(head.month, language),
        issuer=text.fit(head.issuer, _RUNNING_EMS),
    )
    name = text.wrap(head.party.name, _NAME_EMS)
    if len(name) > _NAME_LINES:
        name = [*name[: _NAME_LINES - 1], text.fit("".join(name[_NAME_LINES - 1 :]), _NAME_EMS)]
    facts = [(label, text.fit(value, _FACT_EMS)) for label, value in _facts(statement, language)]
    book.add(
        "parties",
        max(len(name) * _LINE, len(facts) * _FACT_LINE) + 20,
        name="\n".join(name),
        labels="\n".join(label for label, _ in facts),
        values="\n".join(value for _, value in facts),
    )
    book.add("equation", 600, terms=_equation(statement.account, language))


def _facts(statement: Statement, language: str) -> list[tuple[str, str]]:
    said, head = words(language), statement.head
    first = first_day(head.month)
    facts = [
        (said["statement_no"], head.number),
        (said[f"{statement.kind}_id"], head.party.party_id),
        (said["period"], f"{first} – {first.replace(day=days_in(head.month))}"),
        (said["issued"], head.issued_at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")),
        (said["currency"], said.get(head.currency, head.currency)),
    ]
    part = statement.part
    above = part.provider if isinstance(part, CustomerPart) else part.parent
    if above is not None:
        facts.insert(2, (said[f"above_{statement.kind}"], above.name))
    return facts


def _equation(account: Account, language: str) -> list[dict[str, Any]]:
    said = words(language)
    opening, closing = sum(account.opening), sum(account.closing)
    terms = [
        ("", "opening", opening),
        ("+", "paid_in", account.paid_hao),
        (text.MINUS, "charged", account.charged_hao),
        ("=", "arrears" if closing < 0 else "closing", closing),
    ]
    return [
        {"sign": sign, "label": said[word], "amount": text.amount(hao), "alert": hao < 0}
        for sign, word, hao in terms
    ]


def _account(account: Account, language: str) -> Table:
    """Every pot's column adds up from opening to closing, and so does the sum of all."""
    said = words(language)
    amounts = [account.opening, account.closing, *(line.amounts for line in account.lines)]
    places = text.decimals(hao for row in amounts for hao in row)
    table = Table(
        [
            Column(said["item"], 30),
            Column(said["count"], 10, right=True),
            *(Column(pot_word(pot, language), 15, right=True) for pot in (*account.pots, "total")),
        ],
        said["account"],
    )

    def balance(word: str, pots: tuple[int, ...]) -> list[str]:
        return [said[word], "", *(text.amount(hao, places) for hao in (*pots, sum(pots)))]

    table.add([balance("opening", account.opening)], "opening")
    table.add(
        [
            [
                line_word(line.kind, language),
                "" if line.count is None else f"{line.count:,}",
                *(text.blank_zero(hao, places) for hao in line.amounts),
                text.amount(line.total_hao, places),
            ]
            for line in account.lines
        ]
    )
    table.add([balance("closing", account.closing)], "total")
    return table


def _add_chart(book: Book, statement: Statement, language: str) -> None:
    """Bars in thousandths of the highest, by day of the month; no chart if nothing was charged."""
    said, month = words(language), statement.head.month
    by_day = {day.day.day: day.charges_hao for day in statement.days}
    peak = max(by_day.values(), default=0)
    if peak <= 0:
        return
    first = first_day(month)
    bars = [max(0, by_day.get(at, 0)) * 1000 // peak for at in range(1, days_in(month) + 1)]
    book.add("title", 300, text=said[f"chart_{statement.kind}"])
    book.add(
        "chart",
        920,
        bars=bars,
        weekend=[(first.weekday() + at) % 7 >= 5 for at in range(len(bars))],
        peak=f"{said['chart_peak']} {text.amount(peak)}",
    )


def _vat(vats: Sequence[Vat], language: str) -> Table:
    said = words(language)
    table = Table(
        [
            Column(said["item"], 40),
            Column(said["vat_rate"], 15, right=True),
            *(Column(said[word], 15, right=True) for word in ("gross", "net", "tax")),
        ],
        said["vat"],
    )
    rows = [(vat.gross_hao, vat.net_hao, vat.vat_hao) for vat in vats]
    places = text.decimals(hao for row in rows for hao in row)
    table.add(
        [
            [
                vat_word(vat.kind, language),
                _percent(vat.basis_points),
                *(text.amount(hao, places) for hao in row),
            ]
            for vat, row in zip(vats, rows, strict=True)
        ]
    )
    sums = [sum(column) for column in zip(*rows, strict=True)]
    table.add([[said["total"], "", *(text.amount(hao, places) for hao in sums)]], "total")
    return table


def _percent(basis_points: int) -> str:
    whole, part = divmod(basis_points, 100)
    return f"{whole}" + (f".{part:02d}".rstrip("0") if part else "") + "%"


def _entries(entries: Sequence[Entry], language: str) -> Table:
    said = words(language)
    table = Table(
        [
            Column(said["time"], 15),
            Column(said["item"], 25),
            Column(said["number"], 15),
            Column(said["note"], 40),
            Column(said["posting"], 15),
            Column(said["amount"], 16, right=True),
        ],
        said["entries"],
    )
    places = text.decimals(entry.amount_hao for entry in entries)
    table.add(
        [
            [
                entry.at.astimezone(SHANGHAI).strftime("%m-%d %H:%M"),
                table.fit(1, line_word(entry.kind, language)),
                entry.service_number or "",
                table.fit(3, list_word(entry.reference or "", language)),
                table.fit(4, entry.posting_id),
                text.amount(entry.amount_hao, places),
            ]
            for entry in entries
        ]
    )
    return table


def _basis(statement: Statement, language: str) -> str:
    head = statement.head
    return words(language)["basis"].format(
        calls_seq=f"{head.calls_seq:,}",
        events_seq=f"{head.events_seq:,}",
        chain_head=text.printable(head.chain_head)[:32],
    )
