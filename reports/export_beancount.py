"""A closed month as a Beancount file: every posting, what calls cost by number, VAT, opening and closing balances.

A debit is above zero, as bookkeepers write it. The balance sheet (bank, customers, providers, VAT) begins with what was
there; income and expenses begin each month anew, and are net of VAT in the end: the VAT that each statement shows is
moved to an account of its kind. A posting billed to the month is dated within it; `at` says when it was made.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from rating.calendar import SHANGHAI, day_of, days_in, first_day, next_month
from rating.money import yuan_text
from reports.statement import Statement
from reports.statement_data import Month

BANK, USAGE, CALLS, OPENING = "platform/bank", "customer/{}/usage", "platform/revenue/calls", "equity/opening"
TAXED = {
    "call": "platform/revenue/calls",
    "rerating": "platform/revenue/calls",
    "minimum_top_up": "platform/revenue/minimum",
    "late_call_adjustment": "platform/revenue/minimum",
    "feature_fee": "platform/revenue/features",
    "fine": "platform/revenue/fines",
    "credit_expiry": "platform/revenue/breakage",
}
"""The kinds of charge that may contain VAT, and which income they are."""

_ROOTS = (
    ("platform/revenue/", "Income"),
    ("platform/expense/", "Expenses"),
    ("platform/", "Assets:Platform"),
    ("customer/", "Liabilities:Customers"),
    ("provider/", "Liabilities:Providers"),
    ("vat/", "Liabilities:VAT"),
    ("equity/", "Equity"),
)
_COMPONENT = re.compile(r"[A-Z0-9][A-Za-z0-9-]*")


@cache
def account_name(account: str) -> str:
    """Our account as Beancount spells it: `customer/C1/cash` is `Liabilities:Customers:C1:Cash`.

    An id with other signs than letters, digits and dashes gets a part of its hash, so two ids never share a name.
    """
    prefix, root = next(pair for pair in _ROOTS if account.startswith(pair[0]))
    kind, *rest = account.removeprefix(prefix).split("/")
    if prefix in {"customer/", "provider/"}:
        return ":".join([root, _component(kind), *(_word(part) for part in rest)])
    return ":".join([root, *(_word(part) for part in (kind, *rest))])


def _component(text: str) -> str:
    if _COMPONENT.fullmatch(text):
        return text
    mark = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    cleaned = re.sub(r"[^A-Za-z0-9-]", "-", text)
    return f"X{cleaned}-{mark}"


def _word(text: str) -> str:
    """`bad_debt` is `BadDebt`; a credit's id stays as it is."""
    return (
        "".join(part.capitalize() for part in text.split("_"))
        if text.replace("_", "").isalpha()
        else _component(text)
    )


def beancount(con: duckdb.DuckDBPyConnection, data: Month) -> Iterator[str]:
    """The file's entries, one after the other. `con` has the views, `data` a closed month."""
    book = _Book(data.month)
    yield (
        f'option "title" "{_text(data.book.operator)} {data.month}"\noption "operating_currency" "CNY"\n'
        f"; chain head {data.chain_head}\n"
    )
    entries = [
        *_openings(con, book),
        *_postings(data, book),
        *_calls(con, book),
        *(entry for statement in data.summaries() for entry in _vat(statement, book)),
    ]
    for account in sorted(book.balances):
        yield f"{book.first} open {account_name(account)} CNY\n"
    yield from entries
    for account, hao in sorted(book.balances.items()):
        yield f"{book.after} balance {account_name(account)} {yuan_text(-hao)} ~ 0 CNY\n"


class _Book:
    """The month's days, and each account's balance in hao (credits less debits, as the ledger counts)."""

    def __init__(self, month: str) -> None:
        self.month = month
        self.first = first_day(month)
        self.last = self.first.replace(day=days_in(month))
        self.after = first_day(next_month(month))
        self.balances: dict[str, int] = defaultdict(int)

    def day(self, day: date) -> date:
        """The day, or the nearest of the month."""
        return min(max(day, self.first), self.last)

    def entry(self, day: date, payee: str, what: str, legs: list[tuple[str, int]], **meta: object) -> str:
        """A transaction; `legs` are (account, hao that come to it) and add up to nothing."""
        lines = [f'{day} * "{_text(payee)}" "{_text(what)}"']
        lines += [f'  {name}: "{_text(str(value))}"' for name, value in meta.items() if value is not None]
        for account, hao in legs:
            self.balances[account] += hao
            lines.append(f"  {account_name(account)}  {yuan_text(-hao)} CNY")
        return "\n".join(lines) + "\n\n"


def _openings(con: duckdb.DuckDBPyConnection, book: _Book) -> Iterator[str]:
    rows = _ask(con, "openings", book.month)
    legs = [(row["account"], row["balance_hao"]) for row in rows]
    if legs:
        legs.append((OPENING, -sum(hao for _, hao in legs)))
        yield book.entry(book.first, "", f"Balances before {book.month}", legs)


def _postings(data: Month, book: _Book) -> Iterator[str]:
    """Every posting that is billed to the month, in the ledger's order."""
    for one in data.in_order:
        yield book.entry(
            book.day(day_of(one.at)),
            one.customer_id or one.provider_id or "",
            one.kind,
            [(one.debit, -one.amount_hao), (one.credit, one.amount_hao)],
            posting=one.posting_id,
            at=one.at.astimezone(SHANGHAI).isoformat(timespec="seconds"),
            number=one.service_number,
            reason=one.reason,
        )


def _calls(con: duckdb.DuckDBPyConnection, book: _Book) -> Iterator[str]:
    for row in _ask(con, "calls", book.month):
        legs = [(USAGE.format(row["customer_id"]), -row["amount_hao"]), (CALLS, row["amount_hao"])]
        yield book.entry(
            book.last,
            row["customer_id"],
            f"{row['calls']} calls to {row['service_number']}",
            legs,
            line=row["line_id"],
            number=row["service_number"],
        )


def _vat(statement: Statement, book: _Book) -> Iterator[str]:
    """The VAT that the statement shows leaves the income that contains it."""
    legs: list[tuple[str, int]] = []
    for vat in statement.vat:
        if vat.vat_hao:
            legs += [(TAXED.get(vat.kind, CALLS), -vat.vat_hao), (f"vat/{vat.kind}", vat.vat_hao)]
    if legs:
        yield book.entry(
            book.last, statement.head.party.party_id, "VAT", legs, statement=statement.head.number
        )


def _ask(con: duckdb.DuckDBPyConnection, name: str, month: str) -> list[dict[str, Any]]:
    sql = (Path(__file__).parent / "export_sql" / f"{name}.sql").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = con.sql(sql, params={"month": month}).to_arrow_table().to_pylist()
    return rows


def _text(said: str) -> str:
    """Within quotes of Beancount; on one line."""
    return " ".join(said.replace("\\", "\\\\").replace('"', '\\"').split())
