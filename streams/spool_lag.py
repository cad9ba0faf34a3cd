"""How many bytes of a spool folder are not in the ledger yet, without reading its files again and again."""

from __future__ import annotations

from pathlib import Path

from ledger.log import Log
from streams import files
from streams.watching import call_files

_PARQUET = b"PAR1"
_WHOLE = "whole"


class SpoolLag:
    """A folder, or one file, beside the table `calls` of this reader's own log.

    A file is known by its content, so each is read once, up to where the ledger has it; from then on its id is
    known, and only what the ledger says of it is looked up.
    """

    def __init__(self, calls: Log, path: Path) -> None:
        self._calls, self._path = calls, path
        self._ids: dict[tuple[Path, int], str] = {}
        self._tried: dict[tuple[Path, int], tuple[int, int]] = {}
        self._may_read = len(call_files(path))

    def unread_bytes(self) -> int:
        """Bytes of all files that are not in the ledger; those of a Parquet file until it is there as a whole.

        The first look may read every file, a later one at most one that it does not know.
        """
        found = sum(map(self._unread_of, call_files(self._path)))
        self._may_read = 1
        return found

    def _unread_of(self, path: Path) -> int:
        try:
            status = path.stat()
            key, size = (path, status.st_ino), status.st_size
            if key not in self._ids:
                file_id = self._identified(path, key, size)
                if file_id is None:
                    return size
                self._ids[key] = file_id
        except OSError:
            return 0
        file_id = self._ids[key]
        return 0 if file_id == _WHOLE else max(0, size - (self._calls.offset(f"file/{file_id}") or 0))

    def _identified(self, path: Path, key: tuple[Path, int], size: int) -> str | None:
        """The id that the ledger knows the file by; None if it does not, or if it is another's turn to be read."""
        tried = (size, len(self._calls.offsets("file/")))
        if self._tried.get(key) == tried or not self._may_read:
            return None
        self._tried[key] = tried
        self._may_read -= 1
        with path.open("rb") as stream:
            whole = stream.read(len(_PARQUET)) == _PARQUET
            found = files.find(self._calls, stream, size, whole=whole).file_id
        return _WHOLE if whole and found is not None else found
