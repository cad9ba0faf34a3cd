"""Delivery and live views as processes: beside an ingest, killed at any moment, with receivers that misbehave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ledgers import a_call, a_home
from tests.test_fentan import ROOT, fentan
from tests.webhook_receiver import Got, Receiver, configure

NOW = ["--now", "2026-09-02T00:00:00+08:00"]
ALERTS = ["customer/C1/low_balance/1", "customer/C1/arrears/1", "customer/C1/suspended/1"]


@contextmanager
def running(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program, running; SIGTERM at the end, if it still does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fentan", "--home", str(home), *NOW, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()


def three_alerts(folder: Path) -> Path:
    """A file of calls that cost more than the customer has."""
    (folder / "spool").mkdir(exist_ok=True)
    path = folder / "spool" / "calls.jsonl"
    path.write_bytes(b"".join(a_call(place, minutes=1400) for place in range(3)))
    return path


def test_ingest_delivers_while_it_follows(tmp_path: Path) -> None:
    """R-ARR-3: from the file to the webhook in one process."""
    a_home(tmp_path / "home")
    (tmp_path / "spool").mkdir()
    with Receiver() as receiver:
        configure(tmp_path / "home", receiver.url, begin="start")
        with running(tmp_path / "home", "ingest", str(tmp_path / "spool"), "--follow") as process:
            three_alerts(tmp_path)
            receiver.wait_for(3)
            process.send_signal(signal.SIGTERM)
            said, complaints = process.communicate(timeout=180)
            assert process.returncode == 0, complaints
    assert receiver.ids() == ALERTS
    assert receiver.forged == []
    assert "3 rated" in said
    rows = json.loads(fentan(tmp_path / "home", "webhooks", "status", "--format", "json").stdout)
    assert [(row["webhook"], row["delivered"], row["waiting"]) for row in rows] == [("desk", 3, 0)]


@pytest.mark.parametrize("fault", [Receiver.HANG, 500])
def test_a_receiver_that_misbehaves_does_not_hold_up_the_ingest(tmp_path: Path, fault: int) -> None:
    """F-20: the calls are in the ledger, the alerts wait; the ingest ends at once when it is told to."""
    home = a_home(tmp_path / "home")
    path = three_alerts(tmp_path)
    with Receiver(lambda _: fault) as receiver:
        configure(tmp_path / "home", receiver.url, begin="start", timeout_s=120)
        with running(tmp_path / "home", "ingest", str(path.parent), "--follow") as process:
            receiver.wait_for(1)
            with path.open("ab") as file:
                file.write(a_call(9))
            until = time.monotonic() + 60
            while home.calls.next_seq < 4:
                assert time.monotonic() < until
                time.sleep(0.05)
                home.calls.refresh()
            began_s = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=180)
            assert process.returncode == 0
            assert time.monotonic() - began_s < 60
    rows = json.loads(fentan(tmp_path / "home", "webhooks", "status", "--format", "json").stdout)
    assert [(row["delivered"], row["waiting"]) for row in rows] == [(0, 3)]


def test_nothing_is_missed_and_repeats_have_the_same_id_whenever_it_is_killed(tmp_path: Path) -> None:
    """F-20: kill -9 after the receiver has a message and before anybody could note it, at each message."""
    home = tmp_path / "home"
    a_home(home)
    processes: list[subprocess.Popen[str]] = []

    def kill_the_sender(got: Got) -> int:
        if receiver.ids().count(got.body["alert_id"]) == 1:
            os.kill(processes[-1].pid, signal.SIGKILL)
        return 200

    with Receiver(kill_the_sender) as receiver:
        configure(home, receiver.url, begin="start")
        assert fentan(home, *NOW, "ingest", str(three_alerts(tmp_path))).returncode == 0
        for _ in ALERTS:
            with running(home, "webhooks", "deliver") as process:
                processes.append(process)
                assert process.wait(90) == -signal.SIGKILL
        done = fentan(home, *NOW, "webhooks", "deliver", "--once")
        assert (done.returncode, done.stdout) == (0, "Everything is delivered.\n")
    assert receiver.ids() == [alert_id for alert_id in ALERTS for _ in range(2)]
    assert len({got.message_id for got in receiver.got}) == len(ALERTS)


def test_dead_letters_are_listed_and_sent_again(tmp_path: Path) -> None:
    """F-20."""
    home = tmp_path / "home"
    a_home(home)
    status = [503]
    with Receiver(lambda _: status[0]) as receiver:
        configure(home, receiver.url, begin="start", attempts=1)
        assert fentan(home, *NOW, "ingest", str(three_alerts(tmp_path))).returncode == 0
        done = fentan(home, *NOW, "webhooks", "deliver", "--once")
        assert (done.returncode, done.stdout) == (1, "desk: 0 waiting for another try, 3 dead letters.\n")
        assert done.stderr.count("was given up at attempt 1: it answered 503") == 3
        letters = json.loads(fentan(home, "webhooks", "dead", "--format", "json").stdout)
        assert [letter["alert_id"] for letter in letters] == ALERTS
        status[0] = 200
        assert fentan(home, "webhooks", "resend").returncode == 2
        assert fentan(home, "webhooks", "resend", "9999").returncode == 1
        done = fentan(home, *NOW, "webhooks", "resend", "--all")
        assert (done.returncode, done.stdout) == (0, "To be sent again: 3.\n")
        assert fentan(home, *NOW, "webhooks", "deliver", "--once").returncode == 0
        assert fentan(home, "webhooks", "dead").stdout.endswith("There is no dead letter.\n")
    assert receiver.ids()[3:] == ALERTS


def test_what_cannot_be_delivered_to_is_said(tmp_path: Path) -> None:
    home = tmp_path / "home"
    a_home(home)
    done = fentan(home, "webhooks", "deliver")
    assert (done.returncode, "There is no webhooks.toml in" in done.stderr) == (2, True)
    configure(home, "http://127.0.0.1:9/")
    done = fentan(home, "webhooks", "test")
    assert (done.returncode, "no connection (Connection refused)" in done.stdout) == (1, True)
    assert fentan(tmp_path / "nowhere", "webhooks", "status").returncode == 2


def test_top_draws_a_picture_each_second_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """On something that is no terminal one stands below the other."""
    home = a_home(tmp_path / "home").folder
    with running(home, "top", "--format", "json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["records"] == 0
        assert fentan(home, *NOW, "ingest", str(three_alerts(tmp_path))).returncode == 0
        until = time.monotonic() + 60
        while not (figures := json.loads(process.stdout.readline()))["alerts"]:
            assert time.monotonic() < until
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert [alert["alert_id"] for alert in reversed(figures["alerts"])] == ALERTS
