"""The statement's model: it must add up, VAT is contained in prices, charges and payments are told apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.statement import Account, Day, Line, Statement, Vat, findings
from tests.statements_made import a_customer, a_number, a_provider


def test_a_statement_that_adds_up_has_no_findings() -> None:
    """R-ARR-4"""
    assert findings(a_customer([a_number(late=2), a_number("4008123456", 0, 2)])) == []
    assert findings(a_customer()) == []
    assert findings(a_provider()) == []


def with_account(statement: Statement, **changes: object) -> Statement:
    return replace(statement, account=replace(statement.account, **changes))


def test_a_balance_that_does_not_follow_from_the_lines_is_found() -> None:
    """R-INV-2: opening + lines = closing, in every pot."""
    wrong = with_account(a_customer([a_number()]), closing=(1, 2, 3))
    assert [found.split(":")[0] for found in findings(wrong)] == ["credit", "cash", "usage"]


def test_a_settlement_that_loses_money_is_found() -> None:
    """R-PLAN-3: settlement moves money inside the customer only."""
    statement = a_customer([a_number()])
    lines = (*statement.account.lines, Line("settlement", 1, (-5, 0, 0)))
    closing = tuple(hao - (5 if at == 0 else 0) for at, hao in enumerate(statement.account.closing))
    assert findings(with_account(statement, lines=lines, closing=closing)) == [
        "settlement does not stay inside the account"
    ]


def test_charges_that_differ_from_the_calls_behind_them_are_found() -> None:
    """R-CALL-7: the details, the days and the account say the same."""
    number = a_number()
    statement = a_customer([number])
    assert number.call_details is not None
    short = replace(number, call_details=number.call_details.slice(0, 5))
    found = findings(replace(statement, part=replace(statement.part, numbers=(short,))))
    assert any("has 5 details of 20 calls" in one for one in found)
    assert any(one.startswith("4001170392: details come to") for one in found)

    other_days = replace(number, days=(Day(date(2026, 12, 1), 1, 1, 60, number.call_hao),))
    found = findings(replace(statement, part=replace(statement.part, numbers=(other_days,))))
    assert found == ["4001170392 has days outside of 2026-11"]


def test_a_top_up_that_is_not_on_the_account_is_found() -> None:
    """R-MIN-1"""
    number = a_number()
    statement = a_customer([number])
    richer = replace(number, top_up_hao=number.top_up_hao + 100)
    (found,) = findings(replace(statement, part=replace(statement.part, numbers=(richer,))))
    assert found.startswith("the numbers' minimum_top_up come to")


def test_late_calls_are_charged_and_take_back_what_is_left_of_the_top_up() -> None:
    """R-MIN-7: both sums come from the rows themselves."""
    number = a_number(late=3)
    assert number.late_calls is not None
    fees = pc.sum(number.late_calls["owner_fee"]).as_py()
    back = pc.sum(number.late_calls["adjustment"]).as_py()
    assert (number.late_hao, number.adjustment_hao) == (fees * 10_000, back * 10_000)
    assert number.total_hao == number.call_hao + number.top_up_hao + number.late_hao + number.adjustment_hao


@pytest.mark.parametrize(
    ("gross", "points", "vat", "net"),
    [
        (1_000_000, 900, 82_600, 917_400),  # 100.00 -> 8.2568… -> 8.26
        (-15_000, 900, -1_200, -13_800),  # half-up away from zero, as the charge was
        (1_234, 900, 100, 1_134),  # parts of a fen stay in the net
        (1_060_000, 600, 60_000, 1_000_000),
        (1_000_000, 0, 0, 1_000_000),
    ],
)
def test_vat_is_contained_in_the_price_and_rounded_to_the_fen(
    gross: int, points: int, vat: int, net: int
) -> None:
    """R-INV-4"""
    split = Vat("call", points, gross)
    assert (split.vat_hao, split.net_hao) == (vat, net)


@given(
    st.lists(
        st.tuples(st.sampled_from(["payment", "call", "fine", "reversal", "credit_expiry"]), st.integers())
    )
)
def test_opening_plus_paid_less_charged_is_closing(lines: list[tuple[str, int]]) -> None:
    """R-INV-2: whatever the kinds, the four figures on page one add up."""
    rows = tuple(Line(kind, 1, (hao, -7)) for kind, hao in lines)
    closing = (11 + sum(hao for _, hao in lines), -7 * len(lines))
    account = Account(("deposit", "fines"), (11, 0), rows, closing)
    assert sum(account.opening) + account.paid_hao - account.charged_hao == sum(account.closing)
