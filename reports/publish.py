"""A DuckDB file for finance's own tools: the views over one version of the ledger, the quick ones as tables.

The file is made beside the old one and takes its place at once: who is connected to the old one goes on reading
it. What depends on the time of publishing (arrears, numbers) or sums up everything is stored; rows of calls are
read from the ledger, unless the file is asked to hold them itself (`copy`). A masked file always does, for its
reader may not see the ledger (F-27).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from ledger.faults import BadRequest, LedgerFault
from ledger.files import fsync_path, remove, spill_folder
from ledger.guard import quoted, sentence
from ledger.query import VIEWS, describe_views, make_views
from reports.ask import snapshot

STORED = ("postings", "balances", "customer_balances", "arrears", "numbers", "statement_lines")
"""The views that become tables of the file; with `copy` all do."""

_OTHERS = ("standings", "duplicates", "rejects", "reasons")
"""Views that stand in another's file."""

_DESCRIBED = {
    "at": "The time that numbers and arrears are told for.",
    "calls_seq": "How many rows of call records it covers.",
    "events_seq": "How many rows of events it covers.",
    "calls_head": "The chain's head over those rows of calls: fentan verify proves it.",
    "events_head": "The chain's head over those rows of events.",
    "masked": "Whether phone numbers are hidden.",
}


@dataclass(frozen=True, slots=True)
class Published:
    """What a published file holds."""

    tables: int
    views: int
    calls: int
    events: int


def publish(home: Path, file: Path, now: datetime, *, copy: bool = False, mask: bool = False) -> Published:
    """Writes `file` anew from the ledger's newest version and puts it in the old one's place, whole or not at all.

    BadRequest if something stands there that was not published; LedgerFault if it cannot be written.
    """
    _require_ours(file)
    events, calls = snapshot(home, None)
    whole = copy or mask
    with _draft(file) as draft:
        with spill_folder(events.folder) as place, _database(draft, place) as con:
            con.execute("SET GLOBAL TimeZone = 'Asia/Shanghai'")
            make_views(
                con,
                calls.files(),
                events.files(),
                now=now,
                calls_seq=calls.next_seq,
                events_seq=events.next_seq,
                mask=mask,
                spans=calls.spans(),
            )
            describe_views(con)
            for view in (*VIEWS, *_OTHERS) if whole else STORED:
                _store(con, view)
            if whole:
                con.execute("DROP VIEW billed_rows; DROP VIEW calls_rows; DROP VIEW events_rows")
            _sign(con, now, calls.next_seq, events.next_seq, calls.head, events.head, mask)
            ((tables, views),) = con.execute(
                "SELECT count(*) FILTER (WHERE table_type = 'BASE TABLE'), count(*) FILTER (WHERE table_type = 'VIEW') "
                "FROM information_schema.tables WHERE NOT ends_with(table_name, '_rows')"
            ).fetchall()
        fsync_path(draft)
        draft.replace(file)
    fsync_path(file.parent)
    # what a client wrote into the old file is gone with it, and must not be taken for the new one's
    file.with_name(f"{file.name}.wal").unlink(missing_ok=True)
    return Published(tables, views, calls.next_seq, events.next_seq)


def _database(file: Path, temp_directory: str) -> duckdb.DuckDBPyConnection:
    settings: dict[str, Any] = {"memory_limit": "2GB", "temp_directory": temp_directory}
    return duckdb.connect(file, config={**settings, "autoinstall_known_extensions": "false"})


def _store(con: duckdb.DuckDBPyConnection, view: str) -> None:
    """Makes a table of a view, its comments kept."""
    ((told,),) = con.execute("SELECT comment FROM duckdb_views() WHERE view_name = ?", [view]).fetchall()
    columns = con.execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = ?", [view]
    ).fetchall()
    con.execute(f"CREATE TABLE stored AS FROM {view}; DROP VIEW {view}; ALTER TABLE stored RENAME TO {view}")
    if told:
        con.execute(f"COMMENT ON TABLE {view} IS {quoted(told)}")
    for column, comment in columns:
        if comment:
            con.execute(f'COMMENT ON COLUMN {view}."{column}" IS {quoted(comment)}')


def _sign(
    con: duckdb.DuckDBPyConnection,
    now: datetime,
    calls_seq: int,
    events_seq: int,
    calls_head: str,
    events_head: str,
    mask: bool,
) -> None:
    """A table of one row that says what was published, and marks the file as ours."""
    con.execute(
        'CREATE TABLE published AS SELECT CAST(? AS TIMESTAMPTZ) AS "at", CAST(? AS BIGINT) AS calls_seq, '
        "CAST(? AS BIGINT) AS events_seq, ? AS calls_head, ? AS events_head, CAST(? AS BOOLEAN) AS masked",
        [now.astimezone(UTC).isoformat(), calls_seq, events_seq, calls_head, events_head, mask],
    )
    con.execute(
        "COMMENT ON TABLE published IS 'Its only row says which version of the ledger this file tells of.'"
    )
    for column, comment in _DESCRIBED.items():
        con.execute(f'COMMENT ON COLUMN published."{column}" IS {quoted(comment)}')


def _require_ours(file: Path) -> None:
    if not file.parent.is_dir():
        raise BadRequest(f"There is no folder {file.parent}: make it, or name another file.")
    if not file.exists():
        return
    mistaken = BadRequest(
        f"{file} is there and was not published by Fentan: name another file, or move that one away."
    )
    if not file.is_file():
        raise mistaken
    with file.open("rb") as there:
        if there.read(12)[8:] != b"DUCK":
            raise mistaken
    try:
        with duckdb.connect(file, read_only=True) as con:
            found = con.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'published'").fetchall()
    except duckdb.IOException:
        return  # somebody has it open for writing: a client that did not ask for reading only
    if not found:
        raise mistaken


@contextmanager
def _draft(file: Path) -> Iterator[Path]:
    """A file beside `file` that is gone in the end; those of processes that died are removed first."""
    for left in file.parent.glob(f".{file.name}.*"):
        pid = left.name.removeprefix(f".{file.name}.").split(".")[0]
        if pid.isdecimal() and not _is_alive(int(pid)):
            remove(left)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    remove(draft)
    try:
        yield draft
    except duckdb.IOException as error:
        raise LedgerFault(
            f"{file} could not be written: {sentence(error)} What was published before stays; mend that and publish again."
        ) from None
    finally:
        for left in (draft, draft.with_name(f"{draft.name}.wal")):
            remove(left)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
