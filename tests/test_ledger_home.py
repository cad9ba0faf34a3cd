"""One ledger on disk: opened again, without its caches, by several processes, and replayed."""

from __future__ import annotations

import multiprocessing
import shutil
from collections import Counter
from pathlib import Path

import pytest

from ledger import snapshots
from ledger.home import Home, NoHome
from ledger.months import close, decide_close
from ledger.replay import replay
from ledger.rows import EventRows
from ledger.verify import verify
from rating import price_book
from tests.billed import billed_ledger
from tests.facts import SECOND, a_line, a_payment, a_record, charged, rows, send
from tests.scenario import NUMBER, World, instant
from tests.scenario_then import folded

SPAWN = multiprocessing.get_context("spawn")
GIVEN = [
    "provider P1",
    "customer C1 under P1, low balance 50.00",
    "customer C2 under P1",
    f"number {NUMBER} of C1 under P1, plan Y600, rate 0.15, signed 2026-07-02 10:00, active 2026-07-03 09:00",
    f"number {SECOND} of C2 under P1, plan PAYG, signed 2026-07-02 10:00, active 2026-07-03 09:00",
]


def a_world(folder: Path) -> World:
    world = World(folder, price_book.default_text())
    world.begin(GIVEN)
    return world


def lived(folder: Path) -> World:
    """Two closes, late calls, a rate that reaches back, arrears, and an open month."""
    world = a_world(folder)
    charged(world.home, a_record("a"), a_record("b", service_number=SECOND))
    world.close("2026-08", instant("2026-09-01 00:10"))
    charged(world.home, a_record("late"), a_record("c", "2026-09-02 10:00"), at="2026-09-05 10:00")
    send(
        world.home,
        a_line(
            "change_rate", "r1", "2026-09-06 10:00", service_number=NUMBER, rate="0.20", from_month="2026-08"
        ),
    )
    world.close("2026-09", instant("2026-10-01 00:10"))
    charged(world.home, a_record("later"), a_record("d", "2026-10-02 10:00"), at="2026-10-05 10:00")
    send(world.home, a_payment("p1", at="2026-10-06 10:00"), a_line("tick", "t1", "2026-10-07 10:00"))
    return world


def test_a_cold_fold_is_the_live_one(tmp_path: Path) -> None:
    """R-INV-5: closed months are not scanned again, and come out the same."""
    world = lived(tmp_path)
    assert world.home.state.closed_month == "2026-09"
    opened = Home.open(tmp_path)
    assert folded(opened.state) == folded(world.home.state)
    assert opened.prices.table().equals(world.home.prices.table())
    assert opened.events.next_seq == world.home.events.next_seq


def test_a_snapshot_saves_folding_and_can_go_at_any_time(tmp_path: Path) -> None:
    """R-INV-5: with one, with one that is older than the ledger, and without the cache's folder."""
    world = lived(tmp_path)
    world.home.keep_snapshot(always=True)
    assert folded(Home.open(tmp_path).state) == folded(world.home.state)
    send(
        world.home,
        a_payment("p2"),
        a_line("change_rate", "r2", "2026-10-08 10:00", service_number=NUMBER, rate="0.30"),
    )
    charged(world.home, a_record("e", "2026-11-02 10:00"), a_record("a"), at="2026-11-02 12:00")
    close(world.home, "2026-10", instant("2026-11-03 00:10"))
    opened = Home.open(tmp_path)
    assert folded(opened.state) == folded(world.home.state)
    assert opened.prices.table().equals(world.home.prices.table())
    shutil.rmtree(tmp_path / "cache")
    opened = Home.open(tmp_path)
    assert folded(opened.state) == folded(world.home.state)
    assert charged(opened, a_record("a"), at="2026-11-04 12:00") == {"duplicate": 1, "DUPLICATE": 1}
    assert send(opened, a_payment("p1", at="2026-10-06 10:00"))[0].reason == "DUPLICATE"


def test_a_snapshot_that_is_damaged_or_ahead_of_the_ledger_is_not_used(tmp_path: Path) -> None:
    """F-23: it is a cache, and the ledger is the truth."""
    world = lived(tmp_path / "one")
    world.home.keep_snapshot(always=True)
    ahead = a_world(tmp_path / "two")
    shutil.copytree(tmp_path / "one" / "cache", tmp_path / "two" / "cache", dirs_exist_ok=True)
    assert folded(Home.open(tmp_path / "two").state) == folded(ahead.home.state)
    for kept in (tmp_path / "one" / "cache").glob("folded-*"):
        kept.write_bytes(kept.read_bytes()[:100])
    assert snapshots.load(tmp_path / "one" / "cache", "folded") is None
    assert folded(Home.open(tmp_path / "one").state) == folded(world.home.state)


