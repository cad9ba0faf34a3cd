"""One ledger on disk and what is folded from it: the state, the catalogue, the duplicate indexes.

A writer sees, decides, and commits only if nobody committed in between (docs/design.md 2): `see` catches up with what
others wrote, `commit_events` raises LostRace after taking the decision back. Embedded and streaming use are
the same.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from ledger import scan, snapshots
from ledger.entries import LOG, versions
from ledger.faults import LedgerFault
from ledger.log import Log, LostRace
from ledger.maintain import housekeep
from ledger.memory import uncollected
from ledger.rows import EventRows, read_events
from ledger.schema import CALLS, CHANGE_COLUMNS, EVENTS, POSTING_COLUMNS
from ledger.seen import Seen
from rating import business, follow
from rating.accounts import Event
from rating.catalogue import CHANGES, Catalogue, compile_changes
from rating.state import State

_FOLDED = [
    "seq",
    "command_id",
    "kind",
    "outcome",
    "at",
    "effect",
    "calls_seq",
    *POSTING_COLUMNS,
    *CHANGE_COLUMNS,
]
_SNAPSHOT_AFTER_EVENTS = 5_000
_SNAPSHOT_AFTER_CALLS = 2_000_000


class NoHome(Exception):
    """There is no ledger in this folder."""


class Unfinished(LedgerFault):
    """A ledger whose first event, its price book, was torn by a power cut and set aside (F-23)."""


class Home:
    """A ledger opened for writing."""

    def __init__(self, folder: Path, events: Log, calls: Log) -> None:
        self.folder = folder
        self.events = events
        self.calls = calls
        self.state = State()
        self.catalogue: Catalogue | None = None
        self._seen_calls: Seen | None = None
        self._seen_commands: Seen | None = None
        self._snapshot_at = (0, 0)
        self._past: Catalogue | None = None

    @classmethod
    def bare(cls, folder: Path) -> Home:
        """A ledger with two empty tables and not even a price book."""
        ledger = folder / "ledger"
        ledger.mkdir(parents=True, exist_ok=True)
        return cls(
            folder, Log.create(ledger / "events", EVENTS, []), Log.create(ledger / "calls", CALLS, ["month"])
        )

    @classmethod
    def create(cls, folder: Path, price_book: str, name: str, now: datetime) -> Home:
        """A new ledger whose first event is its price book."""
        home = cls.bare(folder)
        if home.events.next_seq == 0:
            home.adopt_price_book(price_book, name, now)
        return home

    @classmethod
    def exists(cls, folder: Path) -> bool:
        """True once `create` got as far as the price book; one that was killed before is not there yet (F-16)."""
        events, calls = folder / "ledger" / "events", folder / "ledger" / "calls"
        made = (events / LOG).is_dir() and (calls / LOG).is_dir()
        return made and any(versions(calls)) and versions(events) not in (([], []), ([0], []))

    @classmethod
    def require(cls, folder: Path) -> None:
        """Raises NoHome if there is no ledger in the folder."""
        if not cls.exists(folder):
            raise NoHome(
                f"There is no ledger in {folder}: run `fentan init` first, or name its folder with --home."
            )

    @classmethod
    def open_logs(cls, folder: Path, *, whole: bool = True) -> tuple[Log, Log]:
        """The two tables alone: for reading, nothing is folded. Returns (events, calls).

        Without `whole` their data files may be damaged or missing: `fentan verify` says which.
        """
        cls.require(folder)
        return (
            Log.open(folder / "ledger" / "events", EVENTS, whole=whole),
            Log.open(folder / "ledger" / "calls", CALLS, whole=whole),
        )

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Opens for writing: folds what no snapshot has folded yet, and what follows from calls is decided."""
        events, calls = cls.open_logs(folder)
        home = cls(folder, events, calls)
        if events.next_seq == 0:
            raise Unfinished(f"The ledger in {folder} has no price book: run `fentan init` again.")
        with uncollected():
            home._restore()
            home.see()
        return home

    # what is folded

    def _restore(self) -> None:
        kept = snapshots.load(self.folder / "cache", "folded")
        if kept is None:
            return
        state, catalogue, events_head, calls_head = kept
        ours = self.events.had_head(state.events_seq, events_head)
        if ours and self.calls.had_head(state.calls_seq, calls_head):
            self.state, self.catalogue = state, catalogue
            self._snapshot_at = (state.events_seq, state.calls_seq)

    def keep_snapshot(self, *, always: bool = False) -> None:
        """Keeps what is folded if folding it again would take long."""
        events, calls = self._snapshot_at
        many = self.state.events_seq - events >= _SNAPSHOT_AFTER_EVENTS
        if always or many or self.state.calls_seq - calls >= _SNAPSHOT_AFTER_CALLS:
            self.see()
            kept = (self.state, self.catalogue, self.events.head, self.calls.head)
            snapshots.save(self.folder / "cache", "folded", kept)
            self._snapshot_at = (self.state.events_seq, self.state.calls_seq)

    @property
    def prices(self) -> Catalogue:
        """The catalogue of all events folded so far."""
        if self.catalogue is None:
            raise LedgerFault("The ledger's events have not been folded yet.")
        return self.catalogue

    def prices_at(self, events_seq: int) -> Catalogue:
        """The catalogue as it was after so many events: what a call of the past was rated by."""
        if self.prices.events_seq == events_seq:
            return self.prices
        if self._past is None or self._past.events_seq != events_seq:
            rows = self.events.read_since(0, ["seq", "outcome", *CHANGE_COLUMNS])
            rows = rows.filter(pc.less(rows.column("seq"), events_seq))
            self._past = compile_changes(changes_of(rows), self.state.book.terms(), events_seq=events_seq)
        return self._past

    def copy_offsets(self, events: Log, calls: Log) -> None:
        """Takes over how far the sources of another ledger were read, so that they go on here."""
        self.events.append(EVENTS.empty_table(), offsets=events.offsets(""))
        self.calls.append(CALLS.empty_table(), offsets=calls.offsets(""))

    @property
    def seen_calls(self) -> Seen:
        """The ids that were charged, caught up with the ledger."""
        months = self.state.book.terms().late_months + 1
        if self._seen_calls is None or self._seen_calls.window_months != months:
            self._seen_calls = Seen.open(self.folder / "cache" / "seen-calls", months)
        self._seen_calls.follow(self.calls, "call_id", "rated", "month")
        return self._seen_calls

    @property
    def seen_commands(self) -> Seen:
        """The command ids that were accepted, caught up with the ledger."""
        if self._seen_commands is None:
            self._seen_commands = Seen.open(self.folder / "cache" / "seen-commands", None)
        self._seen_commands.follow(self.events, "command_id", "accepted", only_with="source")
        return self._seen_commands

    def accepted_rows(self, ids: pa.Array) -> list[int]:
        """Rows of `events` that may have accepted commands with these ids, in seq order; to be confirmed."""
        seqs = self.seen_commands.lookup(ids)
        return sorted({int(seq) for seq in seqs if seq >= 0})

    def see(self) -> None:
        """Catches up with everything that was committed, and decides what follows from the calls."""
        self.events.refresh()
        self.calls.refresh()
        self._fold_events()
        self.decide_on_calls()

    def _fold_events(self) -> None:
        """Folds events that others committed, and the calls that those had seen, deciding nothing.

        Calls that were followed since the last event are taken back first: the others may not have seen them, so
        that a close did not count them and they come late (R-MIN-7). They are followed again, after it.
        """
        state, cold = self.state, self.state.events_seq == 0
        first = state.events_seq
        if first == self.events.next_seq and self.catalogue is not None:
            return
        state.take_back()
        seen = state.calls_seq
        with uncollected():
            for rows in self.events.read_batches_since(first, _FOLDED):
                for calls_seq, event in read_events(rows):
                    if not cold and event.kind in {"close_customer", "close_month"}:
                        self._fold_calls_until(calls_seq)
                    business.fold(state, event)
                    seen = max(seen, calls_seq)
                state.keep()
                self._fold_changes(rows)
            if cold:
                self._fold_open_calls(seen)
            else:
                self._fold_calls_until(seen)
            state.keep()

    def _fold_calls_until(self, calls_seq: int) -> None:
        if calls_seq > self.state.calls_seq:
            follow.fold_totals(self.state, scan.totals(self.calls, self.state.calls_seq, calls_seq))
            self._note_latest_start(scan.latest_start(self.calls, self.state.calls_seq, calls_seq))
            self.state.facts.put("calls_seq", calls_seq)

    def _fold_open_calls(self, calls_seq: int) -> None:
        """All calls below `calls_seq` that no close has settled: closed months are not scanned."""
        closed = self.state.closed_month
        covered = 0 if closed is None else scan.covered_by_last_close(self.events)
        follow.fold_totals(self.state, scan.totals(self.calls, 0, calls_seq, closed, covered))
        self._note_latest_start(scan.latest_start(self.calls, 0, calls_seq))
        self.state.facts.put("calls_seq", calls_seq)

    def _fold_changes(self, rows: pa.Table) -> None:
        changes = changes_of(rows)
        terms = self.state.book.terms()
        if self.catalogue is None:
            self.catalogue = compile_changes(changes, terms, events_seq=self.state.events_seq)
        else:
            self.catalogue = self.catalogue.patched(changes, terms, events_seq=self.state.events_seq)

    # what is committed

    def commit_events(self, rows: EventRows, offsets: dict[str, int] | None = None) -> None:
        """Commits decisions that are folded into the state already; LostRace takes them back."""
        state = self.state
        first = state.events_seq - len(rows)
        try:
            if first != self.events.next_seq:
                raise LostRace("others committed events in between")
            table = rows.table(first)
            self.events.append(table, offsets=offsets or {})
        except BaseException:
            state.take_back()
            raise
        state.keep()
        state.gathered.clear()
        self._know_commands(table)
        if rows.changed:
            self._fold_changes(table)
        else:
            self.catalogue = replace(self.prices, events_seq=state.events_seq)
        self._housekeep(self.events)

    def _housekeep(self, log: Log) -> None:
        housekeep(log)

    def _know_commands(self, rows: pa.Table) -> None:
        """The ids of the events that this process has just committed are known without reading them again."""
        seen = self._seen_commands
        if seen is not None and seen.next_seq + rows.num_rows == self.events.next_seq:
            sent = pc.is_valid(
                rows.column("source")
            )  # our own decisions have ids that a command may have, too
            accepted = pc.and_(sent, pc.equal(rows.column("outcome"), "accepted"))
            ids, seqs = rows.select(["command_id", "seq"]).filter(accepted).columns
            seen.add(ids, seqs, next_seq=self.events.next_seq, head=self.events.head)

    def adopt_price_book(self, text: str, name: str, now: datetime) -> None:
        """The price book becomes an event, so that replay prices with the same one (R-INV-5)."""
        effect = {"price_book": text, "name": name}
        event = Event(f"price_book/{self.events.next_seq}", "adopt_price_book", now, effect)
        business.decided(self.state, event)
        rows = EventRows()
        rows.add(event, self.state.calls_seq, now)
        self.commit_events(rows)

    def _note_latest_start(self, start: datetime | None) -> None:
        latest = self.state.facts.get("latest_start")
        if start is not None and (latest is None or start > latest):
            self.state.facts.put("latest_start", start)

    def decide_on_calls(self, fresh: pa.Table | None = None) -> None:
        """Folds the calls not yet followed and commits what follows from them: adjustments and alerts.

        `fresh` is what this process has just committed, if that is all there is to follow.
        """
        while self.state.calls_seq < self.calls.next_seq:
            try:
                self._follow(fresh)
            except LostRace:
                self.events.refresh()
                self.calls.refresh()
                self._fold_events()
                fresh = None

    def _follow(self, fresh: pa.Table | None) -> None:
        rows = EventRows()
        try:
            self.decide_until(self.calls.next_seq, rows, fresh)
        except BaseException:
            self.state.take_back()
            raise
        if len(rows):
            self.commit_events(rows)

    def decide_until(self, until: int, rows: EventRows, fresh: pa.Table | None = None) -> None:
        """Folds the calls below `until` and puts what follows from them into `rows`; commits nothing."""
        state, since = self.state, self.state.calls_seq
        if since >= until:
            return
        table = fresh if fresh is not None and fresh.num_rows == until - since else None
        totals = scan.totals_of(table) if table is not None else scan.totals(self.calls, since, until)
        careful = follow.careful_customers(state, totals)
        follow.fold_totals(state, {key: hao for key, hao in totals.items() if key[0] not in careful})
        if careful:
            calls = scan.spent(self.calls, table, since, until, careful)
            late = {
                (call.service_number, call.customer_id, call.month)
                for call in calls
                if state.billed_month(call.month) != call.month
            }
            follow.follow_calls(state, calls, scan.usage_before(self.calls, state, late, since), rows.add)
        state.facts.put("calls_seq", until)
        self._note_latest_start(
            scan.latest_start_of(table) if table is not None else scan.latest_start(self.calls, since, until)
        )

    def committed_calls(self, rows: pa.Table) -> None:
        """Called after this process committed `rows` to `calls`: they are known without reading them again."""
        seen, first = self._seen_calls, rows.column("seq")[0].as_py() if rows.num_rows else 0
        if seen is not None and seen.next_seq == first and self.calls.next_seq == first + rows.num_rows:
            rated = rows.select(["call_id", "seq", "month"]).filter(pc.equal(rows.column("outcome"), "rated"))
            ids, seqs, months = rated.columns
            seen.add(ids, seqs, months, next_seq=self.calls.next_seq, head=self.calls.head)
        self._housekeep(self.calls)


def changes_of(rows: pa.Table) -> pa.Table:
    """The catalogue changes inside rows of `events`, flat, each with its event's seq."""
    accepted = rows.filter(pc.equal(rows.column("outcome"), "accepted")).combine_chunks()
    lists = {name: _whole(accepted.column(name)) for name in CHANGE_COLUMNS}
    parents = pc.list_parent_indices(lists["c_number"])
    columns = {"seq": pc.take(_whole(accepted.column("seq")), parents)}
    columns |= {name.removeprefix("c_"): pc.list_flatten(array) for name, array in lists.items()}
    return pa.table([columns[field.name] for field in CHANGES], schema=CHANGES)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
    )
