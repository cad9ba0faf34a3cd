"""A statement's pages: what stands where, as plain data for the template. All texts are final here.

Page one is the summary; then come tables and a card for each number, which the template lets flow; the call
details at the end are cut into pages here, so that each page repeats its heading and nothing is measured twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rating.calendar import SHANGHAI, days_in, first_day
from reports import statement_text as text
from reports.statement import Account, CustomerPart, Day, Statement
from reports.statement_details import detail_pages
from reports.statement_numbers import cards, number_tables
from reports.statement_providers import provider_tables
from reports.statement_tables import Column, Table
from reports.statement_words import line_word, pot_word, words

_NAME_EMS = 60_000
_SHORT_NAME_EMS = 24_000


def pages(statement: Statement, language: str = "zh") -> dict[str, Any]:
    """What the template sets: JSON values only, every text printable and in `language`."""
    said = words(language)
    head, account = statement.head, statement.account
    name = text.fit(head.party.name, _NAME_EMS)
    part = statement.part
    if isinstance(part, CustomerPart):
        tables = [*number_tables(part, language)]
    else:
        tables = [*provider_tables(part, language)]
    return {
        "language": language,
        "title": said[statement.kind],
        "month": _month(head.month, language),
        "issuer": text.fit(head.issuer, _SHORT_NAME_EMS),
        "name": name,
        "running": f"{text.fit(head.party.name, _SHORT_NAME_EMS)}  ·  {_month(head.month, language)}",
        "statement_no": text.printable(head.number),
        "facts": _facts(statement, language),
        "equation": _equation(account, language),
        "account": _account(account, language),
        "vat": _vat(statement, language) if statement.vat else None,
        "chart": _chart(statement.days, head.month, language),
        "tables": [*tables, *([_entries(statement, language)] if statement.entries else [])],
        "cards": cards(part, head.month, language) if isinstance(part, CustomerPart) else [],
        "details": detail_pages(part, language) if isinstance(part, CustomerPart) else None,
        "basis": said["basis"].format(
            calls_seq=f"{head.calls_seq:,}", events_seq=f"{head.events_seq:,}",
            chain_head=text.printable(head.chain_head)[:32],
        ),
        "page": said["page"],
        "continued": said["continued"],
    }  # fmt: skip


def _month(month: str, language: str) -> str:
    return f"{month[:4]}年{int(month[5:])}月" if language == "zh" else month


def _facts(statement: Statement, language: str) -> list[list[str]]:
    said, head = words(language), statement.head
    first = first_day(head.month)
    last = first.replace(day=days_in(head.month))
    issued = head.issued_at.astimezone(SHANGHAI)
    facts = [
        [said["statement_no"], head.number],
        [said[f"{statement.kind}_id"], head.party.party_id],
        [said["period"], f"{first} – {last}"],
        [said["issued"], issued.strftime("%Y-%m-%d %H:%M")],
        [said["currency"], said.get(head.currency, head.currency)],
    ]
    if isinstance(statement.part, CustomerPart) and statement.part.provider:
        provider = statement.part.provider
        facts.insert(2, [said["of_provider"], provider.name])
    return [[label, text.fit(value, 19_000)] for label, value in facts]


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


def _account(account: Account, language: str) -> dict[str, Any]:
    """Every pot's column adds up from opening to closing; so does the sum of all."""
    said = words(language)
    amounts = [account.opening, account.closing, *(line.amounts for line in account.lines)]
    places = text.decimals(hao for row in amounts for hao in row)
    table = Table(
        [
            Column(said["item"], 30),
            Column(said["count"], 10, right=True),
            *(Column(pot_word(pot, language), 15, right=True) for pot in (*account.pots, "total")),
        ]
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
    return table.payload(said["account"])


def _vat(statement: Statement, language: str) -> dict[str, Any]:
    said = words(language)
    table = Table(
        [
            Column(said["item"], 40),
            Column(said["vat_rate"], 15, right=True),
            *(Column(said[word], 15, right=True) for word in ("gross", "net", "tax")),
        ]
    )
    places = text.decimals(hao for vat in statement.vat for hao in (vat.gross_hao, vat.net_hao))

    def row(label: str, percent: str, gross_hao: int, net_hao: int, vat_hao: int) -> list[str]:
        return [label, percent, *(text.amount(hao, places) for hao in (gross_hao, net_hao, vat_hao))]

    table.add(
        [
            row(line_word(vat.kind, language), _percent(vat.basis_points), vat.gross_hao, vat.net_hao, vat.vat_hao)
            for vat in statement.vat
        ]
    )
    totals = [sum(getattr(vat, part) for vat in statement.vat) for part in ("gross_hao", "net_hao", "vat_hao")]
    table.add([row(said["total"], "", totals[0], totals[1], totals[2])], "total")
    return table.payload(said["vat"])


def _percent(basis_points: int) -> str:
    whole, part = divmod(basis_points, 100)
    return f"{whole}" + (f".{part:02d}".rstrip("0") if part else "") + "%"


def _chart(days: Sequence[Day], month: str, language: str) -> dict[str, Any] | None:
    """Bars in thousandths of the highest, by day of the month; None if nothing was charged."""
    said = words(language)
    by_day = {day.day.day: day.charges_hao for day in days}
    peak = max(by_day.values(), default=0)
    if peak <= 0:
        return None
    first = first_day(month)
    bars = [max(0, by_day.get(at, 0)) * 1000 // peak for at in range(1, days_in(month) + 1)]
    return {
        "title": said["chart"],
        "bars": bars,
        "weekend": [(first.weekday() + at) % 7 >= 5 for at in range(len(bars))],
        "peak": f"{said['chart_peak']} {text.amount(peak)}",
    }


def _entries(statement: Statement, language: str) -> dict[str, Any]:
    said = words(language)
    table = Table(
        [
            Column(said["time"], 15),
            Column(said["item"], 25),
            Column(said["number"], 15),
            Column(said["note"], 40),
            Column(said["posting"], 15),
            Column(said["amount"], 16, right=True),
        ]
    )
    places = text.decimals(entry.total_hao for entry in statement.entries)
    table.add(
        [
            [
                entry.at.astimezone(SHANGHAI).strftime("%m-%d %H:%M"),
                table.fit(1, line_word(entry.kind, language)),
                entry.service_number or "",
                table.fit(3, entry.reference or ""),
                table.fit(4, entry.posting_id),
                text.amount(entry.total_hao, places),
            ]
            for entry in statement.entries
        ]
    )
    return table.payload(said["entries"])


