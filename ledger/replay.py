"""Rebuilds a ledger from its facts into an empty folder and says whether it is the same, row for row (R-INV-5).

Facts are what came from outside: call records, command lines, price books, and that a month was closed at an
instant. Everything else (rates, duplicates, alerts, adjustments, postings) is decided again. The two tables are
walked in the order that `events_seq` and `calls_seq` prescribe: a call is rated by the catalogue that it was
rated by, a command sees the calls that it had seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ledger.charge import rated_rows
from ledger.faults import BadRequest, LedgerFault
from ledger.home import Home
from ledger.log import Log
from ledger.months import decide_close, decide_due
from ledger.rerate import decide_rerating
from ledger.rows import EventRows, read_events
from ledger.schema import CALLS, EVENTS
from ledger.submit import Line, decide_lines
from rating import business, rerating
from rating.calendar import instant_text
from rating.records import RECORD

_CLOSES = ["close_customer", "close_month"]
_FACTS = ["adopt_price_book", "rerate", *_CLOSES]
_BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row that came out differently."""

    table: str
    seq: int
    column: str
    was: str
    now: str


@dataclass
class Replayed:
    """How far the replay came, and the first difference in each table, if any."""

    calls: int = 0
    events: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def identical(self) -> bool:
        return not self.differences


def replay(events: Log, calls: Log, into: Path, progress: Callable[[int, int], None]) -> Replayed:
    """Replays both tables into the empty folder `into`; `progress` gets (rows done, rows in all)."""
    if into.exists() and not (into.is_dir() and not any(into.iterdir())):
        raise BadRequest(f"{into} is not an empty folder: name one that is empty or new.")
    return _Replay(events, calls, into, progress).run()


class _Replay:
    def __init__(self, events: Log, calls: Log, into: Path, progress: Callable[[int, int], None]) -> None:
        self.old_events, self.old_calls = events, calls
        self.home = Home.bare(into)
        self.progress = progress
        self.done = Replayed()
        self.total = events.next_seq + calls.next_seq
        self.calls_left = _Rows(calls, CALLS.names)
        self.events_left = _Rows(events, EVENTS.names)

    def run(self) -> Replayed:
        while self.events_left.more() or self.calls_left.more():
            moved = self._take_calls() + self._take_events()
            self.done.calls, self.done.events = self.home.calls.next_seq, self.home.events.next_seq
            self.progress(self.done.calls + self.done.events, self.total)
            if self.done.differences:
                return self.done
            if not moved:
                raise LedgerFault("The ledger's two tables wait for each other: run `fentan verify`.")
        self.home.copy_offsets(self.old_events, self.old_calls)
        return self.done

    # calls

    def _take_calls(self) -> int:
        """Rates the calls whose catalogue is known by now, in runs of one catalogue and arrival."""
        taken = 0
        while (rows := self.calls_left.peek()) is not None:
            known = rows.column("events_seq")[0].as_py()
            if known > self.home.events.next_seq:
                break
            run = _leading_run(rows, ["events_seq", "received_at"])
            self._charge(run, known)
            self.calls_left.drop(run.num_rows)
            taken += run.num_rows
            if self.done.differences:
                break
        return taken

    def _charge(self, old: pa.Table, events_seq: int) -> None:
        faults = pc.if_else(
            pc.is_in(old.column("reason"), pa.array(["UNREADABLE", "MISSING_FIELD"])),
            old.column("reason"),
            None,
        )
        columns = {
            field.name: old.column(field.name)
            for field in RECORD
            if field.name not in {"fault", "fault_detail"}
        }
        columns |= {
            "fault": faults,
            "fault_detail": pc.if_else(pc.is_valid(faults), old.column("detail"), None),
        }
        records = pa.table([columns[field.name].cast(field.type) for field in RECORD], schema=RECORD)
        received_at = old.column("received_at")[0].as_py()
        prices = self.home.prices_at(events_seq)
        rows = rated_rows(
            self.home, prices, records, old.column("source"), received_at, old.column("retries")
        )
        self.home.calls.append(rows)
        rows = rows.add_column(0, "seq", old.column("seq"))
        self.home.committed_calls(rows)
        new = _plain(rows, CALLS)
        self._compare("calls", old, new)

    # events

    def _take_events(self) -> int:
        """Decides what follows from the calls so far or, if nothing does, the next facts."""
        rows = self.events_left.peek()
        if rows is None:
            return 0
        calls_seq = rows.column("calls_seq")[0].as_py()
        if calls_seq > self.home.calls.next_seq:
            return 0
        decided = EventRows()
        self.home.decide_until(calls_seq, decided)
        if not len(decided):
            facts = self.events_left.peek_facts()
            if not facts:
                raise LedgerFault(
                    f"Row {self.done.events} of events follows from nothing: run `fentan verify`."
                )
            self._decide(facts, decided)
        count = len(decided)
        old = self.events_left.read(count)
        new = decided.table(self.home.events.next_seq)
        self.home.commit_events(decided)
        self._compare("events", old, new)
        self.events_left.drop(count)
        return count

    def _decide(self, facts: list[dict[str, Any]], decided: EventRows) -> None:
        fact = facts[0]
        if fact["kind"] == "adopt_price_book":
            event = next(event for _, event in read_events(pa.Table.from_pylist([fact], schema=EVENTS)))
            business.decided(self.home.state, event)
            decided.add(event, self.home.state.calls_seq, fact["received_at"])
        elif fact["kind"] in _CLOSES:
            decide_close(self.home, _month(fact), fact["at"], decided)
        elif fact["kind"] == "rerate" and rerating.next_due(self.home.state) is None:
            decide_due(
                self.home, fact["received_at"], decided
            )  # it follows from what fell due before a close
        elif fact["kind"] == "rerate":
            decide_rerating(self.home, decided)
        else:
            lines = [Line(one["raw"] or _line(one), one["source_pos"]) for one in facts]
            decide_lines(self.home, lines, fact["source"], fact["received_at"], decided)

    def _compare(self, table: str, old: pa.Table, new: pa.Table) -> None:
        found = _first_difference(table, _plain(old, new.schema), new)
        self.done.differences += (found,) if found else ()


