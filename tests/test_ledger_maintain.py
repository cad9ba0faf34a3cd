"""Maintenance: fewer and sorted files, the same rows, also beside writers, readers and other maintainers."""

from __future__ import annotations

import multiprocessing
import os
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ledger import log as log_module
from ledger import maintain as maintain_module
from ledger.entries import checkpoint_path, versions
from ledger.log import LedgerFault, Log, LostRace
from ledger.maintain import finish, housekeep, maintain, nearly_sorted
from ledger.proof import verify_chain
from rating.money import MONEY
from rating.records import INSTANT

ROWS = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("service_number", pa.string()),
        pa.field("start_at", INSTANT),
        pa.field("month", pa.string()),
        pa.field("owner_fee", MONEY),
        pa.field("tags", pa.list_(pa.string())),
    ]
)
EVENTS = pa.schema([pa.field("seq", pa.int64(), nullable=False), pa.field("payload", pa.string())])
SPAWN = multiprocessing.get_context("spawn")
NEVER = timedelta(0)


def some_rows(count: int, first: int, months: tuple[str | None, ...] = ("2026-11", "2026-10")) -> pa.Table:
    places = range(first, first + count)
    return pa.table(
        {
            "service_number": [f"400{n * 7919 % 50:07d}" for n in places],
            "start_at": [
                datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=n * 977 % 86_400) for n in places
            ],
            "month": [months[n % len(months)] for n in places],
            "owner_fee": [Decimal(n) / 100 for n in places],
            "tags": [["late"] * (n % 2) for n in places],
        },
        schema=ROWS.remove(0),
    )


def a_log(place: Path, commits: int = 0, rows: int = 4) -> Log:
    log = Log.create(place / "calls", ROWS, ["month"])
    for n in range(commits):
        log.append(some_rows(rows, n * rows), offsets={"p": n})
    return log


def total(files: list[str]) -> object:
    listed = ", ".join(f"'{f}'" for f in files)
    return (
        duckdb.connect().execute(f"SELECT count(*), sum(owner_fee) FROM read_parquet([{listed}])").fetchone()
    )


def test_a_months_calls_are_sorted_by_number_and_time(tmp_path: Path) -> None:
    log = a_log(tmp_path, 10)
    before = log.read_since(0)
    report = maintain(log)
    assert (report.merged_files, report.merged_rows, sorted(report.sorted_months)) == (
        20,
        40,
        ["2026-10", "2026-11"],
    )
    assert len(log.files()) == 2
    for path in log.files():
        rows = pq.ParquetFile(path).read(["service_number", "start_at", "seq"]).to_pylist()
        assert rows == sorted(rows, key=lambda r: (r["service_number"], r["start_at"], r["seq"]))
    assert log.read_since(0).equals(before)
    assert Log.open(log.folder, ROWS).read_since(0).equals(before)
    assert verify_chain(log) == []


def test_a_month_is_nearly_sorted_until_many_calls_came_since(tmp_path: Path) -> None:
    """Whoever reads a month by number asks before it sorts (R-CALL-7)."""
    log = a_log(tmp_path, 10, rows=20)
    assert not nearly_sorted(log, "2026-11")
    maintain(log)
    assert nearly_sorted(log, "2026-11")
    log.append(some_rows(5, 200, ("2026-11",)), offsets={"p": 10})
    assert nearly_sorted(log, "2026-11")
    log.append(some_rows(1, 205, ("2026-11",)), offsets={"p": 11})
    assert not nearly_sorted(log, "2026-11")
    assert nearly_sorted(log, "2026-10")
    assert nearly_sorted(log, "2026-09")  # nothing to sort


def test_money_stays_a_64_bit_integer_and_instants_keep_their_zone(tmp_path: Path) -> None:
    """What DuckDB wrote is read by any engine as what we wrote."""
    log = a_log(tmp_path, 2)
    kinds = {f.name: f.type for f in pq.read_schema(log.files()[0])}
    physical = pq.ParquetFile(log.files()[0]).schema.column(2).physical_type
    maintain(log)
    assert (
        {f.name: f.type for f in pq.read_schema(log.files()[0])}["start_at"] == kinds["start_at"] == INSTANT
    )
    assert pq.ParquetFile(log.files()[0]).schema.column(2).physical_type == physical == "INT64"


def test_running_twice_does_nothing_more(tmp_path: Path) -> None:
    log = a_log(tmp_path, 4)
    maintain(log)
    files = log.files()
    report = maintain(log)
    assert (report.merged_files, report.removed_files) == (0, 0)
    assert log.files() == files


