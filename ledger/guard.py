"""Statements of others: one SELECT over the views, and nothing that writes, reads files or reaches the network.

Four lines of defence, each measured (F-24): the connection is locked down for good; the text must be exactly
one statement that reads; it runs as a subquery, where COPY and changes of data are refused that a WITH clause
would otherwise carry out; and of functions that stand as tables only a short list is open. Time, rows and
memory are bounded. (The memory limit holds for sorts, joins and groups; a single value grown without measure
is stopped by time alone.)
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

MAX_SQL_CHARS = 100_000
_GRACE_S = 2
_BATCH_ROWS = 50_000

_FREE_FUNCTIONS = frozenset(
    {"unnest", "range", "generate_series", "json_each", "json_tree", "repeat", "histogram", "histogram_values",
     "summary", "duckdb_columns", "duckdb_views", "duckdb_functions", "duckdb_types", "duckdb_keywords"}
)  # fmt: skip
"""Table functions that a statement may name. The others read files, run text as SQL or change settings."""

_DESCRIBE = re.compile(
    r"\s*(?:DESCRIBE|DESC|SHOW)\s+(?:TABLE\s+|VIEW\s+)?(?:main\.)?\"?(\w+)\"?\s*", re.IGNORECASE | re.ASCII
)
_FILE = re.compile(r"[./\\:*?]")
_SHOW_TABLES = re.compile(r"\s*SHOW\s+(?:TABLES|VIEWS)\s*", re.IGNORECASE | re.ASCII)


class QueryRefused(Exception):
    """The statement is not one that may run; one sentence says why and what to do instead."""


class QueryFailed(Exception):
    """The statement may run but did not end well: a wrong name, a wrong value, too long or too large."""


def quoted(value: str) -> str:
    """As a text literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def quoted_list(values: Iterable[str]) -> str:
    """As a list of text literals."""
    return "[" + ", ".join(map(quoted, values)) + "]"


