"""The Faust app of a worker: its life cycle, the agent for commands, the web pages; calls run beside it as a service.

Faust's own offsets decide nothing: whenever partitions are assigned, the consumer goes to where the ledger is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faust
from faust.assignor import PartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from yarl import URL

from ledger.home import Home
from streams.cluster import COMMANDS_GROUP, Cluster, Topic
from streams.commands import CommandReader, Received
from streams.ledger_thread import LedgerThread
from streams.metrics import Metrics
from streams.positions import starts

_TAKEN = 1_000
_WITHIN_S = 0.02
_log = logging.getLogger("fentan.commands")

Fail = Callable[[BaseException], None]
"""Ends the worker with this as its reason."""


@dataclass(frozen=True)
class Parts:
    """What the app is made of."""

    cluster: Cluster
    ledger: LedgerThread
    commands: CommandReader
    metrics: Metrics
    fail: Fail
    accepted_gaps: tuple[str, ...] = ()
    session_timeout_s: int = 10


class LedgerConsumer(driver.Consumer):
    """Reads on from the ledger's offsets instead of the group's."""

    app: App

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Goes to the first record of each partition that the ledger does not hold."""
        parts: Parts = self.app.parts
        ours = [tp for tp in self.assignment() if tp.topic == parts.commands.topic.name]
        try:
            first, end = await self.earliest_offsets(*ours), await self.highwaters(*ours)
            bounds = {tp.partition: (first[tp], end[tp]) for tp in ours}

            def positions(home: Home) -> dict[int, int]:
                home.see()
                return starts(home.events, parts.commands.topic, bounds, parts.accepted_gaps)

            found = await asyncio.wrap_future(parts.ledger.submit(positions))
        except asyncio.CancelledError:  # the next rebalance has come already
            raise
        except BaseException as error:
            parts.fail(error)
            raise
        places = {tp: found[tp.partition] for tp in ours}
        if places:
            await self.seek_wait(places)
        self.app.commands_assigned = True
        return places


class LedgerTransport(driver.Transport):
    """Kafka through aiokafka, with a `LedgerConsumer`."""

    Consumer = LedgerConsumer


class _Metadata:
    """What aiokafka knows of the cluster; of the topic of commands it knows at least what we saw at the start."""

    def __init__(self, known: Any, topic: Topic) -> None:
        self._known, self._topic = known, topic

    def partitions_for_topic(self, name: str) -> Any:
        found = self._known.partitions_for_topic(name)
        return found or (set(range(self._topic.partitions)) if name == self._topic.name else found)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._known, name)


class Assignor(PartitionAssignor):
    """Faust's, which leaves out a topic that it has no metadata of, as after a broker's restart: then nobody would
    read commands until the next rebalance."""

    app: App

    def assign(self, cluster: Any, member_metadata: Any) -> Any:
        """Who reads which partitions."""
        return super().assign(_Metadata(cluster, self.app.parts.commands.topic), member_metadata)


class App(faust.App):
    """A Faust app that runs services of ours for as long as it lives."""

    parts: Parts
    commands_assigned = False
    """True once Faust's group has given us our part of the commands, which may be none."""

    def __init__(self, *args: Any, services: Iterable[Any] = (), **kwargs: Any) -> None:
        """As `faust.App`; `services` start with it and stop before it."""
        super().__init__(*args, **kwargs)
        self._ours = list(services)

    def on_init_dependencies(self) -> Iterable[Any]:
        """Faust's own and ours."""
        return [*super().on_init_dependencies(), *self._ours]


def make_app(parts: Parts, folder: Path, web: tuple[str, int] | None, services: Iterable[Any]) -> App:
    """The app; `folder` may be deleted at any time, `web` is the address and port of its pages."""
    cluster = parts.cluster
    folder.mkdir(parents=True, exist_ok=True)
    host, port = web or ("127.0.0.1", 0)
    app = App(
        cluster.name(COMMANDS_GROUP),
        services=services,
        broker=[URL(f"kafka://{one}") for one in cluster.address.split(",")],
        broker_client_id="fentan",
        broker_credentials=cluster.access.for_faust(),
        broker_session_timeout=float(parts.session_timeout_s),
        broker_heartbeat_interval=max(0.5, parts.session_timeout_s / 5),
        key_serializer="raw",
        value_serializer="raw",
        store="memory://",
        datadir=str(folder),
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,
        autodiscover=False,
        PartitionAssignor=Assignor,
        web_enabled=web is not None,
        web_bind=host,
        web_port=port,
        web_host=host,
        loghandlers=[],
    )
    app.parts = parts
    app.transport = LedgerTransport(app.conf.broker_consumer, app, app.loop)
    topic = app.topic(parts.commands.topic.name, value_serializer="raw", key_serializer="raw", internal=False)
    app.agent(topic, name="commands", concurrency=1)(_agent(parts))
    return app


def _agent(parts: Parts) -> Callable[[Any], Any]:
    async def decide_commands(stream: Any) -> None:
        """No exception may leave the loop: Faust would go on without the records in hand."""
        async for events in stream.noack_take(_TAKEN, within=_WITHIN_S):
            received = [
                Received(event.message.partition, event.message.offset, event.message.value or b"")
                for event in events
            ]
            try:
                answers = await asyncio.wrap_future(
                    parts.ledger.submit(partial(parts.commands.decide, received))
                )
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001  the worker ends with it
                parts.fail(error)
                await asyncio.sleep(3600)
                return
            for answer in answers:
                parts.metrics.answered(answer.outcome)
            if answers:
                _log.info("decided", extra={"commands": len(answers)})
            for event in events:
                await stream.ack(event)

    return decide_commands
