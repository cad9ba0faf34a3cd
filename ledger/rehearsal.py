"""A ledger that is only thought on: the same code decides, what it would commit stays in memory, nothing is written.

For `fentan simulate --commands`. Other writers are not kept waiting, and what they commit meanwhile is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from ledger import scan
from ledger.columns import numbered
from ledger.home import Home
from ledger.log import Log
from ledger.verify import see_one_moment
from ledger.version import BATCH_ROWS


class Unwritten(Log):
    """A table as it was at one moment, and the rows that would come after."""

    def __init__(self, before: Log) -> None:
        super().__init__(before.folder, before.schema)
        self._before = before
        self.version, self.next_seq, self.head = before.version, before.next_seq, before.head
        self._files = {file.path: file for file in before.live_files()}
        self._txns = before.offsets("")
        self.rows = before.schema.empty_table()
        self._name = f"unwritten_{before.folder.name}_{id(self)}"
        weakref.finalize(self, scan.connection().unregister, self._name)

    def refresh(self) -> None:
        """Nobody else adds to it."""

    def append(self, rows: pa.Table, *, offsets: Mapping[str, int] | None = None) -> None:
        """As `Log.append`, in memory."""
        rows = numbered(rows, self.schema, self.next_seq)
        columns = [rows.column(field.name).cast(field.type) for field in self.schema]
        self.rows = pa.concat_tables([self.rows, pa.table(columns, schema=self.schema)])
        self.next_seq += rows.num_rows
        self._txns.update(offsets or {})
        scan.connection().register(self._name, self.rows)

    def scan_sql(self, since: int = 0, until: int | None = None) -> str:
        """As `Version.scan_sql`, for questions of `ledger.scan`."""
        written = self._before.scan_sql(since, until)
        if not self.rows.num_rows:
            return written
        end = self.next_seq if until is None else until
        return (
            f"(SELECT * FROM {written} UNION ALL BY NAME "
            f"SELECT * FROM {self._name} WHERE seq >= {int(since)} AND seq < {int(end)})"
        )

    def read_batches_since(
        self,
        seq: int,
        columns: list[str] | None = None,
        batch_rows: int = BATCH_ROWS,
        *,
        ordered: bool = True,
    ) -> Iterator[pa.Table]:
        """As `Version.read_batches_since`."""
        yield from self._before.read_batches_since(seq, columns, batch_rows, ordered=ordered)
        later = self.rows.slice(max(0, seq - self._before.next_seq))
        if later.num_rows:
            yield later.select(self._fields(columns).names)


class Rehearsal(Home):
    """A home whose decisions stay in memory; `open` it as one for writing."""

    events: Unwritten

    @classmethod
    def open_logs(cls, folder: Path, *, whole: bool = True) -> tuple[Log, Log]:
        """Both tables as of one moment."""
        events, calls = super().open_logs(folder, whole=whole)
        see_one_moment(events, calls)
        return Unwritten(events), Unwritten(calls)

    def accepted_rows(self, ids: pa.Array) -> list[int]:
        """By a question: the index would have to be written."""
        found = scan.ask(
            f"SELECT seq FROM {self.events.scan_sql()} WHERE outcome = 'accepted' AND source IS NOT NULL "
            "AND command_id IN (SELECT unnest($ids)) ORDER BY seq",
            ids=ids.to_pylist(),
        )
        rows: list[int] = found.column("seq").to_pylist()
        return rows

    def _housekeep(self, log: Log) -> None:
        pass
