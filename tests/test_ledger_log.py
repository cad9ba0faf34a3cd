"""The append-only log: compare-and-set, offsets, crashes, full disks."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from ledger import files
from ledger import log as log_module
from ledger.entries import entry_path
from ledger.faults import BadRequest, LedgerFault, LostRace
from ledger.log import Log
from ledger.maintain import maintain
from ledger.proof import verify_chain
from tests.full_disk import no_file_above
from tests.log_rows import NOON, ROWS, again, ask, ids, new_log, some_rows

SPAWN = multiprocessing.get_context("spawn")


def test_rows_come_back_in_order_with_dense_seq_and_every_type(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    log.append(some_rows(7, 0, ("2026-11", None, "2026-10")))
    log.append(some_rows(5, 7, (None,)))
    rows = again(log).read_since(0)
    assert rows.schema == ROWS
    assert rows.column("seq").to_pylist() == list(range(12))
    assert rows.drop(["seq"]).to_pylist() == (
        some_rows(7, 0, ("2026-11", None, "2026-10")).to_pylist() + some_rows(5, 7, (None,)).to_pylist()
    )
    assert log.read_since(9, ["call_id"]).column(0).to_pylist() == ["c-9", "c-10", "c-11"]


def test_duckdb_reads_a_missing_month_as_null_and_an_empty_table_as_no_rows(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    assert ask(f"SELECT * FROM {log.scan_sql()}") == []
    log.append(some_rows(6, 0, ("2026-11", None)))
    found = ask(f"SELECT month, count(*), sum(owner_fee) FROM {log.scan_sql()} GROUP BY 1 ORDER BY 1")
    assert found == [("2026-11", 3, Decimal("0.06")), (None, 3, Decimal("0.09"))]
    assert ask(f"SELECT list(seq ORDER BY seq) FROM {log.scan_sql(2, 5)}") == [([2, 3, 4],)]


def test_creating_twice_keeps_what_is_there(tmp_path: Path) -> None:
    new_log(tmp_path).append(some_rows(3))
    assert new_log(tmp_path).next_seq == 3


def test_opening_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(LedgerFault, match="There is no ledger table"):
        Log.open(tmp_path / "calls", ROWS)


def test_offsets_are_committed_with_the_rows_and_survive_the_logs_cleanup(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    log.append(some_rows(2), offsets={"file/a": 100})
    log.append(some_rows(0), offsets={"file/b": 7})
    for n in range(3):
        log.append(some_rows(1, 2 + n), offsets={"file/a": 101 + n})
        maintain(log)
    assert not entry_path(log.folder, 1).exists()
    fresh = again(log)
    assert (fresh.offset("file/a"), fresh.offset("file/b"), fresh.offset("file/c")) == (103, 7, None)
    assert fresh.offsets("file/") == {"file/a": 103, "file/b": 7}
    assert fresh.next_seq == 5


def test_who_comes_second_loses_the_race_and_leaves_nothing(tmp_path: Path) -> None:
    """F-19: a stale writer is refused."""
    first, second = new_log(tmp_path), new_log(tmp_path)
    first.append(some_rows(2), offsets={"p": 2})
    with pytest.raises(LostRace):
        second.append(some_rows(2), offsets={"p": 2})
    assert second.next_seq == 2
    assert len(list(first.folder.rglob("*.parquet"))) == 1
    second.append(some_rows(1, 2), offsets={"p": 3})
    first.refresh()
    assert ids(first) == ["c-0", "c-1", "c-2"]


def test_offsets_alone_also_win_a_race(tmp_path: Path) -> None:
    """F-19: the same batch from two workers, of which one had nothing to charge."""
    first, second = new_log(tmp_path), new_log(tmp_path)
    first.append(some_rows(0), offsets={"p": 2})
    with pytest.raises(LostRace):
        second.append(some_rows(0), offsets={"p": 2})


def test_maintenance_in_between_is_no_lost_race(tmp_path: Path) -> None:
    """F-21: a rewrite moves the table's version, not its rows."""
    log, other = new_log(tmp_path), new_log(tmp_path)
    log.append(some_rows(2))
    log.append(some_rows(2, 2))
    other.refresh()
    maintain(log)
    other.append(some_rows(1, 4))
    assert ids(again(log)) == [f"c-{n}" for n in range(5)]


