"""The views of money: postings, movements, balances and statement lines, counted in two ways."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from rating.calendar import next_month
from tests.ledger_rows import NUMBER, Ledger, a_call, a_posting, an_event, ask, calls_files_read


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def test_a_posting_is_a_place_in_its_event(ledger: Ledger) -> None:
    ledger.events = [
        an_event("tick"),
        an_event("receive_payment", postings=[
            a_posting("payment", "platform/bank", "customer/C1/cash", "10", reason="bank 1"),
            a_posting("payment", "platform/bank", "provider/P2/deposit", "999999999999.9999"),
        ]),
        an_event("receive_payment", outcome="refused", postings=[
            a_posting("payment", "platform/bank", "customer/C1/cash", "5")]),
    ]  # fmt: skip
    found = ask(
        ledger.connect(),
        "SELECT posting_id, kind, credit, amount, customer_id, provider_id, reason FROM postings",
    )
    assert found == [
        ("1-1", "payment", "customer/C1/cash", Decimal("10.0000"), "C1", "P1", "bank 1"),
        ("1-2", "payment", "provider/P2/deposit", Decimal("999999999999.9999"), None, "P2", None),
    ]


def test_a_call_with_a_fee_is_a_movement(ledger: Ledger) -> None:
    ledger.calls = [a_call(call_id="a"), a_call(call_id="b", fee="0"), a_call(call_id="c", fee=None)]
    ledger.events = [
        an_event(
            "receive_payment",
            postings=[a_posting("payment", "platform/bank", "customer/C1/cash", "10", "2026-09")],
        )
    ]
    assert ask(
        ledger.connect(), "SELECT billed_month, kind, debit, credit, amount, ref FROM movements ORDER BY kind"
    ) == [
        ("2026-08", "call", "customer/C1/usage", "platform/revenue/calls", Decimal("0.1500"), "a"),
        ("2026-09", "payment", "platform/bank", "customer/C1/cash", Decimal("10.0000"), "0-1"),
    ]


def the_worked_number(ledger: Ledger) -> list[tuple[int, int, str]]:
    """RULES' worked number; returns (calls_seq, events_seq, the customer's balance) after each line."""
    credit, usage = "customer/C1/credit/K1", "customer/C1/usage"
    after: list[tuple[int, int, str]] = []

    def stands_at(balance: str) -> None:
        after.append((len(ledger.calls), len(ledger.events), balance))

    def call(start: str, minutes: int) -> None:
        ledger.calls.append(a_call(start, str(Decimal(minutes) * Decimal("0.15")), billed_s=minutes * 60))

    def close(month: str, top_up: str | None, settled: str | None, left: str) -> None:
        postings = (
            [
                a_posting(
                    "minimum_top_up", usage, "platform/revenue/minimum", top_up, month, service_number=NUMBER
                )
            ]
            if top_up
            else []
        )
        postings += [a_posting("settlement", credit, usage, settled, month)] if settled else []
        effect = {
            "month": month,
            "customer_id": "C1",
            "closing": {"cash": "0.00", "credit/K1": left, "usage": "0.00"},
        }
        at = f"{next_month(month)}-02 01:00"
        ledger.events.append(an_event("close_customer", at, effect, postings, calls_seq=len(ledger.calls)))
        ledger.events.append(an_event("close_month", at, {"month": month}, calls_seq=len(ledger.calls)))

    ledger.events.append(
        an_event(
            "register_customer",
            "2026-07-01 09:00",
            {"customer_id": "C1", "name": "齐鲁花店", "provider_id": "P1"},
        )
    )
    fee = a_posting("plan_fee", "platform/bank", credit, "600", "2026-07", service_number=NUMBER)
    ledger.events.append(an_event("sign_contract", "2026-07-20 09:00", postings=[fee]))
    stands_at("600")
    close("2026-07", None, None, "600.00")
    for day in range(1, 13):
        call(f"2026-08-{day + 3:02d} 10:00", 1 if day < 5 else 2)
    stands_at("597")
    close("2026-08", None, "3", "597.00")
    stands_at("597")
    call("2026-09-10 10:00", 200)
    close("2026-09", "20", "50", "547.00")
    stands_at("547")
    call("2026-09-11 10:00", 10)
    late = a_posting(
        "late_call_adjustment", "platform/revenue/minimum", usage, "1.50", "2026-10", service_number=NUMBER
    )
    ledger.events.append(
        an_event("adjust_minimum", "2026-10-05 10:00", {}, [late], calls_seq=len(ledger.calls))
    )
    stands_at("547")
    fee = a_posting(
        "feature_fee",
        "provider/P1/deposit",
        "platform/revenue/features",
        "100",
        "2026-10",
        service_number=NUMBER,
    )
    ledger.events.append(an_event("enable_feature", "2026-10-12 10:00", postings=[fee]))
    stands_at("547")
    close("2026-10", "50", "50", "497.00")
    stands_at("497")
    return after


def test_the_worked_number_stands_where_the_rules_say(ledger: Ledger) -> None:
    """R-MIN-7, F-14, R-PLAN-1: the customer's balance after each line of the example, at that version."""
    for calls_seq, events_seq, balance in the_worked_number(ledger):
        con = ledger.connect(calls_seq=calls_seq, events_seq=events_seq)
        assert ask(con, "SELECT customer_id, name, balance FROM customer_balances") == [
            ("C1", "齐鲁花店", Decimal(balance))
        ]
        assert ask(con, "SELECT sum(balance) FROM balances WHERE account LIKE 'customer/%'") == [
            (Decimal(balance),)
        ]
        assert ask(con, "SELECT sum(balance) FROM balances") == [(Decimal(0),)]


