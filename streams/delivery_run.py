"""Delivery in a process of its own, or in a thread beside the ingest, which it neither holds up nor fails (F-20)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import aiohttp
import orjson

from ledger.faults import BadRequest
from ledger.home import Home
from ledger.log import Log
from ledger.outbox import Outbox
from rating.calendar import instant_text
from streams.deliveries import Deliveries
from streams.delivery import LEAVE_S, Answer, Clock, Delivery, post
from streams.webhooks import Webhook, load

_TURN_S = 0.5
_AFTER_TROUBLE_S = 5

Say = Callable[[str], None]


@contextmanager
def open_deliveries(home: Path) -> Iterator[Deliveries]:
    """The home's file of deliveries; NoHome if there is no ledger."""
    Home.require(home)
    deliveries = Deliveries(home)
    try:
        yield deliveries
    finally:
        deliveries.close()


def begin(home: Path, webhooks: tuple[Webhook, ...], events: Log) -> dict[str, int]:
    """Where each webhook reads on; one that is new begins with what is committed from now on, or at the start.

    A place beyond the ledger's end is that of a ledger from before a backup was restored: alerts that may be
    repeats are sent rather than left out.
    """
    events.refresh()
    end = events.next_seq
    with open_deliveries(home) as deliveries:
        return {
            one.name: min(end, deliveries.begin(one.name, 0 if one.from_start else end)) for one in webhooks
        }


def deliver(
    home: Path,
    webhooks: tuple[Webhook, ...],
    clock: Clock,
    stop: Callable[[], bool],
    say: Say,
    leave_s: int | None = LEAVE_S,
) -> None:
    """Delivers until `stop`; waits while another process of this home does. Raises LedgerFault."""
    events, _ = Home.open_logs(home)
    begin(home, webhooks, events)
    with open_deliveries(home) as deliveries, _alone(deliveries, stop, say) as alone:
        if alone:
            places = begin(home, webhooks, events)  # whoever delivered until now has come further
            outbox = Outbox(events, min(places.values()))
            asyncio.run(Delivery(outbox, deliveries, webhooks, places, clock, stop, say, leave_s).run())


@contextmanager
def _alone(deliveries: Deliveries, stop: Callable[[], bool], say: Say) -> Iterator[bool]:
    """Waits until no other process delivers; False if `stop` said so before."""
    told = False
    while True:
        with deliveries.sole() as alone:
            if alone or stop():
                yield alone
                return
        if not told:
            say("Another process delivers this ledger's alerts; this one takes over when it ends.")
            told = True
        time.sleep(_TURN_S)


def send_test(webhooks: tuple[Webhook, ...], at: datetime) -> list[tuple[Webhook, str | None]]:
    """One message of kind `test` to each; with what went wrong, or None."""

    async def send_all() -> list[Answer]:
        async with aiohttp.ClientSession(trust_env=True) as session:
            body = orjson.dumps({"alert_id": "test", "kind": "test", "at": instant_text(at)})
            return await asyncio.gather(*(post(session, one, "test", body, at) for one in webhooks))

    return [(one, answer.fault) for one, answer in zip(webhooks, asyncio.run(send_all()), strict=True)]


@contextmanager
def delivering(home: Path, clock: Clock, say: Say) -> Iterator[None]:
    """Delivers in a thread while the block runs, if the home has webhooks; trouble is said, never raised."""
    try:
        webhooks = load(home)
    except BadRequest as error:
        say(f"{error} No alert is delivered until that is mended and this is started again.")
        webhooks = ()
    if not webhooks:
        yield
        return
    with _unharmed(say):
        begin(home, webhooks, Home.open_logs(home)[0])
    stopped = threading.Event()
    thread = threading.Thread(
        target=_keep_delivering, args=(home, webhooks, clock, stopped, say), name="webhooks", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(2 * LEAVE_S)


def _keep_delivering(
    home: Path, webhooks: tuple[Webhook, ...], clock: Clock, stopped: threading.Event, say: Say
) -> None:
    while True:
        with _unharmed(say):
            deliver(home, webhooks, clock, stopped.is_set, say)
        if stopped.wait(_AFTER_TROUBLE_S):
            return


@contextmanager
def _unharmed(say: Say) -> Iterator[None]:
    """Whatever is wrong with delivery, the ingest beside it goes on: alerts are in the ledger and come later."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - see above
        say(f"Alerts are not delivered for the moment: {error}")
