"""What was read of a file, as a digest of its bytes: a file is known by its content, never by its name.

BLAKE3, cut to 128 bits: a cryptographic hash that costs little beside reading the records, with or without
the processor's help.
"""

from __future__ import annotations

from typing import BinaryIO

from blake3 import blake3

_STEP_BYTES = 4 << 20


class Digest:
    """The running digest of a file's first bytes."""

    def __init__(self) -> None:
        self._hash = blake3()
        self.end = 0
        """How many bytes it covers."""

    def update(self, data: bytes | memoryview) -> None:
        """Go on with the file's next bytes."""
        self._hash.update(data)
        self.end += len(data)

    def hex(self) -> str:
        """32 hexadecimal digits."""
        return self._hash.hexdigest(length=16)

    def copy(self) -> Digest:
        """Another that goes on from here by itself."""
        other = Digest()
        other._hash = self._hash.copy()
        other.end = self.end
        return other

    def take(self, other: Digest) -> None:
        """Go on where `other` is."""
        self._hash, self.end = other._hash, other.end

    def read(self, stream: BinaryIO, end: int) -> bool:
        """Go on with the stream's bytes up to offset `end`; False if it ends before."""
        while self.end < end:
            data = stream.read(min(_STEP_BYTES, end - self.end))
            if not data:
                return False
            self.update(data)
        return True


def digest_at(stream: BinaryIO, offsets: list[int]) -> dict[int, str]:
    """The digests of a file's first bytes up to each of the ascending offsets, in one pass from where the
    stream stands; offsets behind its end are left out."""
    digest = Digest()
    found: dict[int, str] = {}
    for offset in offsets:
        if not digest.read(stream, offset):
            break
        found[offset] = digest.hex()
    return found
