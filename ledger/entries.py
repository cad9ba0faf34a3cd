"""The entries of a table's transaction log (`_delta_log/*.json`), read with suspicion.

Each entry of ours says in its commit info how many files it adds and removes and which transactions it sets,
so that an entry that lost lines to a power cut is known for what it is (F-23).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from ledger.files import LiveFile

if TYPE_CHECKING:
    from pathlib import Path

LOG = "_delta_log"
_VERSION_DIGITS = 20


class TornEntry(Exception):
    """The entry is empty, cut off or without a line that it promises; the sentence says which."""


@dataclass(frozen=True)
class Entry:
    """What one version changed. `ours` is what we noted in its commit info, empty for anybody else's."""

    version: int
    adds: list[LiveFile]
    removes: list[str]
    txns: dict[str, int]
    ours: dict[str, Any]
    changes_data: bool


def entry_path(folder: Path, version: int) -> Path:
    """Where a version's entry lies."""
    return folder / LOG / f"{version:0{_VERSION_DIGITS}d}.json"


def checkpoint_path(folder: Path, version: int) -> Path:
    """Where a version's checkpoint lies."""
    return folder / LOG / f"{version:0{_VERSION_DIGITS}d}.checkpoint.parquet"


def versions(folder: Path) -> tuple[list[int], list[int]]:
    """The versions that have an entry, and those that have a checkpoint; both ascending."""
    entries, checkpoints = [], []
    for path in (folder / LOG).iterdir():
        stem, _, rest = path.name.partition(".")
        if len(stem) == _VERSION_DIGITS and stem.isdecimal():
            if rest == "json":
                entries.append(int(stem))
            elif rest == "checkpoint.parquet":
                checkpoints.append(int(stem))
    return sorted(entries), sorted(checkpoints)


def read_entry(folder: Path, version: int) -> Entry:
    """One entry. Raises TornEntry, or FileNotFoundError when it is not there (any more)."""
    data = entry_path(folder, version).read_bytes()
    if not data.strip():
        raise TornEntry("is empty")
    adds, removes, txns = [], [], {}
    ours: dict[str, Any] | None = None
    changes_data = False
    for line in data.splitlines():
        try:
            action = json.loads(line)
            ((kind, body),) = action.items()
            if kind == "add":
                adds.append(LiveFile.from_add(body))
                changes_data |= body["dataChange"]
            elif kind == "remove":
                removes.append(body["path"])
                changes_data |= body["dataChange"]
            elif kind == "txn":
                txns[body["appId"]] = body["version"]
            elif kind == "commitInfo":
                ours = body.get("fentan", {})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TornEntry("is cut off in the middle of a line") from error
    if ours is None:
        raise TornEntry("has lost its first line")
    if ours and (len(adds), len(removes), txns) != (ours["adds"], ours["removes"], ours["txns"]):
        raise TornEntry("lacks lines that its first line promises")
    return Entry(version, adds, removes, txns, ours, changes_data)


def read_txns(folder: Path, version: int) -> dict[str, int]:
    """Every transaction (app id -> version) as of a table version: newest checkpoint, then the entries after.

    Raises FileNotFoundError if entries between them were cleaned away meanwhile.
    """
    _, checkpoints = versions(folder)
    base = max((v for v in checkpoints if v <= version), default=-1)
    txns: dict[str, int] = {}
    if base >= 0:
        for txn in pq.read_table(checkpoint_path(folder, base), columns=["txn"]).column("txn").to_pylist():
            if txn is not None and txn["appId"] is not None:
                txns[txn["appId"]] = txn["version"]
    for later in range(base + 1, version + 1):
        txns.update(read_entry(folder, later).txns)
    return txns