class _Rows:
    """The old table's rows in seq order, a batch at a time."""

    def __init__(self, log: Log, columns: list[str]) -> None:
        self._batches: Iterator[pa.Table] = log.read_batches_since(0, columns, _BATCH_ROWS)
        self._rows: pa.Table | None = None

    def more(self) -> bool:
        return self.peek() is not None

    def peek(self) -> pa.Table | None:
        if self._rows is None or not self._rows.num_rows:
            self._rows = next(self._batches, None)
        return self._rows

    def peek_facts(self) -> list[dict[str, Any]]:
        """The next fact, and the commands right after it that were sent with it; none if no fact is left."""
        rows = self.peek()
        while rows is not None:
            ours = pc.is_in(rows.column("kind"), value_set=pa.array(_FACTS))
            sent = pc.is_valid(rows.column("source"))
            facts = rows.filter(pc.or_(sent, ours))
            if facts.num_rows:
                commands = pc.is_valid(facts.column("source"))
                alike = _leading_run(facts, ["source", "received_at", "calls_seq"])
                found: list[dict[str, Any]] = (
                    alike if commands[0].as_py() else facts.slice(0, 1)
                ).to_pylist()
                return found
            more = next(self._batches, None)
            if more is None:
                return []
            rows = self._rows = pa.concat_tables([rows, more])
        return []

    def read(self, count: int) -> pa.Table:
        """The next `count` rows, as many of them as there are."""
        rows = self.peek()
        while rows is not None and rows.num_rows < count:
            more = next(self._batches, None)
            if more is None:
                break
            rows = self._rows = pa.concat_tables([rows, more])
        return rows.slice(0, count) if rows is not None else EVENTS.empty_table()

    def drop(self, count: int) -> None:
        if self._rows is not None:
            self._rows = self._rows.slice(count)


def _leading_run(rows: pa.Table, columns: list[str]) -> pa.Table:
    """The first rows that agree in these columns."""
    same = None
    for name in columns:
        column = rows.column(name)
        equal = pc.fill_null(pc.equal(column, column[0]), False)  # noqa: FBT003 - Arrow's own signature
        same = equal if same is None else pc.and_(same, equal)
    end = pc.index(same, False).as_py()
    return rows if end < 0 else rows.slice(0, end)


def _month(close: dict[str, Any]) -> str:
    month: str = json.loads(close["effect"])["month"]
    return month


def _line(command: dict[str, Any]) -> bytes:
    """An accepted command as it could have arrived: only its content is a fact, not its spelling."""
    head = {"command_id": command["command_id"], "at": instant_text(command["at"]), "kind": command["kind"]}
    return json.dumps(head | json.loads(command["payload"]), ensure_ascii=False).encode()


def _plain(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Without dictionaries, in the schema's order: fit to be compared."""
    return pa.table([rows.column(field.name).cast(field.type) for field in schema], schema=schema)


def _first_difference(table: str, old: pa.Table, new: pa.Table) -> Difference | None:
    if old.num_rows == new.num_rows and old.equals(new):
        return None
    both = min(old.num_rows, new.num_rows)
    was, now = old.slice(0, both), new.slice(0, both)
    for name in old.column_names:
        if was.column(name).equals(now.column(name)):
            continue
        pairs = zip(was.column(name).to_pylist(), now.column(name).to_pylist(), strict=True)
        place, (before, after) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
        return Difference(table, new.column("seq")[place].as_py(), name, str(before), str(after))
    seq = new.column("seq")[0].as_py() + both if new.num_rows else 0
    return Difference(table, seq, "*", f"{old.num_rows} rows", f"{new.num_rows} rows")
