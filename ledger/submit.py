"""Business commands into `events`: each line ends as exactly one row with its answer (R-INV-1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from ledger import scan
from ledger.home import Home
from ledger.log import LostRace
from ledger.memory import uncollected
from ledger.rerate import rerate_due
from ledger.rows import EventRows, canonical
from rating import business, rerating
from rating.accounts import Command
from rating.calendar import instant_text
from rating.commands import OF_ALL, Unreadable, read_command, read_object
from rating.reasons import Reason
from rating.state import State


class Line(NamedTuple):
    """One command as it arrived, and where."""

    raw: bytes
    pos: int = 0
    end: int = 0


class Answer(NamedTuple):
    """What became of one line."""

    seq: int
    command_id: str | None
    kind: str | None
    outcome: str
    reason: str | None
    detail: str | None


class _Before(NamedTuple):
    """An accepted command with the same id."""

    seq: int
    kind: str
    at: datetime
    payload: str


Offsets = Callable[[Line], Mapping[str, int]]
"""What to commit beside the rows once this line is the last one in them."""


def submit(
    home: Home,
    lines: Sequence[Line],
    source: str | None,
    received_at: datetime,
    offsets: Offsets,
    known: Callable[[Line], bool] = lambda _: False,
) -> list[Answer]:
    """Decides the lines one by one, each seeing all before it, and commits them in as few commits as may be.

    A command that reaches back to calls already charged ends its commit, and the re-rating follows at once,
    wherever the lines were cut (R-INV-5). `known` says, of the ledger as it is then, whether another writer has
    committed a line already: such a line is passed over, without an answer (F-19).
    """
    answers: list[Answer] = []
    left = list(lines)
    while left:
        home.see()
        rerate_due(home)  # of a process that was killed before it
        left = [line for line in left if not known(line)]
        if not left:
            break
        try:
            decided = _decide(home, left, source, received_at, offsets)
        except LostRace:
            continue
        answers += decided
        left = left[len(decided) :]
        rerate_due(home)
    return answers


def _decide(
    home: Home, lines: Sequence[Line], source: str | None, received_at: datetime, offsets: Offsets
) -> list[Answer]:
    rows = EventRows()
    with uncollected():
        try:
            answers = decide_lines(home, lines, source, received_at, rows)
        except BaseException:
            home.state.take_back()
            raise
        home.commit_events(rows, dict(offsets(lines[len(answers) - 1])))
    return answers


def decide_lines(
    home: Home, lines: Sequence[Line], source: str | None, received_at: datetime, rows: EventRows
) -> list[Answer]:
    """Decides lines onto the state and into `rows`, up to and with the first that reaches back; commits nothing."""
    read = [_read(line.raw) for line in lines]
    commands = [one for one in read if isinstance(one, _Read)]
    before = _accepted_before(home, [one.command.command_id for one in commands])
    home.state.gathered.update(scan.find_postings(home.events, _named_postings(home.state, commands)))
    answers: list[Answer] = []
    for line, one in zip(lines, read, strict=True):
        answers.append(_decide_line(home, rows, before, line, one, source, received_at))
        if rerating.next_due(home.state) is not None:
            break
    return answers


class _Read(NamedTuple):
    command: Command
    payload: str


def _read(raw: bytes) -> _Read | Unreadable:
    try:
        value = read_object(raw)
        command = read_command(value, business.fields_of)
    except Unreadable as fault:
        return fault
    return _Read(command, _payload(value))


def _payload(value: Mapping[str, Any]) -> str:
    return canonical({name: given for name, given in value.items() if name not in OF_ALL})


def _named_postings(state: State, commands: Sequence[_Read]) -> set[str]:
    """The postings that the commands are about, by their own ids or through a dispute's."""
    fields = [one.command.fields for one in commands]
    disputes = (state.disputes.get(one["dispute_id"]) for one in fields if one.get("dispute_id"))
    disputed = {dispute.posting_id for dispute in disputes if dispute is not None}
    return disputed | {one["posting_id"] for one in fields if one.get("posting_id")}


