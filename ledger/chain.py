"""The hash chain over a table's commits, in a file of its own beside the table (`calls.chain.jsonl`).

Each commit that appends adds a line: the rows' digest (`ledger.digest`) and the head, SHA-256 over the head
before and the digest. The line is written and fsynced after the commit is on the disk; it is the
acknowledgement that F-23's repair goes by, it maps seq to versions and instants after the Delta log has been
cleaned, and it is what `verify_chain` holds the data against. The table itself carries the head too (in each
commit's metadata, and 63 bits of it as the transaction `chain`), so an edited or missing chain file shows.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GENESIS = "0" * 64
_TAIL_BYTES = 4096


class ChainFault(Exception):
    """The chain file is missing, shortened or edited; the sentence says which."""


@dataclass(frozen=True)
class Link:
    """One acknowledged commit: the rows seq_from <= seq < seq_to, at most; none when only offsets moved."""

    version: int
    seq_from: int
    seq_to: int
    digest: str
    head: str
    at: str | None  # the greatest received_at of all rows up to here, RFC 3339 in UTC with microseconds

    @classmethod
    def parse(cls, line: bytes) -> Link | None:
        """None for anything that is not a whole line of ours."""
        try:
            fields = json.loads(line)
            link = cls(**fields)
        except (ValueError, TypeError):
            return None
        whole = all(type(n) is int for n in (link.version, link.seq_from, link.seq_to))
        return link if whole and isinstance(link.digest, str) and isinstance(link.head, str) else None


def next_head(head: str, digest: str) -> str:
    """The chain's head after a commit with this digest."""
    return hashlib.sha256(bytes.fromhex(head) + bytes.fromhex(digest)).hexdigest()


def head_number(head: str) -> int:
    """The first 63 bits of a head: what fits into a Delta transaction."""
    return int(head[:16], 16) >> 1


FIRST = Link(0, 0, 0, GENESIS, GENESIS, None)
"""The line of the table's creation."""


@dataclass(frozen=True)
class Finding:
    """Something that the chain does not prove, or disproves, about the rows seq_from <= seq < seq_to."""

    seq_from: int
    seq_to: int
    sentence: str


class Chain:
    """The chain file of one table. Writers append under a lock, each what the one before left out."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.with_name(folder.name + ".chain.jsonl")
        self._size = 0
        self._last: Link | None = None

    @contextmanager
    def locked(self) -> Iterator[Tail]:
        """The file's end, for appending; waits while another process is at it. A torn last line is cut off.

        Raises ChainFault if the file is missing or its last line is not one of ours.
        """
        if not self.path.is_file():
            raise ChainFault(f"{self.path.name} is missing")
        with self.path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            last = self._read_last(file.fileno())
            yield Tail(self, file.fileno(), last)

    def create(self) -> None:
        """The file with its first line; nothing if it is there."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_size == 0:
                os.write(handle, _line(FIRST))
                os.fsync(handle)
        finally:
            os.close(handle)
        _fsync_folder(self.path)

    def _read_last(self, handle: int) -> Link:
        size = os.fstat(handle).st_size
        if self._last is not None and size == self._size:
            return self._last
        reach = _TAIL_BYTES
        while True:
            start = max(0, size - reach)
            tail = os.pread(handle, size - start, start)
            whole = tail.rfind(b"\n") + 1  # what follows the last newline was torn by a crash
            begin = tail.rfind(b"\n", 0, max(whole - 1, 0)) + 1
            if (whole and begin) or start == 0:
                break
            reach *= 4
        link = Link.parse(tail[begin:whole])
        if link is None:
            raise ChainFault(f"the last line of {self.path.name} is unreadable")
        if start + whole < size:
            os.ftruncate(handle, start + whole)
            os.fsync(handle)
        self._size, self._last = start + whole, link
        return link

    def links_backward(self) -> Iterator[Link]:
        """The links from the last to the first, read in pieces. Raises ChainFault at a line it cannot read."""
        with self.path.open("rb") as file:
            at = file.seek(0, os.SEEK_END)
            rest = b""
            while at:
                step = min(at, 16 * _TAIL_BYTES)
                at = file.seek(at - step)
                lines = (file.read(step) + rest).split(b"\n")
                rest = lines.pop(0) if at else b""
                for line in reversed(lines):
                    link = Link.parse(line)
                    if link is not None:
                        yield link
                    elif line:
                        raise ChainFault(f"a line of {self.path.name} is unreadable")

    def links(self) -> Iterator[tuple[int, Link | None]]:
        """Line number (from 1) and link of every line; None where a line cannot be read."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, Link.parse(line)


class Tail:
    """The end of a locked chain file."""

    def __init__(self, chain: Chain, handle: int, last: Link) -> None:
        self._chain, self._handle, self.last = chain, handle, last

    def append(self, links: list[Link]) -> None:
        """Adds the lines and fsyncs them; half a line, after a full disk, is taken back."""
        size = self._chain._size
        data = b"".join(map(_line, links))
        try:
            if os.pwrite(self._handle, data, size) != len(data):
                raise OSError(28, "No space left on device", str(self._chain.path))
            os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, size)
            raise
        self.last = links[-1]
        self._chain._size, self._chain._last = size + len(data), links[-1]


def _line(link: Link) -> bytes:
    return json.dumps(asdict(link), separators=(",", ":")).encode() + b"\n"


def _fsync_folder(path: Path) -> None:
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