def lock_down(con: duckdb.DuckDBPyConnection, files: Iterable[str]) -> None:
    """Takes everything from the connection but reading these files; it cannot be taken back."""
    con.execute(f"SET allowed_paths = {quoted_list(files)}")
    for setting in (
        "python_enable_replacements = false",
        "temp_directory = ''",
        "autoload_known_extensions = false",
        "autoinstall_known_extensions = false",
        "allow_community_extensions = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        con.execute(f"SET {setting}")


def run_select(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    params: Mapping[str, object] | Sequence[object] | None = None,
    *,
    timeout_s: int = 60,
    max_rows: int = 1_000_000,
    max_bytes: int = 1 << 29,
) -> pa.Table:
    """The answer to one SELECT (or VALUES, DESCRIBE, SHOW TABLES, SUMMARIZE), on a connection that is locked down.

    `params` are bound, never pasted. Order is kept, columns of one name get a number. DESCRIBE and SHOW TABLES
    of our views answer with comments. Raises QueryRefused for anything that is not one reading statement, and
    QueryFailed for names and values that are wrong, and beyond `timeout_s`, `max_rows`, `max_bytes` or the
    connection's memory limit. ValueError if the connection was not made for others.
    """
    cursor = con.cursor()
    try:
        _require_lock(cursor)
        sql = _one_select(cursor, sql)
        query, bound = _described(cursor, _body(sql)) or (_wrapped(sql, max_rows + 1), params)
        if bound is params:
            _refuse_functions(cursor, query)
        answer = _run_bounded(cursor, query, bound, timeout_s, max_bytes)
    except duckdb.Error as error:
        raise _explained(error) from None
    if answer.num_rows > max_rows:
        raise QueryFailed(f"The answer has more than {max_rows:,} rows: add a WHERE, a GROUP BY or a LIMIT.")
    return answer


def _require_lock(cursor: duckdb.DuckDBPyConnection) -> None:
    row = cursor.execute("SELECT current_setting('lock_configuration')").fetchall()
    if row != [(True,)]:
        raise ValueError("statements of others need a connection made with read_only_for_others=True")


def _one_select(cursor: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The statement, if it is exactly one that reads."""
    if len(sql) > MAX_SQL_CHARS:
        raise QueryRefused(f"The statement is longer than {MAX_SQL_CHARS:,} characters: shorten it.")
    if "\0" in sql:
        raise QueryRefused("The statement holds a NUL character: take it out.")
    try:
        statements = cursor.extract_statements(sql)
    except duckdb.ParserException as error:
        sql, given = _with_at_quoted(sql), sql
        if sql == given:
            raise
        try:
            statements = cursor.extract_statements(sql)
        except duckdb.ParserException:
            raise error from None
    if not statements:
        raise QueryRefused("There is no statement: write one SELECT.")
    if len(statements) > 1:
        raise QueryRefused(f"These are {len(statements)} statements: write one SELECT at a time.")
    kind = statements[0].type
    if kind == duckdb.StatementType.MULTI:
        raise QueryRefused(
            "PIVOT needs its values spelled out, as in PIVOT postings ON kind IN ('payment') USING sum(amount)."
        )
    if kind != duckdb.StatementType.SELECT:
        raise QueryRefused(
            f"{kind.name} is not a question: only SELECT reads the ledger, and nothing here writes it."
        )
    return sql


def _with_at_quoted(sql: str) -> str:
    """Postings, events and alerts have a column `at`, which is a word of DuckDB's grammar too (AT TIME ZONE)."""
    places = [place for place, kind in duckdb.tokenize(sql) if kind != duckdb.token_type.comment]
    text = sql.encode()  # the tokenizer counts bytes
    for place, following in reversed(list(zip(places, [*places[1:], len(text)], strict=True))):
        if re.match(rb"at\b", text[place:], re.IGNORECASE) and not re.match(
            rb"\(|time\b", text[following:], re.IGNORECASE
        ):
            text = text[:place] + b'"at"' + text[place + 2 :]
    return text.decode()


def _body(sql: str) -> str:
    """The statement without a closing semicolon and the comments after it."""
    text = sql.encode()  # the tokenizer counts bytes
    for place, kind in reversed(duckdb.tokenize(sql)):
        if kind != duckdb.token_type.comment and text[place : place + 1] != b";":
            break
        text = text[:place]
    return text.decode()


def _wrapped(sql: str, limit: int) -> str:
    """As a subquery, for there COPY and changes of data are refused, which as WITH clauses would run."""
    return f"SELECT * FROM (\n{_body(sql)}\n) LIMIT {limit}"


def _described(cursor: duckdb.DuckDBPyConnection, body: str) -> tuple[str, list[object]] | None:
    """DESCRIBE and SHOW TABLES with the comments, which DuckDB's own answers leave out."""
    if _SHOW_TABLES.fullmatch(body):
        query = (
            "SELECT view_name AS name, comment FROM duckdb_views() "
            "WHERE NOT internal AND NOT ends_with(view_name, '_rows') ORDER BY view_name"
        )
        return query, []
    named = _DESCRIBE.fullmatch(body)
    if named is None:
        return None
    query = (
        "SELECT column_name, data_type AS column_type, comment FROM duckdb_columns() "
        "WHERE schema_name = 'main' AND NOT internal AND table_name = lower(?) ORDER BY column_index"
    )
    found = cursor.execute(query, [named[1]]).fetchall()
    return (query, [named[1]]) if found else None


def _refuse_functions(cursor: duckdb.DuckDBPyConnection, query: str) -> None:
    """Looks at the very text that will run, as DuckDB parses it."""
    ((parsed,),) = cursor.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
    try:
        tree = json.loads(parsed)
    except RecursionError:
        raise QueryRefused("The statement is nested too deeply: write it flatter.") from None
    if tree["error"]:
        raise QueryRefused(f"The statement cannot be checked: {tree['error_message']}")
    for kind, name in _sources(tree):
        if kind == "TABLE_FUNCTION" and name not in _FREE_FUNCTIONS:
            raise QueryRefused(f"{name}() is not open here: ask the views (SHOW TABLES lists them).")
        if kind == "BASE_TABLE" and _FILE.search(name):
            raise QueryRefused(
                f"{name[:80]!r} is no view: a question reads the ledger's views and nothing else (SHOW TABLES lists them)."
            )


def _sources(tree: Any) -> Iterator[tuple[str, str]]:
    """(kind of node, name) of the functions and names that stand as tables, wherever they do.

    DuckDB takes a table's name that nothing has for a file's: one of the ledger's own could be read past the views.
    """
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if node.get("type") == "TABLE_FUNCTION":
                yield "TABLE_FUNCTION", node["function"]["function_name"].lower()
            elif node.get("type") == "BASE_TABLE":
                yield "BASE_TABLE", node["table_name"]
            nodes.extend(node.values())
        elif isinstance(node, list):
            nodes.extend(node)


_LEFT_BEHIND: list[threading.Thread] = []


def left_behind() -> bool:
    """Whether a question is still running that was given up: then the process must end without waiting for it."""
    return any(worker.is_alive() for worker in _LEFT_BEHIND)


@dataclass
class _Outcome:
    batches: list[pa.RecordBatch] = field(default_factory=list)
    schema: pa.Schema | None = None
    error: BaseException | None = None


def _run_bounded(
    cursor: duckdb.DuckDBPyConnection, query: str, params: Any, timeout_s: int, max_bytes: int
) -> pa.Table:
    """Runs it beside a clock. What does not heed its interruption is left behind: it ends with the process."""
    outcome = _Outcome()

    def work() -> None:
        size = 0
        try:
            reader = cursor.sql(query, params=params).to_arrow_reader(_BATCH_ROWS)
            outcome.schema = reader.schema
            for batch in reader:
                size += batch.nbytes
                if size > max_bytes:
                    outcome.batches.clear()
                    raise QueryFailed(
                        f"The answer is larger than {max_bytes >> 20} MB: ask for fewer rows or columns."
                    )
                outcome.batches.append(batch)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            outcome.error = error
        finally:
            cursor.close()

    worker = threading.Thread(target=work, name="select", daemon=True)
    worker.start()
    try:
        worker.join(timeout_s)
    finally:
        late = worker.is_alive()
        if late:
            with suppress(duckdb.Error):  # it may have ended this very moment
                cursor.interrupt()
            worker.join(_GRACE_S)
    if late:
        if worker.is_alive():
            _LEFT_BEHIND.append(worker)
        raise QueryFailed(
            f"The question took longer than {timeout_s} s and was stopped: narrow it, say to one month."
        )
    if outcome.error is not None:
        raise outcome.error
    return pa.Table.from_batches(outcome.batches, outcome.schema)


def _explained(error: duckdb.Error) -> Exception:
    """DuckDB's error as one sentence of ours."""
    said = sentence(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryFailed(
            "The question needs more memory than it may have: narrow it, or sum up before sorting and joining."
        )
    if isinstance(error, duckdb.PermissionException):
        return QueryRefused(f"{said} A question reads the ledger's views and nothing else.")
    if "must be at the top level" in said:
        return QueryRefused(
            "A WITH clause here may only read: only SELECT reads the ledger, and nothing here writes it."
        )
    if isinstance(error, duckdb.IOException):
        return QueryFailed(f"{said} If maintenance has just rewritten the file, ask again.")
    return QueryFailed(said)


def sentence(error: duckdb.Error) -> str:
    """The first paragraph, without the kind of error in front and the caret below."""
    said = re.sub(r"^[\w ]*Error: ", "", str(error).split("\n\nLINE ")[0])
    said = " ".join(said.split())
    said = said[:1].upper() + said[1:]
    said = said if len(said) <= 300 else said[:299] + "…"
    return said if said.endswith((".", "!", "?", "…")) else said + "."
