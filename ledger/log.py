"""An append-only table with compare-and-set commits: what both tables of the ledger are made of.

A `Log` is one process's view of one Delta table. It numbers the rows that it appends (`seq`, dense from 0) and
commits them together with offsets, only if the table is still at the version that it has seen
(docs/design.md 2). The order of a commit, which F-16 and F-23 rest on:

    Parquet files, fsync -> the log entry, compare and set -> fsync of the entry -> the chain's line, fsync

A crash before the entry leaves files that nobody refers to; a crash after it leaves a commit that the next
`open` checks to the last byte and acknowledges. Not for use from two threads at once: open a second `Log`.
"""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError
from deltalake.transaction import CommitProperties, PostCommitHookProperties, RemoveAction, Transaction

from ledger.chain import FIRST, GENESIS, Chain, ChainFault, Link, Tail, head_number, next_head
from ledger.columns import latest_arrival, missing_columns, numbered
from ledger.digest import digest
from ledger.entries import (
    LOG,
    Entry,
    TornEntry,
    checkpoint_path,
    entry_path,
    last_checkpoint,
    read_entry,
    read_state,
    versions,
)
from ledger.faults import BadRequest, LedgerFault, LostRace, unwritten
from ledger.files import LiveFile, fsync_path, write_rows
from ledger.repair import RESTORE, check_live, check_ours, link_of, mend, set_aside
from ledger.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from deltalake.transaction import AddAction

__all__ = ["LedgerFault", "Log", "LostRace", "Version"]

_REOPEN_ENTRIES = 16
_ATTEMPTS = 4
_PROPERTIES: dict[str, str | None] = {
    "delta.appendOnly": "true",
    # delta-rs need not parse our files' statistics at each commit, which costs it more than the commit: we do
    "delta.dataSkippingNumIndexedCols": "0",
    # checkpoints and the log's cleanup are made by hand (ledger.maintain), where they can be fsynced
    "delta.checkpointInterval": "1000000000",
    "delta.enableExpiredLogCleanup": "false",
    # how long checkpoints name replaced files: at the default, a week, a worker's would come to hold millions of names.
    # Nothing of ours goes by them; another program's VACUUM would leave files alone that are as young as this, and
    # between a file's last byte and its commit lie milliseconds
    "delta.deletedFileRetentionDuration": "interval 1 minutes",
}
_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_OWN = ("seq", "chain")  # the transactions that are not offsets


