"""The live picture: calls and money a second, rejects by reason, lag, the latest alerts.

Beside a running ingest it reads what is new in both tables and nothing else; only the last minute at its start.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ledger.home import Home
from ledger.outbox import Outbox, Told
from ledger.tail import Tail, seq_at
from rating.calendar import instant_text
from streams.pulse import COLUMNS, OUTCOMES, SPANS_S, Pulse
from streams.spool_lag import SpoolLag

EACH_S = 1.0
_SHOWN_ALERTS = 8
_MOST_CALLS = 1_000_000
_MOST_EVENTS = 100_000


class Top:
    """What is counted from both tables, and the picture of it."""

    def __init__(self, home: Path, spool: Path | None, now: datetime) -> None:
        self._home = home
        events, calls = Home.open_logs(home)
        minute_ago = seq_at(calls, now - timedelta(seconds=max(SPANS_S) + 1))
        self._calls = Tail(calls, max(minute_ago, calls.next_seq - _MOST_CALLS), COLUMNS)
        self._outbox = Outbox(events, max(0, events.next_seq - _MOST_EVENTS))
        self._alerts: deque[Told] = deque(maxlen=_SHOWN_ALERTS)
        self._pulse = Pulse()
        self._lag = None if spool is None else SpoolLag(calls, spool)
        if calls.next_seq:
            last = calls.read_since(calls.next_seq - 1, ["received_at"])
            self._pulse.last_arrival = last.column("received_at")[0].as_py()

    def look(self, now: datetime) -> dict[str, Any]:
        """Takes in what is new; gives the picture's figures, ready for JSON."""
        while rows := self._calls.fresh():
            self._pulse.take(rows)
        while found := self._outbox.fresh():
            self._alerts.extend(alert.told() for alert in found)
        self._pulse.forget_before(now)
        last = self._pulse.last_arrival
        return {
            "at": instant_text(now.replace(microsecond=0)),
            "per_second": {f"{span_s} s": rates for span_s, rates in self._pulse.rates(now).items()},
            "records": self._calls.next_seq,
            "rejects_seen": dict(self._pulse.rejects.most_common()),
            "last_arrival": None if last is None else instant_text(last.replace(microsecond=0)),
            "quiet_s": None if last is None else max(0, int((now - last).total_seconds())),
            "unread_bytes": None if self._lag is None else self._lag.unread_bytes(),
            "alerts": [asdict(told) for told in reversed(self._alerts)],
        }

    def draw(self, figures: dict[str, Any]) -> RenderableType:
        """The picture for people."""
        head = Text(f"{self._home}   {figures['at'].replace('T', ' ').removesuffix('+08:00')}", style="bold")
        parts: list[RenderableType] = [head, _rates(figures["per_second"]), _lag(figures)]
        if figures["rejects_seen"]:
            parts.append(_rejects(figures))
        parts.append(_alerts(figures["alerts"]))
        return Group(*parts)


def _table(*columns: str, right_from: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place >= right_from else "left", no_wrap=True)
    return table


def _rates(per_second: dict[str, dict[str, Any]]) -> Table:
    table = _table("a second, over the last", *per_second, right_from=1)
    for name in ("calls", *OUTCOMES, "yuan"):
        table.add_row(name, *(rates[name] for rates in per_second.values()))
    return table


def _lag(figures: dict[str, Any]) -> Text:
    if figures["last_arrival"] is None:
        return Text("No call has arrived yet.")
    at = figures["last_arrival"].replace("T", " ").removesuffix("+08:00")
    said = f"{figures['records']:,} records; the last arrived at {at}, {figures['quiet_s']:,} s ago"
    if figures["unread_bytes"] is not None:
        said += f"; {figures['unread_bytes']:,} bytes of the spool are not read yet"
    return Text(f"{said}.")


def _rejects(figures: dict[str, Any]) -> Table:
    table = _table("rejected because", *figures["per_second"], "since this began", right_from=1)
    for reason, count in figures["rejects_seen"].items():
        spans = (str(rates["reasons"].get(reason, 0)) for rates in figures["per_second"].values())
        table.add_row(reason, *spans, f"{count:,}")
    return table


def _alerts(alerts: list[dict[str, Any]]) -> RenderableType:
    if not alerts:
        return Text("\nNo alert lately.")
    table = _table("latest alerts", "", "", "balance", right_from=3)
    for alert in alerts:
        at = alert["at"].replace("T", " ").removesuffix("+08:00")
        table.add_row(at, alert["kind"], Text(alert["account"]), alert["balance"])
    return table


def show(
    top: Top, form: str, console: Console, clock: Callable[[], datetime], stop: Callable[[], bool]
) -> None:
    """Draws the picture anew each second until `stop`: in place on a terminal, one below the other elsewhere."""
    if form == "json" or not console.is_terminal:
        while True:
            show_once(top, form, console, clock())
            if _pause(stop):
                return
    with Live(top.draw(top.look(clock())), console=console, auto_refresh=False, screen=True) as live:
        while not _pause(stop):
            live.update(top.draw(top.look(clock())), refresh=True)


def show_once(top: Top, form: str, console: Console, now: datetime) -> None:
    """One picture."""
    figures = top.look(now)
    if form == "json":
        console.out(json.dumps(figures, ensure_ascii=False), highlight=False)
    else:
        console.print(top.draw(figures))


def _pause(stop: Callable[[], bool]) -> bool:
    """Waits for the next picture; True if it is time to stop."""
    until_s = time.monotonic() + EACH_S
    while not stop() and (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(left_s, 0.1))
    return stop()
