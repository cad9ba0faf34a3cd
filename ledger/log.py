"""An append-only table with compare-and-set commits: what both tables of the ledger are made of.

A `Log` is one process's view of one Delta table. It numbers the rows that it appends (`seq`, dense from 0) and
commits them together with offsets, only if the table is still at the version that it has seen (DESIGN,
decision 2). The order of a commit, which F-16 and F-23 rest on:

    Parquet files, fsync -> the log entry, compare and set -> fsync of the entry -> the chain's line, fsync

A crash before the entry leaves files that nobody refers to; a crash after it leaves a commit that the next
`open` checks to the last byte and acknowledges. Not for use from two threads at once: open a second `Log`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError
from deltalake.transaction import CommitProperties, PostCommitHookProperties, Transaction

from ledger.chain import FIRST, GENESIS, Chain, ChainFault, Link, Tail, head_number, next_head
from ledger.digest import digest
from ledger.entries import LOG, Entry, TornEntry, entry_path, read_entry, read_txns, versions
from ledger.faults import LedgerFault, LostRace
from ledger.files import LiveFile, fsync_path, read_any_order, read_in_order, scan_sql, write_rows
from ledger.repair import RESTORE, check_live, link_of, mend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from deltalake.transaction import AddAction, RemoveAction

__all__ = ["LedgerFault", "Log", "LostRace"]

BATCH_ROWS = 100_000
_PROPERTIES: dict[str, str | None] = {
    "delta.appendOnly": "true",
    "delta.dataSkippingStatsColumns": "seq",
    # checkpoints and the log's cleanup are made by hand (ledger.maintain), where they can be fsynced
    "delta.checkpointInterval": "1000000000",
    "delta.enableExpiredLogCleanup": "false",
}
_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_OWN = ("seq", "chain")  # the transactions that are not offsets


class Log:
    """One table's snapshot in hand, and the way to append to it."""

    next_seq: int
    """The seq that the next row will have: the number of rows in the snapshot."""
    version: int
    """The table's version that the snapshot shows."""
    cut: int | None
    """None: `files` hold exactly the snapshot's rows. A number (of an earlier version): only rows with a
    lower seq belong to it, and whoever reads the files must say so."""
    repaired: list[str]
    """A sentence for each thing that `open` mended after a crash."""
    chain_fault: str | None
    """Why the chain file cannot be trusted; reading goes on, appending is refused."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """Not for callers: use `create` or `open`."""
        self.folder, self.schema, self.chain = folder, schema, Chain(folder)
        self.cut, self.repaired, self.chain_fault = None, [], None
        self._past = False
        self._files: dict[str, LiveFile] = {}
        self._txns: dict[str, int] = {}
        self._head = GENESIS
        self._durable = 0  # the version of our own last commit
        self._hasher = ThreadPoolExecutor(1, thread_name_prefix="digest")

    @classmethod
    def create(cls, folder: Path, schema: pa.Schema, partition_by: list[str]) -> Log:
        """The table in `folder`, made if it is not there; at most one partition column, of text."""
        folder = folder.resolve()
        (folder / LOG).mkdir(parents=True, exist_ok=True)
        chain = Chain(folder)
        if not any(versions(folder)):
            try:
                DeltaTable.create(folder, schema=Schema.from_arrow(schema), mode="error", partition_by=partition_by,
                                  configuration=_PROPERTIES, post_commithook_properties=_NO_HOOKS)
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
    def open(cls, folder: Path, schema: pa.Schema) -> Log:
        """The table as it is now, after mending what a crash left (F-23).

        Raises LedgerFault if there is no table, if it is damaged beyond what may be mended, or if its columns
        are not those of `schema`.
        """
        log = cls(folder.resolve(), schema)
        if not (log.folder / LOG).is_dir() or not any(versions(log.folder)):
            raise LedgerFault(f"There is no ledger table in {folder}: run `fentan init` first.")
        log._catch_up_chain()
        log._load()
        check_live(log.folder, list(log._files.values()), log.next_seq)
        log._check_schema()
        return log

    # -- what the snapshot says

    def offset(self, app_id: str) -> int | None:
        """The next offset that was committed for a source; None if it was never heard of."""
        return self._txns.get(app_id)

    def offsets(self, prefix: str) -> dict[str, int]:
        """The next offset of every source whose app id begins with `prefix`."""
        return {k: v for k, v in self._txns.items() if k.startswith(prefix) and k not in _OWN}

    @property
    def head(self) -> str:
        """The chain's head at the snapshot: names the ledger up to `next_seq`, whatever maintenance does."""
        return self._head

    def had_head(self, next_seq: int, head: str) -> bool:
        """Whether the chain had this head when the table had `next_seq` rows: whether what somebody folded up
        to there (an index, a snapshot) was folded from this ledger."""
        if (next_seq, head) == (self.next_seq, self._head):
            return True
        try:
            for link in self.chain.links_backward():
                if link.head == head:
                    return link.seq_to == next_seq
                if link.seq_to < next_seq:
                    break
        except (ChainFault, FileNotFoundError):
            pass
        return False

    def files(self) -> list[str]:
        """Absolute paths of the snapshot's data files. Mind `cut`."""
        return [str(self.folder / f.path) for f in self.live_files()]

    def files_since(self, seq: int) -> list[str]:
        """Absolute paths of the data files that may hold rows from `seq` on."""
        return [str(self.folder / f.path) for f in self.live_files() if f.seq_max >= seq]

    def live_files(self) -> list[LiveFile]:
        """The snapshot's data files with their rows and seq, by first seq."""
        return sorted(self._files.values(), key=lambda f: (f.seq_min, f.path))

    def scan_sql(self) -> str:
        """The snapshot as a DuckDB table expression for FROM."""
        if not self._files:
            raise ValueError("an empty table has no file to scan")
        scan = scan_sql(self.folder, self.live_files())
        return scan if self.cut is None else f"(SELECT * FROM {scan} WHERE seq < {self.cut})"

    def read_since(self, seq: int, columns: list[str] | None = None) -> pa.Table:
        """The rows from `seq` on, in seq order, with the columns named (default all), in the schema's types."""
        return pa.concat_tables([self._fields(columns).empty_table(), *self.read_batches_since(seq, columns)])

    def read_batches_since(
        self, seq: int, columns: list[str] | None = None, batch_rows: int = BATCH_ROWS, *, ordered: bool = True
    ) -> Iterator[pa.Table]:
        """As `read_since`, in tables of at most `batch_rows` rows and in bounded memory.

        Not `ordered` spares sorting what maintenance has sorted otherwise, for those who do not mind.
        """
        wanted = self._fields(columns)
        fields = wanted if "seq" in wanted.names else wanted.insert(0, self.schema.field("seq"))
        read = read_in_order if ordered else read_any_order
        for rows in read(self.folder, self.live_files(), fields, seq, self.next_seq, batch_rows):
            yield rows if fields is wanted else rows.select(wanted.names)

    def refresh(self) -> None:
        """Takes in what others have committed since, once it is acknowledged: nothing that is seen is ever undone.

        Raises LedgerFault if the chain file does not continue.
        """
        self._writable()
        known = self.version
        try:
            self._table.update_incremental()
            version = self._table.version()
            entries = [read_entry(self.folder, v) for v in range(known + 1, version + 1)]
        except (DeltaError, FileNotFoundError):  # the entries after ours were cleaned away
            self._load()
            return
        if any("digest" in entry.ours for entry in entries):
            self._acknowledge(version)
        for entry in entries:
            for path in entry.removes:
                self._files.pop(path, None)
            self._files.update((file.path, file) for file in entry.adds)
            self._txns.update(entry.txns)
            self._head = entry.ours.get("head", self._head)
        self.version = version
        self.next_seq = self._txns.get("seq", 0)

    def at_version(self, version: int) -> Log:
        """The table as it was at an earlier version, to be read only.

        It needs no old files: rows are never changed, so it is today's rows below the seq of that version
        (`cut`), which the chain file knows even after maintenance. Raises LedgerFault for a version that is not
        there yet, or that the chain file does not know.
        """
        if not 0 <= version <= self.version:
            raise LedgerFault(f"The table {self.folder.name} has no version {version}: its last is {self.version}.")
        link = FIRST
        for number, line in self._links():
            if line is None:
                raise LedgerFault(f"Line {number} of {self.chain.path.name} cannot be read. {RESTORE}")
            if line.version > version:
                break
            link = line
        past = Log(self.folder, self.schema)
        past._past = True
        past.version, past.next_seq = version, link.seq_to
        past.cut = link.seq_to if link.seq_to < self.next_seq else None
        past._files = {p: f for p, f in self._files.items() if f.seq_min < link.seq_to}
        past._txns, past._head = {}, link.head
        return past

    def version_at(self, instant: datetime) -> int:
        """The last version whose rows had all been received by `instant` (their `received_at`)."""
        version = 0
        for _, line in self._links():
            if line is None or (line.at is not None and _instant(line.at) > instant):
                break
            version = line.version
        return version

    # -- appending

    def append(self, rows: pa.Table, *, offsets: Mapping[str, int] | None = None) -> None:
        """Commits `rows` with `offsets` (app id -> next offset), all or nothing, durably; then refreshes.

        `rows` has the table's columns in its types (text may be dictionaries); `seq` may be absent, else it must
        run from `next_seq`. No rows is allowed: only offsets move then. Maintenance by others in between does
        not matter. Raises LostRace if others committed data first, LedgerFault if the disk is full or the commit
        is refused; the table is then as before.
        """
        self._writable()
        if self.chain_fault:
            raise LedgerFault(self.chain_fault)
        rows = self._numbered(rows)
        hashing = self._hasher.submit(digest, rows, self.schema, self.next_seq)
        try:
            written = write_rows(self.folder, rows, self._partition_by)
        except OSError as error:
            hashing.exception()
            raise _full(self.folder, error) from error
        try:
            self._commit_rows(rows, written, dict(offsets or {}), hashing.result())
        except BaseException:
            for file in written:
                (self.folder / file.path).unlink(missing_ok=True)
            raise
        try:
            self.refresh()
        except OSError as error:
            raise LedgerFault(f"The batch was committed to the table {self.folder.name}, but not acknowledged: {error}. "
                              "Run the same command again after the cause is mended; it finds the batch.") from error

    def _commit_rows(self, rows: pa.Table, written: list[LiveFile], offsets: dict[str, int], rows_digest: str) -> None:
        head = next_head(self._head, rows_digest)
        seq_to = self.next_seq + rows.num_rows
        txns = {**offsets, "seq": seq_to, "chain": head_number(head)}
        ours = {"seq_from": self.next_seq, "seq_to": seq_to, "digest": rows_digest, "head": head,
                "at": _latest_arrival(rows)}
        actions: list[AddAction | RemoveAction] = [f.add_action(self.folder, data_change=True) for f in written]
        while not self.commit(actions, txns, ours):
            before = (self.next_seq, self._txns.copy())
            self.refresh()
            if (self.next_seq, self._txns) != before:
                raise LostRace(f"the table {self.folder.name} has been added to since version {self.version}")

    def commit(
        self, actions: list[AddAction | RemoveAction], txns: dict[str, int], ours: dict[str, Any]
    ) -> bool:
        """One compare-and-set on the version in hand, durable on return; False if somebody else was first.

        For `append` and maintenance. `ours` goes into the commit info. Does not move the snapshot: `refresh`.
        """
        version = self.version + 1
        removes = sum(type(a).__name__ == "RemoveAction" for a in actions)
        note = {**ours, "adds": len(actions) - removes, "removes": removes, "txns": txns}
        try:
            self._table.create_write_transaction(
                actions, mode="append", schema=self._table.schema(), partition_by=self._partition_by,
                commit_properties=CommitProperties(
                    max_commit_retries=0, custom_metadata={"fentan": note},
                    app_transactions=[Transaction(app, at) for app, at in txns.items()]),
                post_commithook_properties=_NO_HOOKS)
        except (DeltaError, OSError) as error:
            if not entry_path(self.folder, version).exists() and not self._passed(version):
                raise _full(self.folder, error) from error
            return False
        fsync_path(entry_path(self.folder, version))
        fsync_path(self.folder / LOG)
        self._durable = version
        return True

    # -- inside

    def _passed(self, version: int) -> bool:
        """Whether the table has reached a version whose entry is gone already."""
        entries, checkpoints = versions(self.folder)
        return max([*entries, *checkpoints], default=-1) >= version

    def _catch_up_chain(self) -> None:
        """At `open`: acknowledges commits that their writers did not come to acknowledge; mends what is torn."""
        with self._noting_chain_faults(), self.chain.locked() as tail:
            mended, entries = mend(self.folder, self.schema, tail.last)
            self.repaired += mended
            self._add_links(tail, entries)

    def _acknowledge(self, version: int) -> None:
        """Adds the chain's lines up to a version; for those whose writers have not come to it, too."""
        with self._noting_chain_faults(), self.chain.locked() as tail:
            missing = range(tail.last.version + 1, version + 1)
            self._add_links(tail, [read_entry(self.folder, v) for v in missing])
        if self.chain_fault:
            raise LedgerFault(self.chain_fault)

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
            self.chain_fault = (f"The chain file of the table {self.folder.name} does not fit the table: {fault}. "
                                f"Restore {self.chain.path.name} from a backup; `fentan verify` says what is proven.")

    def _load(self) -> None:
        """The snapshot from scratch."""
        try:
            self._table = DeltaTable(self.folder)
            self.version = self._table.version()
            self._partition_by = list(self._table.metadata().partition_columns)
            self._files = {f.path: f for f in _live_files(self._table, self._partition_by)}
            self._txns = read_txns(self.folder, self.version)
        except (DeltaError, OSError, TornEntry, pa.ArrowException) as error:
            raise LedgerFault(f"The table {self.folder.name} cannot be read: {error}. {RESTORE}") from error
        self.next_seq = self._txns.get("seq", 0)
        self._head = self._newest_head()

    def _newest_head(self) -> str:
        """The chain's head at the snapshot: from the newest entry that has one, else from the chain file."""
        entries, _ = versions(self.folder)
        for version in reversed([v for v in entries if v <= self.version]):
            head = read_entry(self.folder, version).ours.get("head")
            if head is not None:
                break
        else:
            head = self._chain_head()
        if head_number(head) != self._txns.get("chain", 0) and self.chain_fault is None:
            self.chain_fault = (f"{self.chain.path.name} does not end where the table {self.folder.name} does. "
                                "Restore it from a backup; `fentan verify` says what is proven.")
        return str(head)

    def _chain_head(self) -> str:
        try:
            with self.chain.locked() as tail:
                return tail.last.head
        except ChainFault:
            return GENESIS

    def _links(self) -> Iterator[tuple[int, Link | None]]:
        try:
            yield from self.chain.links()
        except FileNotFoundError as error:
            raise LedgerFault(f"{self.chain.path.name} is missing, which knows the earlier versions. "
                              "Restore it from a backup.") from error

    def _check_schema(self) -> None:
        """F-22: the table's columns must be ours; one that came later reads as null until it is written."""
        there = {f.name: f.type for f in self._table.schema().fields}
        ours = {f.name: f.type for f in Schema.from_arrow(self.schema).fields}
        for name, kind in ours.items():
            if name in there and there[name] != kind:
                raise LedgerFault(f"The column {name} of the table {self.folder.name} is {there[name]}, not {kind}: "
                                  "this ledger was made by another version of Fentan; use that one.")
        if set(there) - set(ours):
            raise LedgerFault(f"The table {self.folder.name} has columns that this version does not know "
                              f"({', '.join(sorted(set(there) - set(ours)))}): use a newer version of Fentan.")
        missing = [f for f in Schema.from_arrow(self.schema).fields if f.name not in there]
        if missing:
            self._table.alter.add_columns(missing, post_commithook_properties=_NO_HOOKS)
            self._load()

    def _numbered(self, rows: pa.Table) -> pa.Table:
        """The rows in the schema's column order, with their seq."""
        count = rows.num_rows
        seqs = np.arange(self.next_seq, self.next_seq + count)
        if "seq" in rows.column_names:
            if not np.array_equal(rows.column("seq").to_numpy(), seqs):
                raise ValueError(f"the rows' seq must run from {self.next_seq}")
        else:
            rows = rows.add_column(0, self.schema.field("seq"), pa.array(seqs))
        unknown = set(rows.column_names) ^ set(self.schema.names)
        if unknown:
            raise ValueError(f"these columns are not in both the rows and the table: {', '.join(sorted(unknown))}")
        columns = []
        for field in self.schema:
            column = rows.column(field.name)
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            if kind != field.type:
                raise ValueError(f"the column {field.name} must be {field.type}, not {column.type}")
            if not field.nullable and column.null_count:
                raise ValueError(f"the column {field.name} must not be null")
            columns.append(column.combine_chunks() if column.num_chunks != 1 else column.chunk(0))
        return pa.table(columns, schema=pa.schema(
            [pa.field(f.name, c.type, f.nullable) for f, c in zip(self.schema, columns, strict=True)]))

    def _fields(self, columns: list[str] | None) -> pa.Schema:
        return self.schema if columns is None else pa.schema([self.schema.field(name) for name in columns])

    def _writable(self) -> None:
        if self._past:
            raise ValueError("an earlier version can only be read")


def _live_files(table: DeltaTable, partition_by: list[str]) -> Iterator[LiveFile]:
    for add in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        partition = tuple((name, add[f"partition.{name}"]) for name in partition_by)
        yield LiveFile(add["path"], add["size_bytes"], add["num_records"], add["min.seq"], add["max.seq"], partition)


def _latest_arrival(rows: pa.Table) -> str | None:
    if "received_at" not in rows.column_names or not rows.num_rows:
        return None
    latest = pc.max(rows.column("received_at")).as_py()
    return None if latest is None else str(latest.isoformat())


def _instant(text: str) -> datetime:
    from datetime import datetime

    return datetime.fromisoformat(text)


def _full(folder: Path, error: BaseException) -> LedgerFault:
    """F-18: a sentence for a disk that is full or fails."""
    if getattr(error, "errno", None) == 28 or "No space left" in str(error) or "os error 28" in str(error):
        return LedgerFault(f"The disk with {folder} is full: free some space and run the same command again; "
                           "nothing of this batch was committed.")
    return LedgerFault(f"The table {folder.name} could not be written: {error}. Run the same command again after the "
                       "cause is mended; nothing of this batch was committed.")
