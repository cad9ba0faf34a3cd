"""One version of a table, for reading: its files, and its rows in seq order or as a relation for DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from ledger.chain import GENESIS
from ledger.files import LiveFile, read_any_order, read_in_order, scan_sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BATCH_ROWS = 100_000


class Version:
    """The rows with a seq below `next_seq`."""

    version: int
    """The table's version."""
    next_seq: int
    """The number of rows, and the seq that the next one will have."""
    head: str
    """The chain's head: names the ledger up to `next_seq`, whatever maintenance does to the files."""
    cut: int | None
    """None: `files` hold exactly these rows. A number (of an earlier version): only rows with a lower seq belong
    to it, and whoever reads the files himself must say so."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """Not for callers: `Log.open` and `Log.at_version` make them."""
        self.folder, self.schema = folder, schema
        self.version, self.next_seq, self.head, self.cut = -1, 0, GENESIS, None
        self._files: dict[str, LiveFile] = {}

    def live_files(self) -> list[LiveFile]:
        """The snapshot's data files with their rows and seq, by first seq."""
        return sorted(self._files.values(), key=lambda f: (f.seq_min, f.path))

    def files(self) -> list[str]:
        """Absolute paths of the snapshot's data files. Mind `cut`."""
        return self.files_since(0)

    def spans(self) -> dict[str, tuple[int, int]]:
        """The least and greatest seq of each of `files`."""
        return {str(self.folder / file.path): (file.seq_min, file.seq_max) for file in self._files.values()}

    def files_since(self, seq: int) -> list[str]:
        """Absolute paths of the data files that may hold rows from `seq` on. Mind `cut`."""
        return [str(self.folder / file.path) for file in self.live_files() if file.seq_max >= seq]

    def scan_sql(self, since: int = 0, until: int | None = None) -> str:
        """The rows with since <= seq < until as a DuckDB table expression for FROM.

        Only files that may hold such rows are opened; the rows are filtered only where that leaves others.
        """
        end = self.next_seq if until is None else min(until, self.next_seq)
        files = [file for file in self.live_files() if file.seq_max >= since and file.seq_min < end]
        bounds = []
        if any(file.seq_min < since for file in files):
            bounds.append(f"seq >= {int(since)}")
        if any(file.seq_max >= end for file in files):
            bounds.append(f"seq < {int(end)}")
        scan = scan_sql(self.folder, files, self.schema)
        return f"(SELECT * FROM {scan} WHERE {' AND '.join(bounds)})" if bounds else scan

    def read_since(self, seq: int, columns: list[str] | None = None) -> pa.Table:
        """The rows from `seq` on, in seq order, with the columns named (default all), in the schema's types."""
        return pa.concat_tables([self._fields(columns).empty_table(), *self.read_batches_since(seq, columns)])

    def read_batches_since(
        self,
        seq: int,
        columns: list[str] | None = None,
        batch_rows: int = BATCH_ROWS,
        *,
        ordered: bool = True,
    ) -> Iterator[pa.Table]:
        """As `read_since`, in tables of at most `batch_rows` rows and in bounded memory.

        Not `ordered` spares sorting what maintenance has sorted otherwise, for those who do not mind.
        """
        wanted = self._fields(columns)
        fields = wanted if "seq" in wanted.names else wanted.insert(0, self.schema.field("seq"))
        read = read_in_order if ordered else read_any_order
        for rows in read(self.folder, self.live_files(), fields, seq, self.next_seq, batch_rows):
            yield rows if fields is wanted else rows.select(wanted.names)

    def _fields(self, columns: list[str] | None) -> pa.Schema:
        return self.schema if columns is None else pa.schema([self.schema.field(name) for name in columns])
