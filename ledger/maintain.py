"""Keeping a table quick: small files merged, months sorted, checkpoints, what nobody needs removed.

Each commit adds a file, and what a commit or a query costs grows with the live files. So `housekeep`, which a
writer calls after each commit, merges small files in the background, makes a checkpoint and removes log entries
that it covers; `maintain` also sorts months by number, so that a number's calls of a month lie side by side. Calls that
came after their month's close stay in files of their own, so that a question about a billed month reads no other month.

A rewrite is a compare-and-set commit that adds one file and removes its sources, without changing data; delta-rs's
own `optimize` is not used, for two at once double the ledger. Readers that hold an older version go on: a replaced
file stays for a week. It is touched when it is replaced, so that its age on disk says since when nobody new reads
it.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError
from deltalake.transaction import RemoveAction

from ledger.billed import first_late
from ledger.entries import LOG, checkpoint_path, entry_path, versions
from ledger.faults import LedgerFault
from ledger.files import (
    ROW_GROUP,
    LiveFile,
    fsync_path,
    quoted,
    read_in_order,
    scan_sql,
    spilling,
    write_parquet,
)
from ledger.log import Log
from ledger.repair import check_live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ledger.version import Version

KEEP = timedelta(days=7)
"""How long replaced and orphaned files stay."""
SMALL_ROWS = 60_000
"""Files below this are merged by `housekeep`; ingest in large batches leaves nothing to merge."""
_SMALL_FILES = 64  # of one partition; or so many times four of all, so that late calls do not pile up unseen
_FEW_FILES = 8
_ENTRIES = 16
_MERGED_ROWS = (
    1_000_000  # of a file of events: their order is seq, so that one file would be rewritten for ever
)
_SORTED = "s-"
_at_work: dict[Path, threading.Thread] = {}
_trouble = logging.getLogger("fentan.ledger")


@dataclass
class Report:
    """What one maintenance run did."""

    merged_files: int = 0
    merged_rows: int = 0
    checkpoint: int | None = None
    removed_entries: int = 0
    removed_files: int = 0
    removed_bytes: int = 0
    lost_races: int = 0
    sorted_months: list[str] = field(default_factory=list)


def housekeep(log: Log) -> threading.Thread | None:
    """After a commit: starts merging and checkpointing in the background when it is due; else costs microseconds.

    Uses a second `Log`, and the writer's commits go on meanwhile. Trouble is logged, not raised: the writer will
    meet it itself if it matters. Gives the thread, None if nothing is due or one is at work already.
    """
    running = _at_work.get(log.folder)
    if (running is not None and running.is_alive()) or log.since_checkpoint() < _ENTRIES:
        return None
    thread = threading.Thread(
        target=_housekeep, args=(log.folder, log.schema), name=f"housekeep {log.folder.name}"
    )
    _at_work[log.folder] = thread
    thread.start()
    return thread


def finish(log: Log) -> None:
    """Waits until the housekeeping of this table that is at work in this process, if any, is done."""
    thread = _at_work.pop(log.folder, None)
    if thread is not None:
        thread.join()


def _housekeep(folder: Path, schema: pa.Schema) -> None:
    try:
        log = Log.open(folder, schema)
        report = Report()
        for crowd in _crowds(log):
            _rewrite(log, crowd, ["seq"], "", report)
        _checkpoint(log, report)
    except (LedgerFault, DeltaError, OSError, duckdb.Error, pa.ArrowException) as error:
        _trouble.warning("housekeeping of the table %s: %s", folder.name, error)


def maintain(
    log: Log,
    *,
    keep: timedelta = KEEP,
    progress: Callable[[str], None] | None = None,
    late_from: Mapping[str, int] | None = None,
) -> Report:
    """Everything: merges and sorts, makes a checkpoint, removes log entries and files older than `keep`.

    `late_from` has of each closed month the seq from which on its calls are late (ledger/billed.py). May run beside
    writers, readers and itself, as long as `keep` is longer than their longest commit or query. Raises LedgerFault if
    the table is not whole afterwards.
    """
    report = Report()
    log.refresh()
    order = ["service_number", "start_at", "seq"] if "service_number" in log.schema.names else ["seq"]
    late = late_from or {}
    due = list(_unsorted(log, late)) if len(order) > 1 else list(_adjacent(log))
    for files in due:
        month = dict(files[0].partition).get("month")
        if progress:
            progress(
                f"{log.folder.name} {month or ''}: {sum(f.rows for f in files):,} rows".replace(" :", ":")
            )
        if (
            _rewrite(log, files, order, _SORTED if len(order) > 1 else "", report, late.get(month or ""))
            and month is not None
            and month not in report.sorted_months
        ):
            report.sorted_months.append(month)
    _checkpoint(log, report)
    _remove_unused(log, keep, report)
    log.refresh()
    check_live(log.folder, log.live_files(), log.next_seq)
    return report


def nearly_sorted(calls: Version, month: str) -> bool:
    """Whether at most a twentieth of the month's rows came since `maintain` sorted the month by number."""
    files = [file for file in calls.live_files() if dict(file.partition).get("month") == month]
    unsorted = sum(file.rows for file in files if not _is_sorted(file))
    return 20 * unsorted <= sum(file.rows for file in files)


