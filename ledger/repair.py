"""What a power cut can leave at the log's end, mended before anybody reads it (F-23).

Who appends acknowledges in the chain file once everything is on the disk. So whatever is torn *after* the last
acknowledged version was promised to nobody and is set aside (`<table>/.torn/`), and the table is as it was
before. Anything torn up to there is a loss that no program can mend: refused, with what to do.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ledger.chain import ChainFault, Link, next_head
from ledger.digest import digest
from ledger.entries import LOG, Entry, TornEntry, checkpoint_path, entry_path, read_entry, versions
from ledger.faults import LedgerFault
from ledger.files import LiveFile, fsync_path, read_file, sort_rows

if TYPE_CHECKING:
    from pathlib import Path

RESTORE = "Restore the ledger's folder from a backup; nothing was changed."


def mend(folder: Path, schema: pa.Schema, acknowledged: Link) -> tuple[list[str], list[Entry]]:
    """Sets the torn tail aside; to be called under the chain's lock.

    Gives a sentence for each thing mended, and the whole entries that are not acknowledged yet. Raises
    LedgerFault where what is torn had been acknowledged.
    """
    mended = _mend_checkpoints(folder)
    while True:
        try:
            more, unacknowledged = _mend_entries(folder, schema, acknowledged)
            return mended + more, unacknowledged
        except FileNotFoundError:  # somebody made a checkpoint and cleaned up meanwhile: begin from that
            continue


def _mend_entries(folder: Path, schema: pa.Schema, acknowledged: Link) -> tuple[list[str], list[Entry]]:
    mended = []
    entries, checkpoints = versions(folder)
    name = folder.name
    base = max(checkpoints, default=-1)
    newest = max([*entries, base], default=-1)
    if newest < acknowledged.version:
        raise LedgerFault(
            f"The table {name} ends at version {newest}, but version {acknowledged.version} was "
            f"acknowledged: log entries are lost. {RESTORE}"
        )
    there = set(entries)
    unacknowledged = []
    for version in range(base + 1, newest + 1):
        try:
            if version not in there:
                raise TornEntry("is missing")
            entry = read_entry(folder, version)
            if version > acknowledged.version:
                _check_files(folder, entry)
                if "digest" in entry.ours:
                    _check_rows(folder, schema, entry)
        except TornEntry as torn:
            if versions(folder)[1] != checkpoints:
                raise FileNotFoundError(version) from torn
            if version <= acknowledged.version:
                raise LedgerFault(
                    f"Log entry {version} of the table {name} {torn}, and it had been acknowledged. {RESTORE}"
                ) from torn
            for later in range(version, newest + 1):
                if later in there:
                    set_aside(folder, entry_path(folder, later))
            mended.append(
                f"Log entry {version} of the table {name} {torn}; it had not been acknowledged and was "
                f"set aside in {name}/.torn, the ledger is as before it."
            )
            break
        check_ours(folder, entry)
        if version > acknowledged.version:
            unacknowledged.append(entry)
    return mended, unacknowledged


def check_ours(folder: Path, entry: Entry) -> None:
    """Raises LedgerFault for data that another program has added or removed."""
    if entry.changes_data and not entry.ours:
        raise LedgerFault(
            f"Version {entry.version} of the table {folder.name} was not written by Fentan: only Fentan "
            f"may write its tables. {RESTORE}"
        )


def check_live(folder: Path, files: list[LiveFile], expected_rows: int) -> None:
    """Every live file is there in its full size, and together they hold as many rows as were numbered."""
    for file in files:
        try:
            size = (folder / file.path).stat().st_size
        except FileNotFoundError:
            size = -1
        if size != file.size:
            what = "missing" if size < 0 else f"{size} bytes long instead of {file.size}"
            raise LedgerFault(f"The ledger's file {folder.name}/{file.path} is {what}. {RESTORE}")
    rows = sum(file.rows for file in files)
    if rows != expected_rows:
        raise LedgerFault(
            f"The table {folder.name} holds {rows} rows, but {expected_rows} were committed. {RESTORE}"
        )


def link_of(entry: Entry, before: Link) -> Link | None:
    """The chain's line for an entry; None for maintenance. Raises ChainFault if it does not continue `before`."""
    ours = entry.ours
    if "digest" not in ours:
        return None
    if ours["seq_from"] != before.seq_to or ours["head"] != next_head(before.head, ours["digest"]):
        raise ChainFault(
            f"version {entry.version} does not continue the chain after version {before.version}"
        )
    at = max((t for t in (before.at, ours["at"]) if t is not None), default=None)
    return Link(entry.version, ours["seq_from"], ours["seq_to"], ours["digest"], ours["head"], at)


def _check_files(folder: Path, entry: Entry) -> None:
    for file in entry.adds:
        path = folder / file.path
        if not path.is_file():
            raise TornEntry(f"names the file {file.path}, which is missing")
        if path.stat().st_size != file.size:
            raise TornEntry(
                f"names the file {file.path}, which is {path.stat().st_size} bytes long "
                f"instead of {file.size}"
            )


def _check_rows(folder: Path, schema: pa.Schema, entry: Entry) -> None:
    try:
        parts = [read_file(folder, file, schema) for file in entry.adds]
        rows = sort_rows(pa.concat_tables(parts)) if parts else schema.empty_table()
        whole = digest(rows, schema, entry.ours["seq_from"]) == entry.ours["digest"]
    except (OSError, ValueError, pa.ArrowException):
        whole = False
    if not whole:
        raise TornEntry("names files whose rows are not those that were committed")


def _mend_checkpoints(folder: Path) -> list[str]:
    """A checkpoint that cannot be read is set aside as long as the entries before it are still there."""
    mended = []
    entries, checkpoints = versions(folder)
    pointer = folder / LOG / "_last_checkpoint"
    try:
        json.loads(pointer.read_bytes())
    except FileNotFoundError:
        pass
    except ValueError:
        set_aside(folder, pointer)  # only a hint: without it the folder is listed
    while checkpoints:
        newest = checkpoints[-1]
        path = checkpoint_path(folder, newest)
        try:
            pq.read_metadata(path)
        except (OSError, pa.ArrowException) as error:
            base = checkpoints[-2] if len(checkpoints) > 1 else -1
            if not set(range(base + 1, newest + 1)) <= set(entries):
                raise LedgerFault(
                    f"The checkpoint {path.name} of the table {folder.name} cannot be read and the "
                    f"entries before it are gone. {RESTORE}"
                ) from error
            set_aside(folder, path)
            pointer.unlink(missing_ok=True)
            mended.append(
                f"The checkpoint of version {newest} of the table {folder.name} could not be read and was "
                f"set aside in {folder.name}/.torn; the log before it is whole."
            )
            checkpoints.pop()
        else:
            break
    return mended


def set_aside(folder: Path, path: Path) -> None:
    """Moves a file of the log into `<table>/.torn/`, durably."""
    place = folder / ".torn"
    place.mkdir(exist_ok=True)
    path.rename(place / f"{path.name}-{uuid.uuid4().hex[:8]}")
    fsync_path(place)
    fsync_path(path.parent)
