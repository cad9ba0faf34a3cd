"""`fentan simulate --commands`: what it foretells is what then happens, and nothing is written before."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import fentan
from ledger.home import Home
from ledger.rehearsal import Rehearsal
from ledger.submit import Answer, Line, submit
from rating import price_book
from tests.billed import GIVEN, NUMBER, SECOND, play
from tests.scenario import Scenario, World, read_all

PAST = [one for one in read_all() if one.file == "past" and "price book" not in " ".join(one.given)]
NOW = "2026-11-06T10:00:00+08:00"


class Foretold(World):
    """Each command is decided in a rehearsal first, by which it is then measured."""

    def _submit(self, lines: list[bytes], received_at: datetime) -> list[Answer]:
        rehearsal = Rehearsal.open(self.home.folder)
        before = rehearsal.events.next_seq
        foretold = submit(rehearsal, [Line(raw) for raw in lines], "scenario", received_at, lambda _: {})
        answers = super()._submit(lines, received_at)
        assert answers == foretold
        assert self.home.events.read_since(before).equals(rehearsal.events.read_since(before))
        return answers


@pytest.mark.parametrize("scenario", PAST, ids=lambda one: str(one.title))
def test_a_rehearsal_decides_row_for_row_what_happens(scenario: Scenario, tmp_path: Path) -> None:
    """R-CALL-8 R-MIN-7 F-15: the same code decides, on the same state and calls."""
    world = Foretold(tmp_path, price_book.default_text())
    world.begin(scenario.given)
    for row in scenario.rows:
        world.play(row)


COMMANDS: list[dict[str, Any]] = [
    {"at": "2026-08-11T09:00:00+08:00", "kind": "reclaim_number", "service_number": SECOND,
     "reason": "customer_request"},
    {"at": "2026-08-11T10:00:00+08:00", "kind": "release_number", "service_number": SECOND},
    {"at": "2026-08-11T11:00:00+08:00", "kind": "hold_number", "service_number": SECOND, "provider_id": "P1"},
    {"at": "2026-08-11T12:00:00+08:00", "kind": "sign_contract", "service_number": SECOND, "customer_id": "C1",
     "plan_id": "PAYG", "starts_on": "2026-08-11", "rate": "0.40"},
    {"at": "2026-08-11T13:00:00+08:00", "kind": "submit_documents", "service_number": SECOND,
     "documents": ["business_licence", "tax_registration", "organisation_code"]},
    {"at": "2026-08-11T14:00:00+08:00", "kind": "approve_real_name", "service_number": SECOND},
    {"at": "2026-08-11T15:00:00+08:00", "kind": "activate_number", "service_number": SECOND},
    {"at": "2026-11-06T09:00:00+08:00", "kind": "change_rate", "service_number": NUMBER, "rate": "0.10",
     "from_month": "2026-09"},
    {"at": "2026-11-06T09:01:00+08:00", "kind": "change_rate", "service_number": NUMBER, "rate": "0.25",
     "from_month": "2026-10"},
    {"at": "2026-11-06T09:02:00+08:00", "kind": "set_minimum", "service_number": NUMBER, "minimum": "1.00"},
    {"at": "2026-11-06T09:03:00+08:00", "kind": "enable_feature", "service_number": NUMBER, "feature": "fax"},
    {"at": "2026-11-06T09:04:00+08:00", "kind": "receive_payment", "account": "customer/C2", "amount": "70.00",
     "reference": "slip 9"},
]  # fmt: skip


ROWS = """
2026-08-04 09:00 | receive_payment | account C1, amount 300.00
2026-08-04 09:00 | receive_payment | account C2, amount 900.00
2026-08-12 10:00 | call | 50 min, number 4006667770
2026-09-01 00:10 | close 2026-08 |
2026-09-10 10:00 | call | 200 min
2026-10-05 09:00 | call | 9 min 1 s, started 2026-09-11 10:00
2026-11-01 00:10 | close 2026-10 |
2026-11-05 10:00 | call | 1 min
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three closed months of three numbers."""
    world = World(tmp_path / "home", price_book.default_text())
    world.begin(GIVEN)
    for line in ROWS.strip().splitlines():
        play(world, *(part.strip() for part in line.split("|")))
    return tmp_path / "home"


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    lines = [json.dumps({"command_id": f"s{n}", **one}) for n, one in enumerate(COMMANDS, start=1)]
    file = tmp_path / "late.jsonl"
    file.write_text("\n".join([*lines, "{half a line"]), encoding="utf-8")
    return file


def run(home: Path, *words: object) -> Result:
    return CliRunner().invoke(fentan.main, ["--home", str(home), "--now", NOW, *map(str, words)])


def balances(home: Path) -> dict[str, Decimal]:
    state = Home.open(home).state
    found = {account: Decimal(hao).scaleb(-4) for account, hao in state.balances.items()}
    return defaultdict(Decimal, found)


def test_what_is_foretold_is_what_is_charged(home: Path, commands: Path) -> None:
    """R-CALL-8 R-MIN-7: another rate in closed months, another holder since August, and what is refused."""
    before = balances(home)
    told = run(home, "simulate", "--commands", commands, "--format", "json")
    assert told.exit_code == 1, told.output
    rows = json.loads(told.output)
    assert [
        (row["what"], row["command_id"], row["reason"])
        for row in rows
        if row["what"] not in {"charge", "total", "alert"}
    ] == [
        ("refused", "s10", "MINIMUM_LOWERED"),
        ("rejected", None, "UNREADABLE"),
    ]
    assert balances(home) == before
    assert run(home, "submit", commands).exit_code == 1
    more: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["what"] == "charge":
            more[row["account"]] += Decimal(row["difference_yuan"])
    after = balances(home)
    assert after["customer/C2"] == before["customer/C2"] + 70 - more["customer/C2"]
    assert after["customer/C1"] == before["customer/C1"] - more["customer/C1"]
    assert after["provider/P1"] == before["provider/P1"] - more["provider/P1"]
    (total,) = (row for row in rows if row["what"] == "total")
    assert Decimal(total["difference_yuan"]) == sum(more.values())


def test_charges_stand_by_the_month_that_they_are_for(home: Path, commands: Path) -> None:
    """R-CALL-8: 50 minutes at 0.40 instead of 0.30 for another holder; MONTH shows one month."""
    told = run(home, "simulate", "2026-08", "--commands", commands, "--format", "json")
    charges = {row["account"]: row for row in json.loads(told.output) if row["what"] == "charge"}
    assert set(charges) == {"customer/C1", "customer/C2"}
    assert (charges["customer/C1"]["calls_yuan"], charges["customer/C2"]["calls_yuan"]) == (
        "20.0000",
        "-15.0000",
    )
    assert {row["billed_month"] for row in charges.values()} == {"2026-11"}


def test_people_read_a_table_and_sentences(home: Path, commands: Path) -> None:
    told = run(home, "simulate", "--commands", commands).output
    assert "total" in told
    assert "s10 refused: MINIMUM_LOWERED: The minimum of 4001170392 is" in told
    assert "13 commands: 11 accepted, 1 refused, 1 rejected." in told


def test_alerts_are_foretold(home: Path, tmp_path: Path) -> None:
    """R-ARR-1: a rate that was much too low brings its customer into arrears."""
    file = tmp_path / "dear.jsonl"
    dear = {
        "command_id": "d",
        "at": "2026-11-06T09:00:00+08:00",
        "kind": "change_rate",
        "service_number": NUMBER,
    }
    file.write_text(json.dumps({**dear, "rate": "2.00", "from_month": "2026-09"}))
    told = run(home, "simulate", "--commands", file)
    assert "Alert arrears: customer/C1, balance -" in told.output
    assert told.exit_code == 0


def test_nothing_is_written(home: Path, commands: Path) -> None:
    """R-INV-3: not even a cache."""
    Home.open_logs(home)
    files = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert run(home, "simulate", "--commands", commands).exit_code == 1
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == files


def test_commands_that_were_sent_are_known(home: Path, commands: Path, tmp_path: Path) -> None:
    """R-INV-6: the same file has nothing new; the same ids in another one are duplicates."""
    assert run(home, "submit", commands).exit_code == 1
    assert (
        "holds no command that was not submitted before"
        in run(home, "simulate", "--commands", commands).output
    )
    other = tmp_path / "other.jsonl"
    other.write_text(commands.read_text(encoding="utf-8").splitlines()[0] + "\n")
    (row,) = (row for row in json.loads(run(home, "simulate", "--commands", other, "--format", "json").output)
              if row["command_id"])  # fmt: skip
    assert (row["what"], row["reason"], row["command_id"]) == ("duplicate", "DUPLICATE", "s1")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Name a price book with --catalogue, or a file of commands with --commands."),
        (["--catalogue", "x.toml", "--commands", "y.jsonl"], "Name a price book with --catalogue, or"),
        (["--catalogue", "x.toml"], "Name the closed month"),
        (["--commands", "no-such-file.jsonl"], "no-such-file.jsonl cannot be read"),
    ],
)
def test_wrong_words_are_told_what_to_do(home: Path, words: list[str], says: str) -> None:
    told = run(home, "simulate", *words)
    assert (told.exit_code, says in told.output) == (2, True), told.output
