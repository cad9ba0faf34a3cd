"""Kills `fentan` with SIGKILL at random moments until its work is done, and compares the ledgers (F-16).

    python -m tests.chaos --seed 7 --kills 1000

One town is billed undisturbed; then again and again with kills in submit, ingest and close, each command
started anew until it ends by itself. Both tables must then hold the same rows in the same order.
A kill is SIGKILL to the process that runs the command line (`tests.fentan_server`).
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from ledger.home import Home
from rating.calendar import end_of_month, instant_text, start_of_month
from streams.town import Town, make_town
from tests.fentan_server import FentanServer

LONGEST_S = 120


@dataclass
class Chaos:
    """One seed's kills and how long each command takes undisturbed."""

    server: FentanServer
    rng: random.Random
    kills: int = 0
    usual_s: dict[str, float] = field(default_factory=dict)

    def undisturbed(self, home: Path, arguments: list[str]) -> None:
        """Runs a command to its end and notes how long it took."""
        began = time.monotonic()
        self._start(home, arguments)
        self._finish(home, arguments)
        self.usual_s[arguments[2]] = max(time.monotonic() - began, self.usual_s.get(arguments[2], 0.0))

    def disturbed(self, home: Path, arguments: list[str], most: int) -> None:
        """Starts a command, kills it at a random moment, at most `most` times, then lets it end."""
        for _ in range(self.rng.randint(most // 2, most)):
            self._start(home, arguments)
            code = self.server.wait(self.rng.random() * self.usual_s[arguments[2]])
            if code is None:
                self.kills += self.server.kill()
            else:
                _judge(code, home, arguments)
        self._start(home, arguments)
        self._finish(home, arguments)

    def _start(self, home: Path, arguments: list[str]) -> None:
        self.server.start(["--home", str(home), *arguments], home.with_suffix(".said"))

    def _finish(self, home: Path, arguments: list[str]) -> None:
        _judge(self.server.wait(LONGEST_S), home, arguments)


def _judge(code: int | None, home: Path, arguments: list[str]) -> None:
    if code not in {0, 1}:  # 1: done, and some input was refused or rejected
        said = home.with_suffix(".said").read_text(encoding="utf-8", errors="replace")
        raise AssertionError(f"{' '.join(arguments)}: exit {code}: {said}")


def commands(town: Town) -> Iterator[list[str]]:
    """What bills the town, a month's files with one command: the late ones after their month's close."""
    for month in town.months:
        yield ["--now", instant_text(start_of_month(month.month)), "submit", str(month.commands)]
        arrived = instant_text(month.call_files[-1].arrives_at)
        yield ["--now", arrived, "ingest", str(month.call_files[0].path.parent)]
        yield ["--now", instant_text(end_of_month(month.month) + timedelta(hours=3)), "close", month.month]
    yield ["--now", instant_text(town.late.arrives_at), "ingest", str(town.late.path)]


def rows(home: Path) -> tuple[pa.Table, pa.Table]:
    """Everything in both tables, in order."""
    events, calls = Home.open_logs(home)
    return events.read_since(0), calls.read_since(0)


def run(seed: int, kills: int, calls: int, folder: Path, *, most_a_command: int = 8) -> int:
    """Bills a town with at least `kills` kills, over as many rounds as it takes; returns the kills.

    AssertionError if a round ends in another ledger than the undisturbed one.
    """
    town = make_town(folder / "town", calls=calls, months=2, seed=seed, last_month="2026-10")
    with FentanServer() as server:
        return _rounds(Chaos(server, random.Random(seed)), town, kills, folder, most_a_command)


def _rounds(chaos: Chaos, town: Town, kills: int, folder: Path, most_a_command: int) -> int:
    new = ["--now", instant_text(start_of_month(town.months[0].month)), "init"]
    work = [*commands(town)]
    for arguments in [new, *work]:
        chaos.undisturbed(folder / "calm", arguments)
    calm = rows(folder / "calm")
    rounds = 0
    while chaos.kills < kills:
        home = folder / f"round-{rounds}"
        chaos.disturbed(home, new, 1)
        for arguments in work:
            chaos.disturbed(home, arguments, most_a_command)
        for name, was, now in zip(("events", "calls"), calm, rows(home), strict=True):
            if not was.equals(now):
                raise AssertionError(f"round {rounds}: {name} differ; see {home} and {folder / 'calm'}")
        shutil.rmtree(home)
        rounds += 1
    return chaos.kills


def main() -> None:
    """Reads the arguments, prints one line when all rounds were right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=3000)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fentan-chaos-"))
    began = time.monotonic()
    killed = run(given.seed, given.kills, given.calls, folder)
    print(f"seed {given.seed}: {killed} kills, every ledger the same, {time.monotonic() - began:.0f} s")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