def maintain_both(events: Log, calls: Log) -> Iterator[tuple[Log, Report]]:
    """`maintain` of a ledger's two tables, each as it is done."""
    yield events, maintain(events)
    yield calls, maintain(calls, late_from=first_late(events))


# -- what is due


def _partitions(log: Log) -> Iterator[list[LiveFile]]:
    parts: dict[tuple[tuple[str, str | None], ...], list[LiveFile]] = {}
    for file in log.live_files():
        parts.setdefault(file.partition, []).append(file)
    yield from parts.values()


def _crowds(log: Log) -> list[list[LiveFile]]:
    """Small files of one partition, where there are many."""
    small = [[f for f in files if f.rows < SMALL_ROWS] for files in _partitions(log)]
    enough = _FEW_FILES if sum(map(len, small)) >= 4 * _SMALL_FILES else _SMALL_FILES
    return [files for files in small if len(files) >= enough]


def _unsorted(log: Log, late_from: Mapping[str, int]) -> Iterator[list[LiveFile]]:
    """A month's unsorted files; with the sorted ones as soon as those are not more than three times as many rows.

    What came in time and what was late each by itself; a file that holds both is due to be split.
    """
    for files in _partitions(log):
        first = late_from.get(dict(files[0].partition).get("month") or "", 1 << 63)
        yield from _due([f for f in files if f.seq_max < first])
        yield from _due([f for f in files if f.seq_min >= first])
        yield from ([f] for f in files if f.seq_min < first <= f.seq_max)


def _due(files: list[LiveFile]) -> Iterator[list[LiveFile]]:
    together = [f for f in files if not _is_sorted(f)]
    rows = sum(f.rows for f in together)
    for file in sorted((f for f in files if _is_sorted(f)), key=lambda f: f.rows):
        if rows and file.rows <= 3 * rows:
            together, rows = [*together, file], rows + file.rows
    if together:
        yield together


def _is_sorted(file: LiveFile) -> bool:
    return file.path.rpartition("/")[2].startswith(_SORTED)


def _adjacent(log: Log) -> Iterator[list[LiveFile]]:
    """A partition's neighbouring files that make one of at most a million rows."""
    for files in _partitions(log):
        group: list[LiveFile] = []
        for file in [*files, None]:
            if file is None or sum(f.rows for f in group) + file.rows > _MERGED_ROWS:
                if len(group) > 1:
                    yield group
                group = []
            if file is not None:
                group.append(file)


# -- rewriting


def _rewrite(
    log: Log,
    sources: list[LiveFile],
    order: list[str],
    prefix: str,
    report: Report,
    late_from: int | None = None,
) -> bool:
    """One file in place of several, unless others have replaced one of them meanwhile; two if one is of late calls.

    An interrupt leaves the new files, for they may be in the table already; an orphan is removed later.
    """
    new = _write_sorted(log, sources, order, prefix, late_from)
    while log.has_files(sources) and (touched_ms := _touch(log.folder, sources)) is not None:
        removes = [
            RemoveAction(
                file.path,
                data_change=False,
                deletion_timestamp=touched_ms,
                size=file.size,
                partition_values=dict(file.partition),
            )
            for file in sources
        ]
        adds = [file.add_action(log.folder, data_change=False) for file in new]
        if log.commit([*adds, *removes], {}, {"rewrite": True}):
            log.refresh()
            report.merged_files += len(sources)
            report.merged_rows += sum(file.rows for file in new)
            return True
        report.lost_races += 1
        log.refresh()
    for file in new:
        (log.folder / file.path).unlink(missing_ok=True)
    return False


def _touch(folder: Path, sources: list[LiveFile]) -> int | None:
    """Lets the files' age begin anew; gives the time in milliseconds, None if one of them is gone."""
    try:
        for file in sources:
            os.utime(folder / file.path)
        return (folder / sources[-1].path).stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return None


