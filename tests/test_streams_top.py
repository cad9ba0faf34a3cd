"""The live picture: rates by arrival, rejects by reason, what is not read yet, alerts; only what is new is read."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from ledger.home import Home
from rating.calendar import parse_instant
from streams import spool
from streams.pulse import Pulse
from streams.spool_lag import SpoolLag
from streams.top import Top, show_once
from tests.billed import billed_ledger
from tests.ledgers import a_call, a_home, calls
from tests.test_fentan import fentan

ARRIVES = parse_instant("2026-09-01T02:00:00+08:00")


@pytest.fixture
def spooled(tmp_path: Path) -> tuple[Home, Path]:
    """A home and a file with 30 calls, one of them a duplicate and two rejects."""
    home = a_home(tmp_path / "home")
    (tmp_path / "spool").mkdir()
    path = tmp_path / "spool" / "calls.jsonl"
    path.write_bytes(
        calls(0, 27) + a_call(3) + b"not a call 13812345678\n" + a_call(99, service_number="4009999999")
    )
    return home, path


def test_rates_are_by_the_second_of_arrival(spooled: tuple[Home, Path]) -> None:
    """R-CALL-7: calls, outcomes, money and reasons over 10 s and 60 s."""
    home, path = spooled
    spool.ingest(home, path, "jsonl", lambda: ARRIVES)
    picture = Top(home.folder, None, ARRIVES)
    soon = picture.look(ARRIVES + timedelta(seconds=2))["per_second"]
    assert soon["10 s"] == {
        "calls": "3.0",
        "rated": "2.7",
        "duplicate": "0.1",
        "rejected": "0.2",
        "yuan": "0.4050",
        "reasons": {"UNREADABLE": 1, "UNKNOWN_NUMBER": 1},
    }
    assert soon["60 s"]["calls"] == "0.5"
    later = picture.look(ARRIVES + timedelta(seconds=30))
    assert (later["per_second"]["10 s"]["calls"], later["per_second"]["60 s"]["calls"]) == ("0.0", "0.5")
    assert (later["quiet_s"], later["records"]) == (30, 30)
    assert picture.look(ARRIVES + timedelta(seconds=300))["per_second"]["60 s"]["calls"] == "0.0"


def test_what_is_new_is_counted_once(spooled: tuple[Home, Path]) -> None:
    """F-21: each look takes in the new commits of another process."""
    home, path = spooled
    picture = Top(home.folder, path.parent, ARRIVES)
    assert picture.look(ARRIVES)["records"] == 0
    for _ in range(2):
        spool.ingest(home, path, "jsonl", lambda: ARRIVES)
        figures = picture.look(ARRIVES + timedelta(seconds=1))
        assert figures["per_second"]["10 s"]["calls"] == "3.0"
        assert figures["rejects_seen"] == {"UNREADABLE": 1, "UNKNOWN_NUMBER": 1}


def test_the_spool_is_read_up_to_where_the_ledger_is(spooled: tuple[Home, Path]) -> None:
    home, path = spooled
    lag = SpoolLag(home.calls, path.parent)
    assert lag.unread_bytes() == path.stat().st_size
    spool.ingest(home, path, "jsonl", lambda: ARRIVES)
    assert lag.unread_bytes() == 0
    with path.open("ab") as file:
        file.write(calls(200, 203))
    assert lag.unread_bytes() == len(calls(200, 203))
    (path.parent / "new.jsonl").write_bytes(calls(300, 301))
    assert lag.unread_bytes() == len(calls(200, 203)) + len(calls(300, 301))
    spool.ingest(home, path.parent, "jsonl", lambda: ARRIVES)
    assert (lag.unread_bytes(), lag.unread_bytes()) == (0, 0)


def test_no_phone_number_is_on_the_picture(spooled: tuple[Home, Path]) -> None:
    """F-27: also not from bytes that were rejected."""
    home, path = spooled
    spool.ingest(home, path, "jsonl", lambda: ARRIVES)
    console = Console(file=io.StringIO(), width=120)
    for form in ("table", "json"):
        show_once(Top(home.folder, None, ARRIVES), form, console, ARRIVES)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "UNREADABLE" in said
    assert "138" not in said


def test_the_latest_alerts_stand_first(tmp_path: Path) -> None:
    """R-ARR-3."""
    home = billed_ledger(tmp_path).home
    alerts = Top(home.folder, None, ARRIVES).look(ARRIVES)["alerts"]
    seqs = [alert["seq"] for alert in alerts]
    assert seqs == sorted(seqs, reverse=True) != []


def test_an_empty_pulse_is_still() -> None:
    assert Pulse().rates(ARRIVES)[10]["calls"] == "0.0"


def test_one_picture_for_scripts(tmp_path: Path) -> None:
    home = a_home(tmp_path / "home")
    done = fentan(home.folder, "top", "--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert "No call has arrived yet." in done.stdout
    figures = json.loads(fentan(home.folder, "top", "--once", "--format", "json").stdout)
    assert figures["records"] == 0
    done = fentan(home.folder, "top", str(tmp_path / "nowhere"), "--once")
    assert (done.returncode, "There is no file" in done.stderr) == (2, True)
    assert fentan(tmp_path / "nowhere", "top", "--once").returncode == 2
