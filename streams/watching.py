"""A folder of files that others write: which of them are worth a look."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OPEN_S = 60
"""How long a file may stand still before its last line, and calls of several rows, are taken as complete."""


class CannotRead(Exception):
    """A file or folder that cannot be opened: one sentence."""


def call_files(path: Path) -> list[Path]:
    """The file, or the folder's files by name; what is still being written under a hidden or .tmp name is not seen."""
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.is_file())
        return [one for one in inside if not one.name.startswith(".") and one.suffix not in {".tmp", ".part"}]
    if not path.exists():
        raise CannotRead(f"There is no file {path}: check the name.")
    return [path]


@dataclass
class _Seen:
    """A file as it was last seen."""

    stamp: tuple[int, int]
    still_since_s: float
    finished: bool = False


class Watch:
    """A file, or a folder's files, over time. Size and date only say that a look is worth it; what is new in a file
    is known by its content."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[Path, _Seen] = {}

    def changed(self) -> Iterator[tuple[Path, bool]]:
        """Files that are new or have changed since the last look, and whether each is complete: it is once it has
        stood still for OPEN_S seconds."""
        for path in call_files(self._path):
            try:
                status = path.stat()
            except FileNotFoundError:
                self._seen.pop(path, None)
                continue
            stamp, now_s = (status.st_size, status.st_mtime_ns), time.monotonic()
            last = self._seen.get(path)
            if last is None or last.stamp != stamp:
                self._seen[path] = _Seen(stamp, now_s)
                yield path, False
            elif not last.finished and now_s - last.still_since_s >= OPEN_S:
                last.finished = True
                yield path, True
