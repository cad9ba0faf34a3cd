"""The append-only log: compare-and-set, offsets, crashes, full disks, power cuts."""

from __future__ import annotations

import json
import multiprocessing
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from ledger.entries import checkpoint_path, entry_path
from ledger.log import LedgerFault, Log, LostRace
from ledger.maintain import maintain
from ledger.proof import verify_chain
from rating.money import MONEY
from rating.records import INSTANT

ROWS = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("call_id", pa.string()),
        pa.field("month", pa.string()),
        pa.field("owner_fee", MONEY),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("raw", pa.binary()),
        pa.field("received_at", INSTANT),
    ]
)
NOON = datetime(2026, 11, 3, 4, tzinfo=UTC)
SPAWN = multiprocessing.get_context("spawn")


def some_rows(count: int, first: int = 0, months: tuple[str | None, ...] = ("2026-11",), at: datetime = NOON) -> pa.Table:
    """Rows without seq; the ids say where they stand."""
    places = range(first, first + count)
    return pa.table(
        {
            "call_id": [f"c-{n}" for n in places],
            "month": [months[n % len(months)] for n in places],
            "owner_fee": [Decimal(n) / 100 for n in places],
            "tags": [["late"] * (n % 3) for n in places],
            "raw": [None if n % 2 else b"\xff\x00" for n in places],
            "received_at": [at] * count,
        },
        schema=ROWS.remove(0),
    )


def new_log(place: Path) -> Log:
    return Log.create(place / "calls", ROWS, ["month"])


def again(log: Log) -> Log:
    return Log.open(log.folder, ROWS)


def ids(log: Log) -> list[str]:
    return [str(i) for i in log.read_since(0, ["call_id"]).column(0).to_pylist()]


def ask(question: str) -> list[tuple[object, ...]]:
    return duckdb.connect().execute(question).fetchall()


def unacknowledge(log: Log) -> None:
    """As if the power had gone before the chain's last line was written."""
    lines = log.chain.path.read_bytes().splitlines(keepends=True)
    log.chain.path.write_bytes(b"".join(lines[:-1]))


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
    assert again(log).read_since(0).drop(["seq"]).to_pylist() == some_rows(4, 0, ("2026-11", "2026-10")).to_pylist()
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
        assert entry["txns"][f"w{worker}"] == done + 1, "accepted, but not as the version after the one it saw"
        done += 1


def test_of_racing_processes_every_accepted_commit_follows_the_version_it_saw(tmp_path: Path) -> None:
    """DESIGN 2: compare and set; seq are dense, each row says its place, so nobody decided on a stale table."""
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
sys.path[:0] = {path!r}
import test_ledger_log as t
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
it = log.Log.open(Path(sys.argv[1]), t.ROWS)
it.append(t.some_rows(4, it.next_seq), offsets={{"p": it.next_seq + 4}})
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
    script = DIES.format(path=[str(Path(__file__).parent), str(Path(__file__).parent.parent)])
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


