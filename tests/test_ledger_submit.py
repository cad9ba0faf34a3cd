"""Commands into the ledger: one row a line, each decided once, whatever the batches and whoever else writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.home import Home
from ledger.submit import Line, submit
from rating import price_book
from tests.facts import NOW, a_line, a_payment, rows, send
from tests.scenario import NUMBER, World, instant
from tests.scenario_then import folded

ACTIVE = [
    "provider P1",
    "customer C1 under P1, low balance 50.00",
    f"number {NUMBER} of C1 under P1, plan Y600, rate 0.15, signed 2026-07-20 10:00, active 2026-08-03 09:00",
]
TICK = b'"kind": "tick", "at": "2026-08-10T10:00:00+08:00"'
POISON = {
    "not UTF-8": b"\xff\xfe{}",
    "not UTF-8 inside a text": b'{"command_id": "a", %s, "note": "\xff"}' % TICK,
    "NUL in the id": b'{"command_id": "a\\u0000", %s}' % TICK,
    "half a surrogate in the id": b'{"command_id": "\\ud800", %s}' % TICK,
    "half a surrogate elsewhere": b'{"command_id": "a", %s, "note": "\\ud800"}' % TICK,
    "NaN": b'{"command_id": "a", %s, "note": NaN}' % TICK,
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "two megabytes": b'{"command_id": "a", %s, "note": "%s"}' % (TICK, b"x" * 2_000_000),
    "a long id": b'{"command_id": "%s", %s}' % (b"x" * 65, TICK),
    "nothing": b"",
    "null": b"null",
    "wrong types": b'{"command_id": {}, "kind": [], "at": 7}',
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, price_book.default_text())
    world.begin(ACTIVE)
    return world


def feature(command_id: str, name: str = "ivr") -> bytes:
    return a_line("enable_feature", command_id, service_number=NUMBER, feature=name)


def test_what_cannot_be_read_is_rejected_with_its_bytes_and_the_next_is_decided(world: World) -> None:
    """F-09 R-INV-1."""
    first = world.home.events.next_seq
    for name, raw in POISON.items():
        bad, good = send(world.home, raw, a_payment(f"after {name}", "0.01"))
        assert (bad.outcome, bad.reason) == ("rejected", "UNREADABLE"), (name, bad)
        assert good.outcome == "accepted", name
    for row, raw in zip(rows(world.home.events, first)[::2], POISON.values(), strict=True):
        assert (row["raw"], row["source"], row["source_pos"]) == (raw, "file:a", 0)
        assert row["detail"]
        assert len(row["detail"]) < 400
    assert world.home.state.balance("customer/C1") == 6_000_000 + 100 * len(POISON)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400, "0." + "1" * 400])
def test_a_number_that_nobody_reads_may_be_anything(world: World, number: str) -> None:
    """F-09: it is kept in the payload, which stays JSON, or the line is rejected."""
    answer = send(world.home, b'{"command_id": "t", %s, "note": %s}' % (TICK, number.encode()))[0]
    assert answer.outcome in {"accepted", "rejected"}
    json.loads(rows(world.home.events, answer.seq)[0]["payload"] or "{}")


def test_each_line_is_one_row_with_its_outcome(world: World) -> None:
    """R-INV-1 R-INV-6: accepted, duplicate, conflict, refused, rejected; of one batch as of several."""
    home, first = world.home, world.home.events.next_seq
    answers = send(
        home,
        a_payment("p1"),
        a_payment("p1"),
        a_payment("p1", "6.00"),
        a_payment("p2", "0.00"),
        b"{",
        a_payment("p2"),
    )
    assert [(answer.seq - first, answer.outcome, answer.reason) for answer in answers] == [
        (0, "accepted", None),
        (1, "duplicate", "DUPLICATE"),
        (2, "duplicate", "CONFLICTING_DUPLICATE"),
        (3, "refused", "BAD_VALUE"),
        (4, "rejected", "UNREADABLE"),
        (5, "accepted", None),
    ]
    added = rows(home.events, first)
    assert [row["source_pos"] for row in added] == [0, 1, 2, 3, 4, 5]
    assert [row["raw"] is None for row in added] == [True, False, False, False, False, True]
    assert added[1]["detail"] == f"p1 was accepted before, as row {first} of events."
    assert home.state.balance("customer/C1") == 6_100_000
    later = send(home, a_payment("p1"), a_payment("p2"), a_payment("p2", at="2026-08-11 10:00"))
    assert [answer.reason for answer in later] == ["DUPLICATE", "DUPLICATE", "CONFLICTING_DUPLICATE"]


def test_a_slip_of_the_pen_is_answered_with_a_warning(world: World) -> None:
    """R-MIN-5: a field that its kind does not have, where one that it may have was left out."""
    slip = a_line("set_minimum", "m1", service_number=NUMBER, minimum="60.00", month="2026-10")
    right = a_line(
        "set_minimum", "m2", service_number=NUMBER, minimum="70.00", from_month="2026-10", memo="desk"
    )
    nothing = a_line("set_minimum", "m3", service_number=NUMBER, minimum="80.00", month=None)
    answers = send(world.home, slip, right, nothing)
    assert [(answer.outcome, answer.detail) for answer in answers] == [
        (
            "accepted",
            "set_minimum does not know 'month', which changed nothing; it may have from_month.",
        ),
        ("accepted", None),
        ("accepted", None),
    ]
    assert rows(world.home.events, answers[0].seq)[0]["detail"] == answers[0].detail


def test_an_id_is_repeated_by_that_very_id_alone(world: World) -> None:
    """R-INV-6: the order of fields and spaces around them are no content."""
    assert send(world.home, a_payment("p1"))[0].outcome == "accepted"
    turned = json.dumps(dict(reversed(json.loads(a_payment("p1")).items())), indent=2).encode()
    assert send(world.home, turned)[0].reason == "DUPLICATE"
    assert send(world.home, a_payment("P1"))[0].outcome == "accepted"
    assert send(world.home, a_payment("p1 "))[0].outcome == "accepted"


def play_the_lines(folder: Path, size: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Lines in which late facts re-rate calls, ids repeat and things fall due, in batches of a size."""
    world = World(folder, price_book.default_text())
    world.begin(ACTIVE)
    for at in ("2026-08-20 10:00", "2026-09-20 10:00"):
        world.call(instant(at), "1 h 40 min")
    lines = [
        a_payment("p1"),
        a_line(
            "change_rate", "r1", "2026-08-11 10:00", service_number=NUMBER, rate="0.20", from_month="2026-08"
        ),
        a_payment("p2"),
        a_payment("p1"),
        a_line("set_minimum", "m1", "2026-08-12 10:00", service_number=NUMBER, minimum="90.00"),
        feature("f1"),
        b"not JSON",
        a_line(
            "change_rate", "r2", "2026-08-14 10:00", service_number=NUMBER, rate="0.15", from_month="2026-09"
        ),
        a_line("reverse_posting", "v1", "2026-08-15 10:00", posting_id="0-1", reason="none"),
        a_line("tick", "t1", "2027-12-31 10:00"),
        a_payment("p3", "0.01"),
    ]
    for start in range(0, len(lines), size):
        batch = [Line(raw, start + place) for place, raw in enumerate(lines[start : start + size])]
        submit(world.home, batch, "file:a", NOW, lambda _: {})
    return rows(world.home.events), folded(world.home.state)


