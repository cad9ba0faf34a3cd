"""Folded state kept beside the ledger, so that a command need not fold everything again.

A snapshot is a cache: it may be deleted at any time and is rebuilt from the ledger. It is written only after
its rows were committed, and used only by the very code that wrote it.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from functools import cache
from pathlib import Path
from typing import Any

from ledger.files import fsync_path


@cache
def _code_tag() -> str:
    """Changes with the code that folds, so an old snapshot is never read by new code."""
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent
    for path in sorted([*root.glob("rating/*.py"), *root.glob("ledger/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def load(folder: Path, name: str) -> Any:
    """The object kept under this name, or None if there is none that this code wrote."""
    path = folder / f"{name}-{_code_tag()}.pickle"
    try:
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 - our own folder, written by this code
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ValueError):
        return None


def save(folder: Path, name: str, value: Any) -> None:
    """Replaces what is kept under this name; whatever older code wrote is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{_code_tag()}.pickle"
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    with scratch.open("wb") as file:
        pickle.dump(value, file, protocol=pickle.HIGHEST_PROTOCOL)
    fsync_path(scratch)
    scratch.replace(path)
    for old in folder.glob(f"{name}-*.pickle"):
        if old != path:
            old.unlink(missing_ok=True)