def test_a_handle_older_than_the_cleaned_log_catches_up(tmp_path: Path) -> None:
    log, old = new_log(tmp_path), new_log(tmp_path)
    for n in range(4):
        log.append(some_rows(1, n), offsets={"p": n})
        maintain(log)
    old.refresh()
    assert (old.next_seq, old.offset("p"), old.head) == (4, 3, log.head)
    old.append(some_rows(1, 4))
    assert ids(old) == [f"c-{n}" for n in range(5)]


def test_rows_that_do_not_fit_the_schema_are_refused(tmp_path: Path) -> None:
    """F-22: float money, a narrowed type, a column too many or too few, a foreign seq."""
    log = new_log(tmp_path)
    rows = some_rows(2)
    place = rows.column_names.index("owner_fee")
    for wrong in (
        rows.set_column(place, "owner_fee", pa.array([0.1, 0.2])),
        rows.set_column(place, "owner_fee", pa.array([1, 2], pa.decimal128(9, 2))),
        rows.drop(["tags"]),
        rows.append_column("colour", pa.array(["red", "blue"])),
        rows.append_column("seq", pa.array([1, 2])),
    ):
        with pytest.raises(ValueError, match=r"column|seq"):
            log.append(wrong)
    assert again(log).next_seq == 0


def test_dictionaries_are_taken_as_text(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    rows = some_rows(4, 0, ("2026-11", "2026-10"))
    for name in ("call_id", "month"):
        rows = rows.set_column(rows.column_names.index(name), name, rows.column(name).dictionary_encode())
    log.append(rows)
    assert (
        again(log).read_since(0).drop(["seq"]).to_pylist()
        == some_rows(4, 0, ("2026-11", "2026-10")).to_pylist()
    )
    assert verify_chain(log) == []


def test_a_new_optional_column_reads_as_null_and_keeps_the_proof(tmp_path: Path) -> None:
    """F-22: a column that came with a later version of the program; the other way round is refused."""
    log = new_log(tmp_path)
    log.append(some_rows(2))
    wider = ROWS.append(pa.field("queue", pa.string()))
    newer = Log.open(log.folder, wider)
    assert newer.read_since(0, ["queue"]).column(0).to_pylist() == [None, None]
    newer.append(some_rows(1, 2).append_column("queue", pa.array(["sales"])))
    assert newer.read_since(0, ["queue"]).column(0).to_pylist() == [None, None, "sales"]
    assert verify_chain(newer) == []
    with pytest.raises(LedgerFault, match="queue"):
        again(log)
    with pytest.raises(LedgerFault, match="call_id"):
        Log.open(log.folder, wider.set(1, pa.field("call_id", pa.int64())))


def _race(folder: Path, worker: int, commits: int) -> None:
    log = Log.open(folder, ROWS)
    done = 0
    while done < commits:
        seen = log.version
        try:
            log.append(some_rows(3, log.next_seq), offsets={f"w{worker}": done + 1, "last": log.next_seq + 3})
        except LostRace:
            continue
        entry = json.loads(entry_path(folder, seen + 1).read_bytes().splitlines()[0])["commitInfo"]["fentan"]
        assert entry["txns"][f"w{worker}"] == done + 1, (
            "accepted, but not as the version after the one it saw"
        )
        done += 1


def test_of_racing_processes_every_accepted_commit_follows_the_version_it_saw(tmp_path: Path) -> None:
    """docs/design.md 2: compare and set; seq are dense, each row says its place, so nobody decided on a stale table."""
    log = new_log(tmp_path)
    racers = [SPAWN.Process(target=_race, args=(log.folder, n, 8)) for n in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0, 0, 0]
    log.refresh()
    assert ids(log) == [f"c-{n}" for n in range(3 * 3 * 8)]
    assert log.offsets("w") == {"w0": 8, "w1": 8, "w2": 8}
    assert log.version == 24
    assert verify_chain(log) == []


DIES = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {path!r})
from tests.log_rows import ROWS, some_rows
from ledger import chain, log
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
def after(function):
    return lambda *args, **kwargs: (function(*args, **kwargs), die())
point = sys.argv[2]
if point == "before the Parquet file":
    log.write_rows = die
elif point == "before the commit":
    log.Log.commit = die
elif point == "after the commit":
    log.Log.commit = after(log.Log.commit)
elif point == "before the chain's line":
    chain.Tail.append = die
elif point == "after the chain's line":
    chain.Tail.append = after(chain.Tail.append)
