"""The views: what each row says, by example and against a second way of counting."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rating.calendar import next_month, start_of_month
from tests.ledger_rows import (
    NUMBER,
    Ledger,
    a_call,
    a_change,
    a_posting,
    an_alert,
    an_event,
    ask,
    calls_files_read,
    instant,
)

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


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    return Ledger(tmp_path_factory.mktemp("empty")).connect()


# names and types


@pytest.mark.parametrize("view", CONTRACT)
def test_a_view_has_the_columns_that_finance_relies_on(empty: duckdb.DuckDBPyConnection, view: str) -> None:
    """The contract's names; money is DECIMAL(18,4), instants are TIMESTAMPTZ (R-INV-4)."""
    columns = dict(
        ask(empty, f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{view}'")
    )
    assert set(CONTRACT[view].split()) <= set(columns)
    for name, kind in columns.items():
        is_account = name == "credit" and view in {"postings", "movements"}
        if name in MONEY and not is_account:
            assert kind == "DECIMAL(18,4)", name
        if name.endswith("_at") or name in {"at", "since"}:
            assert kind == "TIMESTAMP WITH TIME ZONE", name


def test_every_column_of_every_view_is_described(empty: duckdb.DuckDBPyConnection) -> None:
    bare = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
    assert [row for row in ask(empty, bare) if not row[0].endswith("_rows")] == []
    bare = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL ORDER BY 1"
    assert ask(empty, bare) == [("billed_rows",), ("calls_rows",), ("events_rows",)]


def test_views_of_an_empty_ledger_are_empty(empty: duckdb.DuckDBPyConnection) -> None:
    for view in CONTRACT:
        assert ask(empty, f"SELECT * FROM {view}") == []


# calls


def test_calls_are_the_rated_rows_below_the_version(ledger: Ledger) -> None:
    ledger.calls = [a_call(call_id=name) for name in "ab"] + [
        a_call(call_id="c", fee=None),
        a_call(call_id="d"),
    ]
    assert ask(ledger.connect(), "SELECT call_id FROM calls ORDER BY seq") == [("a",), ("b",), ("d",)]
    assert ask(ledger.connect(calls_seq=2), "SELECT call_id FROM calls ORDER BY seq") == [("a",), ("b",)]


def test_billed_minutes_are_exact_decimals(ledger: Ledger) -> None:
    """R-INV-4, R-CALL-3."""
    seconds = (0, 1, 6, 59, 60, 600, 86400)
    ledger.calls = [a_call(billed_s=billed_s) for billed_s in seconds]
    found = ask(ledger.connect(), "SELECT CAST(billed_min AS VARCHAR) FROM calls ORDER BY seq")
    assert " ".join(row[0] for row in found) == "0.0000 0.0167 0.1000 0.9833 1.0000 10.0000 1440.0000"


def closes(ledger: Ledger, *months: tuple[str, int]) -> None:
    for month, calls_seq in months:
        ledger.events.append(an_event("close_month", effect={"month": month}, calls_seq=calls_seq))


def test_a_call_is_billed_to_the_close_that_covers_it(ledger: Ledger) -> None:
    """R-CALL-8."""
    closes(ledger, ("2026-09", 5), ("2026-10", 9))
    months = ["2026-07", "2026-08", "2026-09", "2026-09", "2026-10", "2026-07", "2026-09", "2026-11", "2026-10",
              "2026-09", "2026-10", "2026-11", "2026-12"]  # fmt: skip
    ledger.calls = [a_call(start=f"{month}-03 09:00") for month in months]
    assert ask(ledger.connect(), "SELECT seq, month, billed_month FROM calls ORDER BY seq") == [
        (0, "2026-07", "2026-09"),  # before the first close
        (1, "2026-08", "2026-09"),
        (2, "2026-09", "2026-09"),  # in time for its own close
        (3, "2026-09", "2026-09"),
        (4, "2026-10", "2026-10"),  # early for its own month
        (5, "2026-07", "2026-10"),  # late: the next to close
        (6, "2026-09", "2026-10"),
        (7, "2026-11", "2026-11"),
        (8, "2026-10", "2026-10"),
        (9, "2026-09", "2026-11"),  # later than that: the month after the last close
        (10, "2026-10", "2026-11"),
        (11, "2026-11", "2026-11"),
        (12, "2026-12", "2026-12"),
    ]


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
    for _ in range(8):  # of eight commits: files in time, files that are late, and mixed ones
        ledger.calls += [a_call(start=f"{chance.choice(months)}-15 12:00") for _ in range(50)]
        ledger.write()
    asked = "SELECT month, seq, billed_month FROM calls ORDER BY seq"
    for month, seq, billed in ask(ledger.connect(), asked):
        assert billed == covering(month, seq, done), (month, seq)
    assert ask(ledger.connect(), asked) == ask(ledger.connect(spans=None), asked)


def test_a_billed_month_leaves_unread_what_was_in_time_for_others(ledger: Ledger) -> None:
    """R-CALL-8: files of other months are read only where they hold late calls."""
    closes(ledger, ("2026-08", 2), ("2026-09", 4))
    for month, calls in (("2026-08", 2), ("2026-09", 2), ("2026-08", 1), ("2026-10", 2)):
        ledger.calls += [a_call(start=f"{month}-03 09:00")] * calls
        ledger.write()
    for billed, seqs, files in (("2026-08", [0, 1], 2), ("2026-09", [2, 3], 2), ("2026-10", [4, 5, 6], 2)):
        asked = f"SELECT seq FROM calls WHERE billed_month = '{billed}'"
        assert [row[0] for row in ask(ledger.connect(), f"{asked} ORDER BY seq")] == seqs
        assert len(calls_files_read(ledger.connect(), asked)) == files


def test_a_month_and_a_number_leave_other_files_and_row_groups_unread(ledger: Ledger) -> None:
    """One number's calls of one month are found without a scan of the rest."""
    numbers = [str(4001000000 + n) for n in range(200)]
    for month in ("2026-08", "2026-09", "2026-10"):
        ledger.calls += [a_call(start=f"{month}-03 09:00", service_number=number) for number in numbers]
    con = ledger.connect()
    for wanted, files in (
        ("month = '2026-09'", 1),
        ("month > '2026-08'", 2),
        ("billed_month = '2026-09' AND month = '2026-09'", 1),
    ):
        plan = ask(con, f"EXPLAIN ANALYZE SELECT sum(owner_fee) FROM calls WHERE {wanted}")[0][1]
        assert f"Total Files Read: {files}" in plan
    plan = ask(
        con, "EXPLAIN ANALYZE SELECT * FROM calls WHERE month = '2026-09' AND service_number = '4999999999'"
    )[0][1]
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
        an_event(
            "hold_number", command_id="y", outcome="refused", reason="NUMBER_TAKEN", detail="It is taken."
        ),
        an_event("nonsense", command_id="z", outcome="rejected", reason="MISSING_FIELD", raw=b"{"),
    ]
    con = ledger.connect()
    assert ask(con, "SELECT call_id, owner_fee FROM calls ORDER BY seq") == [
        ("a", Decimal("0.15")),
        ("b", Decimal(0)),
    ]
    assert ask(con, "SELECT input, call_id, command_id, duplicate_of FROM duplicates ORDER BY input") == [
        ("call", "a", None, 0), ("command", None, "x", None)]  # fmt: skip
    assert ask(con, "SELECT input, command_id, reason, raw FROM rejects ORDER BY input") == [
        ("call", None, "UNREADABLE", b"\xff\x00{"), ("command", "z", "MISSING_FIELD", b"{")]  # fmt: skip
    assert ask(con, "SELECT count(*) FROM rejects WHERE what_to_do IS NULL") == [(0,)]
    assert ask(con, "SELECT command_id, detail FROM events WHERE outcome = 'refused'") == [
        ("y", "It is taken.")
    ]


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
        an_event(
            "receive_payment", postings=[a_posting("payment", "platform/bank", "customer/C2/cash", "9")]
        ),
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


