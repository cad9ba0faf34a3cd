"""Which file is this, and how far was it read? A file is known by its content, never by its name.

With each commit go two transactions, in the same commit as the rows: `file/<id>` holds the offset up to which a
file was read, `digest/<id>` 63 bits of the digest of everything before it. A file whose first bytes have that
digest is the same file, grown or not, and goes on there; one that was rewritten is new. The id is the digest of
what the first commit had read. A Parquet file does not grow: its offsets are rows, its digest that of all of it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from streams.digests import Digest

_BITS = (1 << 63) - 1
_END_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file was read; `file_id` None: nothing of it is in the ledger. `digest` covers what was read."""

    file_id: str | None
    offset: int
    digest: Digest


def number_of(digest: str) -> int:
    """The first 63 bits of a digest, for a transaction's version."""
    return int(digest[:16], 16) & _BITS


class Known(Protocol):
    """Where it stands how far files were read: a table of the ledger, or a file of places."""

    def offset(self, app_id: str, /) -> int | None: ...

    def offsets(self, prefix: str, /) -> dict[str, int]: ...


def find(log: Known, stream: BinaryIO, size: int, *, whole: bool = False) -> Place:
    """The place up to which a table holds this file's records; `whole`: the file is known only as a whole.

    The stream must be able to seek; it stands at its begin afterwards.
    """
    known: dict[int, dict[int, str]] = defaultdict(dict)
    digests = log.offsets("digest/")
    for app_id, offset in log.offsets("file/").items():
        file_id = app_id.removeprefix("file/")
        known[size if whole else offset][digests[f"digest/{file_id}"]] = file_id
    digest, found = Digest(), Place(None, 0, Digest())
    stream.seek(0)
    for offset in sorted(offset for offset in known if offset <= size):
        if not digest.read(stream, offset):
            break
        known_id = known[offset].get(number_of(digest.hex()))
        if known_id is not None:
            rows = log.offset(f"file/{known_id}") or 0
            found = Place(known_id, rows if whole else offset, digest.copy())
    stream.seek(0)
    return found


class Places:
    """Places of files that grow, so that not all that was read is digested again at each look.

    A file goes on where it was if it is the same to the file system and its first and its last bytes before that
    place are: 64 KiB each. A switch that rewrites its file changes one of them; whatever else it does shows when
    the file is complete, for then, and at the program's next start, all of it is compared.
    """

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[Place, int, bytes]] = {}

    def keep(self, path: Path, stream: BinaryIO, place: Place) -> None:
        """Remembers how far a file was read, if any of it was, and all that its digest covers."""
        self._kept.pop(path, None)
        if place.file_id is not None and place.digest.end == place.offset:
            inode = os.fstat(stream.fileno()).st_ino
            kept = Place(place.file_id, place.offset, place.digest.copy())
            self._kept[path] = kept, inode, _ends(stream, place.offset)

    def known(self, log: Known, path: Path, stream: BinaryIO, size: int) -> Place | None:
        """The place as it was kept; None if the file, or what the ledger has of it, is another by now."""
        place, inode, ends = self._kept.get(path, (None, 0, b""))
        if place is None or size < place.offset or log.offset(f"file/{place.file_id}") != place.offset:
            return None
        same = os.fstat(stream.fileno()).st_ino == inode and _ends(stream, place.offset) == ends
        return Place(place.file_id, place.offset, place.digest.copy()) if same else None


def _ends(stream: BinaryIO, offset: int) -> bytes:
    """The first and the last bytes below an offset; the stream stands at its begin afterwards."""
    stream.seek(0)
    head = stream.read(min(_END_BYTES, offset))
    stream.seek(max(0, offset - _END_BYTES))
    tail = stream.read(min(_END_BYTES, offset))
    stream.seek(0)
    return head + tail


def offsets(file_id: str | None, end: int, digest: str) -> Mapping[str, int]:
    """The transactions that say: this file was read up to `end`, and this is what stood before it."""
    name = file_id or digest
    return {f"file/{name}": end, f"digest/{name}": number_of(digest)}