it = log.Log.open(Path(sys.argv[1]), ROWS)
it.append(some_rows(4, it.next_seq), offsets={{"p": it.next_seq + 4}})
"""


@pytest.mark.parametrize(
    ("point", "there"),
    [
        ("before the Parquet file", False),
        ("before the commit", False),
        ("after the commit", True),
        ("before the chain's line", True),
        ("after the chain's line", True),
    ],
)
def test_kill_9_leaves_all_of_a_batch_or_nothing(tmp_path: Path, point: str, there: bool) -> None:
    """F-16: at each point of a commit; rows and offset together, at most an orphan file."""
    log = new_log(tmp_path)
    log.append(some_rows(3), offsets={"p": 3})
    script = DIES.format(path=str(Path(__file__).parent.parent))
    died = subprocess.run([sys.executable, "-c", script, log.folder, point], check=False)
    assert died.returncode == -signal.SIGKILL
    after = again(log)
    expected = 7 if there else 3
    assert (after.next_seq, after.offset("p"), after.repaired) == (expected, expected, [])
    after.append(some_rows(1, expected), offsets={"p": expected + 1})
    assert ids(after) == [f"c-{n}" for n in range(expected + 1)]
    maintain(after, keep=timedelta(0))
    assert len(list(log.folder.glob("month=*/*.parquet"))) == 1, "an orphan is left"
    assert verify_chain(again(after)) == []


def _append_for_ever(folder: Path) -> None:
    log = Log.open(folder, ROWS)
    while True:
        log.append(some_rows(5, log.next_seq), offsets={"p": log.next_seq + 5})


def test_kill_9_at_any_moment_leaves_rows_and_offset_in_step(tmp_path: Path) -> None:
    """F-16, at random."""
    log = new_log(tmp_path)
    for _ in range(3):
        writer = SPAWN.Process(target=_append_for_ever, args=(log.folder,))
        writer.start()
        before = log.next_seq
        while log.next_seq == before:
            log.refresh()
        writer.kill()
        writer.join()
        log = again(log)
        assert log.offset("p") == log.next_seq
        assert log.repaired == []
    assert ids(log) == [f"c-{n}" for n in range(log.next_seq)]
    assert verify_chain(log) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
def test_an_interrupt_right_after_the_commit_takes_no_file_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """F-16: Ctrl-C or a failing fsync when the rows are in the table already."""
    log = new_log(tmp_path)
    fsync = files.fsync_path

    def interrupted(path: Path) -> None:
        if path.suffix == ".json":
            raise error
        fsync(path)

    monkeypatch.setattr(log_module, "fsync_path", interrupted)
    with pytest.raises(type(error)):
        log.append(some_rows(3), offsets={"p": 3})
    monkeypatch.undo()
    with pytest.raises(LostRace):
        log.append(some_rows(3), offsets={"p": 3})
    assert (log.next_seq, log.offset("p")) == (3, 3)
    assert ids(again(log)) == ["c-0", "c-1", "c-2"]
    assert verify_chain(again(log)) == []


@contextmanager
def small_disk(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], object]]:
    """A disk of 300 KB; gives what makes it larger. Who may not mount one gets one that says it is full."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0:
        try:
            yield lambda: subprocess.run(["mount", "-o", "remount,size=3m", place], check=True)
        finally:
            subprocess.run(["umount", place], check=True)
        return
    write = files.write_parquet

    def full(path: Path, tables: list[pa.Table], schema: pa.Schema) -> None:
        if path.parent.exists() and len(list(path.parent.iterdir())) > 5:
            path.write_bytes(b"PAR1")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, tables, schema)

    monkeypatch.setattr(files, "write_parquet", full)
    yield lambda: monkeypatch.setattr(files, "write_parquet", write)


