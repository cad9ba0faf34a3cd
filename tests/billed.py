"""A small ledger in which nearly everything has happened once, played through the real writers."""

from __future__ import annotations

from pathlib import Path

from rating import price_book
from tests.scenario import Row, World

NUMBER, SECOND, PAID_BOTH, FREE = "4001170392", "4006667770", "8008102935", "95123"
GIVEN = [
    "provider P1",
    "customer C1 under P1, low balance 50.00",
    "customer C2 under P1",
    f"number {NUMBER} of C1 under P1, plan Y600, rate 0.15, signed 2026-08-01 10:00, active 2026-08-03 09:00",
    f"number {SECOND} of C2 under P1, plan PAYG, signed 2026-07-21 10:00, active 2026-07-22 09:00",
    f"number {PAID_BOTH} of C1 under P1, plan PAYG, signed 2026-07-21 11:00, active 2026-07-22 09:00",
    f"number {FREE} of C1 under P1, plan PAYG, signed 2026-07-21 12:00, active 2026-07-22 09:00",
]
ROWS = """
2026-08-04 09:00 | receive_payment | id pay, account C2, amount 100.00, reference slip 1
2026-08-10 10:00 | call | 1 min, id k1
2026-08-10 11:00 | call | unanswered, id k2
2026-08-10 12:00 | call | 1 min 1 s, id k3, number 8008102935
2026-08-10 13:00 | call | 1 min 1 s, id k4, number 95123
2026-08-10 14:00 | call | 10 s, id k5, from 0085221234567
2026-08-10 15:00 | call | 1 min, id k1, started 2026-08-10 10:00
2026-08-10 16:00 | call | 2 min, id k1, started 2026-08-10 10:00
2026-08-11 10:00 | call | 1 min, id k6, number 4009999999
2026-08-12 10:00 | call | 50 min, id k7, number 4006667770
2026-09-01 00:10 | close 2026-08 |
2026-09-10 10:00 | call | 200 min, id k8
2026-09-15 10:00 | receive_payment | id oops, account C1, amount 7.00, reference slip 2
2026-09-15 11:00 | reverse_posting | id undo, posting payment 7.00, reason another's money
2026-10-01 00:10 | close 2026-09 |
2026-10-05 09:00 | call | 9 min 1 s, id k9, started 2026-09-11 10:00
2026-10-06 09:00 | change_rate | id dearer, number 4001170392, rate 0.20, from_month 2026-09
2026-10-12 09:00 | enable_feature | id record, number 4001170392, feature recording
2026-10-13 09:00 | set_minimum | id lower, number 4001170392, minimum 40.00
2026-11-01 00:10 | close 2026-10 |
2026-11-05 10:00 | call | 1 min, id k10
"""


def play(world: World, when: str, what: str, given: str = "") -> None:
    """One thing that happens, as a row of tests/scenarios."""
    world.play(Row(world.lines, when, what, given, ""))


def billed_ledger(folder: Path) -> World:
    """Plays ROWS into an empty folder: three closed months and an open one."""
    world = World(folder, price_book.default_text())
    world.begin(GIVEN)
    for line in ROWS.strip().splitlines():
        when, what, given = (part.strip() for part in line.split("|"))
        play(world, when, what, given)
    return world