def test_the_rows_are_the_same_however_the_lines_are_cut_into_batches(tmp_path: Path) -> None:
    """R-INV-5 F-15: also where a command reaches back to calls that were charged."""
    whole = play_the_lines(tmp_path / "all", 100)
    assert sum(row["kind"] == "rerate" for row in whole[0]) == 2
    assert play_the_lines(tmp_path / "one", 1) == whole
    assert play_the_lines(tmp_path / "seven", 7) == whole


def test_a_posting_of_the_same_batch_can_be_reversed(world: World) -> None:
    """R-INV-3: each command sees all before it."""
    seq = world.home.events.next_seq
    reverse = [
        a_line("reverse_posting", f"v{n}", posting_id=f"{seq}-{n // 2 + 1}", reason="typed wrong")
        for n in range(3)
    ]
    answers = send(world.home, a_payment("p1"), *reverse)
    assert [answer.reason for answer in answers] == [None, None, "ALREADY_REVERSED", "UNKNOWN_POSTING"]
    again = a_line("reverse_posting", "v4", posting_id=f"{seq}-1", reason="typed wrong")
    assert send(world.home, again)[0].reason == "ALREADY_REVERSED"
    assert world.home.state.balance("customer/C1") == 6_000_000


def test_the_offset_of_the_last_line_is_in_the_commit(world: World) -> None:
    """F-16: what was read and what it became are one commit."""
    lines = [Line(a_payment(f"p{n}"), n * 10, n * 10 + 10) for n in range(5)]
    submit(world.home, lines, "file:a", NOW, lambda line: {"file:a": line.end})
    assert Home.open(world.home.folder).events.offset("file:a") == 50


