"""Numbers under names in a small file that survives a crash: how far something was sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ledger.faults import LedgerFault
from ledger.files import fsync_path
from ledger.whole_files import write_whole


class PlaceFile:
    """The file at `path`; each change is durable when `put` returns, and whole or not there."""

    def __init__(self, path: Path) -> None:
        """Raises LedgerFault if there is a file that cannot be read."""
        self._path = path
        self._numbers: dict[str, int] = {}
        try:
            self._numbers = {str(name): int(at) for name, at in json.loads(path.read_bytes()).items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise LedgerFault(
                f"{path} cannot be read: {error}. Mend it, or remove it: then what it names is sent again, and "
                "receivers drop the repeats by their ids."
            ) from error

    def offset(self, name: str) -> int | None:
        """The number under this name."""
        return self._numbers.get(name)

    def offsets(self, prefix: str) -> dict[str, int]:
        """All whose names begin with `prefix`."""
        return {name: at for name, at in self._numbers.items() if name.startswith(prefix)}

    def put(self, numbers: Mapping[str, int]) -> None:
        """Keeps them durably. Raises OSError if the disk does not take them; the file is then as before."""
        kept = {**self._numbers, **numbers}
        write_whole(self._path, json.dumps(kept, indent=1).encode())
        fsync_path(self._path.parent)
        self._numbers = kept
