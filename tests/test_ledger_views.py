"""The views: what each row says, by example and against a second way of counting."""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.ledger_rows import NUMBER, Ledger, a_call, a_change, a_posting, an_alert, an_event, instant

from rating.calendar import next_month, start_of_month

CONTRACT = {
    "calls": "call_id service_number customer_id provider_id caller_number caller_area start_at month billed_month "
    "duration_s billed_min rate owner_fee caller_estimate tags answering_phone answer_rule events_seq seq",
    "duplicates": "call_id command_id reason detail raw source received_at",
    "rejects": "call_id command_id reason detail raw source received_at",
    "postings": "posting_id at month kind debit credit amount service_number customer_id provider_id reverses reason",
    "movements": "at month billed_month kind debit credit amount ref",
    "balances": "account balance",
    "customer_balances": "customer_id cash credit balance in_arrears_since",
    "events": "command_id at kind outcome reason payload",
    "numbers": "service_number number_class state customer_id provider_id plan_id rate minimum",
    "statement_lines": "month customer_id service_number kind quantity amount",
    "arrears": "account balance since days stage last_alert_at",
    "alerts": "alert_id at account kind balance seq",
}
MONEY = {"rate", "owner_fee", "caller_estimate", "billed_min", "amount", "balance", "cash", "credit", "minimum",
         "quantity", "usage"}  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