def test_a_few_late_calls_do_not_rewrite_a_large_month(tmp_path: Path) -> None:
    log = a_log(tmp_path, 1, 100)
    maintain(log)
    log.append(some_rows(4, 100))
    assert maintain(log).merged_rows == 4
    assert len(log.files()) == 4
    log.append(some_rows(40, 104))
    assert maintain(log).merged_rows == 144
    assert len(log.files()) == 2
    assert verify_chain(log) == []


def test_rows_go_on_after_two_rewrites_without_any(tmp_path: Path) -> None:
    """The log's entries between the last rows and the newest checkpoint may be gone; the chain goes on."""
    log = a_log(tmp_path, 3)
    maintain(log)
    maintain(log, late_from={"2026-10": 5})
    entries, _ = versions(log.folder)
    assert min(entries) > 4  # the first after the last rows is gone
    log.append(some_rows(4, 12))
    assert verify_chain(Log.open(log.folder, ROWS)) == []


def test_late_calls_have_files_of_their_own(tmp_path: Path) -> None:
    """R-CALL-8: what came after its month's close is kept apart, also from a file that held both."""
    log = a_log(tmp_path, 3, 40)
    maintain(log)
    assert len(log.files()) == 2
    before = log.read_since(0)
    late_from = {"2026-10": 100, "2026-11": 500}
    maintain(log, late_from=late_from)
    log.append(some_rows(8, 120))
    report = maintain(log, late_from=late_from)
    spans = sorted((str(file.partition[0][1]), file.seq_min, file.seq_max) for file in log.live_files())
    assert spans == [("2026-10", 1, 99), ("2026-10", 101, 127), ("2026-11", 0, 118), ("2026-11", 120, 126)]
    assert sorted(report.sorted_months) == ["2026-10", "2026-11"]
    assert log.read_since(0).slice(0, before.num_rows).equals(before)
    assert verify_chain(log) == []


def test_events_are_merged_in_seq_order(tmp_path: Path) -> None:
    log = Log.create(tmp_path / "events", EVENTS, [])
    for n in range(10):
        log.append(pa.table({"payload": [f"e{n}", "{}"]}))
    before = log.read_since(0)
    assert maintain(log).merged_files == 10
    assert len(log.files()) == 1
    assert pq.ParquetFile(log.files()[0]).read(["seq"]).column(0).to_pylist() == list(range(20))
    assert log.read_since(0).equals(before)
    assert verify_chain(log) == []


def test_events_are_merged_up_to_a_size_and_only_with_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintain_module, "_MERGED_ROWS", 6)
    log = Log.create(tmp_path / "events", EVENTS, [])
    for n in range(10):
        log.append(pa.table({"payload": [f"e{n}", "{}"]}))
    maintain(log)
    assert [(f.seq_min, f.rows) for f in log.live_files()] == [(0, 6), (6, 6), (12, 6), (18, 2)]
    assert maintain(log).merged_files == 0


def test_a_statement_run_that_holds_old_files_gets_the_same_totals(tmp_path: Path) -> None:
    """F-21: files that were replaced stay for a week, counted from when they were replaced."""
    log = a_log(tmp_path, 6)
    reader = Log.open(log.folder, ROWS)
    pinned, before = reader.files(), total(reader.files())
    for path in pinned:
        os.utime(path, (0, 0))  # written long ago
    maintain(log)
    maintain(log)
    assert total(pinned) == before == total(log.files())
    assert reader.read_since(0).equals(log.read_since(0))
    report = maintain(log, keep=NEVER)
    assert (report.removed_files, report.removed_bytes > 0) == (12, True)
    assert total(log.files()) == before
    with pytest.raises(duckdb.IOException):
        total(pinned)


def test_orphans_go_when_they_are_old_and_files_in_the_making_stay(tmp_path: Path) -> None:
    """F-16: what a crash left is removed, what another process is about to commit is not."""
    log = a_log(tmp_path, 2)
    old, young = (log.folder / "month=2026-11" / f"{name}.parquet" for name in ("old", "young"))
    half = log.folder / "_delta_log" / "_commit_1b2c.json.tmp"
    for path in (old, young, half):
        path.write_bytes(b"PAR1")
    spilled = tmp_path / ".spill-1-abc"
    spilled.mkdir()
    for path in (old, half, spilled):
        os.utime(path, (time.time() - 8 * 86_400,) * 2)
    assert maintain(log).removed_files == 2
    assert [path.exists() for path in (old, young, half, spilled)] == [False, True, False, False]
    assert log.read_since(0).num_rows == 8


def test_the_log_is_cleaned_and_two_checkpoints_stay(tmp_path: Path) -> None:
    log = a_log(tmp_path, 5)
    maintain(log)
    log.append(some_rows(4, 20), offsets={"p": 5})
    maintain(log)
    log.append(some_rows(4, 24), offsets={"p": 6})
    report = maintain(log)
    entries, checkpoints = versions(log.folder)
    assert len(checkpoints) == 2
    assert entries == list(range(checkpoints[0] + 1, checkpoints[1] + 1))
    assert report.checkpoint == checkpoints[1] == log.version
    assert Log.open(log.folder, ROWS).offset("p") == 6


