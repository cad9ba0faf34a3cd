"""The rows that are new in a table since the last look: what alerts, live views and other readers follow.

A look costs a listing of the log when nothing was committed, else the new files; history is not read again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.version import BATCH_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import pyarrow as pa

    from ledger.log import Log


class Tail:
    """A reader's place in one table; not for two threads at once, and the `Log` is the reader's own."""

    next_seq: int
    """The first row that was not given yet."""

    def __init__(self, log: Log, since: int, columns: list[str], batch_rows: int = BATCH_ROWS) -> None:
        self.log, self.next_seq = log, since
        self._columns = columns if "seq" in columns else ["seq", *columns]
        self._batch_rows = batch_rows
        self._batches: Iterator[pa.Table] = iter(())

    def fresh(self) -> pa.Table:
        """The next rows in seq order, with the columns asked for and seq; at most a batch, none if nothing is new.

        Raises LedgerFault when the table cannot be read.
        """
        rows = next(self._batches, None)
        if rows is None:
            self.log.refresh()
            if self.next_seq < self.log.next_seq:
                self._batches = self.log.read_batches_since(self.next_seq, self._columns, self._batch_rows)
                rows = next(self._batches, None)
        if rows is None:
            return self.log.read_since(self.log.next_seq, self._columns)
        self.next_seq = rows.column("seq")[-1].as_py() + 1
        return rows


def seq_at(log: Log, instant: datetime) -> int:
    """The first row of the first commit that had rows received after `instant`."""
    return log.at_version(log.version_at(instant)).next_seq
