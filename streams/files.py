"""Which file is this, and how far was it read? A file is known by its content, never by its name.

With each commit go two transactions, in the same commit as the rows: `file/<id>` holds the offset up to which a
file was read, `digest/<id>` 63 bits of the digest of everything before it. A file whose first bytes have that
digest is the same file, grown or not, and goes on there; one that was rewritten is new. The id is the digest of
what the first commit had read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from ledger.log import Log
from streams.chunks import digest_at

_BITS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file was read; `file_id` None: nothing of it is in the ledger."""

    file_id: str | None
    offset: int


def number_of(digest: str) -> int:
    """The first 63 bits of a digest, for a transaction's version."""
    return int(digest[:16], 16) & _BITS


def find(log: Log, stream: BinaryIO, size: int) -> Place:
    """The place up to which a table holds this file's records."""
    known = log.offsets("file/")
    digests = log.offsets("digest/")
    ends = sorted({offset for offset in known.values() if offset <= size})
    if not ends:
        return Place(None, 0)
    stream.seek(0)
    at = {offset: number_of(digest) for offset, digest in digest_at(stream, ends).items()}
    stream.seek(0)
    found = Place(None, 0)
    for app_id, offset in known.items():
        file_id = app_id.removeprefix("file/")
        if offset > found.offset and at.get(offset) == digests.get(f"digest/{file_id}"):
            found = Place(file_id, offset)
    return found


def offsets(file_id: str | None, end: int, digest: str) -> Mapping[str, int]:
    """The transactions that say: this file was read up to `end`, and this is what stood before it."""
    name = file_id or digest
    return {f"file/{name}": end, f"digest/{name}": number_of(digest)}
