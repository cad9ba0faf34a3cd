"""What statements are made of: fines and disputes as of the close, and nobody's line on another's (R-ARR-4)."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.faults import LedgerFault
from ledger.home import Home
from rating import price_book
from rating.calendar import end_of_month
from rating.numbers import number_class
from reports.ask import ask_own, views
from reports.statement import CustomerPart, ProviderPart, Statement, Unmade, findings
from reports.statement_data import Month
from reports.statement_json import statement_json
from tests.billed import billed_ledger, play
from tests.scenario import World


def statements(home: Path, month: str) -> list[Statement]:
    events, calls = Home.open_logs(home)
    with views(events, calls, end_of_month(month)) as con:
        data = Month(con, month, events, calls)
        made = [*data.customer_statements(), *data.provider_statements()]
    found = [one for one in made if not isinstance(one, Unmade)]
    assert len(found) == len(made), made
    return found


def provider_part(home: Path, month: str) -> ProviderPart:
    (part,) = (one.part for one in statements(home, month) if isinstance(one.part, ProviderPart))
    return part


def test_a_provider_sees_its_fines_and_disputes_as_of_the_close(tmp_path: Path) -> None:
    """R-PEN-4 R-FEAT-2 F-14: what comes later is on a later statement, and the issued one stays as it is."""
    world = billed_ledger(tmp_path)
    play(world, "2026-11-06 10:00", "enable_feature", "id more, number 4001170392, feature queue")
    play(
        world, "2026-11-07 10:00", "open_dispute", "id d1, posting feature_fee 50.00, reason never asked for"
    )
    play(world, "2026-11-09 10:00", "issue_fine", "id f1, provider P1, amount 800.00, reason sold again")
    play(world, "2026-12-01 00:10", "close 2026-11")
    november = provider_part(world.home.folder, "2026-11")
    assert [(fee.feature, fee.dispute) for fee in november.feature_fees] == [("queue", "open")]
    (fine,) = november.fines
    assert (fine.fine_id, fine.amount_hao, str(fine.notice_on), str(fine.due_on), fine.paid_on) == (
        "f1", 8_000_000, "2026-11-09", "2026-11-16", None)  # fmt: skip
    before = [statement_json(one) for one in statements(world.home.folder, "2026-11")]
    play(world, "2026-12-02 10:00", "settle_dispute", "id s1, dispute d1, outcome reversed")
    play(world, "2026-12-03 10:00", "pay_fine", "id p1, fine f1")
    play(world, "2027-01-01 00:10", "close 2026-12")
    assert [statement_json(one) for one in statements(world.home.folder, "2026-11")] == before
    (fine,) = provider_part(world.home.folder, "2026-12").fines
    assert str(fine.paid_on) == "2026-12-03"
    play(world, "2027-02-01 00:10", "close 2027-01")
    assert provider_part(world.home.folder, "2027-01").fines == ()


CUSTOMERS = ("C1", "C10", "C100", "C1_2", "客户一", "c1")


def a_town(folder: Path, seed: int) -> World:
    """Customers whose ids begin alike, of two providers, one below the other; numbers change hands' months at random."""
    rng = random.Random(seed)
    world = World(folder, price_book.default_text())
    providers = ["P1", "P10"]
    chosen = {customer: rng.choice(providers) for customer in CUSTOMERS}
    given = [
        "provider P1",
        "provider P10 under P1",
        *(f"customer {customer} under {chosen[customer]}" for customer in CUSTOMERS),
    ]
    numbers = [_ordinary(rng, at) for at in range(len(CUSTOMERS))]
    given += [
        f"number {number} of {customer} under {chosen[customer]}, plan PAYG, signed 2026-07-21 10:00, active 2026-07-22 09:00"
        for number, customer in zip(numbers, CUSTOMERS, strict=True)
    ]
    world.begin(given)
    for at in range(rng.randint(5, 25)):
        day, hour = rng.randint(1, 28), rng.randint(0, 23)
        what = f"{rng.randint(1, 90)} s, id k{at}, number {rng.choice(numbers)}"
        play(world, f"2026-08-{day:02d} {hour:02d}:00", "call", what)
    for at in range(rng.randint(0, 4)):
        account = rng.choice(CUSTOMERS)
        play(
            world,
            "2026-08-29 09:00",
            "receive_payment",
            f"id pay{at}, account {account}, amount {rng.randint(1, 500)}.00, reference slip {account} {at}",
        )
    play(world, "2026-09-01 00:10", "close 2026-08")
    return world


