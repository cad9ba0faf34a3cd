"""`fentan simulate`: a closed month under another price book, account by account; nothing is written.

What the price book decides is decided anew: the rate and increment of a plan, minimums, what features cost. What was
agreed with a customer stays: a rate other than its plan's, a minimum that was raised (R-MIN-5), the days held (R-MIN-8).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ledger.faults import BadRequest
from ledger.home import Home
from rating import minimums
from rating.accounts import Refused
from rating.calendar import day_of, end_of_month, first_day
from rating.money import MONEY, mul_div_up_to_fen, parse_yuan, to_yuan
from rating.prices import PriceBook
from rating.reasons import Reason
from reports.ask import views
from reports.statement_data import Month

_COLUMNS = ("calls", "top_up", "features")
_SQL = Path(__file__).parent / "simulate_sql" / "calls.sql"
_PRICES = pa.schema(
    [
        ("customer_id", pa.string()),
        ("service_number", pa.string()),
        ("rate_hao", pa.int64()),
        ("other_rate_hao", pa.int64()),
        ("increment_s", pa.int64()),
    ]
)


@dataclass(slots=True)
class Account:
    """What an account was charged in the month and would have been, in hao: calls, top-ups, features."""

    name: str
    charged: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COLUMNS, 0))
    other: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COLUMNS, 0))

    def add(self, what: str, charged_hao: int, other_hao: int) -> None:
        """Adds what one number or feature comes to."""
        self.charged[what] += charged_hao
        self.other[what] += other_hao


def simulate(home: Path, month: str, book: PriceBook) -> dict[str, Account]:
    """`customer/C1` or `provider/P1` -> the account, in their order. Refused if the month is not closed."""
    events, calls = Home.open_logs(home)
    with views(events, calls, end_of_month(month)) as con:
        data = Month(con, month, events, calls, with_calls=False)
        if data.close is None:
            raise Refused(Reason.MONTH_OPEN, f"{month} is not closed: run `fentan close {month}` first.")
        accounts = dict(_customers(con, data, book))
        accounts |= _providers(data, book)
    return accounts


def _customers(con: duckdb.DuckDBPyConnection, data: Month, book: PriceBook) -> Iterator[tuple[str, Account]]:
    day = first_day(data.month)
    con.register("other_prices", _other_prices(data, book, day))
    called: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (
        con.sql(_SQL.read_text(encoding="utf-8"), params={"month": data.month}).to_arrow_table().to_pylist()
    ):
        called[row["customer_id"], row["service_number"]] = row
    workings = {
        (customer, working["service_number"]): working
        for customer, list_of in data.workings.items()
        for working in list_of
    }
    accounts: dict[str, Account] = {}
    for customer, number in sorted({*called, *workings}):
        account = accounts.setdefault(customer, Account(data.customers[customer]["name"]))
        row = called.get((customer, number), {"fees_hao": 0, "more_hao": 0})
        fees_hao, other_hao = row["fees_hao"], row["fees_hao"] + row["more_hao"]
        account.add("calls", fees_hao, other_hao)
        working = workings.get((customer, number))
        if working is not None:
            charged = 0 if working["opening"] else parse_yuan(working["minimum"])
            account.add(
                "top_up",
                minimums.top_up(charged, fees_hao),
                minimums.top_up(_other_minimum(working, book, data.book, day), other_hao),
            )
    for customer, account in accounts.items():
        yield f"customer/{customer}", account


def _other_prices(data: Month, book: PriceBook, day: date) -> pa.Table:
    """Each number's rate by its plan, in the ledger's price book and in the other. 95 numbers cost nothing (R-CALL-5).

    BadRequest if the other has no such plan: what it would cost is not known.
    """
    rows = []
    lacking = set()
    for customer, list_of in data.workings.items():
        for working in list_of:
            number, plan = working["service_number"], working["plan_id"]
            ours, other = data.book.plan(plan, day), book.plan(plan, day)
            if ours is not None and other is None:
                lacking.add(plan)
            elif ours is not None and other is not None and not number.startswith("95"):
                rows.append((customer, number, ours.rate_hao, other.rate_hao, other.increment_s))
    if lacking:
        raise BadRequest(
            f"The other price book has no plan {', '.join(sorted(lacking))} on {day}, which numbers had in {data.month}: "
            "write into it what they would cost."
        )
    columns = zip(*rows, strict=True) if rows else [[] for _ in _PRICES]
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, _PRICES.types, strict=True)], _PRICES
    )


def _other_minimum(working: Mapping[str, Any], book: PriceBook, ours: PriceBook, day: date) -> int:
    """The minimum under the other prices, in hao; a raised one holds on (R-MIN-3 R-MIN-5 R-MIN-6 R-MIN-8)."""
    plan = book.plan(working["plan_id"], day)
    if working["opening"] and (plan is None or plan.opening_month == "use"):
        return 0
    rate_hao = parse_yuan(working["rates"][-1][1])
    own = ours.plan(working["plan_id"], day)
    if plan is not None and own is not None and own.rate_hao == rate_hao:
        rate_hao = plan.rate_hao
    base_hao = book.base_minimum_hao(working["number_class"], day)
    held_hao = minimums.formula(base_hao, rate_hao, book.base_rate_hao(day))
    if working["held"] != working["formula"]:
        held_hao = max(held_hao, parse_yuan(working["held"]))
    return mul_div_up_to_fen(held_hao, working["days_held"], working["days"])


def _providers(data: Month, book: PriceBook) -> dict[str, Account]:
    """What features would have cost; a fee that was given back counts for nothing either way."""
    accounts: dict[str, Account] = defaultdict(lambda: Account(""))
    for posted in data.in_order:
        if posted.kind == "feature_fee" and posted.provider_id is not None and posted.reason is not None:
            account = accounts[f"provider/{posted.provider_id}"]
            account.name = data.providers[posted.provider_id]["name"]
            try:
                other_hao = book.feature(posted.reason, day_of(posted.at)).price_hao
            except KeyError:
                other_hao = posted.amount_hao
            account.add("features", posted.amount_hao, other_hao)
    return dict(sorted(accounts.items()))


def as_table(accounts: Mapping[str, Account], *, differing: bool = False) -> pa.Table:
    """A row an account (or only those that differ), and the total last; money as decimals."""
    rows = []
    total = Account("total")
    for key, account in accounts.items():
        for what in _COLUMNS:
            total.add(what, account.charged[what], account.other[what])
        if not differing or account.charged != account.other:
            rows.append(_row(key, account))
    rows.append(_row("total", total))
    names = [
        "account",
        "name",
        *(f"{kind}_yuan" for what in _COLUMNS for kind in (what, f"other_{what}")),
        "difference_yuan",
    ]
    columns = list(zip(*rows, strict=True))
    types = [pa.string(), pa.string(), *[MONEY] * (len(names) - 2)]
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], names)


def _row(key: str, account: Account) -> tuple[Any, ...]:
    amounts = [hao for what in _COLUMNS for hao in (account.charged[what], account.other[what])]
    difference = sum(account.other.values()) - sum(account.charged.values())
    name = "" if account.name == "total" and key == "total" else account.name
    return (key, name, *map(to_yuan, amounts), to_yuan(difference))
