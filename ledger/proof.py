"""The whole table held against its hash chain: which rows were changed, removed or added since they were committed.

It proves what `fentan verify` says of R-INV-6: that the ledger is append-only. Files that maintenance has merged and
sorted prove as well as those that were appended. What it cannot prove is that nobody rewrote the data, the chain
file and the table's own log together; against that, keep a head somewhere else (each close notes one).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ledger.chain import FIRST, Finding, Link, head_number, next_head
from ledger.digest import digest
from ledger.files import LiveFile, overlapping, read_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from ledger.log import Log

_BATCH = 100_000
_END = 1 << 62


def verify_chain(log: Log, progress: Callable[[int], None] | None = None) -> list[Finding]:
    """Recomputes every commit's digest from the data, in bounded memory; empty if all is as it was committed.

    A table opened with `whole=False` may have damaged files: they are findings, too. `progress` is told the number
    of rows done now and then.
    """
    if not log.chain.path.is_file():
        return [
            Finding(
                0,
                log.next_seq,
                f"{log.chain.path.name} is missing: nothing is proven. Restore it from a backup.",
            )
        ]
    findings: list[Finding] = []
    rows = _Rows(log, findings, progress)
    before = FIRST
    for number, link in log.chain.links():
        if link is None:
            findings.append(
                Finding(
                    before.seq_to, before.seq_to, f"line {number} of {log.chain.path.name} cannot be read"
                )
            )
        elif number == 1:
            if link != FIRST:
                findings.append(
                    Finding(0, 0, f"the first line of {log.chain.path.name} is not the table's creation")
                )
        elif link.version <= log.version:
            findings += _check_link(number, link, before, log)
            findings += rows.check(link, log.schema)
            before = link
    findings += rows.rest()
    if before.seq_to != log.next_seq:
        findings.append(
            Finding(
                before.seq_to,
                log.next_seq,
                f"{log.chain.path.name} ends at seq {before.seq_to}, the table at {log.next_seq}",
            )
        )
    elif head_number(before.head) != log.head_mark:
        findings.append(
            Finding(
                0,
                log.next_seq,
                f"the head of {log.chain.path.name} is not the one that the table's "
                "log has: the file was edited, or the log",
            )
        )
    return findings


def _check_link(number: int, link: Link, before: Link, log: Log) -> list[Finding]:
    if link.seq_from != before.seq_to:
        return [
            Finding(
                min(before.seq_to, link.seq_from),
                max(before.seq_to, link.seq_from),
                f"line {number} of {log.chain.path.name} begins at seq {link.seq_from}, the line before it "
                f"ends at {before.seq_to}: lines were removed or added",
            )
        ]
    if link.head != next_head(before.head, link.digest):
        return [
            Finding(
                link.seq_from,
                link.seq_to,
                f"line {number} of {log.chain.path.name} does not continue the chain: it was edited",
            )
        ]
    return []


class _Rows:
    """The table's rows in seq order, handed out commit by commit."""

    def __init__(self, log: Log, findings: list[Finding], progress: Callable[[int], None] | None) -> None:
        self._findings, self._progress, self._done = findings, progress, 0
        self._batches = self._read(log)
        self._waiting = log.schema.empty_table()

    def _read(self, log: Log) -> Iterator[pa.Table]:
        for files in overlapping(log.live_files()):
            group = [file for file in files if self._is_readable(log.folder, file)]
            if not group:
                continue
            first, end = group[0].seq_min, max(file.seq_max for file in group) + 1
            try:
                for rows in read_in_order(log.folder, group, log.schema, -_END, _END, _BATCH):
                    begin, stop = np.searchsorted(rows.column("seq").to_numpy(), [first, end]).tolist()
                    for stray in (rows.slice(0, begin), rows.slice(stop)):
                        self._findings += _more(stray.column("seq").to_numpy())
                    yield rows.slice(begin, stop - begin)
            except (OSError, duckdb.Error, pa.ArrowException) as error:
                self._findings.append(Finding(first, end, f"{_names(group)} cannot be read: {error}"))

    def _is_readable(self, folder: Path, file: LiveFile) -> bool:
        try:
            pq.read_metadata(folder / file.path)
        except (OSError, pa.ArrowException) as error:
            self._findings.append(
                Finding(file.seq_min, file.seq_max + 1, f"{file.path} cannot be read: {error}")
            )
            return False
        return True

    def _until(self, seq_to: int) -> pa.Table:
        """All rows not handed out yet with a seq below this."""
        parts = []
        while True:
            seqs = self._waiting.column("seq").to_numpy()
            end = int(np.searchsorted(seqs, seq_to))
            if end:
                parts.append(self._waiting.slice(0, end))
            self._waiting = self._waiting.slice(end)
            if self._waiting.num_rows:
                break
            following = next(self._batches, None)
            if following is None:
                break
            self._waiting = following
            self._done += following.num_rows
            if self._progress:
                self._progress(self._done)
        return pa.concat_tables(parts) if parts else self._waiting.slice(0, 0)

    def check(self, link: Link, schema: pa.Schema) -> list[Finding]:
        """One commit's rows."""
        rows = self._until(link.seq_to)
        seqs = rows.column("seq").to_numpy()
        findings = []
        missing = np.setdiff1d(np.arange(link.seq_from, link.seq_to), seqs, assume_unique=True)
        if len(missing):
            findings.append(Finding(int(missing[0]), int(missing[-1]) + 1, f"{_rows(len(missing))} missing"))
        odd = len(seqs) - (link.seq_to - link.seq_from - len(missing))
        if odd:
            findings.append(Finding(link.seq_from, link.seq_to, f"{_rows(odd)} more than were committed"))
        if not findings and digest(rows, schema, link.seq_from) != link.digest:
            findings.append(
                Finding(
                    link.seq_from,
                    link.seq_to,
                    f"a value of a row was changed (committed as version {link.version})",
                )
            )
        return findings

    def rest(self) -> list[Finding]:
        """What is left after the last commit."""
        return _more(self._until(_END).column("seq").to_numpy())


def _more(seqs: npt.NDArray[np.int64]) -> list[Finding]:
    """Rows that no commit knows of."""
    if not len(seqs):
        return []
    return [Finding(int(seqs[0]), int(seqs[-1]) + 1, f"{_rows(len(seqs))} more than were committed")]


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"


def _names(files: list[LiveFile]) -> str:
    return files[0].path if len(files) == 1 else f"one of {len(files)} files from {files[0].path} on"