def test_a_checkpoint_forgets_the_files_that_were_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it grows with every commit of the last week: a worker makes hundreds of thousands a day."""
    assert log_module._PROPERTIES["delta.deletedFileRetentionDuration"] == "interval 1 minutes"
    monkeypatch.setitem(log_module._PROPERTIES, "delta.deletedFileRetentionDuration", "interval 0 seconds")
    log = a_log(tmp_path, commits=12)
    maintain(log)
    time.sleep(0.01)  # what is no older than the checkpoint stays in it
    log.append(some_rows(4, 48))
    maintain(log)
    newest = checkpoint_path(log.folder, versions(log.folder)[1][-1])
    actions = pq.read_table(newest, columns=["add", "remove"]).to_pylist()
    assert sum(action["remove"] is not None for action in actions) <= 6
    assert sum(action["add"] is not None for action in actions) == len(log.files())


def test_a_table_that_lost_a_file_is_refused(tmp_path: Path) -> None:
    """F-23: maintenance does not make a checkpoint of a loss."""
    log = a_log(tmp_path, 2)
    Path(log.files()[0]).unlink()
    with pytest.raises((LedgerFault, duckdb.IOException)):
        maintain(log)


def test_a_rewrite_that_lost_its_source_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two maintainers of one month: the second finds its files replaced, and doubles nothing."""
    log, other = a_log(tmp_path, 3), a_log(tmp_path)
    write = maintain_module._write_sorted

    def overtaken(*args: object) -> object:
        monkeypatch.setattr(maintain_module, "_write_sorted", write)
        new = write(*args)  # type: ignore[arg-type]
        maintain(other)
        return new

    monkeypatch.setattr(maintain_module, "_write_sorted", overtaken)
    maintain(log)
    assert len(log.files()) == 2
    assert log.read_since(0).num_rows == 12
    assert verify_chain(log) == []
    assert len(list(log.folder.rglob("s-*.parquet"))) == 2


def test_housekeeping_merges_in_the_background_when_files_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a commit costs the same after 2,000 of them (bench/commits.py measures it)."""
    monkeypatch.setattr(maintain_module, "_SMALL_FILES", 6)
    log = a_log(tmp_path)
    assert housekeep(log) is None
    for n in range(40):
        log.append(some_rows(4, 4 * n), offsets={"p": n})
        housekeep(log)
    finish(log)
    log.append(some_rows(4, 160), offsets={"p": 40})
    assert len(log.files()) < 60
    assert versions(log.folder)[1]
    housekeep(log)
    finish(log)
    assert Log.open(log.folder, ROWS).read_since(0, ["owner_fee"]).column(0).to_pylist() == [
        Decimal(n) / 100 for n in range(164)
    ]
    assert verify_chain(log) == []


def test_trouble_in_the_background_is_logged_and_the_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """F-18: a merge needs space; a commit may not fail for that."""

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(maintain_module, "_checkpoint", full)
    log = a_log(tmp_path, 17)
    assert housekeep(log) is not None
    finish(log)
    assert "No space left" in caplog.text
    log.append(some_rows(4, 68))
    assert log.next_seq == 72


def _append(folder: Path, worker: int, commits: int) -> None:
    log, done = Log.open(folder, ROWS), 0
    while done < commits:
        try:
            log.append(some_rows(4, log.next_seq), offsets={f"w{worker}": done + 1})
        except LostRace:
            continue
        done += 1


def _rewrite(folder: Path, written: Event) -> None:
    log = Log.open(folder, ROWS)
    while not written.is_set():
        maintain(log)


def test_writers_and_maintainers_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    """F-19, F-21: two of each, in processes of their own (LEDGER: two compactions at once doubled a ledger)."""
    log = a_log(tmp_path, 2)
    written = SPAWN.Event()
    maintainers = [SPAWN.Process(target=_rewrite, args=(log.folder, written)) for _ in range(2)]
    writers = [SPAWN.Process(target=_append, args=(log.folder, n, 15)) for n in range(2)]
    for process in maintainers + writers:
        process.start()
    for process in writers:
        process.join()
    written.set()
    for process in maintainers:
        process.join()
    assert [process.exitcode for process in maintainers + writers] == [0, 0, 0, 0]
    after = Log.open(log.folder, ROWS)
    assert after.offsets("w") == {"w0": 15, "w1": 15}
    rows = after.read_since(0)
    assert rows.num_rows == after.next_seq == 8 + 2 * 15 * 4
    assert rows.drop(["seq"]).equals(some_rows(after.next_seq, 0))
    assert verify_chain(after) == []
