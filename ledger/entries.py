"""The entries of a table's transaction log (`_delta_log/*.json`), read with suspicion.

Each entry of ours says in its commit info how many files it adds and removes and which transactions it sets,
so that an entry that lost lines to a power cut is known for what it is (F-23).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
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

    def apply(self, files: dict[str, LiveFile], txns: dict[str, int]) -> None:
        """Carries live files and transactions over this entry."""
        for path in self.removes:
            files.pop(path, None)
        files.update((file.path, file) for file in self.adds)
        txns.update(self.txns)


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
    try:
        actions = [action for line in data.splitlines() for action in json.loads(line).items()]
    except (ValueError, AttributeError) as error:
        raise TornEntry("is cut off in the middle of a line") from error
    for kind, body in actions:
        if kind == "commitInfo":
            ours = body.get("fentan", {})
        elif kind == "txn":
            txns[body["appId"]] = body["version"]
        elif kind == "remove":
            removes.append(body["path"])
            changes_data |= body["dataChange"]
        elif kind == "add":
            changes_data |= body["dataChange"]
            if ours:  # what others add may lack the statistics that we go by
                adds.append(LiveFile.from_add(body))
    if ours is None:
        raise TornEntry("has lost its first line")
    if ours and (len(adds), len(removes), txns) != (ours["adds"], ours["removes"], ours["txns"]):
        raise TornEntry("lacks lines that its first line promises")
    return Entry(version, adds, removes, txns, ours, changes_data)


def last_checkpoint(folder: Path) -> int:
    """The version of the newest checkpoint as the log's own pointer has it; -1 before the first."""
    try:
        return int(json.loads((folder / LOG / "_last_checkpoint").read_bytes())["version"])
    except (FileNotFoundError, ValueError, KeyError):
        return -1


def read_state(folder: Path, version: int) -> tuple[dict[str, LiveFile], dict[str, int]]:
    """Live files by path, and transactions (app id -> version), of a table version.

    From the newest checkpoint and the entries after it. Raises FileNotFoundError if one of them was cleaned away
    meanwhile, TornEntry if one is torn.
    """
    _, checkpoints = versions(folder)
    base = max((v for v in checkpoints if v <= version), default=-1)
    files: dict[str, LiveFile] = {}
    txns: dict[str, int] = {}
    if base >= 0:
        rows = pq.read_table(checkpoint_path(folder, base), columns=["add", "txn"])
        adds, marks = rows.column("add"), rows.column("txn")
        for add in adds.filter(pc.is_valid(adds)).to_pylist():
            files[add["path"]] = LiveFile.from_add(add | {"partitionValues": dict(add["partitionValues"])})
        for txn in marks.filter(pc.is_valid(marks)).to_pylist():
            txns[txn["appId"]] = txn["version"]
    for later in range(base + 1, version + 1):
        read_entry(folder, later).apply(files, txns)
    return files, txns