def test_a_full_disk_is_a_clear_sentence_and_nothing_is_torn(tmp_path: Path) -> None:
    """F-18: on a disk of 300 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        log = new_log(disk)
        with pytest.raises(LedgerFault, match=r"disk .* is full.*free some space"):
            while True:
                log.append(some_rows(200, log.next_seq), offsets={"p": log.next_seq + 200})
        reached = log.next_seq
        assert reached
        assert (again(log).next_seq, again(log).offset("p")) == (reached, reached)
        assert verify_chain(log) == []
        subprocess.run(["mount", "-o", "remount,size=3m", disk], check=True)
        log.append(some_rows(200, reached), offsets={"p": reached + 200})
        assert ids(again(log)) == [f"c-{n}" for n in range(reached + 200)]
        assert verify_chain(log) == []
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("where", ["the Parquet file", "the log entry", "the chain's line"])
def test_a_file_that_may_not_grow_is_a_clear_sentence_and_nothing_is_torn(tmp_path: Path, where: str) -> None:
    """F-18: wherever the write fails."""
    log = new_log(tmp_path)
    log.append(some_rows(1), offsets={"p": 1})
    file, chain = Path(log.files()[0]).stat().st_size, log.chain.path.stat().st_size
    offsets = {"p": 2}
    limit = {"the Parquet file": file - 100, "the log entry": file + 500, "the chain's line": file + 2_000}[where]
    if where == "the log entry":
        offsets |= {f"file/{n}": n for n in range(200)}
    elif where == "the chain's line":
        while log.chain.path.stat().st_size < file + 1_800:
            log.append(some_rows(0), offsets={"p": 1})
    assert chain < limit
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(LedgerFault, match="Run the same command again"):
            log.append(some_rows(1, 1), offsets=offsets)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    committed = where == "the chain's line"
    assert len(list(log.folder.glob("month=*/*.parquet"))) == 1 + committed
    after = again(log)
    assert (after.next_seq, after.offset("p")) == ((2, 2) if committed else (1, 1))
    after.append(some_rows(1, after.next_seq), offsets={"p": after.next_seq + 1})
    assert ids(after) == [f"c-{n}" for n in range(after.next_seq)]
    assert verify_chain(again(after)) == []


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _without_txn(path: Path) -> None:
    path.write_bytes(b"\n".join(line for line in path.read_bytes().splitlines() if b'"txn":{"appId":"p"' not in line))


def _zeros(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def _gone(path: Path) -> None:
    path.unlink()


TORN = [("entry", _empty), ("entry", _halve), ("entry", _without_txn), ("file", _empty), ("file", _halve),
        ("file", _zeros), ("file", _gone)]  # fmt: skip


def _tear(log: Log, what: str, how: object) -> None:
    path = entry_path(log.folder, log.version) if what == "entry" else Path(log.files()[-1])
    how(path)  # type: ignore[operator]


@pytest.mark.parametrize(("what", "how"), TORN)
def test_a_torn_tail_that_nobody_was_told_of_is_set_aside(tmp_path: Path, what: str, how: object) -> None:
    """F-23: the ledger is as before the commit, and goes on."""
    log = new_log(tmp_path)
    log.append(some_rows(3), offsets={"p": 3})
    log.append(some_rows(4, 3), offsets={"p": 7})
    _tear(log, what, how)
    unacknowledge(log)
    after = again(log)
    assert len(after.repaired) == 1
    assert "set aside" in after.repaired[0]
    assert (after.next_seq, after.offset("p")) == (3, 3)
    after.append(some_rows(4, 3), offsets={"p": 7})
    assert ids(again(after)) == [f"c-{n}" for n in range(7)]
    assert again(after).repaired == []
    assert verify_chain(after) == []


@pytest.mark.parametrize(("what", "how"), [t for t in TORN if t[1] is not _zeros])
def test_what_was_acknowledged_and_is_torn_is_refused_with_instructions(tmp_path: Path, what: str, how: object) -> None:
    """F-23: nothing is repaired that somebody has been told of."""
    log = new_log(tmp_path)
    log.append(some_rows(3), offsets={"p": 3})
    log.append(some_rows(4, 3), offsets={"p": 7})
    _tear(log, what, how)
    for _ in range(2):
        with pytest.raises(LedgerFault, match="Restore the ledger's folder from a backup"):
            again(log)


def test_an_acknowledged_entry_that_is_gone_is_refused(tmp_path: Path) -> None:
    """F-23: the log ends before what was acknowledged, or has a hole."""
    log = new_log(tmp_path)
    for n in range(3):
        log.append(some_rows(1, n))
    last = entry_path(log.folder, 3).read_bytes()
    entry_path(log.folder, 3).unlink()
    with pytest.raises(LedgerFault, match=r"version 3 was acknowledged"):
        again(log)
    entry_path(log.folder, 3).write_bytes(last)
    entry_path(log.folder, 2).unlink()
    with pytest.raises(LedgerFault, match=r"Log entry 2 .* is missing"):
        again(log)


def test_a_commit_that_was_not_acknowledged_but_is_whole_is_kept(tmp_path: Path) -> None:
    """F-23, F-16: also when the chain's line was written by half."""
    log = new_log(tmp_path)
    log.append(some_rows(3), offsets={"p": 3})
    whole = log.chain.path.read_bytes()
    log.append(some_rows(4, 3), offsets={"p": 7})
    for left in (whole, log.chain.path.read_bytes()[:-40]):
        log.chain.path.write_bytes(left)
        after = again(log)
        assert (after.next_seq, after.repaired, after.chain_fault) == (7, [], None)
        assert verify_chain(after) == []


def test_a_torn_rewrite_is_undone(tmp_path: Path) -> None:
    """F-23, F-21: maintenance changes no row, so its torn entry can always go."""
    log = new_log(tmp_path)
    log.append(some_rows(3))
    log.append(some_rows(4, 3))
    maintain(log)
    assert len(log.files()) == 1
    checkpoint_path(log.folder, log.version).unlink()
    (log.folder / "_delta_log" / "_last_checkpoint").unlink()
    _halve(entry_path(log.folder, log.version))
    after = again(log)
    assert len(after.repaired) == 1
    assert len(after.files()) == 2
    assert ids(after) == [f"c-{n}" for n in range(7)]


def test_a_torn_checkpoint_is_set_aside(tmp_path: Path) -> None:
    """F-23: the entries before it are still there, because two checkpoints stay."""
    log = new_log(tmp_path)
    for n in range(3):
        log.append(some_rows(1, n), offsets={"p": n})
        maintain(log)
    _empty(checkpoint_path(log.folder, log.version))
    _empty(log.folder / "_delta_log" / "_last_checkpoint")
    after = again(log)
    assert len(after.repaired) == 1
    assert ids(after) == ["c-0", "c-1", "c-2"]
    assert after.offset("p") == 2


def test_a_power_cut_while_creating_is_begun_again(tmp_path: Path) -> None:
    """F-23: an empty first entry."""
    log = new_log(tmp_path)
    _empty(entry_path(log.folder, 0))
    log.chain.path.unlink()
    again_log = new_log(tmp_path)
    again_log.append(some_rows(1))
    assert ids(again_log) == ["c-0"]


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
    with pytest.raises(LedgerFault, match="has no version"):
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