def test_statement_lines_are_what_changed_the_balance(ledger: Ledger) -> None:
    """R-ARR-4, R-CALL-8, F-14: the late call and its adjustment stand on the next statement; settlement on none."""
    the_worked_number(ledger)
    con = ledger.connect()
    lines = ask(
        con,
        "SELECT month, kind, quantity, amount FROM statement_lines WHERE customer_id = 'C1' ORDER BY month, kind",
    )
    assert [
        (month, kind, str(quantity.normalize()), str(amount)) for month, kind, quantity, amount in lines
    ] == [
        ("2026-07", "plan_fee", "1", "-600.0000"),
        ("2026-08", "call", "2E+1", "3.0000"),
        ("2026-09", "call", "2E+2", "30.0000"),
        ("2026-09", "minimum_top_up", "1", "20.0000"),
        ("2026-10", "call", "1E+1", "1.5000"),
        ("2026-10", "late_call_adjustment", "1", "-1.5000"),
        ("2026-10", "minimum_top_up", "1", "50.0000"),
    ]
    assert ask(con, "SELECT account, month, kind, amount FROM statement_lines WHERE customer_id IS NULL") == [
        ("provider/P1", "2026-10", "feature_fee", Decimal("100.0000"))]  # fmt: skip
    owed = "SELECT account, -sum(amount) FROM statement_lines GROUP BY account"
    assert ask(con, f"FROM ({owed}) ORDER BY 1") == [
        ("customer/C1", Decimal(497)),
        ("provider/P1", Decimal(-100)),
    ]
    assert ask(con, "SELECT count(*) - count(DISTINCT line_id) FROM statement_lines") == [(0,)]