def test_two_writers_see_what_the_other_committed(world: World) -> None:
    """R-INV-6 F-16: nobody repeats the other's command, nor registers the other's customer."""
    other = Home.open(world.home.folder)
    customer = {"customer_id": "C2", "provider_id": "P1"}
    assert send(world.home, a_payment("p1"))[0].outcome == "accepted"
    assert send(other, a_payment("p1"))[0].reason == "DUPLICATE"
    assert send(other, a_line("register_customer", "c2", name="x", **customer))[0].outcome == "accepted"
    assert (
        send(world.home, a_line("register_customer", "c3", name="y", **customer))[0].reason
        == "ALREADY_EXISTS"
    )
    other.see()
    assert folded(other.state) == folded(world.home.state)


def test_a_decision_that_lost_the_race_is_decided_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-16: the other commits between our look and our commit; ours is taken back and sees theirs."""
    other, see = Home.open(world.home.folder), world.home.see

    def see_too_early() -> None:
        see()
        monkeypatch.setattr(world.home, "see", see)
        send(other, feature("f1"))

    monkeypatch.setattr(world.home, "see", see_too_early)
    answers = send(world.home, a_payment("p1"), feature("f2"))
    assert [answer.reason for answer in answers] == [None, "FEATURE_ON"]
    assert world.home.state.balance("provider/P1") == -500_000
    assert folded(Home.open(world.home.folder).state) == folded(world.home.state)


def test_a_commit_that_fails_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-16 F-18: the state is as before, and the same lines can be sent again."""
    before, size = folded(world.home.state), world.home.events.next_seq

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(world.home.events, "append", full)
        with pytest.raises(OSError, match="no space"):
            send(world.home, a_payment("p1"), feature("f1"))
    assert folded(world.home.state) == before
    assert world.home.events.next_seq == size
    assert send(world.home, a_payment("p1"))[0].outcome == "accepted"
    assert world.home.state.balance("customer/C1") == 6_050_000


def test_a_batch_of_commands_is_one_commit(world: World) -> None:
    """R-INV-1: hundreds of lines, each seeing all before it, and their rows side by side."""
    first, version = world.home.events.next_seq, world.home.events.version
    numbers = [f"4005{n:06d}" for n in range(200)]
    lines = [a_line("add_number", f"n{number}", service_number=number) for number in numbers]
    lines += [
        a_line("hold_number", f"h{number}", service_number=number, provider_id="P1") for number in numbers
    ]
    answers = send(world.home, *lines)
    assert world.home.events.version == version + 1
    assert [answer.seq for answer in answers] == list(range(first, first + 400))
    assert {answer.reason for answer in answers} == {None, "INTENT_MISSING"}  # a few of them are special