def _accepted_before(home: Home, ids: list[str]) -> dict[str, _Before]:
    """The accepted commands with these ids: the index's candidates, confirmed by their rows."""
    wanted = home.accepted_rows(pa.array(ids, pa.string()))
    if not wanted:
        return {}
    found = scan.ask(
        f'SELECT command_id, seq, kind, "at", payload FROM {home.events.scan_sql()} WHERE list_contains($seqs, seq)',
        seqs=wanted,
    )
    rows = found.to_pylist()
    return {row["command_id"]: _Before(row["seq"], row["kind"], row["at"], row["payload"]) for row in rows}


def _decide_line(
    home: Home,
    rows: EventRows,
    before: dict[str, _Before],
    line: Line,
    one: _Read | Unreadable,
    source: str | None,
    received_at: datetime,
) -> Answer:
    state, seq = home.state, home.state.events_seq
    if isinstance(one, Unreadable):
        seen, payload, at = one.seen, _payload(one.seen) if one.seen else None, None
        outcome, reason, detail = "rejected", one.reason, one.detail
    elif one.command.command_id in before:
        command, payload, at = one.command, one.payload, one.command.at
        seen = {"command_id": command.command_id, "kind": command.kind}
        outcome = "duplicate"
        reason, detail = _compared(one, before[command.command_id])
    else:
        return _decide_command(home, rows, before, line, one, source, received_at)
    rows.add_unread(
        outcome, reason, detail, seen, at, state.calls_seq, received_at,
        payload=payload, raw=line.raw, source=source, source_pos=line.pos,
    )  # fmt: skip
    business.pass_over(state)
    given_id, given_kind = seen.get("command_id"), seen.get("kind")
    return Answer(seq, given_id and str(given_id), given_kind and str(given_kind), outcome, reason, detail)


def _warned(detail: str | None, command: Command) -> str:
    given = ", ".join(repr(name if len(name) <= 40 else name[:39] + "…") for name in command.slips)
    left_out = ", ".join(name for name, value in command.fields.items() if value is None)
    slip = f"{command.kind} does not know {given}, which changed nothing; it may have {left_out}."
    return f"{detail} {slip}" if detail else slip


def _compared(one: _Read, earlier: _Before) -> tuple[Reason, str]:
    """The same id again: the same content is a repeat, other content a conflict; the first stands (R-INV-6)."""
    command = one.command
    accepted = f"{command.command_id} was accepted before, as row {earlier.seq} of events"
    if (earlier.kind, earlier.at, earlier.payload) == (command.kind, command.at, one.payload):
        return Reason.DUPLICATE, f"{accepted}."
    return (
        Reason.CONFLICTING_DUPLICATE,
        f"{accepted}, a {earlier.kind} of {instant_text(earlier.at)} with other content; the first stands.",
    )


def _decide_command(
    home: Home,
    rows: EventRows,
    before: dict[str, _Before],
    line: Line,
    one: _Read,
    source: str | None,
    received_at: datetime,
) -> Answer:
    """The command's event, what fell due before it and what follows from it, each a row."""
    state, command, first = home.state, one.command, home.state.events_seq
    answer: Answer | None = None
    for seq, event in enumerate(business.handle(state, command, received_at), start=first):
        if event.command_id != command.command_id or event.kind != command.kind:
            rows.add(event, state.calls_seq, received_at)
            continue
        accepted = event.outcome == "accepted"
        answered = (
            event._replace(detail=_warned(event.detail, command)) if accepted and command.slips else event
        )
        rows.add(
            answered,
            state.calls_seq,
            received_at,
            payload=one.payload,
            raw=None if accepted else line.raw,
            source=source,
            source_pos=line.pos,
        )
        answer = Answer(seq, command.command_id, command.kind, event.outcome, event.reason, answered.detail)
        if accepted:
            before[command.command_id] = _Before(seq, command.kind, command.at, one.payload)
    if answer is None:
        raise AssertionError(f"{command.command_id} was decided without an answer")
    return answer
