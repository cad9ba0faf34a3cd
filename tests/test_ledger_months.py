"""Closing months: once, in order, settled, and the same whoever closes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger import scan
from ledger.home import Home
from ledger.months import Closed, close
from rating import price_book
from rating.accounts import Refused
from rating.money import parse_yuan
from rating.reasons import Reason
from tests.facts import SECOND, a_payment, a_record, charged, rows, send
from tests.scenario import NUMBER, World, instant
from tests.scenario_then import folded

GIVEN = [
    "provider P1",
    "customer C1 under P1",
    "customer C2 under P1",
    f"number {NUMBER} of C1 under P1, plan Y600, rate 0.15, signed 2026-07-02 10:00, active 2026-07-03 09:00",
    f"number {SECOND} of C2 under P1, plan PAYG, signed 2026-07-02 10:00, active 2026-08-03 09:00",
]
SEPTEMBER = instant("2026-09-01 00:00")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One number past its opening month with ten calls in August, one in it."""
    world = World(tmp_path, price_book.default_text())
    world.begin(GIVEN)
    charged(world.home, *(a_record(f"k{n}") for n in range(10)))
    return world


def events(home: Home, kind: str) -> list[dict[str, Any]]:
    return [row for row in rows(home.events) if row["kind"] == kind]


def test_a_month_that_has_not_ended_is_refused_and_nothing_happens(world: World) -> None:
    """R-MIN-1."""
    size = world.home.events.next_seq
    with pytest.raises(Refused, match="2026-08 ends on 2026-09-01T00:00:00") as refused:
        close(world.home, "2026-08", instant("2026-08-31 23:59:59"))
    assert refused.value.reason is Reason.MONTH_OPEN
    assert world.home.events.next_seq == size


def test_a_close_closes_every_earlier_month_first_and_is_done_once(world: World) -> None:
    """R-MIN-1 R-MIN-6: June and July had nothing to charge."""
    done = close(world.home, "2026-08", SEPTEMBER)
    assert [(one.month, one.postings) for one in done] == [("2026-06", 0), ("2026-07", 0), ("2026-08", 2)]
    assert done[-1] == Closed("2026-08", customers=2, postings=2, alerts=0)
    size = world.home.events.next_seq
    assert close(world.home, "2026-08", SEPTEMBER) == []
    assert close(world.home, "2026-07", SEPTEMBER) == []
    assert world.home.events.next_seq == size


def test_where_nothing_happened_there_is_nothing_to_close(tmp_path: Path) -> None:
    world = World(tmp_path, price_book.default_text())
    assert close(world.home, "2026-08", SEPTEMBER) == []
    assert world.home.events.next_seq == 1


def test_a_close_says_how_each_minimum_came_about(world: World) -> None:
    """R-MIN-1 R-MIN-3 R-MIN-6."""
    close(world.home, "2026-08", SEPTEMBER)
    closed = {row["command_id"]: json.loads(row["effect"]) for row in events(world.home, "close_customer")}
    working, opening = (closed[f"close/2026-08/{customer}"]["minimums"][0] for customer in ("C1", "C2"))
    expected = {
        "service_number": NUMBER,
        "calls": "1.50",
        "minimum": "50.00",
        "top_up": "48.50",
        "days_held": 31,
        "days": 31,
    }
    assert {name: working[name] for name in expected} == expected
    assert working["how"] == "100.00 × 0.15 ÷ 0.30 = 50.00 (R-MIN-3)"
    assert (opening["minimum"], opening["top_up"], opening["opening"]) == ("0.00", "0.00", True)
    assert opening["how"].endswith("month of activation: no minimum (R-MIN-6)")


def test_closing_balances_are_where_the_next_month_begins(world: World) -> None:
    """R-INV-2 R-PLAN-3: usage is settled, so a balance need not look into closed months."""
    close(world.home, "2026-08", SEPTEMBER)
    state = world.home.state
    last = [json.loads(row["effect"]) for row in events(world.home, "close_customer")][-2:]
    for effect in last:
        account = f"customer/{effect['customer_id']}"
        closing = {leaf: parse_yuan(amount) for leaf, amount in effect["closing"].items()}
        assert closing.pop("usage") == 0
        assert closing == {leaf: state.leaves.get(f"{account}/{leaf}", 0) for leaf in closing}
        assert sum(closing.values()) == state.balance(account)


def test_a_call_that_slips_in_belongs_to_the_next_close(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-CALL-8 F-14 F-16: committed after the close has looked, it is late, and the top-up is put right."""
    other, look = Home.open(world.home.folder), scan.month_usage

    def slips_in(*args: Any) -> Any:
        found = look(*args)
        if args[2] == "2026-08":
            monkeypatch.setattr(scan, "month_usage", look)
            charged(other, a_record("slipped", "2026-08-20 10:00"), at="2026-08-31 23:59")
        return found

    monkeypatch.setattr(scan, "month_usage", slips_in)
    close(world.home, "2026-08", SEPTEMBER)
    world.home.see()
    adjusted = events(world.home, "adjust_minimum")
    assert [str(amount) for row in adjusted for amount in row["p_amount"]] == ["0.1500"]
    assert world.home.state.balance("customer/C1") == 6_000_000 - 500_000
    assert folded(Home.open(world.home.folder).state) == folded(world.home.state)


def test_a_close_that_lost_the_race_is_decided_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-16: a payment committed meanwhile is seen; the month is closed once."""
    other, look = Home.open(world.home.folder), scan.month_usage

    def slips_in(*args: Any) -> Any:
        monkeypatch.setattr(scan, "month_usage", look)
        send(other, a_payment("p1", "100.00", "2026-08-31 10:00"))
        return look(*args)

    monkeypatch.setattr(scan, "month_usage", slips_in)
    close(world.home, "2026-08", SEPTEMBER)
    assert [row["command_id"] for row in events(world.home, "close_month")] == [
        "close/2026-06",
        "close/2026-07",
        "close/2026-08",
    ]
    assert world.home.state.balance("customer/C1") == 6_000_000 + 1_000_000 - 500_000
    assert folded(Home.open(world.home.folder).state) == folded(world.home.state)


def test_of_two_who_close_one_does_it(world: World) -> None:
    """R-MIN-1 F-16."""
    other = Home.open(world.home.folder)
    assert len(close(world.home, "2026-08", SEPTEMBER)) == 3
    assert close(other, "2026-08", SEPTEMBER) == []
    assert folded(other.state) == folded(world.home.state)


def test_a_close_that_fails_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-16 F-18: a month is closed or it is not."""
    close(world.home, "2026-07", SEPTEMBER)
    before = folded(world.home.state)

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(world.home.events, "append", full)
        with pytest.raises(OSError, match="no space"):
            close(world.home, "2026-08", SEPTEMBER)
    assert folded(world.home.state) == before
    assert [one.month for one in close(world.home, "2026-08", SEPTEMBER)] == ["2026-08"]
