"""`fentan worker`: from its start to its end, which always says why.

The threads: one fetches and decodes calls, one works on the ledger, one publishes; Faust's event loop has the agent
for commands and the web pages. Whatever makes it impossible to go on ends the process: what is in hand is finished
if that is possible within seconds, and the next worker goes on from the ledger's offsets.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from mode import Service

from ledger.faults import BadRequest
from ledger.memory import work_for_long
from streams.calls import CallsReader, Flush
from streams.cluster import BrokerFault, Cluster, Topic
from streams.commands import CommandReader
from streams.faust_app import App, Parts, make_app
from streams.ledger_thread import LedgerThread
from streams.metrics import Metrics
from streams.publisher import TABLES, Publisher
from streams.topics import CDRS, COMMANDS, TOPICS
from streams.web import add_pages

_LEAVE_S = 30
"""How long a worker may take to leave; then the process ends all the same."""
_SAME_TOPICS_EVERY_S = 5
_SAY_EVERY_S = 30
_log = logging.getLogger("fentan.worker")


@dataclass(frozen=True)
class Settings:
    """How a worker works."""

    flush: Flush
    web: tuple[str, int] | None
    accepted_gaps: tuple[str, ...] = ()
    session_timeout_s: int = 10
    ready_within_s: int = 150
    """how long the group may take to give a worker its part; a member may be silent, or the broker gone, for less"""


class Threads(Service):
    """The reader of calls and the publishers, in the app's life cycle."""

    def __init__(
        self, reader: CallsReader, publishers: list[Publisher], fail: Callable[[BaseException], None]
    ) -> None:
        super().__init__()
        self._reader, self._publishers, self._fail = reader, publishers, fail
        self._threads: list[threading.Thread] = []

    async def on_start(self) -> None:
        """Starts them."""
        leads = lambda: 0 in self._reader.assigned  # noqa: E731
        for job in (self._reader.run, *(partial(one.run, leads) for one in self._publishers)):
            thread = threading.Thread(target=self._guarded, args=(job,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except:  # noqa: E722  what librdkafka's client raises out of a rebalance is no BaseException
            error: Any = sys.exc_info()[1]
            known = isinstance(error, BaseException)
            self._fail(error if known else BrokerFault(f"Kafka's client cannot go on: {error}."))

    async def on_stop(self) -> None:
        """Drains: calls that were fetched are committed, then what follows from them is published."""
        self._reader.stop()
        loop = asyncio.get_running_loop()
        for publisher in self._publishers if self._threads else []:
            publisher.stop_after(self._threads[0])
        for thread in self._threads:
            await loop.run_in_executor(None, thread.join)


def run(cluster: Cluster, folder: Path, clock: Callable[[], datetime], settings: Settings) -> None:
    """Works until SIGTERM or SIGINT. Raises what it cannot go on with: LedgerFault, Gap, BrokerFault."""
    work_for_long()
    asyncio.run(_Worker(cluster, folder, clock, settings).work())


class _Worker:
    def __init__(
        self, cluster: Cluster, folder: Path, clock: Callable[[], datetime], settings: Settings
    ) -> None:
        self._cluster, self._settings = cluster, settings
        self._topics = cluster.needed(TOPICS)
        self._ledger = LedgerThread(folder)
        for sentence in self._ledger.repaired:
            _log.warning("%s", sentence)
        self._metrics = Metrics()
        self._reason: BaseException | None = None
        self._ending = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reader = CallsReader(
            cluster, self._topics[CDRS], self._ledger, clock, self._metrics, settings.flush,
            settings.accepted_gaps, settings.session_timeout_s,
        )  # fmt: skip
        self._publishers = [Publisher(table, cluster, self._ledger, clock, self._metrics) for table in TABLES]
        self._reader.on_commit = self._wake
        self._commands = CommandReader(cluster, self._topics[COMMANDS], clock)

    async def work(self) -> None:
        """The whole life of the worker."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._ending.set)
        parts = Parts(
            self._cluster, self._ledger, self._commands, self._metrics, self._fail,
            self._settings.accepted_gaps, self._settings.session_timeout_s,
        )  # fmt: skip
        threads = Threads(self._reader, self._publishers, self._fail)
        app = make_app(parts, self._ledger.folder / "cache" / "faust", self._settings.web, [threads])
        add_pages(app, self._metrics, self.trouble)
        starting = asyncio.ensure_future(self._start(app))
        watching = [asyncio.ensure_future(one) for one in (self._watch(app), self._watch_start(app))]
        _log.info("started", extra={"kafka": self._cluster.address, "ledger": str(self._ledger.folder)})
        await self._ending.wait()
        _log.info("leaving", extra={"reason": str(self._reason) if self._reason else "told to stop"})
        for one in watching:
            one.cancel()
        leaving = threading.Timer(_LEAVE_S, self._leave_at_once)
        leaving.daemon = True
        leaving.start()
        if not starting.done():
            starting.cancel()
        await app.stop()
        self._ledger.close()
        leaving.cancel()
        if self._reason is not None:
            raise self._reason

    async def _start(self, app: App) -> None:
        try:
            await app.start()
        except Exception as error:  # noqa: BLE001  the worker ends with it
            self._fail(error)

    def trouble(self, app: App) -> str | None:
        """Why this worker is not ready; None if it is."""
        if self._reason is not None:
            return str(self._reason)
        if not self._reader.joined:
            return "The group has not given us our part of cdrs yet."
        if not app.commands_assigned:
            return "The group has not given us our part of commands yet."
        return None

    def _wake(self) -> None:
        for publisher in self._publishers:
            publisher.wake.set()

    def _fail(self, reason: BaseException) -> None:
        """From any thread: the worker ends, and says this."""
        if isinstance(reason, asyncio.CancelledError):
            return
        if self._reason is None:
            self._reason = self._explained(reason)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)

    def _explained(self, reason: BaseException) -> BaseException:
        """What a client of Kafka's raised, as a sentence."""
        from aiokafka.errors import KafkaError
        from confluent_kafka import KafkaException

        if isinstance(reason, OSError) and reason.errno == errno.EADDRINUSE and self._settings.web:
            return BadRequest(
                "Somebody else, perhaps another worker, has the address {}:{} of the web pages: give another with "
                "--web HOST:PORT, or --web none.".format(*self._settings.web)
            )
        if not isinstance(reason, (KafkaError, KafkaException)):
            return reason
        what = " ".join(str(reason).split())
        return BrokerFault(
            f"Kafka at {self._cluster.address} cannot be used: {what}. Look at the broker; a worker that is started "
            "when it answers goes on where the ledger is."
        )

    def _leave_at_once(self) -> None:
        """Something hangs on the way out. The ledger is whole whenever a process ends (F-16)."""
        sentence = f"It did not leave within {_LEAVE_S} s" + (
            f" after: {self._reason}" if self._reason else "."
        )
        print(sentence, file=sys.stderr, flush=True)
        os._exit(4)

    async def _watch_start(self, app: App) -> None:
        """A worker that is not ready says what it waits for, and ends when it has waited for too long."""
        for waited_s in range(1, self._settings.ready_within_s + 1):
            await asyncio.sleep(1)
            trouble = self.trouble(app)
            if trouble is None:
                return
            if waited_s % _SAY_EVERY_S == 0:
                _log.warning("not ready after %d s: %s", waited_s, trouble)
        self._fail(
            BrokerFault(
                f"Not ready within {self._settings.ready_within_s} s: {trouble} Look at the broker, and whether others "
                "are in our groups that should not be; a worker that is started then goes on where the ledger is."
            )
        )

    async def _watch(self, app: App) -> None:
        """Ends the worker when Faust has crashed, or when a topic was made anew under our hands (F-17)."""
        loop = asyncio.get_running_loop()
        waited_s = 0.0
        while True:
            await asyncio.sleep(0.5)
            waited_s += 0.5
            if app.crashed:
                self._fail(
                    BrokerFault(
                        f"Faust cannot go on: {app.crash_reason or 'it does not say why'}. Start the worker again."
                    )
                )
                return
            if waited_s >= _SAME_TOPICS_EVERY_S:
                waited_s = 0.0
                try:
                    there = await loop.run_in_executor(None, self._cluster.described, [CDRS, COMMANDS])
                except BrokerFault as fault:
                    _log.warning("%s", fault)  # a broker that restarts: the clients wait for it
                    continue
                changed = self._changed(there)
                if changed:
                    self._fail(BrokerFault(changed))
                    return

    def _changed(self, there: dict[str, Topic]) -> str | None:
        for topic in (CDRS, COMMANDS):
            was, now = self._topics[topic], there.get(topic)
            if now is None:
                return (
                    f"The topic {was.name} was deleted. Make it again with `fentan topics create`, start the worker, "
                    "and send what had not been read."
                )
            if now.topic_id != was.topic_id:
                return f"The topic {was.name} was made anew. Start the worker again: it says what to do."
        return None