def _ordinary(rng: random.Random, at: int) -> str:
    """A number that may be held without an intent."""
    while True:
        number = f"40011{rng.randrange(10)}0{at}9{rng.randrange(10)}"
        if number_class(number) == "ordinary":
            return number


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_no_line_is_ever_on_anothers_statement(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """R-ARR-4: each call, posting and number is on the statement of its own customer, once, and all add up.

    A provider's names the one above it.
    """
    home = a_town(tmp_path_factory.mktemp("town") / "home", seed).home.folder
    now = datetime(2026, 9, 2, tzinfo=UTC)
    owner = {
        row["call_id"]: row["customer_id"]
        for row in ask_own(home, "SELECT call_id, customer_id FROM calls", now).to_pylist()
    }
    posted: dict[str, set[str]] = defaultdict(set)
    for row in ask_own(
        home, "SELECT posting_id, unnest([debit, credit]) AS account FROM postings", now
    ).to_pylist():
        kind, party, *_ = row["account"].split("/")
        posted[row["posting_id"]].add(party if kind in {"customer", "provider"} else "")
    told: list[str] = []
    for one in statements(home, "2026-08"):
        who = one.head.party.party_id
        assert findings(one) == []
        assert all(who in posted[entry.posting_id] for entry in one.entries)
        if isinstance(one.part, CustomerPart):
            for number in one.part.numbers:
                calls = (
                    [] if number.call_details is None else number.call_details.column("call_id").to_pylist()
                )
                told += calls
                assert {owner[call] for call in calls} <= {who}
            others = {f"slip {other} " for other in CUSTOMERS if other != who}
            assert not any(
                entry.reference and entry.reference.startswith(tuple(others)) for entry in one.entries
            )
        else:
            of_tree = {group.provider.party_id for group in one.part.groups}
            assert of_tree == ({"P1", "P10"} if who == "P1" else {"P10"})
            above = one.part.parent and one.part.parent.party_id
            assert above == (None if who == "P1" else "P1")
    assert sorted(told) == sorted(owner)


def test_what_memory_cannot_hold_is_sorted_on_the_disk(tmp_path: Path) -> None:
    """R-ARR-4: a month of ten million calls has its statements too; what was spilled is gone afterwards."""
    home = billed_ledger(tmp_path / "home").home.folder
    with views(*Home.open_logs(home), datetime(2026, 12, 2, tzinfo=UTC)) as con:
        con.execute("SET memory_limit = '40MB'")
        numbers = "SELECT range, md5(CAST(range AS VARCHAR)) AS digest FROM range(1_000_000)"
        rows = con.sql(f"{numbers} ORDER BY digest").to_arrow_reader(1_000)
        first = next(iter(rows)).column("digest").to_pylist()
        assert first == sorted(first)
        assert list((home / "ledger").glob(".spill-*/*"))
    assert not list((home / "ledger").glob(".spill-*"))


def test_a_disk_without_room_for_a_sort_is_said(tmp_path: Path) -> None:
    """F-18"""
    home = billed_ledger(tmp_path / "home").home.folder
    with (
        pytest.raises(LedgerFault, match=r"has no room for what memory cannot hold .*: free some space"),
        views(*Home.open_logs(home), datetime(2026, 12, 2, tzinfo=UTC)) as con,
    ):
        con.execute("SET memory_limit = '40MB'; SET max_temp_directory_size = '1MB'")
        con.sql(
            "SELECT md5(CAST(range AS VARCHAR)) AS digest FROM range(1_000_000) ORDER BY digest"
        ).fetchall()
    assert not list((home / "ledger").glob(".spill-*"))
