"""`fentan retry`: rejects are taken in once their cause is mended, each by a row that names the one it retries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger import retry as retrying
from ledger.home import Home
from ledger.retry import UNCHANGED, retry
from ledger.verify import verify
from rating import price_book
from rating.accounts import Refused
from rating.reasons import Reason
from tests.billed import NUMBER, play
from tests.scenario import World, instant

OTHER = "4006667770"
LATER = instant("2026-08-20 09:00")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A ledger with one number that is active and one that nobody has added yet."""
    world = World(tmp_path, price_book.default_text())
    world.begin([
        "provider P1",
        "customer C1 under P1",
        f"number {NUMBER} of C1 under P1, plan Y600, rate 0.15, signed 2026-07-20 10:00, active 2026-08-03 09:00",
    ])  # fmt: skip
    return world


def add_other(world: World, active: str = "2026-08-02 09:00") -> None:
    """What mends the cause of rejects of OTHER."""
    play(world, "2026-08-01 08:00", "add_number", f"number {OTHER}")
    play(world, "2026-08-01 08:30", "hold_number", f"number {OTHER}")
    play(world, "2026-08-01 09:00", "sign_contract", f"number {OTHER}, plan PAYG, starts 2026-08-01")
    play(world, "2026-08-01 09:01", "submit_documents", f"number {OTHER}")
    play(world, "2026-08-01 09:02", "approve_real_name", f"number {OTHER}")
    play(world, active, "activate_number", f"number {OTHER}")


