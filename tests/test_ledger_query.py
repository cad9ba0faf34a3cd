"""Questions of others: what may be asked, what may not, and what the answer says when it cannot be given."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ledger.faults import LedgerFault
from ledger.query import QueryFailed, QueryRefused, connect, run_select
from ledger.schema import CALLS
from tests.ledger_rows import Ledger, a_call, a_posting, an_event

ROOT = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 12, 1, tzinfo=UTC)
INJECTED = "C'; DROP TABLE calls_rows; --"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    made = Ledger(tmp_path_factory.mktemp("it's here"))
    made.calls = [
        a_call(call_id=f"c{n}", fee=f"0.{n}5", start=f"2026-{8 + n % 3:02d}-03 09:00") for n in range(9)
    ]
    made.calls.append(a_call(call_id="odd", fee="1", customer_id=INJECTED))
    made.events = [
        an_event("receive_payment", f"2026-08-{n + 1:02d} 09:00",
                 postings=[a_posting("payment", "platform/bank", "customer/C1/cash", "10")])
        for n in range(3)
    ]  # fmt: skip
    made.write()
    return made


@pytest.fixture(scope="module")
def con(ledger: Ledger) -> duckdb.DuckDBPyConnection:
    return ledger.connect(read_only_for_others=True, memory_limit="200MB")


def rows(
    con: duckdb.DuckDBPyConnection, sql: str, params: Any = None, **bounds: int
) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in run_select(con, sql, params, **bounds).to_pylist()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# what may be asked


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT count(*) FROM calls", [(10,)]),
        ("SELECT count(*) FROM calls;", [(10,)]),
        ("SELECT count(*) FROM calls -- all of them", [(10,)]),
        ("SELECT count(*) FROM calls; -- 全部;", [(10,)]),
        ("/* how many; */ SELECT count(*) FROM calls ;;", [(10,)]),
        ("FROM calls SELECT call_id WHERE owner_fee = 1", [("odd",)]),
        ("FROM (VALUES (3), (1), (2)) AS t (x) ORDER BY x DESC", [(3,), (2,), (1,)]),
        ("(SELECT 1 UNION ALL SELECT 2) ORDER BY 1 DESC", [(2,), (1,)]),
        ("WITH few AS (SELECT * FROM calls LIMIT 2) SELECT count(*) FROM few", [(2,)]),
        ("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT max(i) FROM n", [(4,)]),
        ("VALUES ('a'), ('b')", [("a",), ("b",)]),
        ("SELECT ';' AS x", [(";",)]),
        ("SELECT unnest(range(2))", [(0,), (1,)]),
        ("SELECT sum(x) FROM generate_series(1, 3) AS t (x)", [(6,)]),
        ("SELECT column_name FROM (SUMMARIZE balances)", [("account",), ("balance",)]),
        ("PIVOT postings ON kind IN ('payment', 'refund') USING sum(amount) GROUP BY month", [("2026-08", Decimal(30), None)]),
        ("SELECT at AT TIME ZONE 'UTC' < '2026-08-02', at > TIMESTAMPTZ '2026-01-01' FROM postings ORDER BY at LIMIT 1", [(True, True)]),
        ("SELECT events.at = \"at\", '在 at' FROM events -- at\n WHERE at IS NULL OR seq = 1", [(True, "在 at")]),
    ],
)  # fmt: skip
def test_whatever_reads_the_views_is_answered(
    con: duckdb.DuckDBPyConnection, sql: str, expected: list[tuple[Any, ...]]
) -> None:
    assert rows(con, sql) == expected


def test_an_order_is_kept(con: duckdb.DuckDBPyConnection) -> None:
    """By the wrapper too, over many batches."""
    found = rows(con, "SELECT hash(x) AS h FROM (SELECT unnest(range(200000)) AS x) ORDER BY h DESC")
    assert len(found) == 200_000
    assert found == sorted(found, reverse=True)


def test_columns_of_one_name_are_all_there(con: duckdb.DuckDBPyConnection) -> None:
    assert run_select(con, "SELECT 1 AS a, 2 AS a").to_pylist() == [{"a": 1, "a_1": 2}]


def test_money_and_instants_keep_their_types(con: duckdb.DuckDBPyConnection) -> None:
    """R-INV-4."""
    schema = run_select(con, "SELECT owner_fee, start_at FROM calls").schema
    assert schema.field("owner_fee").type == pa.decimal128(18, 4)
    assert schema.field("start_at").type == pa.timestamp("us", "Asia/Shanghai")


@pytest.mark.parametrize(
    "sql", ["DESCRIBE calls", "desc table Calls;", 'SHOW "calls"', "describe main.calls -- please"]
)
def test_describe_tells_what_each_column_means(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    found = run_select(con, sql)
    assert found.column_names == ["column_name", "column_type", "comment"]
    assert found.to_pylist()[0] == {
        "column_name": "call_id",
        "column_type": "VARCHAR",
        "comment": "The id that the switch gave the call; charged once (R-INV-6).",
    }


def test_show_tables_tells_what_a_row_is(con: duckdb.DuckDBPyConnection) -> None:
    found = {row["name"]: row["comment"] for row in run_select(con, "SHOW TABLES;").to_pylist()}
    assert found["calls"].startswith("A row is a rated call")
    assert not any(name.endswith("_rows") for name in found)


def test_describe_of_a_question_names_its_columns(con: duckdb.DuckDBPyConnection) -> None:
    assert rows(con, "DESCRIBE SELECT 1 AS a")[0][:2] == ("a", "INTEGER")


def test_parameters_are_bound_and_data_is_only_data(con: duckdb.DuckDBPyConnection) -> None:
    """F-24."""
    assert rows(con, "SELECT call_id FROM calls WHERE customer_id = $who", {"who": INJECTED}) == [("odd",)]
    assert rows(con, "SELECT call_id FROM calls WHERE customer_id = ?", ["' OR 1=1 --"]) == []
    assert rows(con, "SELECT ?", [INJECTED]) == [(INJECTED,)]
    assert rows(con, "SELECT customer_id FROM customer_balances ORDER BY 1") == [(INJECTED,), ("C1",)]
    assert rows(con, "SELECT count(*) FROM calls") == [(10,)]


# what may not


def attacks(own_file: str) -> list[str]:
    """Every way out that was thought of; `own_file` is a data file that the connection may read."""
    return [
        f"WITH a AS (COPY calls TO '{own_file}') FROM a",
        f"WITH a AS MATERIALIZED (COPY calls TO '{own_file}') SELECT 1",
        f"SELECT (WITH a AS (COPY calls TO '{own_file}') SELECT 1)",
        f"COPY calls TO '{own_file}'",
        "COPY calls FROM 'x.csv'",
        "WITH a AS (INSERT INTO calls_rows SELECT * FROM calls_rows RETURNING seq) FROM a",
        "WITH a AS (DELETE FROM calls_rows RETURNING seq) SELECT 1",
        "WITH a AS (UPDATE calls_rows SET seq = 0 RETURNING seq) SELECT 1",
        "INSERT INTO calls_rows SELECT * FROM calls_rows",
        "UPDATE calls_rows SET owner_fee = 0",
        "DELETE FROM calls_rows",
        "DROP VIEW calls",
        "CREATE TABLE t AS SELECT 1",
        "CREATE OR REPLACE VIEW calls AS SELECT 1",
        "CREATE MACRO f(x) AS x",
        "ALTER VIEW calls RENAME TO c",
        "COMMENT ON VIEW calls IS 'x'",
        "ATTACH 'x.db'",
        f"ATTACH '{own_file}'",
        "DETACH memory",
        "USE memory",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "SET enable_external_access = true",
        "RESET memory_limit",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "CALL enable_logging()",
        "EXPORT DATABASE 'x'",
        "IMPORT DATABASE 'x'",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "EXPLAIN SELECT 1",
        f"EXPLAIN ANALYZE COPY calls TO '{own_file}'",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW calls",
        "SELECT 1) ; COPY calls TO 'x.csv' ; SELECT (1",
        "SELECT 1) UNION ALL SELECT * FROM (SELECT 2",
        "SELECT 1 /* no end",
        "SELECT 1 -- no end\n) LIMIT 1; DROP VIEW calls; --",
        "",
        "  ;  ",
        "-- nothing",
        "SELECT '\0'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_json('/etc/passwd')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "SELECT * FROM read_duckdb('x.db')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'x.parquet'",
        f"SELECT * FROM read_parquet('{own_file}')",
        f"SELECT * FROM '{own_file}'",
        f"WITH a AS (FROM '{own_file}') FROM a",
        f"SELECT (SELECT max(owner_fee) FROM '{own_file}')",
        f"DESCRIBE '{own_file}'",
        f"SUMMARIZE '{own_file}'",
        f"SELECT * FROM postings, LATERAL (FROM '{own_file}' WHERE call_id = posting_id)",
        f"PIVOT '{own_file}' ON month IN ('2026-08') USING count(*)",
        f'FROM main."{own_file}"',
        "SELECT * FROM glob('/etc/*')",
        "SELECT (SELECT count(*) FROM glob('*'))",
        "SELECT 1 WHERE EXISTS (FROM read_text('/etc/passwd'))",
        "DESCRIBE SELECT * FROM read_text('/etc/passwd')",
        "SUMMARIZE SELECT * FROM glob('*')",
        "WITH a AS (FROM system.main.glob('*')) FROM a",
        "SELECT * FROM calls, LATERAL (FROM glob(call_id))",
        "SELECT * FROM query('SELECT 1')",
        f"SELECT * FROM query('COPY calls TO ''{own_file}''')",
        "SELECT * FROM query_table('calls')",
        "SELECT * FROM \"Json_Execute_Serialized_SQL\"(json_serialize_sql('SELECT 1'))",
        "SELECT * FROM enable_logging(storage = 'file', storage_path = 'x')",
        "SELECT * FROM enable_profiling()",
        "SELECT * FROM checkpoint()",
        "SELECT * FROM create_external_resource('x')",
        "SELECT * FROM python_map_function((SELECT 1))",
        "SELECT * FROM arrow_scan(1, 2, 3)",
        "SELECT * FROM NOW",
        "SELECT * FROM con",
        "SELECT getenv('HOME')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM duckdb_logs()",
        "SELECT * FROM truncate_duckdb_logs()",
        "SELECT * FROM parquet_metadata(getvariable('x'))",
        "SELECT * FROM read_parquet((SELECT min(path) FROM duckdb_databases()))",
        "SELECT * FROM pragma_storage_info('calls')",
        "SELECT * FROM test_all_types()",
        "SELECT * FROM 'https://example.com/x.parquet'",
        "SELECT * FROM 's3://bucket/x.parquet'",
        "FROM calls UNION ALL BY NAME FROM 'x.csv'",
        "SELECT * FROM calls ASOF JOIN 'x.parquet' AS x USING (start_at)",
        "SELECT * FROM (VALUES (1)) AS v, LATERAL (SELECT * FROM read_csv('/etc/passwd'))",
        "SELECT EXISTS (FROM calls WHERE call_id = (SELECT content FROM read_text('/etc/passwd')))",
        "SELECT nextval('s')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM which_secret('x', 's3')",
        "SELECT " + "abs(" * 600 + "1" + ")" * 600,
        "SELECT " + "(" * 40_000 + "1" + ")" * 40_000,
        "SELECT 1 " + " " * 200_000,
    ]


def test_no_way_out_is_open(
    ledger: Ledger, con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-24: each is refused in a sentence, and neither the ledger nor the folder changed."""
    monkeypatch.chdir(tmp_path)
    before = contents(ledger.folder)
    for sql in attacks(ledger.calls_files[0].replace("'", "''")):
        with pytest.raises((QueryRefused, QueryFailed)) as said:
            run_select(con, sql, timeout_s=10)
        assert 10 < len(str(said.value)) < 400, sql
        assert str(said.value).endswith((".", "!", "?", "…")), sql
        assert "\n" not in str(said.value), sql
    assert contents(ledger.folder) == before
    assert list(Path().iterdir()) == []
    assert rows(con, "SELECT count(*) FROM calls") == [(10,)]