def a_random_year(ledger: Ledger, seed: int) -> None:
    """Calls in and out of time, payments, re-ratings and closes as the business writes them; some customers rest."""
    chance = random.Random(seed)
    customers = [f"C{n}" for n in range(6)]
    leaves: dict[str, dict[str, Decimal]] = {name: defaultdict(Decimal) for name in customers}
    usage: dict[str, dict[str, Decimal]] = {name: defaultdict(Decimal) for name in customers}
    months = ["2026-01"]
    while len(months) < 8:
        months.append(next_month(months[-1]))
    closed = ""

    def billed(month: str) -> str:
        return max(month, next_month(closed)) if closed else month

    for place, month in enumerate(months):
        for _ in range(chance.randrange(15)):
            name, of = (
                chance.choice(customers[: place + 2]),
                chance.choice(months[max(0, place - 2) : place + 2]),
            )
            amount = Decimal(chance.randrange(1, 90000)).scaleb(-4)
            match chance.choice(["call", "call", "call", "payment", "rerating"]):
                case "call":
                    ledger.calls.append(a_call(f"{of}-10 08:00", str(amount), customer_id=name))
                    usage[name][billed(of)] -= amount
                case "payment":
                    leaf = chance.choice(["cash", "credit/K1", "credit/K2"])
                    ledger.events.append(an_event("receive_payment", postings=[
                        a_posting("payment", "platform/bank", f"customer/{name}/{leaf}", str(amount), billed(month))]))  # fmt: skip
                    leaves[name][leaf] += amount
                case "rerating":
                    ledger.events.append(an_event("rerate", postings=[a_posting(
                        "rerating", "platform/revenue/calls", f"customer/{name}/usage", str(amount), billed(of))]))  # fmt: skip
                    usage[name][billed(of)] += amount
        if place == len(months) - 1:
            return
        for name in customers:
            if not any(of <= month for of in usage[name]):
                continue
            open_now = sum((usage[name].pop(of) for of in list(usage[name]) if of <= month), Decimal(0))
            postings = []
            if open_now < 0:
                postings.append(
                    a_posting(
                        "settlement", f"customer/{name}/cash", f"customer/{name}/usage", str(-open_now), month
                    )
                )
                leaves[name]["cash"] += open_now
            closing = {leaf: str(amount) for leaf, amount in leaves[name].items()} | {
                "usage": str(max(open_now, Decimal(0)))
            }
            if open_now > 0:
                usage[name][next_month(month)] += open_now
            effect = {"month": month, "customer_id": name, "closing": closing}
            ledger.events.append(
                an_event("close_customer", "2026-12-01 01:00", effect, postings, calls_seq=len(ledger.calls))
            )
        ledger.events.append(
            an_event("close_month", "2026-12-01 01:00", {"month": month}, calls_seq=len(ledger.calls))
        )
        closed = month


@pytest.mark.parametrize("seed", range(4))
def test_balances_from_the_last_close_are_those_from_the_beginning(ledger: Ledger, seed: int) -> None:
    """R-INV-2: two ways to count; and everything together is zero, as statements say too."""
    a_random_year(ledger, seed)
    con = ledger.connect()
    from_the_beginning = """
        SELECT
            split_part(account, '/', 2) AS customer_id,
            sum(balance) FILTER (WHERE account LIKE '%/cash'),
            sum(balance) FILTER (WHERE account LIKE '%/credit/%'),
            sum(balance) FILTER (WHERE account LIKE '%/usage'),
            sum(balance)
        FROM balances WHERE account LIKE 'customer/%' GROUP BY 1 ORDER BY 1"""
    from_the_close = "SELECT customer_id, cash, credit, usage, balance FROM customer_balances ORDER BY 1"
    expected = [tuple(value or Decimal(0) for value in row) for row in ask(con, from_the_beginning)]
    assert ask(con, from_the_close) == expected
    assert len(expected) > 3
    assert ask(con, "SELECT sum(balance) FROM balances") == [(Decimal(0),)]
    leaves = "SELECT account, balance FROM balances ORDER BY account"
    legs = "SELECT unnest([debit, credit]) AS account, unnest([-amount, amount]) AS amount FROM movements"
    assert ask(con, leaves) == ask(con, f"SELECT account, sum(amount) FROM ({legs}) GROUP BY 1 ORDER BY 1")
    owed = "SELECT split_part(account, '/', 2), -sum(amount) FROM statement_lines GROUP BY 1 ORDER BY 1"
    assert ask(con, owed) == [(row[0], row[4]) for row in expected]


def test_a_balance_does_not_read_the_calls_of_closed_months(ledger: Ledger) -> None:
    """Closing balances are where it starts from; an open month's calls are read."""
    the_worked_number(ledger)
    balances = "SELECT * FROM customer_balances"
    assert calls_files_read(ledger.connect(), balances) == []
    ledger.calls.append(a_call("2026-11-05 10:00"))
    (only,) = calls_files_read(ledger.connect(), balances)
    assert "month=2026-11" in only