def _write_sorted(
    log: Log, sources: list[LiveFile], order: list[str], prefix: str, late_from: int | None
) -> list[LiveFile]:
    """The sources' rows in files that are on the disk: one, or what came before `late_from` and what did not."""
    folder = log.folder
    (partition,) = {file.partition for file in sources}
    body = pa.schema([f for f in log.schema if f.name not in dict(partition)])
    least, most = min(file.seq_min for file in sources), max(file.seq_max for file in sources)
    spans = [(least, most)]
    if late_from is not None and least < late_from <= most:
        spans = [(least, late_from - 1), (late_from, most)]
    paths = [(folder / sources[0].path).parent / f"{prefix}{uuid.uuid4().hex}.parquet" for _ in spans]
    try:
        for path, span in zip(paths, spans, strict=True):
            _write_span(folder, sources, body, order, path, span)
        seqs = [np.sort(pq.read_table(path, columns=["seq"]).column("seq").to_numpy()) for path in paths]
        _assert_same(np.concatenate(seqs), sum(file.rows for file in sources), least, most)
        fsync_path(paths[0].parent)
        return [
            LiveFile(
                str(path.relative_to(folder)), path.stat().st_size, len(here), int(here[0]), int(here[-1]), partition
            )
            for path, here in zip(paths, seqs, strict=True)
        ]  # fmt: skip
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise


def _write_span(
    folder: Path,
    sources: list[LiveFile],
    body: pa.Schema,
    order: list[str],
    path: Path,
    span: tuple[int, int],
) -> None:
    """The sources' rows with a seq in the span, ends included."""
    least, most = span
    if order == ["seq"]:
        write_parquet(path, read_in_order(folder, sources, body, least, most + 1, ROW_GROUP), body)
        return
    with spilling(folder) as con:
        con.execute(
            f"COPY (SELECT {', '.join(body.names)} FROM {scan_sql(folder, sources, body)} "
            f"WHERE seq BETWEEN {least} AND {most} ORDER BY {', '.join(order)}) TO {quoted(str(path))} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
        )
    fsync_path(path)


def _assert_same(seqs: NDArray[np.int64], rows: int, least: int, most: int) -> None:
    """As many rows, all different, between the same seq, as the sources; the chain proves the rest."""
    if len(seqs) != rows or (seqs[0], seqs[-1]) != (least, most) or not (seqs[1:] > seqs[:-1]).all():
        raise LedgerFault(
            f"Rewriting gave {len(seqs)} rows instead of {rows}: they were dropped, the table is as before; report this."
        )


# -- the log, and what is no longer needed


def _checkpoint(log: Log, report: Report) -> None:
    """A checkpoint, then away with the entries that the one before covers: two checkpoints stay, whatever happens."""
    log.refresh()
    report.checkpoint = log.checkpoint()
    entries, checkpoints = versions(log.folder)
    if len(checkpoints) < 2:
        return
    covered = checkpoints[-2]
    old = [entry_path(log.folder, v) for v in entries if v <= covered]
    old += [checkpoint_path(log.folder, v) for v in checkpoints if v < covered]
    for path in old:
        path.unlink(missing_ok=True)
    report.removed_entries = len(old)


def _remove_unused(log: Log, keep: timedelta, report: Report) -> None:
    """Files that are in no snapshot, nor were in the last days: replaced ones, and those of crashed commits."""
    oldest_ns = _disk_clock_ns(log.folder) - keep // timedelta(microseconds=1) * 1_000
    found = [path for path in _own_files(log.folder) if _written_ns(path) < oldest_ns]
    log.refresh()  # after looking: what has been committed since is known now
    live = {str(log.folder / file.path) for file in log.live_files()}
    for path in found:
        if str(path) not in live:
            size = path.stat().st_size
            path.unlink(missing_ok=True)
            report.removed_files += 1
            report.removed_bytes += size
    for place in log.folder.parent.glob(".spill-*"):
        if _written_ns(place) < oldest_ns:
            shutil.rmtree(place, ignore_errors=True)


def _own_files(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.parquet")
    yield from folder.glob("*=*/*.parquet")
    for path in (folder / LOG).iterdir():
        if path.suffix not in {".json", ".parquet"} and path.name != "_last_checkpoint":
            yield path  # half an entry of a crashed commit: delta-rs writes under another name first


def _written_ns(path: Path) -> int:
    """When a file was written or touched, by the disk's own clock; far ahead if it has gone."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 1 << 63


def _disk_clock_ns(folder: Path) -> int:
    """Now, by the clock that file times come from: `--now` must not age files, nor a clock that differs."""
    probe = folder / f".clock-{uuid.uuid4().hex}"
    try:
        probe.touch()
        return probe.stat().st_mtime_ns
    finally:
        probe.unlink(missing_ok=True)