def test_a_folder_without_a_ledger_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoHome, match="run `fentan init` first"):
        Home.open(tmp_path)


def test_the_past_is_priced_as_it_was(tmp_path: Path) -> None:
    """R-CALL-8 F-07: the catalogue after so many events, whatever came since."""
    world = a_world(tmp_path)
    seq, before = world.home.events.next_seq, world.home.prices.table()
    send(world.home, a_line("change_rate", "r1", service_number=NUMBER, rate="0.30"))
    assert not world.home.prices.table().equals(before)
    assert world.home.prices_at(seq).table().equals(before)


def test_the_facts_replayed_give_the_same_ledger(tmp_path: Path) -> None:
    """R-INV-5: everything that follows from the facts is decided again, row for row."""
    for name, home in (
        ("billed", billed_ledger(tmp_path / "billed").home),
        ("lived", lived(tmp_path / "lived").home),
    ):
        done = replay(home.events, home.calls, tmp_path / f"{name} again", lambda _done, _total: None)
        assert done.differences == ()
        again = Home.open(tmp_path / f"{name} again")
        assert rows(again.events) == rows(home.events)
        assert rows(again.calls) == rows(home.calls)
        assert folded(again.state) == folded(home.state)


def test_a_close_that_had_not_seen_a_call_makes_it_late_for_its_writer_too(tmp_path: Path) -> None:
    """R-MIN-7 F-16: the writer took its call for one of the open month, until it saw the other's close."""
    one = a_world(tmp_path).home
    charged(one, a_record("counted", service_number=SECOND))
    other = Home.open(tmp_path)
    charged(one, a_record("unseen", service_number=SECOND))
    one.keep_snapshot(always=True)
    for month in ("2026-06", "2026-07", "2026-08"):
        decided = EventRows()
        decide_close(other, month, instant("2026-09-01 00:10"), decided)
        other.commit_events(decided)
    restored = Home.open(tmp_path)
    one.see()
    adjusted = [row for row in rows(one.events) if row["kind"] == "adjust_minimum"]
    assert [row["command_id"] for row in adjusted] == ["adjust/unseen"]
    assert one.state.balance("customer/C2") == -1_000_000
    shutil.rmtree(tmp_path / "cache")
    assert folded(one.state) == folded(restored.state) == folded(Home.open(tmp_path).state)
    assert verify(*Home.open_logs(tmp_path)) == []


def race(folder: Path, who: int) -> None:
    """One of two processes that write the same ledger: half of what it sends the other sends too."""
    home = Home.open(folder)
    for n in range(6):
        send(home, a_payment(f"both-{n}", "1.00"), a_payment(f"{who}-{n}", "1.00"), b"neither")
        charged(
            home, a_record(f"both-{n}"), a_record(f"{who}-{n}", service_number=SECOND), a_record(f"both-{n}")
        )
    close(home, "2026-08", instant("2026-09-01 00:10"))


def test_two_processes_that_race_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    """F-16 F-10 R-INV-1 R-INV-6: compare and set; the loser sees the winner's rows and decides again."""
    a_world(tmp_path)
    racers = [SPAWN.Process(target=race, args=(tmp_path, who)) for who in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
    assert [racer.exitcode for racer in racers] == [0, 0]
    home = Home.open(tmp_path)
    sent = Counter((row["kind"], row["outcome"]) for row in rows(home.events) if row["source"] == "file:a")
    assert sent == {
        ("receive_payment", "accepted"): 18,
        ("receive_payment", "duplicate"): 6,
        (None, "rejected"): 12,
    }
    assert Counter(row["outcome"] for row in rows(home.calls)) == {"rated": 18, "duplicate": 18}
    assert [row["command_id"] for row in rows(home.events) if row["kind"] == "close_month"] == [
        "close/2026-06", "close/2026-07", "close/2026-08",
    ]  # fmt: skip
    # 18 payments; August costs its minimum of 50.00, whether calls came before the close or were taken off after it
    assert home.state.balance("customer/C1") == 6_000_000 + 18 * 10_000 - 500_000
    assert home.state.balance("customer/C2") == -1_000_000
    assert [row["seq"] for row in rows(home.events)] == list(range(home.events.next_seq))
