"""`fentan publish`: a file that any DuckDB client opens, replaced at once, with phone numbers hidden if asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.faults import BadRequest
from ledger.guard import run_select
from ledger.home import Home
from ledger.masking import MACROS
from ledger.query import VIEWS, QueryRefused
from rating.masking import masked_number
from reports.ask import views_for_others
from reports.publish import STORED, publish
from tests.billed import billed_ledger, play
from tests.scenario import World

NOW = datetime(2026, 11, 6, tzinfo=UTC)
ABROAD = "0085221234567"
MOBILE = "13853112345"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return billed_ledger(tmp_path_factory.mktemp("published") / "home")


@pytest.fixture(scope="module")
def home(world: World) -> Path:
    return world.home.folder


@pytest.fixture(scope="module")
def ours(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with views_for_others(*Home.open_logs(home), NOW) as con:
        yield con


def opened(file: Path) -> duckdb.DuckDBPyConnection:
    """As a client opens it that knows nothing of us."""
    con = duckdb.connect(file, read_only=True)
    con.execute("SET TimeZone = 'Asia/Shanghai'")
    return con


def rows(con: duckdb.DuckDBPyConnection, view: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (
        con.sql(f"SELECT * FROM {view} ORDER BY ALL").to_arrow_table().to_pylist()
    )
    return found


@pytest.mark.parametrize("copy", [False, True], ids=["views", "copy"])
def test_every_view_is_in_the_file_and_says_what_the_ledger_says(
    home: Path, ours: duckdb.DuckDBPyConnection, tmp_path: Path, copy: bool
) -> None:
    """With the comments of each column."""
    made = publish(home, tmp_path / "f.duckdb", NOW, copy=copy)
    assert (made.calls, made.events) == tuple(log.next_seq for log in reversed(Home.open_logs(home)))
    with opened(tmp_path / "f.duckdb") as con:
        for view in (*VIEWS, "duplicates", "rejects", "reasons"):
            assert rows(con, view) == rows(ours, view), view
        said = "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE table_name IN ('calls', 'arrears') ORDER BY ALL"
        assert con.execute(said).fetchall() == ours.execute(said).fetchall()
        kinds = dict(con.execute("SELECT table_name, table_type FROM information_schema.tables").fetchall())
    assert {name for name in VIEWS if kinds[name] == "BASE TABLE"} == set(VIEWS if copy else STORED)


def test_readers_keep_the_old_file_and_the_next_ones_see_the_new(tmp_path: Path) -> None:
    """Nothing of a draft is left."""
    world, file = billed_ledger(tmp_path / "home"), tmp_path / "f.duckdb"
    publish(world.home.folder, file, NOW)
    before = opened(file)
    assert before.execute("SELECT count(*) FROM calls").fetchall() == [(9,)]
    play(world, "2026-11-05 11:00", "call", "1 min, id k11")
    (tmp_path / ".f.duckdb.999999999").write_text("left by a process that was killed", encoding="utf-8")
    (tmp_path / ".f.duckdb.999999999.tmp").mkdir()
    publish(world.home.folder, file, NOW)
    assert before.execute("SELECT count(*) FROM calls").fetchall() == [(9,)]
    assert before.execute("SELECT calls_seq FROM published").fetchall() == [(world.home.calls.next_seq - 1,)]
    before.close()
    with opened(file) as after:
        assert after.execute("SELECT count(*) FROM calls").fetchall() == [(10,)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.duckdb", "home"]


def test_a_killed_publisher_leaves_what_was_published(home: Path, tmp_path: Path) -> None:
    """F-16: the old file is whole until the new one is."""
    file = tmp_path / "f.duckdb"
    publish(home, file, NOW)
    before = file.read_bytes()
    code = (
        "import os, sys\nfrom pathlib import Path\nimport reports.publish as p\n"
        "from datetime import UTC, datetime\n"
        "p.fsync_path = lambda path: os.kill(os.getpid(), 9)\n"
        "p.publish(Path(sys.argv[1]), Path(sys.argv[2]), datetime(2027, 1, 1, tzinfo=UTC))"
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", code, home, file], cwd=root, check=False)
    assert done.returncode == -9
    assert file.read_bytes() == before
    publish(home, file, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["f.duckdb"]


def test_what_was_not_published_is_not_overwritten(home: Path, tmp_path: Path) -> None:
    """Not a file of another kind, not somebody's own database, not a folder."""
    (tmp_path / "notes.txt").write_text("ours", encoding="utf-8")
    with duckdb.connect(tmp_path / "own.duckdb") as con:
        con.execute("CREATE TABLE t AS SELECT 1")
    (tmp_path / "folder").mkdir()
    for name in ("notes.txt", "own.duckdb", "folder"):
        with pytest.raises(BadRequest, match="was not published by Fentan: name another file"):
            publish(home, tmp_path / name, NOW)
    with pytest.raises(BadRequest, match="There is no folder"):
        publish(home, tmp_path / "no" / "f.duckdb", NOW)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "ours"


