"""Alerts to webhooks, over real sockets: signed, again after failures, in order, never held up by others."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ledger.faults import LedgerFault
from ledger.home import Home
from ledger.outbox import Outbox
from rating.calendar import parse_instant
from streams.delivery_run import deliver, delivering, open_deliveries, send_test
from streams.webhooks import load
from tests.billed import billed_ledger
from tests.patience import eventually
from tests.webhook_receiver import Got, Receiver, configure

BEGAN = parse_instant("2026-11-20T09:00:00+08:00")


def hurried(factor: int = 60) -> datetime:
    """A clock that goes so many times as fast, so that waits of seconds pass in a moment."""
    return BEGAN + timedelta(seconds=time.monotonic() * factor)


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("billed")
    billed_ledger(place)
    return place


@pytest.fixture
def home(billed: Path, tmp_path: Path) -> Path:
    """A ledger with a few alerts of two customers and a provider."""
    return Path(shutil.copytree(billed, tmp_path / "home"))


def alert_ids(home: Path) -> list[str]:
    outbox = Outbox(Home.open_logs(home)[0], 0)
    return [alert.alert_id for found in iter(outbox.fresh, []) for alert in found]


@contextmanager
def at_work(home: Path, said: list[str] | None = None) -> Iterator[None]:
    """Delivers in a thread while the block runs; what it raises is raised here."""
    stopped, faults = threading.Event(), []

    def work() -> None:
        try:
            deliver(home, load(home), hurried, stopped.is_set, ([] if said is None else said).append)
        except LedgerFault as error:
            faults.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
    if faults:
        raise faults[0]


def waiting(home: Path) -> int:
    with open_deliveries(home) as deliveries:
        return sum(one.waiting for one in deliveries.standings())


def nothing_waits(home: Path) -> None:
    eventually(lambda: not waiting(home), "all are delivered")


def test_every_alert_arrives_signed_and_once(home: Path) -> None:
    """R-ARR-3: body and headers are what docs/alerts.md says."""
    with Receiver() as receiver:
        configure(home, receiver.url, begin="start")
        wanted = alert_ids(home)
        with at_work(home):
            receiver.wait_for(len(wanted))
            nothing_waits(home)
        with at_work(home):
            time.sleep(0.3)
    assert sorted(receiver.ids()) == sorted(wanted) != []
    assert receiver.forged == []
    assert {got.body["kind"] for got in receiver.got} >= {"arrears", "suspended"}
    assert all("%2F" in got.message_id for got in receiver.got)


def test_an_accounts_alerts_arrive_in_their_order(home: Path) -> None:
    """R-ARR-1: `cleared` does not overtake `arrears`, also when the first attempt fails."""
    failed: set[str] = set()

    def first_time_500(got: Got) -> int:
        if got.message_id in failed:
            return 200
        failed.add(got.message_id)
        return 500

    with Receiver(first_time_500) as receiver:
        configure(home, receiver.url, begin="start")
        wanted = alert_ids(home)
        with at_work(home):
            receiver.wait_for(2 * len(wanted))
            nothing_waits(home)
    taken = [alert_id for place, alert_id in enumerate(receiver.ids()) if alert_id in receiver.ids()[:place]]
    for account in {alert_id.split("/")[1] for alert_id in wanted}:
        assert [one for one in taken if f"/{account}/" in one] == [
            one for one in wanted if f"/{account}/" in one
        ]


@pytest.mark.parametrize("fault", [500, 302, 429, Receiver.CUT, Receiver.HANG])
def test_what_fails_is_tried_again_under_the_same_id_until_it_is_taken(home: Path, fault: int) -> None:
    """F-20: an error, a redirection, too many requests, a cut connection, no answer at all."""
    said: list[str] = []
    with Receiver(lambda _: fault if len(receiver.got) <= 2 else 200) as receiver:
        patience_s = 1 if fault == Receiver.HANG else 60
        configure(home, receiver.url, begin="start", timeout_s=patience_s, kinds=["low_balance"])
        with at_work(home, said):
            receiver.wait_for(3)
            nothing_waits(home)
    first = receiver.got[0]
    assert {got.message_id for got in receiver.got} == {first.message_id}
    assert [got.timestamp for got in receiver.got] == sorted(got.timestamp for got in receiver.got)
    assert {got.path for got in receiver.got} == {"/alerts?token=hush"}
    assert [sentence.split(" (")[0] for sentence in said] == ["Webhook desk", "Webhook desk"]
    assert not any("hush" in sentence for sentence in said)


def test_after_the_last_attempt_it_is_a_dead_letter_that_can_be_sent_again(home: Path) -> None:
    """F-20: nothing is thrown away; others go on behind it."""
    status = [500]
    with Receiver(lambda _: status[0]) as receiver:
        configure(home, receiver.url, begin="start", attempts=3, kinds=["low_balance"])
        with at_work(home):
            receiver.wait_for(3)
            nothing_waits(home)
        with open_deliveries(home) as deliveries:
            (letter,) = deliveries.dead_letters()
            assert (letter.attempts, letter.error) == (3, "it answered 500")
            assert deliveries.dead_letters("another") == []
            status[0] = 200
            assert deliveries.send_again([letter.seq + 1], None) == 0
            assert deliveries.send_again([letter.seq], None) == 1
        with at_work(home):
            receiver.wait_for(4)
            nothing_waits(home)
        with open_deliveries(home) as deliveries:
            assert deliveries.dead_letters() == []
    assert len({got.message_id for got in receiver.got}) == 1


def test_a_webhook_that_hangs_does_not_hold_up_another(home: Path) -> None:
    """R-ARR-3."""
    wanted = len(alert_ids(home))
    with Receiver(lambda _: Receiver.HANG) as hanging, Receiver() as quick:
        configure(home, hanging.url, quick.url, begin="start", timeout_s=120)
        began_s = time.monotonic()
        with at_work(home):
            quick.wait_for(wanted)
            took_s = time.monotonic() - began_s
    assert took_s < 60
    assert waiting(home) == wanted


def test_nobody_listens(home: Path) -> None:
    """F-20: the sentence names no more of the address than its host."""
    said: list[str] = []
    configure(home, "http://127.0.0.1:9/secret-path", begin="start", kinds=["low_balance"])
    with at_work(home, said):
        eventually(lambda: said, "it was said")
    (sentence,) = said
    assert "no connection" in sentence
    assert "secret-path" not in sentence
    assert waiting(home) == 1


def test_a_new_webhook_begins_with_what_comes_from_now_on(home: Path) -> None:
    """And one that was away goes on where it was."""
    with Receiver() as receiver:
        configure(home, receiver.url)
        with at_work(home):
            time.sleep(0.3)
        assert receiver.got == []
        with open_deliveries(home) as deliveries:
            (standing,) = deliveries.standings()
            assert standing.next_seq == Home.open_logs(home)[0].next_seq


def test_only_one_process_delivers(home: Path) -> None:
    """F-20: two at once would only send everything twice."""
    said: list[str] = []
    with Receiver() as receiver:
        configure(home, receiver.url, begin="start")
        wanted = len(alert_ids(home))
        with open_deliveries(home) as deliveries, deliveries.sole() as alone:
            assert alone
            with at_work(home, said):
                eventually(lambda: said, "it was said")
        assert receiver.got == []
        with at_work(home):
            receiver.wait_for(wanted)
    assert said == ["Another process delivers this ledger's alerts; this one takes over when it ends."]


def test_trouble_with_delivery_is_said_and_does_not_reach_the_ingest(home: Path) -> None:
    """F-20: a file of deliveries that is no database, a configuration that is wrong."""
    said: list[str] = []
    configure(home, "http://127.0.0.1:9/")
    (home / "deliveries.sqlite").write_bytes(b"not a database at all" * 100)
    with delivering(home, hurried, said.append):
        time.sleep(0.3)
    assert all("deliveries.sqlite cannot be used" in sentence for sentence in said)
    assert said
    (home / "webhooks.toml").write_text("[[webhook]]\nname = 'desk'\n")
    said.clear()
    with delivering(home, hurried, said.append):
        pass
    (sentence,) = said
    assert "webhooks.toml: webhook desk.url: this key is missing." in sentence


def test_a_test_message_says_what_is_wrong(home: Path) -> None:
    with Receiver() as receiver:
        configure(home, receiver.url, "http://127.0.0.1:9/")
        (good, bad) = send_test(load(home), BEGAN)
    assert good[1] is None
    assert bad[1] is not None
    assert "no connection" in bad[1]
    assert (receiver.forged, receiver.got[0].body["kind"]) == ([], "test")