def test_the_lock_alone_keeps_files_shut(con: duckdb.DuckDBPyConnection) -> None:
    """F-24: the first line of defence, without the others."""
    for sql in ("SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM glob('/etc/*')", "INSTALL httpfs",
                "ATTACH 'x.db'", "COPY (SELECT 1) TO 'x.csv'", "SET lock_configuration = false",
                "SET enable_external_access = true", "FROM enable_logging()"):  # fmt: skip
        with pytest.raises(duckdb.Error):
            con.cursor().execute(sql).fetchall()


def test_statements_of_others_need_a_locked_connection(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="read_only_for_others"):
        run_select(ledger.connect(), "SELECT 1")


# what the answer says when there is none


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT fee FROM calls", 'Referenced column "fee" not found'),
        ("SELECT * FROM callz", 'Did you mean "calls"'),
        ("SELEC 1", "Syntax error at or near"),
        ("SELECT sum(call_id) FROM calls", "No function matches"),
        ("SELECT CAST(call_id AS INTEGER) FROM calls", "Could not convert string 'c0'"),
        ("SELECT * FROM calls WHERE call_id = $id", "parameters: id"),
        ("SELECT at FROM", "Syntax error"),
    ],
)
def test_a_mistake_is_named_in_one_sentence(con: duckdb.DuckDBPyConnection, sql: str, says: str) -> None:
    with pytest.raises(QueryFailed) as said:
        run_select(con, sql)
    assert says in str(said.value)
    assert "Error" not in str(said.value)
    assert "LINE" not in str(said.value)