def test_a_full_disk_is_a_clear_sentence_and_nothing_is_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-18: until it is full; then again when there is space."""
    with small_disk(tmp_path / "disk", monkeypatch) as enlarge:
        log = new_log(tmp_path / "disk")
        with pytest.raises(LedgerFault, match=r"disk .* is full.*free some space"):
            while True:
                log.append(some_rows(200, log.next_seq), offsets={"p": log.next_seq + 200})
        reached = log.next_seq
        assert reached
        assert (again(log).next_seq, again(log).offset("p")) == (reached, reached)
        assert verify_chain(log) == []
        enlarge()
        log.append(some_rows(200, reached), offsets={"p": reached + 200})
        assert ids(again(log)) == [f"c-{n}" for n in range(reached + 200)]
        assert verify_chain(log) == []


@pytest.mark.parametrize("where", ["the Parquet file", "the log entry", "the chain's line"])
def test_a_file_that_may_not_grow_is_a_clear_sentence_and_nothing_is_torn(tmp_path: Path, where: str) -> None:
    """F-18: wherever the write fails."""
    log = new_log(tmp_path)
    log.append(some_rows(1), offsets={"p": 1})
    file, chain = Path(log.files()[0]).stat().st_size, log.chain.path.stat().st_size
    offsets = {"p": 2}
    limit = {"the Parquet file": file - 100, "the log entry": file + 500, "the chain's line": file + 2_000}[
        where
    ]
    if where == "the log entry":
        offsets |= {f"file/{n}": n for n in range(200)}
    elif where == "the chain's line":
        while log.chain.path.stat().st_size < file + 1_800:
            log.append(some_rows(0), offsets={"p": 1})
    assert chain < limit
    with no_file_above(limit), pytest.raises(LedgerFault, match="Run the same command again"):
        log.append(some_rows(1, 1), offsets=offsets)
    committed = where == "the chain's line"
    assert len(list(log.folder.glob("month=*/*.parquet"))) == 1 + committed
    after = again(log)
    assert (after.next_seq, after.offset("p")) == ((2, 2) if committed else (1, 1))
    after.append(some_rows(1, after.next_seq), offsets={"p": after.next_seq + 1})
    assert ids(after) == [f"c-{n}" for n in range(after.next_seq)]
    assert verify_chain(again(after)) == []


def test_without_its_chain_file_a_table_is_read_but_not_written(tmp_path: Path) -> None:
    """R-INV-6: what cannot be proven any more is not continued silently."""
    log = new_log(tmp_path)
    log.append(some_rows(3))
    maintain(log)
    kept = log.chain.path.read_bytes()
    log.chain.path.unlink()
    after = again(log)
    assert ids(after) == ["c-0", "c-1", "c-2"]
    with pytest.raises(LedgerFault, match=r"Restore calls\.chain\.jsonl from a backup"):
        after.append(some_rows(1, 3))
    log.chain.path.write_bytes(kept)
    again(log).append(some_rows(1, 3))


def test_data_that_somebody_else_wrote_is_refused(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    log.append(some_rows(3))
    other = again(log)
    write_deltalake(log.folder, log.read_since(0), mode="append")
    with pytest.raises(LedgerFault, match="was not written by Fentan"):
        other.append(some_rows(1, 3))
    with pytest.raises(LedgerFault, match="was not written by Fentan"):
        again(log)


def test_an_earlier_version_is_there_whatever_maintenance_did(tmp_path: Path) -> None:
    """F-21: --as-of needs no old files, for rows never change."""
    log = new_log(tmp_path)
    for n in range(4):
        log.append(some_rows(2, 2 * n), offsets={"p": n})
        log.append(some_rows(0), offsets={"p": n})
    version = log.version - 2
    maintain(log, keep=timedelta(0))
    past = log.at_version(version)
    assert (past.next_seq, past.cut) == (6, 6)
    assert past.read_since(0, ["call_id"]).column(0).to_pylist() == [f"c-{n}" for n in range(6)]
    assert ask(f"SELECT count(*) FROM {past.scan_sql()}") == [(6,)]
    assert ask(f"SELECT count(*) FROM {log.at_version(0).scan_sql()}") == [(0,)]
    assert log.at_version(log.version).cut is None
    with pytest.raises(BadRequest, match="has no version"):
        log.at_version(log.version + 1)


def test_a_version_is_found_by_the_arrival_of_its_rows(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    for day in (3, 5, 4, 9):  # the fourth arrived after the fifth had: a rehearsal with --now
        log.append(some_rows(1, log.next_seq, at=NOON.replace(day=day)))
    assert [log.version_at(NOON.replace(day=day)) for day in (1, 3, 4, 5, 8, 9, 30)] == [0, 1, 1, 3, 3, 4, 4]


def test_the_head_names_the_ledger_up_to_a_seq(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    log.append(some_rows(2))
    head = log.head
    log.append(some_rows(2, 2))
    maintain(log)
    assert log.had_head(2, head)
    assert log.had_head(4, log.head)
    assert not log.had_head(4, head)
    assert not log.had_head(2, "ab" * 32)


def test_a_log_in_a_folder_with_quotes_and_an_equals_sign(tmp_path: Path) -> None:
    """F-26: the path of the home is data, too."""
    place = tmp_path / "it's=month=2020-01; DROP"
    place.mkdir()
    log = new_log(place)
    log.append(some_rows(4, 0, ("2026-11", "2026-10")))
    maintain(log)
    found = ask(f"SELECT DISTINCT month FROM {again(log).scan_sql()} ORDER BY 1")
    assert found == [("2026-10",), ("2026-11",)]
    assert verify_chain(log) == []
