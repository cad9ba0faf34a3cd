"""Files beside the tables that are there whole or not at all, whatever is killed when."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.files import fsync_path


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """A place beside `path`: the file that is written there takes its place, durably, once all is written.

    If that fails, what was there stays. Making the folder's entry durable too is the caller's.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        fsync_path(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """The file is there with all of the content, or as it was before."""
    with drafted(path) as draft:
        draft.write_bytes(content)