def test_a_client_that_writes_the_old_file_is_not_in_the_way(home: Path, tmp_path: Path) -> None:
    """Nor does what it wrote come into the new one."""
    file = tmp_path / "f.duckdb"
    publish(home, file, NOW)
    code = (
        "import duckdb, os, sys\ncon = duckdb.connect(sys.argv[1])\ncon.execute('CREATE TABLE scratch AS SELECT 1')\n"
        "print(1, flush=True)\nsys.stdin.read()\nos._exit(0)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "1\n"
        publish(home, file, NOW)
    finally:
        other.communicate(timeout=180)
    with opened(file) as con:
        assert con.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'scratch'"
        ).fetchall() == [(0,)]


# masked


def numbers_in(file: Path) -> set[str]:
    """Which of the callers' numbers stand anywhere in a file's bytes."""
    return {number for number in (ABROAD, MOBILE, "85221234567") if number.encode() in file.read_bytes()}


def test_a_masked_file_has_no_callers_number_and_needs_no_ledger(home: Path, tmp_path: Path) -> None:
    """F-27: neither in a view nor in the file's bytes, and no path leads from it to the ledger."""
    publish(home, tmp_path / "whole.duckdb", NOW, copy=True)
    publish(home, tmp_path / "masked.duckdb", NOW, mask=True)
    hidden = tmp_path / "gone"
    with opened(tmp_path / "masked.duckdb") as con:
        home.rename(hidden)
        try:
            callers = {row[0] for row in con.execute("SELECT caller_number FROM calls").fetchall()}
            for view in VIEWS:
                con.execute(f"SELECT * FROM {view}").fetchall()
        finally:
            hidden.rename(home)
    assert "008****4567" in callers
    assert all("****" in caller for caller in callers if caller)
    assert numbers_in(tmp_path / "whole.duckdb")
    assert not numbers_in(tmp_path / "masked.duckdb")
    assert str(home).encode() not in (tmp_path / "masked.duckdb").read_bytes()


def test_a_masked_question_cannot_reach_a_number(home: Path) -> None:
    """F-27: not through a view, the stored rows, nor a file of the ledger."""
    events, calls = Home.open_logs(home)
    with views_for_others(events, calls, NOW, mask=True) as con:
        for view in (*VIEWS, "calls_rows", "events_rows", "rejects", "duplicates"):
            said = str(run_select(con, f"SELECT * FROM {view}").to_pylist())
            assert "21234567" not in said, view
        total = "SELECT sum(amount) AS yuan FROM movements"
        masked = run_select(con, total).to_pylist()
        for file in calls.files():
            with pytest.raises(QueryRefused, match="is no view"):
                run_select(con, f"SELECT caller_number FROM '{file}'")
    with views_for_others(events, calls, NOW) as con:
        assert run_select(con, total).to_pylist() == masked


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("13812345678", "138****5678"),
        ("+86 138-1234-5678 or 13912345678,15012345678", "+86 138****5678 or 139****5678,150****5678"),
        ("call 0531-88886666, please", "call 053****6666, please"),
        ("010 88886666", "010****6666"),
        ("号码13812345678。", "号码138****5678。"),
        ("tel_13812345678_1.wav", "tel_138****5678_1.wav"),
        ("from +85291234567 and 0085291234567", "from +85****4567 and 0085****4567"),
        ("4001170392 stays, 20261001905896 too", "4001170392 stays, 20261001905896 too"),
        ("2026-11-03T10:00:00+08:00, 1234.5000", "2026-11-03T10:00:00+08:00, 1234.5000"),
    ],
)
def test_numbers_within_a_text_are_hidden(said: str, shown: str) -> None:
    """F-27: a service number, a reference, a time and an amount stay."""
    with duckdb.connect() as con:
        con.execute(MACROS)
        assert con.execute("SELECT masked_text(?)", [said]).fetchall() == [(shown,)]


@settings(max_examples=40, deadline=None)
@given(
    st.none() | st.from_regex(r"\+?[0-9]{0,14}", fullmatch=True) | st.sampled_from(["4001170392", "95123"])
)
def test_a_masked_column_spells_numbers_as_alerts_do(number: str | None) -> None:
    """F-27: one spelling everywhere."""
    con = duckdb.connect()
    con.execute(MACROS)
    assert con.execute("SELECT masked_phone(?::VARCHAR)", [number]).fetchall() == [(masked_number(number),)]
