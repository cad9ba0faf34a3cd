"""A stream of bytes -> chunks of whole records, whatever the file's size and however it is cut.

Only a few blocks are in memory at a time. A record longer than the format allows is not loaded: its first
bytes become a reject, the rest is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa

from streams import merge
from streams.digests import Digest
from streams.fields import to_records
from streams.mapping import Mapping
from streams.rows import RAW_MAX_BYTES, Rows

_BLOCK_BYTES = 2 << 20
_MERGED_BYTES = 16 << 20
"""Chunks of merged rows are no larger: they are in memory twice while they are merged."""

_GROUP_MAX_BYTES = 24 << 20
"""Calls whose rows overlap one another without a gap for longer than this are cut nonetheless."""


@dataclass(frozen=True)
class Chunk:
    """Whole records: those of the file's bytes [start, end), as a table of `rating.records.RECORD`.

    For Parquet start and end count rows. digest: of all the file's bytes [0, end), 32 hexadecimal digits; for
    Parquet of the whole file
    """

    records: Any
    start: int
    end: int
    digest: str


class Decoder(Protocol):
    """What turns the blocks of one file into rows."""

    def decode(self, data: bytes, at: int, *, final: bool) -> tuple[Rows, int]: ...

    def too_long(self, head: bytes, length: int, at: int) -> Rows: ...


@dataclass
class Piece:
    """Some records, the bytes that they took and where those end. Of a line too long to keep, `data` is empty:
    the reader has digested it."""

    records: Any
    data: memoryview
    end: int


@dataclass
class Reader:
    """Reads one stream from `at`; `digest` covers what lies before, and `tail` was read already."""

    stream: BinaryIO
    decoder: Decoder
    mapping: Mapping
    at: int
    digest: Digest
    tail: bytes
    complete: bool

    def pieces(self, block_bytes: int) -> Iterator[Piece | None]:
        """The records in file order, a block at a time. The caller digests the bytes of each piece, at the
        latest when None comes: a line too long to keep follows, which the reader digests itself."""
        limit = self.mapping.record_max_bytes
        while True:
            got = self.stream.read(block_bytes)
            whole = got.rfind(b"\n") + 1 or len(got)
            data = b"".join((self.tail, memoryview(got)[:whole])) if self.tail else got[:whole]
            rows, used = self.decoder.decode(data, self.at, final=self.complete and not got)
            self.tail = data[used:] + got[whole:]
            self.at += used
            if used:
                yield Piece(to_records(rows, self.mapping), memoryview(data)[:used], self.at)
            if not got:
                return
            if not used and len(self.tail) > limit and b"\n" not in self.tail:
                yield None
                too_long = self._pass_over(block_bytes)
                if too_long is None:
                    return
                yield too_long

    def _pass_over(self, block_bytes: int) -> Piece | None:
        """Go on behind the line that the tail begins; None if it has no end yet and may get one."""
        head, start = b"", self.at
        digest, length, last = self.digest.copy(), 0, b""
        part = self.tail
        while True:
            end = part.find(b"\n")
            line = part if end < 0 else part[:end]
            length += len(line)
            head += line[: RAW_MAX_BYTES - len(head)]
            last = line[-1:] or last
            digest.update(part if end < 0 else part[: end + 1])
            if end >= 0:
                break
            part = self.stream.read(block_bytes)
            if not part:
                if not self.complete:
                    return None
                break
        self.tail = part[end + 1 :] if end >= 0 else b""
        self.at = digest.end
        self.digest.take(digest)
        rows = self.decoder.too_long(head, length - (last == b"\r"), start)
        return Piece(to_records(rows, self.mapping), memoryview(b""), self.at)


def plain_chunks(reader: Reader, start: int, chunk_bytes: int) -> Iterator[Chunk]:
    """Chunks of a format whose every row is a record."""
    tables: list[Any] = []
    for piece in reader.pieces(min(chunk_bytes, _BLOCK_BYTES)):
        if piece is None:
            continue
        reader.digest.update(piece.data)
        if piece.records.num_rows:
            tables.append(piece.records)
        if tables and piece.end - start >= chunk_bytes:
            yield Chunk(pa.concat_tables(tables), start, piece.end, reader.digest.hex())
            start, tables = piece.end, []
    if tables:
        yield Chunk(pa.concat_tables(tables), start, reader.at, reader.digest.hex())


def merged_chunks(reader: Reader, start: int, chunk_bytes: int, hold_open_s: int) -> Iterator[Chunk]:
    """Chunks of a format whose rows are merged: no call has rows in two of them."""
    pending = _Pending(reader, start, min(chunk_bytes, _MERGED_BYTES, _GROUP_MAX_BYTES))
    for piece in reader.pieces(min(chunk_bytes, _BLOCK_BYTES)):
        if piece is None:  # a line too long to keep ends every call before it
            yield from pending.chunks(over=True)
            continue
        if not piece.data:
            yield Chunk(piece.records, pending.start, piece.end, reader.digest.hex())
            pending.start = piece.end
            continue
        pending.add(piece)
        yield from pending.chunks()
    if reader.complete:
        yield from pending.chunks(over=True)
    else:
        yield from pending.chunks(hold_open_s=hold_open_s)


class _Pending:
    """Rows read but not handed out yet, and their bytes."""

    def __init__(self, reader: Reader, start: int, chunk_bytes: int) -> None:
        self._reader = reader
        self._window = reader.mapping.merge_window
        self._chunk = chunk_bytes
        self._tables: list[Any] = []
        self._data: list[memoryview] = []
        self.start = start
        self._end = start

    def add(self, piece: Piece) -> None:
        self._tables.append(piece.records)
        self._data.append(piece.data)
        self._end = piece.end

    def chunks(self, *, over: bool = False, hold_open_s: int | None = None) -> Iterator[Chunk]:
        """What can be handed out: all if the calls are `over`; else, where no call may go on behind the cut.

        That is sure once a window's bytes lie behind it; at the end of a growing file, by the rows' times.
        """
        while self._tables:
            if not over and hold_open_s is None and self._end - self.start < self._chunk + self._window:
                return
            rows = pa.concat_tables(self._tables)
            if not rows.num_rows:
                break
            end = self._cut(rows, over=over, hold_open_s=hold_open_s)
            if end is None:
                break
            yield self._take(rows, end)

    def _cut(self, rows: Any, *, over: bool, hold_open_s: int | None) -> int | None:
        """The offset to cut at, or None if there is none yet."""
        at = rows["source_pos"].to_numpy()
        groups = merge.groups_of(rows, self._window)
        clean = np.append(merge.clean_cuts(groups), over)
        clean[0] = False
        known = np.append(at, self._end)
        sure = np.append(False, at[:-1] + self._window < self._end)
        sure = np.append(sure, over)
        if over:
            sure[:] = True
        elif hold_open_s is not None:
            sure[:-1] |= merge.closed_cuts(rows, hold_open_s)
        cuts = known[clean & sure]
        near = cuts[cuts <= self.start + self._chunk]
        if len(near):
            return int(near[-1])
        if len(cuts) and cuts[0] <= self.start + _GROUP_MAX_BYTES:
            return int(cuts[0])
        if self._end - self.start < _GROUP_MAX_BYTES + self._window and not over:
            return None
        inside = known[1:][known[1:] <= self.start + _GROUP_MAX_BYTES]
        return int(inside[-1]) if len(inside) else int(known[1])

    def _take(self, rows: Any, end: int) -> Chunk:
        """Hand out the rows before `end`."""
        count = int(np.searchsorted(rows["source_pos"].to_numpy(), end))
        own = rows[:count]
        records = merge.merge(own, merge.groups_of(own, self._window))
        self._tables = [rows[count:]] if count < rows.num_rows else []
        self._digest(end)
        chunk = Chunk(records, self.start, end, self._reader.digest.hex())
        self.start = end
        return chunk

    def _digest(self, end: int) -> None:
        digest = self._reader.digest
        while self._data and digest.end + len(self._data[0]) <= end:
            digest.update(self._data.pop(0))
        if digest.end < end:
            part = end - digest.end
            digest.update(self._data[0][:part])
            self._data[0] = self._data[0][part:]
