"""`fentan nightly`: a night's work in order, each step safe to run again, with a report of one page.

What the night decides is dated with the beginning of its day, so a night that was killed and run again, or run late,
ends as one that was not. A step that fails is named and the others go on, unless the ledger itself cannot be written.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from ledger.faults import BadRequest, LedgerFault
from ledger.home import Home
from ledger.maintain import maintain_both
from ledger.months import close
from ledger.submit import Line, submit
from ledger.verify import verify
from rating.accounts import Refused
from rating.calendar import instant_text, month_of, next_month, start_of_day
from reports.ask import ask_own
from reports.explain_words import counted
from reports.night_files import reconcile_lists, write_arrears, write_text
from reports.publish import publish
from reports.said import said_of_maintenance
from reports.statements import issue

FOLDER = "nightly"
"""Where reports and lists of each night are, within the home."""

_STEP_WIDTH = 16


@dataclass(slots=True)
class Step:
    """What a step did, what it found wrong, and how long it took."""

    name: str
    said: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    took_s: float = 0.0  # not money: seconds of a clock


@dataclass(frozen=True, slots=True)
class Plan:
    """What a night is asked to do: which `day` it is, when it runs, and where others' lists and its results go.

    `lists` is the folder of carriers' and banks' lists, `statements` that of the statements; `published` is a file for
    BI tools or None.
    """

    day: date
    now: datetime
    lists: Path
    statements: Path
    published: Path | None = None
    language: str = "zh"


@dataclass(frozen=True, slots=True)
class Report:
    """A night's steps in their order."""

    home: Path
    day: date
    steps: tuple[Step, ...]

    @property
    def findings(self) -> list[str]:
        return [f"{step.name}: {finding}" for step in self.steps for finding in step.findings]

    def lines(self) -> list[str]:
        """The report of one page."""
        told = [f"Night of {self.day}, ledger {self.home}", ""]
        for step in self.steps:
            took = f"{step.took_s:8.1f} s  "
            for at, sentence in enumerate(step.said or ["nothing to do"]):
                head = f"{step.name:{_STEP_WIDTH}}{took}" if at == 0 else " " * (_STEP_WIDTH + len(took))
                told.append(head + sentence)
        told += ["", f"{counted(len(self.findings), 'finding')}." if self.findings else "No findings."]
        return told + [f"  {finding}" for finding in self.findings]


def run_night(home: Home, plan: Plan) -> Report:
    """Does the night's work and writes its report. LedgerFault if another night is at work, or nothing can be written.

    BadRequest if the day has not begun.
    """
    as_of = start_of_day(plan.day)
    if as_of > plan.now:
        raise BadRequest(
            f"{plan.day} has not begun: it is {instant_text(plan.now)}. Name a day that has, or run it later."
        )
    folder = home.folder / FOLDER / str(plan.day)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(home.folder / FOLDER / "lock"):
        steps = tuple(_steps(home, plan, as_of, folder))
        report = Report(home.folder, plan.day, steps)
        write_text(_next_report(folder), "\n".join(report.lines()) + "\n")
    return report


def _next_report(folder: Path) -> Path:
    """`report.txt`, or `report-2.txt` and so on if the night was run before."""
    runs = sum(1 for _ in folder.glob("report*.txt"))
    return folder / (f"report-{runs + 1}.txt" if runs else "report.txt")


def _steps(home: Home, plan: Plan, as_of: datetime, folder: Path) -> Iterator[Step]:
    """The order is that of what follows from what."""
    yield _done("tick", lambda step: _tick(home, plan, as_of, step), fatal=True)
    yield _done("close", lambda step: _close(home, as_of, step), fatal=True)
    yield _done("statements", lambda step: _statements(home, plan, as_of, step))
    yield _done("arrears", lambda step: step.said.append(write_arrears(home.folder, as_of, folder)))
    yield _done("reconciliation", lambda step: _reconcile(home, plan, as_of, folder, step))
    yield _done("proof", lambda step: _prove(home, step))
    yield _done("maintenance", lambda step: _maintain(home, step))
    if plan.published is not None:
        published = plan.published
        yield _done("publishing", lambda step: _publish(home, published, as_of, step))