def ask(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = con.cursor().execute(sql).fetchall()
    return found


# names and types


@pytest.mark.parametrize("view", CONTRACT)
def test_a_view_has_the_columns_that_finance_relies_on(ledger: Ledger, view: str) -> None:
    """The contract's names; money is DECIMAL(18,4), instants are TIMESTAMPTZ (R-INV-4)."""
    columns = dict(ask(ledger.connect(), f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{view}'"))
    assert set(CONTRACT[view].split()) <= set(columns)
    for name, kind in columns.items():
        if name in MONEY and not (view == "postings" and name == "credit") and not (view == "movements" and name == "credit"):
            assert kind == "DECIMAL(18,4)", name
        if name.endswith("_at") or name in {"at", "since"}:
            assert kind == "TIMESTAMP WITH TIME ZONE", name


def test_every_column_of_every_view_is_described(ledger: Ledger) -> None:
    con = ledger.connect()
    bare = ask(con, "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL")
    assert [row for row in bare if not row[0].endswith("_rows")] == []
    assert ask(con, "SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL ORDER BY 1") == [
        ("calls_rows",), ("events_rows",)]  # fmt: skip


def test_views_of_an_empty_ledger_are_empty(ledger: Ledger) -> None:
    con = ledger.connect()
    for view in CONTRACT:
        assert ask(con, f"SELECT * FROM {view}") == []


# calls


def test_calls_are_the_rated_rows_below_the_version(ledger: Ledger) -> None:
    ledger.calls = [a_call(call_id=name) for name in "ab"] + [a_call(call_id="c", fee=None), a_call(call_id="d")]
    assert ask(ledger.connect(), "SELECT call_id FROM calls ORDER BY seq") == [("a",), ("b",), ("d",)]
    assert ask(ledger.connect(calls_seq=2), "SELECT call_id FROM calls ORDER BY seq") == [("a",), ("b",)]


@pytest.mark.parametrize(
    ("billed_s", "minutes"), [(0, "0"), (1, "0.0167"), (6, "0.1"), (59, "0.9833"), (60, "1"), (600, "10"), (86400, "1440")]
)
def test_billed_minutes_are_exact_decimals(ledger: Ledger, billed_s: int, minutes: str) -> None:
    """R-INV-4, R-CALL-3."""
    ledger.calls = [a_call(billed_s=billed_s)]
    assert ask(ledger.connect(), "SELECT billed_min FROM calls") == [(Decimal(minutes).quantize(Decimal("0.0001")),)]


def closes(ledger: Ledger, *months: tuple[str, int]) -> None:
    for month, calls_seq in months:
        ledger.events.append(an_event("close_month", effect={"month": month}, calls_seq=calls_seq))


@pytest.mark.parametrize(
    ("month", "seq", "billed"),
    [
        ("2026-09", 4, "2026-09"),  # in time for its own close
        ("2026-09", 5, "2026-10"),  # late: the next to close
        ("2026-09", 9, "2026-11"),  # later than that: the month after the last close
        ("2026-10", 3, "2026-10"),  # early for its own month
        ("2026-10", 8, "2026-10"),
        ("2026-10", 9, "2026-11"),
        ("2026-11", 2, "2026-11"),
        ("2026-11", 9, "2026-11"),
        ("2026-12", 9, "2026-12"),
        ("2026-07", 4, "2026-09"),  # before the first close
        ("2026-07", 5, "2026-10"),
    ],
)
def test_a_call_is_billed_to_the_close_that_covers_it(ledger: Ledger, month: str, seq: int, billed: str) -> None:
    """R-CALL-8."""
    closes(ledger, ("2026-09", 5), ("2026-10", 9))
    ledger.calls = [a_call(start=f"{month}-03 09:00") for _ in range(10)]
    found = ask(ledger.connect(), f"SELECT month, billed_month FROM calls WHERE seq = {seq}")
    assert found == [(month, billed)]


def test_without_a_close_a_call_is_billed_to_its_own_month(ledger: Ledger) -> None:
    """R-CALL-8."""
    ledger.calls = [a_call(start="2026-07-31 23:59")]
    assert ask(ledger.connect(), "SELECT billed_month FROM calls") == [("2026-07",)]


def covering(month: str, seq: int, done: list[tuple[str, int]]) -> str:
    """R-CALL-8 in words: its own close if that covers it, else the first later one, else the month to close next."""
    for closed, calls_seq in done:
        if closed >= month and seq < calls_seq:
            return closed
    return max(month, next_month(done[-1][0])) if done else month


def test_many_closes_bill_each_call_to_the_first_that_covers_it(ledger: Ledger) -> None:
    """R-CALL-8 over forty months against the rule taken literally."""
    chance = random.Random(8)
    months = ["2024-01"]
    while len(months) < 40:
        months.append(next_month(months[-1]))
    marks = sorted(chance.randrange(400) for _ in months[:36])
    done = list(zip(months[:36], marks, strict=True))
    closes(ledger, *done)
    ledger.calls = [a_call(start=f"{chance.choice(months)}-15 12:00") for _ in range(400)]
    for month, seq, billed in ask(ledger.connect(), "SELECT month, seq, billed_month FROM calls"):
        assert billed == covering(month, seq, done), (month, seq)


def test_a_month_and_a_number_leave_other_files_and_row_groups_unread(ledger: Ledger) -> None:
    """One number's calls of one month are found without a scan of the rest."""
    numbers = [str(4001000000 + n) for n in range(200)]
    for month in ("2026-08", "2026-09", "2026-10"):
        ledger.calls += [a_call(start=f"{month}-03 09:00", service_number=number) for number in numbers]
    con = ledger.connect()
    for wanted, files in (("month = '2026-09'", 1), ("month > '2026-08'", 2), ("billed_month = '2026-09' AND month = '2026-09'", 1)):
        plan = ask(con, f"EXPLAIN ANALYZE SELECT sum(owner_fee) FROM calls WHERE {wanted}")[0][1]
        assert f"Total Files Read: {files}" in plan
    plan = ask(con, "EXPLAIN ANALYZE SELECT * FROM calls WHERE month = '2026-09' AND service_number = '4999999999'")[0][1]
    assert "Row Groups Scanned: 0 / 1" in plan


# what was not charged


def test_a_retry_hides_the_attempts_before_it(ledger: Ledger) -> None:
    """R-INV-1: views show the latest attempt only, whichever row a retry names."""
    ledger.calls = [
        a_call(fee=None, call_id="a", reason="NO_PLAN"),
        a_call(fee=None, call_id="b", reason="NO_PLAN"),
        a_call(fee=None, call_id="c", reason="UNKNOWN_NUMBER", month=None, start_at=None),
        a_call(fee=None, call_id="a", reason="NO_PLAN", retries=0),
        a_call(call_id="b", retries=1),
        a_call(call_id="a", retries=3),
        a_call(fee=None, call_id="c", reason="NO_PLAN", retries=2),
        a_call(fee=None, call_id="c", reason="BAD_INTERVAL", retries=2),
    ]
    con = ledger.connect()
    assert ask(con, "SELECT seq, call_id, reason FROM rejects") == [(7, "c", "BAD_INTERVAL")]
    assert ask(con, "SELECT call_id FROM calls ORDER BY seq") == [("b",), ("a",)]
    assert ask(ledger.connect(calls_seq=4), "SELECT seq FROM rejects ORDER BY seq") == [(1,), (2,), (3,)]


def test_every_input_is_in_exactly_one_view(ledger: Ledger) -> None:
    """R-INV-1: calls, duplicates and rejects together are the inputs; unreadable ones have no month."""
    ledger.calls = [
        a_call(call_id="a"),
        a_call(call_id="a", fee=None, outcome="duplicate", reason="DUPLICATE", duplicate_of=0, raw=b"{}"),
        a_call(call_id=None, fee=None, reason="UNREADABLE", month=None, start_at=None, raw=b"\xff\x00{"),
        a_call(call_id="b", fee="0"),
    ]
    ledger.events = [
        an_event("tick", command_id="x"),
        an_event("tick", command_id="x", outcome="duplicate", reason="DUPLICATE"),
        an_event("hold_number", command_id="y", outcome="refused", reason="NUMBER_TAKEN", detail="It is taken."),
        an_event("nonsense", command_id="z", outcome="rejected", reason="MISSING_FIELD", raw=b"{"),
    ]
    con = ledger.connect()
    assert ask(con, "SELECT call_id, owner_fee FROM calls ORDER BY seq") == [("a", Decimal("0.15")), ("b", Decimal(0))]
    assert ask(con, "SELECT input, call_id, command_id, duplicate_of FROM duplicates ORDER BY input") == [
        ("call", "a", None, 0), ("command", None, "x", None)]  # fmt: skip
    assert ask(con, "SELECT input, command_id, reason, raw FROM rejects ORDER BY input") == [
        ("call", None, "UNREADABLE", b"\xff\x00{"), ("command", "z", "MISSING_FIELD", b"{")]  # fmt: skip
    assert ask(con, "SELECT count(*) FROM rejects WHERE what_to_do IS NULL") == [(0,)]
    assert ask(con, "SELECT command_id, detail FROM events WHERE outcome = 'refused'") == [("y", "It is taken.")]


# money


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
    found = ask(ledger.connect(), 'SELECT posting_id, kind, credit, amount, customer_id, provider_id, reason FROM postings')
    assert found == [
        ("1-1", "payment", "customer/C1/cash", Decimal("10.0000"), "C1", "P1", "bank 1"),
        ("1-2", "payment", "provider/P2/deposit", Decimal("999999999999.9999"), None, "P2", None),
    ]


def test_a_call_with_a_fee_is_a_movement(ledger: Ledger) -> None:
    ledger.calls = [a_call(call_id="a"), a_call(call_id="b", fee="0"), a_call(call_id="c", fee=None)]
    ledger.events = [
        an_event("receive_payment", postings=[a_posting("payment", "platform/bank", "customer/C1/cash", "10", "2026-09")])
    ]
    assert ask(ledger.connect(), "SELECT billed_month, kind, debit, credit, amount, ref FROM movements ORDER BY kind") == [
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
        postings = [a_posting("minimum_top_up", usage, "platform/revenue/minimum", top_up, month, service_number=NUMBER)] if top_up else []
        postings += [a_posting("settlement", credit, usage, settled, month)] if settled else []
        effect = {"month": month, "customer_id": "C1", "closing": {"cash": "0.00", "credit/K1": left, "usage": "0.00"}}
        at = f"{next_month(month)}-02 01:00"
        ledger.events.append(an_event("close_customer", at, effect, postings, calls_seq=len(ledger.calls)))
        ledger.events.append(an_event("close_month", at, {"month": month}, calls_seq=len(ledger.calls)))

    ledger.events.append(an_event("register_customer", "2026-07-01 09:00", {"customer_id": "C1", "name": "齐鲁花店", "provider_id": "P1"}))
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
    late = a_posting("late_call_adjustment", "platform/revenue/minimum", usage, "1.50", "2026-10", service_number=NUMBER)
    ledger.events.append(an_event("adjust_minimum", "2026-10-05 10:00", {}, [late], calls_seq=len(ledger.calls)))
    stands_at("547")
    fee = a_posting("feature_fee", "provider/P1/deposit", "platform/revenue/features", "100", "2026-10", service_number=NUMBER)
    ledger.events.append(an_event("enable_feature", "2026-10-12 10:00", postings=[fee]))
    stands_at("547")
    close("2026-10", "50", "50", "497.00")
    stands_at("497")
    return after


def test_the_worked_number_stands_where_the_rules_say(ledger: Ledger) -> None:
    """R-MIN-7, F-14, R-PLAN-1: the customer's balance after each line of the example, at that version."""
    for calls_seq, events_seq, balance in the_worked_number(ledger):
        con = ledger.connect(calls_seq=calls_seq, events_seq=events_seq)
        assert ask(con, "SELECT customer_id, name, balance FROM customer_balances") == [("C1", "齐鲁花店", Decimal(balance))]
        assert ask(con, "SELECT sum(balance) FROM balances WHERE account LIKE 'customer/%'") == [(Decimal(balance),)]
        assert ask(con, "SELECT sum(balance) FROM balances") == [(Decimal(0),)]


def test_statement_lines_are_what_changed_the_balance(ledger: Ledger) -> None:
    """R-ARR-4, R-CALL-8, F-14: the late call and its adjustment stand on the next statement; settlement on none."""
    the_worked_number(ledger)
    con = ledger.connect()
    lines = ask(con, "SELECT month, kind, quantity, amount FROM statement_lines WHERE customer_id = 'C1' ORDER BY month, kind")
    assert [(month, kind, str(quantity.normalize()), str(amount)) for month, kind, quantity, amount in lines] == [
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
    assert ask(con, f"FROM ({owed}) ORDER BY 1") == [("customer/C1", Decimal(497)), ("provider/P1", Decimal(-100))]
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
            name, of = chance.choice(customers[: place + 2]), chance.choice(months[max(0, place - 2) : place + 2])
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
                postings.append(a_posting("settlement", f"customer/{name}/cash", f"customer/{name}/usage", str(-open_now), month))
                leaves[name]["cash"] += open_now
            closing = {leaf: str(amount) for leaf, amount in leaves[name].items()} | {"usage": str(max(open_now, Decimal(0)))}
            if open_now > 0:
                usage[name][next_month(month)] += open_now
            effect = {"month": month, "customer_id": name, "closing": closing}
            ledger.events.append(an_event("close_customer", "2026-12-01 01:00", effect, postings, calls_seq=len(ledger.calls)))
        ledger.events.append(an_event("close_month", "2026-12-01 01:00", {"month": month}, calls_seq=len(ledger.calls)))
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
    the_worked_number(ledger)
    plan = ask(ledger.connect(), "EXPLAIN ANALYZE SELECT * FROM customer_balances")[0][1]
    assert "month=2026-08" not in plan.replace("\n", "")


# who stands where


def test_a_debtor_shows_since_when_and_what_was_done(ledger: Ledger) -> None:
    """R-ARR-1, R-ARR-2: whole days since the crossing of this episode; who is clear is no debtor."""
    owes = [a_posting("settlement", f"customer/C{n}/cash", "platform/revenue/calls", "5") for n in (1, 2, 3)]
    owes.append(a_posting("feature_fee", "provider/P1/deposit", "platform/revenue/features", "100"))
    ledger.events = [
        an_event("close_customer_of_old", postings=owes),
        an_alert("low_balance", "2026-08-01 00:00", balance="4.00"),
        an_alert("arrears", "2026-08-02 10:00", since="2026-08-02T10:00:00+08:00"),
        an_alert("cleared", "2026-08-03 10:00", since="2026-08-02T10:00:00+08:00"),
        an_alert("arrears", "2026-09-02 10:00", balance="-3.5", since="2026-09-02T10:00:00+08:00"),
        an_alert("suspended", "2026-09-02 10:00", since="2026-09-02T10:00:00+08:00"),
        an_alert("frozen", "2026-10-02 10:00", since="2026-09-02T10:00:00+08:00"),
        an_alert("renewal_due", "2026-10-03 10:00", episode=None, service_number=NUMBER),
        an_alert("arrears", "2026-09-02 10:00", "customer/C2", since="2026-09-02T10:00:00+08:00"),
        an_alert("cleared", "2026-09-04 10:00", "customer/C2"),
        an_event("receive_payment", postings=[a_posting("payment", "platform/bank", "customer/C2/cash", "9")]),
        an_alert("arrears", "2026-10-12 10:00", "provider/P1", since="2026-10-12T10:00:00+08:00"),
    ]
    con = ledger.connect(now="2026-10-12 09:59")
    since = instant("2026-09-02 10:00")
    assert ask(con, "SELECT * FROM arrears WHERE account LIKE 'customer/%' ORDER BY account") == [
        ("customer/C1", Decimal(-5), since, 39, "frozen", instant("2026-10-02 10:00")),
        ("customer/C3", Decimal(-5), None, None, "arrears", None),
    ]
    con = ledger.connect(now="2026-10-13 10:00")
    assert ask(con, "SELECT account, balance, days, stage FROM arrears WHERE account = 'provider/P1'") == [
        ("provider/P1", Decimal(-100), 1, "arrears")]  # fmt: skip
    assert ask(con, "SELECT customer_id, in_arrears_since FROM customer_balances ORDER BY 1") == [
        ("C1", since), ("C2", None), ("C3", None)]  # fmt: skip
    assert ask(con, "SELECT alert_id, kind, balance, seq, episode FROM alerts WHERE seq IN (4, 7)") == [
        ("customer/C1/arrears/1", "arrears", Decimal("-3.5"), 4, 1),
        ("customer/C1/renewal_due/1", "renewal_due", Decimal(-1), 7, None),
    ]


def a_life() -> list[dict[str, Any]]:
    holder = {"customer_id": "C1", "provider_id": "P1", "plan_id": "Y600"}
    return [
        an_event("add_number", changes=[
            a_change("class", "2026-08-01 00:00", value="ordinary"), a_change("state", "2026-08-01 00:00", value="free")]),
        an_event("hold_number", changes=[
            a_change("state", "2026-08-02 00:00", value="held", until_at=instant("2026-08-05 00:00")),
            a_change("holder", "2026-08-02 00:00", provider_id="P1")]),
        an_event("sign_contract", changes=[
            a_change("state", "2026-08-06 00:00", value="locked"),
            a_change("holder", "2026-08-06 00:00", **holder),
            a_change("rate", "2026-08-06 00:00", rate=Decimal("0.15"), increment_s=60),
            a_change("minimum", "2026-08-06 00:00", minimum=Decimal(50))]),
        an_event("activate_number", changes=[a_change("state", "2026-08-07 00:00", value="active")]),
        an_event("change_rate", changes=[
            a_change("rate", "2026-10-01 00:00", rate=Decimal("0.12"), increment_s=6),
            a_change("rate", "2026-10-01 00:00", rate=Decimal("0.13"), increment_s=6)]),
        an_event("set_minimum", changes=[a_change("minimum", "2026-09-01 00:00", minimum=Decimal(80))]),
        an_event("set_minimum", changes=[a_change("minimum", "2026-08-20 00:00", minimum=Decimal(60))]),
        an_event("reclaim_number", changes=[a_change("state", "2026-11-01 00:00", value="reclaimed")]),
        an_event("sign_contract", outcome="refused", changes=[a_change("state", "2026-11-02 00:00", value="locked")]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-07-31 00:00", ("free", None, None, None, None, None)),
        ("2026-08-04 23:59", ("held", None, "P1", None, None, None)),
        ("2026-08-05 00:00", ("free", None, None, None, None, None)),
        ("2026-08-06 00:00", ("locked", "C1", "P1", "Y600", "0.1500", "50.0000")),
        ("2026-08-31 23:59", ("active", "C1", "P1", "Y600", "0.1500", "60.0000")),
        ("2026-09-01 00:00", ("active", "C1", "P1", "Y600", "0.1500", "80.0000")),
        ("2026-10-01 00:00", ("active", "C1", "P1", "Y600", "0.1300", "80.0000")),
        ("2026-11-01 00:00", ("reclaimed", None, None, None, None, None)),
    ],
)
def test_a_number_stands_as_its_changes_say(ledger: Ledger, now: str, expected: tuple[str | None, ...]) -> None:
    """The entry with the greatest (from_at, seq) that has begun holds; a state that has ended is free (R-HOLD-1)."""
    ledger.events = a_life()
    found = ask(ledger.connect(now=now), "SELECT number_class, state, customer_id, provider_id, plan_id, rate, minimum FROM numbers")
    assert [tuple(None if value is None else str(value) for value in row) for row in found] == [("ordinary", *expected)]


def test_months_begin_in_shanghai(ledger: Ledger) -> None:
    """R-CALL-8: instants print in Shanghai's time, and a month begins there."""
    begin = start_of_month("2026-09")
    ledger.calls = [a_call(start="2026-09-01 00:00")]
    assert ask(ledger.connect(), "SELECT CAST(start_at AS VARCHAR), month, start_at FROM calls") == [
        ("2026-09-01 00:00:00+08", "2026-09", begin)]  # fmt: skip
