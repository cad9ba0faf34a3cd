"""Alerts from the ledger to webhooks: signed, tried again with growing waits, in order for each account (R-ARR-3).

Every webhook goes at its own pace: one that hangs or fails holds up neither the others nor, of its own, the alerts
of other accounts. At least once: a repeat has the same `webhook-id` and `alert_id` (F-20).
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import aiohttp

from ledger.outbox import Alert, Outbox
from streams.deliveries import Deliveries, Message
from streams.webhooks import Webhook, message_id, signed_headers

POLL_S = 0.05
AT_ONCE = 8
"""So many requests to one webhook are under way at most."""
LEAVE_S = 5
"""So long what is under way may take once delivery is to stop."""

_MANY_EVENTS = 10_000

Clock = Callable[[], datetime]


@dataclass
class Delivery:
    """One process's delivery to all webhooks of a home.

    `places`: webhook -> the seq from which on it wants alerts. `say` hears a sentence when a webhook falls silent,
    answers again, or a message is given up. `leave_s` None: once `stop` says so, all that is due is tried before.
    """

    outbox: Outbox
    deliveries: Deliveries
    webhooks: tuple[Webhook, ...]
    places: dict[str, int]
    clock: Clock
    stop: Callable[[], bool]
    say: Callable[[str], None]
    leave_s: int | None = LEAVE_S
    _closing: bool = False
    _silent: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Delivers until `stop`. Raises LedgerFault if the ledger or the file of deliveries cannot be used."""
        async with aiohttp.ClientSession(trust_env=True) as session:
            serving = [asyncio.create_task(self._serve(session, webhook)) for webhook in self.webhooks]
            try:
                while not self.stop():
                    if not await self._take():
                        await asyncio.sleep(POLL_S)
                    for task in serving:
                        if task.done():
                            task.result()
                while await self._take():
                    pass
                self._keep([])
                self._closing = True
                for task in (await asyncio.wait(serving, timeout=self.leave_s))[0]:
                    task.result()
            finally:
                for task in serving:
                    task.cancel()
                await asyncio.gather(*serving, return_exceptions=True)

    async def _take(self) -> bool:
        """New alerts become messages; False if there were none."""
        before = self.outbox.next_seq
        found = await asyncio.to_thread(self.outbox.fresh)
        if found or self.outbox.next_seq - before > _MANY_EVENTS:
            self._keep(self._messages(found))
        return bool(found)

    def _keep(self, messages: list[Message]) -> None:
        names = [webhook.name for webhook in self.webhooks]
        self.deliveries.take(messages, names, self.outbox.next_seq)

    def _messages(self, alerts: list[Alert]) -> list[Message]:
        return [
            Message.of(webhook.name, told)
            for alert in alerts
            for told in (alert.told(),)
            for webhook in self.webhooks
            if webhook.wants(alert.kind) and alert.seq >= self.places[webhook.name]
        ]

    async def _serve(self, session: aiohttp.ClientSession, webhook: Webhook) -> None:
        under_way: dict[Message, asyncio.Task[None]] = {}
        try:
            while True:
                for message in self._due(webhook, len(under_way)):
                    if message not in under_way and len(under_way) < AT_ONCE:
                        under_way[message] = asyncio.create_task(self._try(session, webhook, message))
                if under_way:
                    await asyncio.wait(
                        under_way.values(), timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED
                    )
                elif self._closing:
                    return
                else:
                    await asyncio.sleep(POLL_S)
                for message in [message for message, task in under_way.items() if task.done()]:
                    under_way.pop(message).result()
        finally:
            for task in under_way.values():
                task.cancel()
            await asyncio.gather(*under_way.values(), return_exceptions=True)

    def _due(self, webhook: Webhook, under_way: int) -> list[Message]:
        if under_way >= AT_ONCE:
            return []
        return self.deliveries.due(webhook.name, self.clock(), webhook.longest_wait_s, AT_ONCE + under_way)

    async def _try(self, session: aiohttp.ClientSession, webhook: Webhook, message: Message) -> None:
        answer = await post(session, webhook, message_id(message.alert_id), message.body, self.clock())
        now = self.clock()
        if answer.fault is None:
            self.deliveries.delivered(message, now)
            if webhook.name in self._silent:
                self._silent.discard(webhook.name)
                self.say(f"Webhook {webhook.name} ({webhook.host}) answers again.")
            return
        if message.attempts + 1 >= webhook.attempts:
            self.deliveries.give_up(message, answer.fault, now)
            self.say(
                f"Webhook {webhook.name} ({webhook.host}): alert {message.alert_id} was given up at attempt "
                f"{message.attempts + 1}: {answer.fault}. `fentan webhooks resend` sends it again."
            )
            return
        wait_s = max(webhook.wait_s(message.attempts + 1), min(answer.retry_after_s, webhook.longest_wait_s))
        self.deliveries.failed(message, answer.fault, now + timedelta(seconds=wait_s * _jitter()))
        if webhook.name not in self._silent:
            self._silent.add(webhook.name)
            self.say(
                f"Webhook {webhook.name} ({webhook.host}): {answer.fault}; its alerts wait and are tried again."
            )


@dataclass(frozen=True)
class Answer:
    """`fault` None: the receiver has it. `retry_after_s`: how long it asked to be left alone."""

    fault: str | None
    retry_after_s: int = 0


async def post(
    session: aiohttp.ClientSession, webhook: Webhook, message: str, body: bytes, at: datetime
) -> Answer:
    """One attempt: any answer from 200 to 299 within the webhook's time is success; redirections are not followed."""
    try:
        async with session.post(
            webhook.url,
            data=body,
            headers=signed_headers(webhook.key, message, body, at),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=webhook.timeout_s),
        ) as response:
            if 200 <= response.status < 300:
                return Answer(None)
            return Answer(f"it answered {response.status}", _seconds(response.headers.get("Retry-After")))
    except TimeoutError:
        return Answer(f"no answer within {webhook.timeout_s} s")
    except aiohttp.ClientConnectorError as error:
        return Answer(f"no connection ({_system_word(error.os_error)})")
    except (aiohttp.ClientError, OSError) as error:
        return Answer(f"the connection broke ({type(error).__name__})")


def _system_word(error: OSError) -> str:
    """`Connection refused`, or what else the system says; never an address."""
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno)
    return "the host's name is not known" if isinstance(error, socket.gaierror) else type(error).__name__


def _seconds(text: str | None) -> int:
    """A Retry-After in seconds; one that names a date is not heeded."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 9 else 0


def _jitter() -> float:
    """So that many messages that failed together do not come back together."""
    return random.uniform(0.9, 1.1)