def _done(name: str, work: Callable[[Step], None], *, fatal: bool = False) -> Step:
    step = Step(name)
    began = time.monotonic()
    try:
        work(step)
    except (Refused, BadRequest) as no:
        step.findings.append(str(getattr(no, "detail", no)))
    except Exception as error:
        if fatal:
            raise
        step.findings.append(
            f"{type(error).__name__}: {error}" if not isinstance(error, LedgerFault) else str(error)
        )
    step.took_s = time.monotonic() - began
    if step.findings and not step.said:
        step.said.append("not done, see below")
    return step


def _tick(home: Home, plan: Plan, as_of: datetime, step: Step) -> None:
    """Time passes up to the day's beginning; a tick that is in the ledger already is not sent again."""
    name = f"nightly/{plan.day}"
    before = home.events.next_seq
    home.see()
    if _is_accepted(home.folder, plan.now, name):
        step.said.append(f"{name} was there already")
        return
    command = {"command_id": name, "at": instant_text(as_of), "kind": "tick"}
    (answer,) = submit(home, [Line(json.dumps(command).encode())], "nightly", plan.now, lambda _: {})
    if answer.outcome != "accepted":
        step.findings.append(f"{name} was {answer.outcome}: {answer.detail}")
    step.said.append(f"{counted(home.events.next_seq - before - 1, 'event')} fell due")


def _is_accepted(folder: Path, now: datetime, command_id: str) -> bool:
    quoted = command_id.replace("'", "''")
    asked = f"SELECT 1 FROM events WHERE command_id = '{quoted}' AND outcome = 'accepted' LIMIT 1"
    return bool(ask_own(folder, asked, now).num_rows)


def _close(home: Home, as_of: datetime, step: Step) -> None:
    """Closes what has ended, in its order."""
    closed = close(home, next_month(month_of(as_of), -1), as_of)
    home.keep_snapshot()
    for one in closed:
        parts = ((one.customers, "customer"), (one.postings, "posting"), (one.alerts, "alert"))
        step.said.append(f"{one.month} closed: {', '.join(counted(*part) for part in parts)}")


def _statements(home: Home, plan: Plan, as_of: datetime, step: Step) -> None:
    """Of each closed month that is not complete. The mark of a complete one is written last."""
    months = ask_own(
        home.folder,
        "SELECT effect ->> '$.month' AS month FROM events WHERE kind = 'close_month' AND outcome = 'accepted' ORDER BY 1",
        as_of,
    )
    for month in months.column("month").to_pylist():
        mark = plan.statements / month / f".complete~{plan.language}"
        if mark.exists():
            continue
        done = issue(home.folder, month, plan.statements, None, None, plan.language, lambda *_: None)
        step.findings += done.findings
        step.said.append(
            f"{month}: {done.written:,} written, {done.kept:,} there already"
            + (f", {len(done.findings):,} failed" if done.findings else "")
        )
        if not done.findings:
            write_text(mark, "")


def _reconcile(home: Home, plan: Plan, as_of: datetime, folder: Path, step: Step) -> None:
    """Others' lists, as far as there are any."""
    for sentence, agrees in reconcile_lists(home.folder, plan.lists, as_of, folder):
        step.said.append(sentence)
        step.findings += [] if agrees else [sentence]


def _prove(home: Home, step: Step) -> None:
    events, calls = Home.open_logs(home.folder, whole=False)
    step.findings += [f"{finding.rule}: {finding.sentence}" for finding in verify(events, calls)]
    verdict = "not every invariant holds" if step.findings else "every invariant holds"
    step.said.append(f"{verdict} over {calls.next_seq:,} call records and {events.next_seq:,} events")


def _maintain(home: Home, step: Step) -> None:
    for log, done in maintain_both(*Home.open_logs(home.folder)):
        step.said.append(said_of_maintenance(log.folder.name, done).removesuffix("."))


def _publish(home: Home, file: Path, as_of: datetime, step: Step) -> None:
    made = publish(home.folder, file, as_of)
    step.said.append(f"{file} over {made.calls:,} call records and {made.events:,} events")


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One night at a time; the lock is the system's and goes with its process, however that ends."""
    with lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LedgerFault(
                f"Another night is at work here (process {file.read().strip() or 'unknown'}): wait for its report."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