class Log(Version):
    """One table's latest version in hand, and the way to append to it."""

    repaired: list[str]
    """A sentence for each thing that `open` mended after a crash."""
    chain_fault: str | None
    """Why the chain file cannot be trusted; reading goes on, appending is refused."""
    _table: DeltaTable

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """Not for callers: use `create` or `open`."""
        super().__init__(folder, schema)
        self.chain = Chain(folder)
        self.repaired, self.chain_fault = [], None
        self._txns: dict[str, int] = {}
        self._durable = 0  # the version of our own last commit
        self._hasher = ThreadPoolExecutor(1, thread_name_prefix="digest")

    @classmethod
    def create(cls, folder: Path, schema: pa.Schema, partition_by: list[str]) -> Log:
        """The table in `folder`, made if it is not there; at most one partition column, of text."""
        folder = folder.resolve()
        (folder / LOG).mkdir(parents=True, exist_ok=True)
        chain = Chain(folder)
        if not chain.path.exists() and versions(folder) == ([0], []):
            try:
                read_entry(folder, 0)
            except TornEntry:  # a power cut at the first attempt
                set_aside(folder, entry_path(folder, 0))
        if not any(versions(folder)):
            try:
                DeltaTable.create(
                    folder,
                    schema=Schema.from_arrow(schema),
                    mode="error",
                    partition_by=partition_by,
                    configuration=_PROPERTIES,
                    post_commithook_properties=_NO_HOOKS,
                )
            except DeltaError:
                if not any(versions(folder)):  # else another process was quicker
                    raise
            fsync_path(entry_path(folder, 0))
            for place in (folder / LOG, folder, folder.parent):
                fsync_path(place)
        if not chain.path.exists() and versions(folder) == ([0], []):
            chain.create()
        return cls.open(folder, schema)

    @classmethod
    def open(cls, folder: Path, schema: pa.Schema, *, whole: bool = True) -> Log:
        """The table as it is now, after mending what a crash left (F-23).

        Raises LedgerFault if there is no table, if it is damaged beyond what may be mended, or if its columns
        are not those of `schema`. Without `whole` the data files may be missing or damaged: for `verify`, which
        says more about them.
        """
        log = cls(folder.resolve(), schema)
        if not (log.folder / LOG).is_dir() or not any(versions(log.folder)):
            raise LedgerFault(f"There is no ledger table in {folder}: run `fentan init` first.")
        log._catch_up_chain()
        log._load()
        if whole:
            check_live(log.folder, log.live_files(), log.next_seq)
        log._add_missing_columns()
        return log

    # -- what the snapshot says

    @property
    def head_mark(self) -> int:
        """The transaction `chain`: what the table itself keeps of the chain's head (`ledger.chain.head_number`)."""
        return self._txns.get("chain", 0)

    def offset(self, app_id: str) -> int | None:
        """The next offset that was committed for a source; None if it was never heard of."""
        return self._txns.get(app_id)

    def offsets(self, prefix: str) -> dict[str, int]:
        """The next offset of every source whose app id begins with `prefix`."""
        return {app: at for app, at in self._txns.items() if app.startswith(prefix) and app not in _OWN}

    def has_files(self, files: list[LiveFile]) -> bool:
        """Whether all of these are live."""
        return all(file.path in self._files for file in files)

    # -- other versions

    def refresh(self) -> None:
        """Takes in what others have committed since, once it is acknowledged: nothing that is seen is ever undone.

        Raises LedgerFault if the chain file does not continue.
        """
        if not self._may_be_behind():
            return
        try:
            if self.version - self._base >= _REOPEN_ENTRIES and last_checkpoint(self.folder) > self._base:
                self._open_table()  # a handle grows slower with each entry; a fresh one begins at the checkpoint
            else:
                self._table.update_incremental()
            version = self._table.version()
            entries = [read_entry(self.folder, v) for v in range(self.version + 1, version + 1)]
        except (DeltaError, FileNotFoundError):  # the entries after ours were cleaned away
            self._load()
            return
        except TornEntry as torn:
            raise LedgerFault(f"A log entry of the table {self.folder.name} {torn}. {RESTORE}") from torn
        if any("digest" in entry.ours for entry in entries):
            self._acknowledge(version)
            if self.chain_fault:
                raise LedgerFault(self.chain_fault)
        for entry in entries:
            check_ours(self.folder, entry)
        for entry in entries:
            entry.apply(self._files, self._txns)
            self.head = entry.ours.get("head", self.head)
        self.version = version
        self.next_seq = self._txns.get("seq", 0)

    def _may_be_behind(self) -> bool:
        """Whether there is a version after ours: an entry, or a checkpoint that made it superfluous."""
        if self._table.version() != self.version or entry_path(self.folder, self.version + 1).exists():
            return True
        return last_checkpoint(self.folder) > self.version

    def at_version(self, version: int) -> Version:
        """The table as it was at an earlier version.

        It needs no old files: rows are never changed, so it is today's rows below the seq of that version
        (`cut`), which the chain file knows even after maintenance. Raises BadRequest for a version that is not
        there yet, LedgerFault if the chain file cannot be read.
        """
        if not 0 <= version <= self.version:
            raise BadRequest(
                f"The table {self.folder.name} has no version {version}: its last is {self.version}."
            )
        link = self._link_where(lambda link: link.version <= version)
        past = Version(self.folder, self.schema)
        past.version, past.next_seq, past.head = version, link.seq_to, link.head
        past.cut = link.seq_to if link.seq_to < self.next_seq else None
        past._files = {path: file for path, file in self._files.items() if file.seq_min < link.seq_to}
        return past

    def version_at(self, instant: datetime) -> int:
        """The last version whose rows had all been received by `instant` (their `received_at`)."""
        return self._link_where(
            lambda link: link.at is None or datetime.fromisoformat(link.at) <= instant
        ).version

    def had_head(self, next_seq: int, head: str) -> bool:
        """Whether the chain had this head when the table had `next_seq` rows: whether what somebody folded up to
        there (an index, a snapshot) was folded from this ledger."""
        if (next_seq, head) == (self.next_seq, self.head):
            return True
        try:
            link = self._link_where(lambda link: link.head == head or link.seq_to < next_seq)
        except LedgerFault:
            return False
        return (link.seq_to, link.head) == (next_seq, head)

    # -- appending

    def append(self, rows: pa.Table, *, offsets: Mapping[str, int] | None = None) -> None:
        """Commits `rows` with `offsets` (app id -> next offset), all or nothing, durably; then refreshes.

        `rows` has the table's columns in its types (text may be dictionaries); `seq` may be absent, else it must
        run from `next_seq`. No rows is allowed: only offsets move then. Maintenance by others in between does
        not matter. Raises LostRace if others committed data first, LedgerFault if the disk is full or the commit
        is refused; the table is then as before.
        """
        if self.chain_fault:
            raise LedgerFault(self.chain_fault)
        rows = numbered(rows, self.schema, self.next_seq)
        hashing = self._hasher.submit(digest, rows, self.schema, self.next_seq)
        try:
            written = write_rows(self.folder, rows, self._partition_by)
        except OSError as error:
            raise unwritten(self.folder, error) from error
        finally:
            rows_digest = hashing.result()
        try:
            self._commit_rows(rows, written, dict(offsets or {}), rows_digest)
        except (LostRace, LedgerFault):
            # not after anything else: an interrupt may come when the commit is in the table already
            for file in written:
                if not self.has_files([file]):
                    (self.folder / file.path).unlink(missing_ok=True)
            raise
        try:
            self.refresh()
        except OSError as error:
            raise LedgerFault(
                f"The batch was committed to the table {self.folder.name}, but not acknowledged: {error}. "
                "Run the same command again after the cause is mended; it finds the batch."
            ) from error

    def _commit_rows(
        self, rows: pa.Table, written: list[LiveFile], offsets: dict[str, int], rows_digest: str
    ) -> None:
        head = next_head(self.head, rows_digest)
        seq_to = self.next_seq + rows.num_rows
        ours = {
            "seq_from": self.next_seq,
            "seq_to": seq_to,
            "digest": rows_digest,
            "head": head,
            "at": latest_arrival(rows),
        }
        actions: list[AddAction | RemoveAction] = [
            f.add_action(self.folder, data_change=True) for f in written
        ]
        while not self.commit(actions, {**offsets, "seq": seq_to, "chain": head_number(head)}, ours):
            before = self._txns.copy()
            self.refresh()
            if self._txns != before:  # every commit of rows or offsets moves one; maintenance none
                raise LostRace(f"the table {self.folder.name} was added to by somebody else")

    def commit(
        self, actions: list[AddAction | RemoveAction], txns: dict[str, int], ours: dict[str, Any]
    ) -> bool:
        """One compare-and-set on the version in hand, durable on return; False if somebody else was first.

        For `append` and maintenance. `ours` goes into the commit info. Does not move the snapshot: `refresh`.
        """
        version = self.version + 1
        if self._table.version() != self.version:  # a refresh that failed half-way
            return False
        removes = sum(isinstance(action, RemoveAction) for action in actions)
        note = {**ours, "adds": len(actions) - removes, "removes": removes, "txns": txns}
        try:
            self._table.create_write_transaction(
                actions,
                mode="append",
                schema=self._table.schema(),
                partition_by=self._partition_by,
                commit_properties=CommitProperties(
                    max_commit_retries=0,
                    custom_metadata={"fentan": note},
                    app_transactions=[Transaction(app, at) for app, at in txns.items()],
                ),
                post_commithook_properties=_NO_HOOKS,
            )
        except (DeltaError, OSError) as error:
            if not self._is_ours(version, actions):
                if max(map(max, filter(None, versions(self.folder)))) < version:
                    raise unwritten(self.folder, error) from error
                return False
        with suppress(FileNotFoundError):  # a durable checkpoint has taken its place already
            fsync_path(entry_path(self.folder, version))
        fsync_path(self.folder / LOG)
        self._durable = version
        return True

    def _is_ours(self, version: int, actions: list[AddAction | RemoveAction]) -> bool:
        """Whether a commit that reported an error got through nevertheless."""
        try:
            adds = {file.path for file in read_entry(self.folder, version).adds}
        except (FileNotFoundError, TornEntry):
            return False
        return bool(adds) and adds == {a.path for a in actions if not isinstance(a, RemoveAction)}

    # -- checkpoints

    def since_checkpoint(self) -> int:
        """How many versions the log's newest checkpoint lies back."""
        return self.version - last_checkpoint(self.folder)

    def checkpoint(self) -> int:
        """Makes a checkpoint of the snapshot, on the disk and read back before this returns; gives its version.

        Raises LedgerFault if it does not say what the snapshot says.
        """
        self.refresh()
        version = self.version
        if last_checkpoint(self.folder) == version:
            return version
        files, txns = read_state(self.folder, version)
        self._table.create_checkpoint()
        fsync_path(checkpoint_path(self.folder, version))
        fsync_path(self.folder / LOG / "_last_checkpoint")
        fsync_path(self.folder / LOG)
        if read_state(self.folder, version) != (files, txns):
            raise LedgerFault(
                f"The checkpoint of version {version} of the table {self.folder.name} differs from the "
                f"log. Remove {checkpoint_path(self.folder, version)} and report this."
            )
        return version

    # -- inside

    def _add_missing_columns(self) -> None:
        """F-22: columns that came with this version of the program."""
        for _ in range(_ATTEMPTS):
            missing = missing_columns(self.folder.name, self._table, self.schema)
            if not missing:
                return
            with suppress(DeltaError):  # another process was quicker
                self._table.alter.add_columns(missing, post_commithook_properties=_NO_HOOKS)
                fsync_path(entry_path(self.folder, self._table.version()))
                fsync_path(self.folder / LOG)
            self._load()
        raise LedgerFault(
            f"The table {self.folder.name} could not be given its new columns: is its disk full?"
        )

    def _catch_up_chain(self) -> None:
        """At `open`: acknowledges commits that their writers did not come to acknowledge; mends what is torn."""
        with self._noting_chain_faults(), self.chain.locked() as tail:
            mended, entries = mend(self.folder, self.schema, tail.last)
            self.repaired += mended
            self._add_links(tail, entries)

    def _acknowledge(self, version: int) -> None:
        """Adds the chain's lines up to a version; for those whose writers have not come to it, too."""
        with self._noting_chain_faults(), self.chain.locked() as tail:
            missing = []
            for v in range(tail.last.version + 1, version + 1):
                try:
                    missing.append(read_entry(self.folder, v))
                except FileNotFoundError as error:
                    # a checkpoint covers it: maintenance, or the next rows would not continue the chain
                    if v > last_checkpoint(self.folder):
                        raise ChainFault(
                            f"it ends at version {tail.last.version}, lines are missing"
                        ) from error
            self._add_links(tail, missing)

    def _add_links(self, tail: Tail, entries: list[Entry]) -> None:
        links: list[Link] = []
        for entry in entries:
            link = link_of(entry, links[-1] if links else tail.last)
            if link is not None:
                links.append(link)
                if entry.version != self._durable:
                    fsync_path(entry_path(self.folder, entry.version))
                    fsync_path(self.folder / LOG)
        if links:
            tail.append(links)

    @contextmanager
    def _noting_chain_faults(self) -> Iterator[None]:
        try:
            yield
        except ChainFault as fault:
            self._note_chain_fault(str(fault))
        except OSError as error:
            if error.errno not in (
                errno.EACCES,
                errno.EROFS,
            ):  # who may only read leaves it to those who write
                raise

    def _note_chain_fault(self, fault: str) -> None:
        self.chain_fault = (
            f"The chain file of the table {self.folder.name} does not fit the table: {fault}. "
            f"Restore {self.chain.path.name} from a backup; `fentan verify` says what is proven."
        )

    def _link_where(self, wanted: Callable[[Link], bool]) -> Link:
        """The last line of the chain that is wanted; the first of all if none is."""
        try:
            return next(filter(wanted, self.chain.links_backward()), FIRST)
        except (ChainFault, FileNotFoundError) as fault:
            raise LedgerFault(
                f"Earlier versions of the table {self.folder.name} cannot be told apart: {fault}. "
                f"Restore {self.chain.path.name} from a backup."
            ) from fault

    def _open_table(self) -> None:
        """A fresh handle; `_base` is the checkpoint that it begins with."""
        self._base = last_checkpoint(self.folder)
        self._table = DeltaTable(self.folder)

    def _load(self) -> None:
        """The snapshot from scratch."""
        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                self._open_table()
                self.version = self._table.version()
                self._acknowledge(self.version)
                self._files, self._txns = read_state(self.folder, self.version)
                newest = self._newest_head()
                break
            except (DeltaError, OSError, TornEntry, pa.ArrowException) as error:
                if not attempts_left:  # else the log may have been cleaned up between two looks at it
                    raise LedgerFault(
                        f"The table {self.folder.name} cannot be read: {error}. {RESTORE}"
                    ) from error
        self._partition_by = list(self._table.metadata().partition_columns)
        self.next_seq = self._txns.get("seq", 0)
        kept = self._chain_head()
        self.head = newest or kept
        if self.chain_fault is None and (kept != self.head or head_number(kept) != self.head_mark):
            self._note_chain_fault("it ends elsewhere")

    def _newest_head(self) -> str | None:
        """The chain's head as the newest entry has it that is still there."""
        entries, _ = versions(self.folder)
        heads = (read_entry(self.folder, v).ours.get("head") for v in reversed(entries) if v <= self.version)
        return next((head for head in heads if head is not None), None)

    def _chain_head(self) -> str:
        try:
            return self._link_where(lambda link: link.version <= self.version).head
        except LedgerFault:
            return GENESIS