def rows(home: Home, since: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = home.calls.read_since(since).to_pylist()
    return found


def test_an_unknown_number_is_charged_once_it_is_known(world: World) -> None:
    """F-05 R-INV-1: the new row names the reject, keeps source and place, and has no raw bytes any more."""
    play(world, "2026-08-10 10:00", "call", f"1 min 1 s, id k1, number {OTHER}")
    add_other(world)
    counts = retry(world.home, None, LATER)
    assert counts == {"rated": 1, UNCHANGED: 0}
    reject, rated = rows(world.home)
    assert (reject["outcome"], reject["reason"], reject["retries"]) == ("rejected", "UNKNOWN_NUMBER", None)
    assert (rated["outcome"], rated["retries"], rated["raw"], rated["received_at"]) == (
        "rated",
        0,
        None,
        LATER,
    )
    assert str(rated["owner_fee"]) == "0.6000"
    assert [rated[name] for name in ("source", "source_pos")] == [
        reject[name] for name in ("source", "source_pos")
    ]
    assert world.home.state.balance("customer/C1") == 600_0000 - 6000


def test_a_call_before_activation_stays_rejected_until_one_covers_it(world: World) -> None:
    """F-06: never today's plan; the reason changes once and what does not change adds no row."""
    play(world, "2026-08-04 10:00", "call", f"1 min, id k1, number {OTHER}")
    play(world, "2026-08-10 10:00", "call", f"1 min, id k2, number {OTHER}")
    add_other(world, active="2026-08-05 09:00")
    assert retry(world.home, None, LATER) == {"rated": 1, "rejected": 1, "NO_PLAN": 1, UNCHANGED: 0}
    before = world.home.calls.next_seq
    assert retry(world.home, None, LATER) == {UNCHANGED: 1}
    assert world.home.calls.next_seq == before
    assert [(row["outcome"], row["retries"]) for row in rows(world.home, 2)] == [
        ("rejected", 0),
        ("rated", 1),
    ]


def test_only_the_latest_attempt_is_tried_again(world: World) -> None:
    """R-INV-1: a chain of attempts, each named once."""
    play(world, "2026-07-25 10:00", "call", f"1 min, id k1, number {OTHER}")
    play(world, "2026-08-01 08:00", "add_number", f"number {OTHER}, at 2026-07-19 08:00")
    assert retry(world.home, None, LATER)["NO_PLAN"] == 1
    play(world, "2026-08-21 08:30", "hold_number", f"number {OTHER}, at 2026-07-20 08:30")
    for at, kind in enumerate(("sign_contract", "submit_documents", "approve_real_name", "activate_number")):
        given = ", plan PAYG, starts 2026-07-20" if kind == "sign_contract" else ""
        play(world, "2026-08-21 09:00", kind, f"number {OTHER}{given}, at 2026-07-20 09:0{at}")
    assert retry(world.home, None, LATER) == {"rated": 1, UNCHANGED: 0}
    assert [(row["outcome"], row["retries"]) for row in rows(world.home)] == [
        ("rejected", None), ("rejected", 0), ("rated", 1)
    ]  # fmt: skip


def test_rejects_with_the_same_id_are_charged_once(world: World) -> None:
    """R-INV-6: the second is a duplicate of the first, although both were rejected before."""
    play(world, "2026-08-10 10:00", "call", f"1 min, id k1, number {OTHER}")
    play(world, "2026-08-10 11:00", "call", "1 min, id k0")
    play(world, "2026-08-10 12:00", "call", f"1 min, id k1, number {OTHER}, started 2026-08-10 10:00")
    add_other(world)
    assert retry(world.home, None, LATER) == {"rated": 1, "duplicate": 1, "DUPLICATE": 1, UNCHANGED: 0}
    rated, duplicate = rows(world.home, 3)
    assert (rated["seq"], rated["retries"]) == (3, 0)
    assert (duplicate["duplicate_of"], duplicate["retries"], duplicate["raw"]) == (3, 2, b"{}")


def test_only_the_reason_that_is_asked_for_is_tried(world: World) -> None:
    """R-INV-1: --reason."""
    play(world, "2026-08-01 10:00", "call", "1 min, id k1")
    play(world, "2026-08-10 10:00", "call", f"1 min, id k2, number {OTHER}")
    add_other(world)
    assert retry(world.home, Reason.NO_PLAN, LATER) == {UNCHANGED: 1}
    assert retry(world.home, Reason.UNKNOWN_NUMBER, LATER) == {"rated": 1, UNCHANGED: 0}


def test_a_call_from_the_future_is_taken_in_when_its_time_has_come(world: World) -> None:
    """F-01: arrival is the time of the retry."""
    play(world, "2026-08-10 10:00", "call", "1 min, id k1, started 2026-08-15 10:00")
    assert rows(world.home)[0]["reason"] == "CLOCK_SKEW"
    assert retry(world.home, None, instant("2026-08-12 09:00")) == {UNCHANGED: 1}
    assert retry(world.home, None, LATER) == {"rated": 1, UNCHANGED: 0}


@pytest.mark.parametrize("reason", [Reason.BAD_INTERVAL, Reason.DUPLICATE, Reason.UNREADABLE])
def test_a_reason_that_no_retry_helps_is_refused(world: World, reason: Reason) -> None:
    """R-INV-1: with what helps instead."""
    with pytest.raises(Refused, match=f"A retry cannot help with {reason}: .* What helps: ") as refused:
        retry(world.home, reason, LATER)
    assert refused.value.reason is reason


def test_batches_change_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-INV-5: many rejects are tried in pieces; a duplicate may lie in a later piece than what it repeats."""
    for at in range(5):
        play(
            world,
            f"2026-08-10 1{at}:00",
            "call",
            f"1 min, id k{at % 3}, number {OTHER}, started 2026-08-10 10:00",
        )
    add_other(world)
    monkeypatch.setattr(retrying, "BATCH_ROWS", 2)
    assert retry(world.home, None, LATER) == {"rated": 3, "duplicate": 2, "DUPLICATE": 2, UNCHANGED: 0}
    assert [(row["retries"], row["duplicate_of"]) for row in rows(world.home, 5)] == [
        (0, None), (1, None), (2, None), (3, 5), (4, 6)
    ]  # fmt: skip


def test_of_two_retries_at_once_one_finds_the_others_rows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-INV-1 F-16: the look at the rejects and the commit are one compare-and-set, so no reject is retried twice."""
    play(world, "2026-08-10 10:00", "call", f"1 min, id k1, number {OTHER}")
    add_other(world)
    other = Home.open(world.home.folder)
    once: list[int] = []
    rated: Callable[..., Any] = retrying._rated

    def overtaken(home: Home, *args: Any) -> Any:
        if not once:
            once.append(1)
            assert retry(other, None, LATER)["rated"] == 1
        return rated(home, *args)

    monkeypatch.setattr(retrying, "_rated", overtaken)
    assert retry(world.home, None, LATER) == {}
    assert [row["outcome"] for row in rows(world.home)] == ["rejected", "rated"]


def test_a_retry_for_a_closed_month_takes_back_its_top_up(world: World) -> None:
    """R-MIN-7 F-05: what follows from the calls is decided before the retry returns."""
    play(world, "2026-09-10 10:00", "call", f"1 min, id k1, number {OTHER}")
    play(world, "2026-10-01 00:10", "close 2026-09")
    add_other(world)
    before = world.home.state.balance("customer/C1")
    assert retry(world.home, None, instant("2026-10-06 09:00")) == {"rated": 1, UNCHANGED: 0}
    assert world.home.state.balance("customer/C1") == before
    adjusted = world.home.events.read_since(world.home.events.next_seq - 1).to_pylist()[0]
    assert (adjusted["command_id"], [str(amount) for amount in adjusted["p_amount"]]) == (
        "adjust/k1",
        ["0.3000"],
    )
    assert verify(*Home.open_logs(world.home.folder)) == []


def test_nothing_rejected_is_nothing_to_do(world: World) -> None:
    assert retry(world.home, None, LATER) == {}