def test_a_question_without_end_is_stopped(con: duckdb.DuckDBPyConnection) -> None:
    for sql in ("SELECT sum(a.range * b.range) FROM range(1000000) AS a, range(1000000) AS b",
                "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
                "SELECT sleep_ms(20000)"):  # fmt: skip
        with pytest.raises(QueryFailed, match="longer than 1 s and was stopped: narrow it"):
            run_select(con, sql, timeout_s=1)
    assert rows(con, "SELECT count(*) FROM calls") == [(10,)]
    for thread in threading.enumerate():
        if thread.name == "select":
            thread.join(60)
            assert not thread.is_alive()


def test_a_question_that_needs_too_much_memory_is_stopped(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(QueryFailed, match="more memory than it may have: narrow it"):
        run_select(
            con, "SELECT range AS x, repeat('x', 1000) FROM range(10000000) ORDER BY 2, 1 DESC", timeout_s=300
        )
    assert rows(con, "SELECT count(*) FROM calls") == [(10,)]


def test_an_answer_has_bounds(con: duckdb.DuckDBPyConnection) -> None:
    assert len(rows(con, "SELECT * FROM range(100)", max_rows=100)) == 100
    with pytest.raises(QueryFailed, match="more than 100 rows: add a WHERE"):
        run_select(con, "SELECT * FROM range(101)", max_rows=100)
    with pytest.raises(QueryFailed, match="larger than 1 MB"):
        run_select(con, "SELECT repeat('x', 1000) FROM range(2000)", max_bytes=1 << 20)


def test_a_question_that_nothing_interrupts_is_left_behind(tmp_path: Path) -> None:
    """The answer comes in time and the process ends in order, though DuckDB is deep in one value."""
    program = [sys.executable, "-m", "fentan", "--home", str(tmp_path / "home")]
    subprocess.run([*program, "init"], check=True, capture_output=True, cwd=ROOT, timeout=180)
    done = subprocess.run(
        [*program, "sql", "--timeout", "1", "SELECT list_reduce(range(10000000), lambda x, y: x + y)"],
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "longer than 1 s" in done.stderr


# the files


def test_a_column_that_no_file_has_yet_reads_as_null(ledger: Ledger, tmp_path: Path) -> None:
    """F-22: old files lack a column of today; some files, or all of them."""
    old = pq.ParquetFile(ledger.calls_files[0]).read().drop_columns(["recording_ref", "extra"])
    folder = tmp_path / "month=2026-08"
    folder.mkdir()
    pq.write_table(old, folder / "old.parquet")
    for files in ([str(folder / "old.parquet")], [str(folder / "old.parquet"), *ledger.calls_files[1:]]):
        con = connect(files, [], now=NOW, calls_seq=10, events_seq=0)
        found = con.execute("SELECT count(*), count(recording_ref), count(extra) FROM calls").fetchall()
        assert found[0][0] >= 3
        assert found[0][1:] == (0, 0)


def test_a_column_that_only_newer_programs_know_is_passed_over(ledger: Ledger, tmp_path: Path) -> None:
    """F-22."""
    new = pq.ParquetFile(ledger.calls_files[0]).read()
    folder = tmp_path / "month=2026-08"
    folder.mkdir()
    pq.write_table(new.append_column("mood", pa.array(["x"] * new.num_rows)), folder / "new.parquet")
    con = connect(
        [*ledger.calls_files[1:], str(folder / "new.parquet")], [], now=NOW, calls_seq=10, events_seq=0
    )
    assert con.execute("SELECT count(*) FROM calls").fetchall() == [(10,)]


@pytest.mark.parametrize(
    ("name", "kind"), [("owner_fee", pa.float64()), ("owner_fee", pa.decimal128(9, 4)), ("seq", pa.int32())]
)
def test_float_money_and_narrowed_columns_are_refused(
    ledger: Ledger, tmp_path: Path, name: str, kind: pa.DataType
) -> None:
    """F-22."""
    good = pq.ParquetFile(ledger.calls_files[0]).read()
    place = good.column_names.index(name)
    folder = tmp_path / "month=2026-08"
    folder.mkdir()
    pq.write_table(good.set_column(place, name, good.column(name).cast(kind)), folder / "bad.parquet")
    with pytest.raises(LedgerFault, match=f"The column {name} of calls is .* in the data files and must be"):
        connect([str(folder / "bad.parquet")], [], now=NOW, calls_seq=10, events_seq=0)


def test_a_file_that_is_gone_is_named(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerFault, match=r"gone\.parquet"):
        connect([str(tmp_path / "gone.parquet")], [], now=NOW, calls_seq=1, events_seq=0)


def test_rows_without_a_month_are_rejects(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, calls=[a_call(fee=None, month=None, reason="UNREADABLE"), a_call()])
    con = ledger.connect(read_only_for_others=True)
    assert rows(con, "SELECT month FROM calls_rows ORDER BY seq") == [(None,), ("2026-08",)]
    assert rows(con, "SELECT seq, reason FROM rejects") == [(0, "UNREADABLE")]


@pytest.mark.parametrize("above", ["env=prod", "seq=5", "month=2020-01", "outcome=x"])
def test_folders_above_the_ledger_are_no_columns(tmp_path: Path, above: str) -> None:
    """F-26: a home may lie wherever somebody likes."""
    ledger = Ledger(
        tmp_path / above, calls=[a_call(), a_call("2026-09-01 00:00"), a_call(fee=None, month=None)]
    )
    ledger.events = [an_event("tick")]
    con = ledger.connect(read_only_for_others=True)
    assert rows(con, "SELECT seq, month, outcome FROM calls_rows ORDER BY seq") == [
        (0, "2026-08", "rated"), (1, "2026-09", "rated"), (2, None, "rejected")]  # fmt: skip
    assert rows(con, "SELECT seq, kind FROM events") == [(0, "tick")]


def test_stored_rows_have_the_schema_of_the_tables(con: duckdb.DuckDBPyConnection) -> None:
    assert run_select(con, "SELECT * FROM calls_rows").schema.names == CALLS.names