def test_a_provider_owes_its_deposit_and_fines_together_once(ledger: Ledger) -> None:
    """R-ARR-1 R-PEN-4: a debtor is one row, and whose deposit is more than its fines is none, as the alerts say."""
    ledger.events = [
        an_event("issue_fine", postings=[a_posting("fine", "provider/P1/fines", "platform/revenue/fines", "1000")]),
        an_event("enable_feature", postings=[a_posting("feature_fee", "provider/P1/deposit", "platform/revenue/features", "30")]),
        an_event("issue_fine", postings=[a_posting("fine", "provider/P2/fines", "platform/revenue/fines", "1000")]),
        an_event("receive_payment", postings=[a_posting("payment", "platform/bank", "provider/P2/deposit", "2000")]),
    ]  # fmt: skip
    assert ask(ledger.connect(), "SELECT account, balance FROM arrears") == [("provider/P1", Decimal(-1030))]


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
def test_a_number_stands_as_its_changes_say(
    ledger: Ledger, now: str, expected: tuple[str | None, ...]
) -> None:
    """The entry with the greatest (from_at, seq) that has begun holds; a state that has ended is free (R-HOLD-1)."""
    ledger.events = a_life()
    found = ask(
        ledger.connect(now=now),
        "SELECT number_class, state, customer_id, provider_id, plan_id, rate, minimum FROM numbers",
    )
    assert [tuple(None if value is None else str(value) for value in row) for row in found] == [
        ("ordinary", *expected)
    ]


def test_months_begin_in_shanghai(ledger: Ledger) -> None:
    """R-CALL-8: instants print in Shanghai's time, and a month begins there."""
    begin = start_of_month("2026-09")
    ledger.calls = [a_call(start="2026-09-01 00:00")]
    assert ask(ledger.connect(), "SELECT CAST(start_at AS VARCHAR), month, start_at FROM calls") == [
        ("2026-09-01 00:00:00+08", "2026-09", begin)]  # fmt: skip
