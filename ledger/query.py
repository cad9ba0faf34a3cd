"""Finance's SQL: a DuckDB connection with the public views over one version of the two tables.

`connect` makes it from the data files of a snapshot; the views are `views/*.sql`. Two things that the views
need are made here from what the snapshot says: when it is (`ledger_now`), and which close covers which call
(`billed_rows`, ledger/billed.py).

Statements of others go through `run_select` (ledger/guard.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from ledger import billed, masking
from ledger.faults import LedgerFault
from ledger.files import NULL_PARTITION
from ledger.guard import QueryFailed, QueryRefused, lock_down, quoted, quoted_list, run_select, sentence
from ledger.schema import CALLS, EVENTS
from rating.money import MONEY
from rating.reasons import Reason
from rating.records import INSTANT

__all__ = [
    "VIEWS",
    "QueryFailed",
    "QueryRefused",
    "connect",
    "describe_views",
    "lock_down",
    "make_views",
    "run_select",
]

VIEWS = (
    "calls",
    "uncharged",
    "postings",
    "movements",
    "events",
    "alerts",
    "balances",
    "customer_balances",
    "arrears",
    "numbers",
    "fines",
    "disputes",
    "providers",
    "statement_lines",
    "areas",
)
"""The files of `views/`, each after those that it builds on."""

_COMMENT = re.compile(r"^COMMENT ON .*;\n", re.MULTILINE)
"""One of the statements that comment on a view or a column; each has a line of its own."""

_REASON_COLUMNS = {
    "reason": "The code that stands in rejects, duplicates and events.",
    "meaning": "What it says.",
    "what_to_do": "What mends the cause.",
    "retry": "Whether the same record can be taken in later (`fentan retry`).",
}

_TYPES = {
    pa.int64(): "BIGINT",
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    MONEY: "DECIMAL(18,4)",
    INSTANT: "TIMESTAMP WITH TIME ZONE",
}


def connect(
    calls_files: Sequence[str],
    events_files: Sequence[str],
    *,
    now: datetime,
    calls_seq: int,
    events_seq: int,
    read_only_for_others: bool = False,
    memory_limit: str = "2GB",
    threads: int | None = None,
    temp_directory: str = "",
    mask: bool = False,
    spans: Mapping[str, tuple[int, int]] | None = None,
    described: bool = True,
) -> duckdb.DuckDBPyConnection:
    """A connection with `calls_rows`, `events_rows` and every public view, in Shanghai time.

    The files are absolute paths of data files of one snapshot each (calls partitioned by month, columns that
    a file lacks read as null, F-22); rows at or beyond `calls_seq` and `events_seq` are left out. `spans` has the
    least and greatest seq of files of calls, which spares reading some. `now`, an aware instant, is the time of the
    views numbers and arrears. With `read_only_for_others` the connection is locked down for `run_select`: for good,
    and without a `temp_directory` to spill into. With `mask` phone numbers are hidden (F-27). Unless `described`, views
    and columns have no comments: giving them takes as long as making the views. Raises LedgerFault if a file is gone
    or holds a column of another type.
    """
    config: dict[str, Any] = {"autoinstall_known_extensions": "false", "memory_limit": memory_limit}
    if threads is not None:
        config["threads"] = threads
    config["temp_directory"] = "" if read_only_for_others else temp_directory
    con = duckdb.connect(config=config)
    con.execute("SET GLOBAL TimeZone = 'Asia/Shanghai'; SET GLOBAL parquet_metadata_cache = true")
    make_views(
        con,
        calls_files,
        events_files,
        now=now,
        calls_seq=calls_seq,
        events_seq=events_seq,
        mask=mask,
        spans=spans,
    )
    if described:
        describe_views(con)
    if read_only_for_others:
        lock_down(con, [*calls_files, *events_files])
    return con


def make_views(
    con: duckdb.DuckDBPyConnection,
    calls_files: Sequence[str],
    events_files: Sequence[str],
    *,
    now: datetime,
    calls_seq: int,
    events_seq: int,
    mask: bool = False,
    spans: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Creates macros, stored rows and views in the connection's default schema, for good if that is a file.

    `describe_views` gives them their comments.
    """
    instant = quoted(now.astimezone(UTC).isoformat())
    con.execute(f"CREATE OR REPLACE MACRO ledger_now() AS CAST({instant} AS TIMESTAMPTZ)")
    con.execute(billed.macros([]))
    if mask:
        con.execute(masking.MACROS)
    con.execute(_reasons())
    con.execute(
        f"CREATE VIEW calls_rows AS {_none(CALLS)}; CREATE VIEW events_rows AS {_none(EVENTS)};"
        "CREATE VIEW billed_rows AS SELECT *, month AS billed_month FROM calls_rows"
    )
    # over empty rows first: a view is bound when it is made, and binding opens every file
    con.execute(_view_texts().definitions)
    _store(con, "events_rows", _rows(con, "events_rows", events_files, EVENTS, events_seq, mask, {}))
    made = billed.closes(con)
    con.execute(billed.macros(made))
    known = spans or {}
    calls = _rows(con, "calls_rows", calls_files, CALLS, calls_seq, mask, known)
    _store(con, "calls_rows", calls)
    in_time = billed.on_time(calls_files, known, made)
    late = [file for file in calls_files if file not in set(in_time)]
    parts = []
    for files, month in ((in_time, "month"), (late, "billed_month_of(month, seq)")):
        rows = (
            calls
            if len(files) == len(calls_files)
            else _rows(con, "calls_rows", files, CALLS, calls_seq, mask, known)
        )
        if rows:
            parts.append(f"SELECT *, {month} AS billed_month FROM ({rows})")
    _store(con, "billed_rows", " UNION ALL ".join(parts))


def describe_views(con: duckdb.DuckDBPyConnection) -> None:
    """Gives every public view and its columns their comments."""
    con.execute(_view_texts().comments)


# what the views stand on


def _sql_type(kind: pa.DataType) -> str:
    return f"{_sql_type(kind.value_type)}[]" if pa.types.is_list(kind) else _TYPES[kind]


def _none(schema: pa.Schema) -> str:
    columns = ", ".join(f'CAST(NULL AS {_sql_type(field.type)}) AS "{field.name}"' for field in schema)
    return f"SELECT {columns} WHERE false"


def _store(con: duckdb.DuckDBPyConnection, view: str, rows: str) -> None:
    """Puts the files' rows where the empty ones were."""
    if rows:
        con.execute(f"CREATE OR REPLACE VIEW {view} AS {rows}")


def _rows(
    con: duckdb.DuckDBPyConnection,
    view: str,
    files: Sequence[str],
    schema: pa.Schema,
    until_seq: int,
    mask: bool,
    spans: Mapping[str, tuple[int, int]],
) -> str:
    """A SELECT of the files' rows with the columns of `schema`, in its order; empty if there are no files."""
    if not files:
        return ""
    scan = _scan(view, files)
    try:
        described = con.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise LedgerFault(f"{sentence(error)} Run `fentan verify`.") from None
    there = {name: kind for name, kind, *_ in described}
    columns = []
    for column in schema:
        kind = _sql_type(column.type)
        found = there.get(column.name)
        if found is None:
            columns.append(f'CAST(NULL AS {kind}) AS "{column.name}"')
        elif found == kind:
            shown = masking.masked(view, column.name) if mask else f'"{column.name}"'
            columns.append(f'{shown} AS "{column.name}"')
        else:
            raise LedgerFault(
                f"The column {column.name} of {view.removesuffix('_rows')} is {found} in the data files and "
                f"must be {kind} (F-22): run `fentan verify`."
            )
    # a comparison that always holds would be made for each row all the same
    whole = all(file in spans and spans[file][1] < until_seq for file in files)
    return f"SELECT {', '.join(columns)} FROM {scan}" + ("" if whole else f" WHERE seq < {int(until_seq)}")


def _scan(view: str, files: Sequence[str]) -> str:
    """DuckDB's read_parquet over the files, with the month of calls as a column that is text."""
    if view == "events_rows":
        return _read(files, "false")
    if not any("=" in place for file in files for place in Path(file).parts[:-2]):
        return _read(files, "true, hive_types = {'month': 'VARCHAR'}")
    # folders above the table would be taken for columns too: so the months are named one by one
    months: dict[str, list[str]] = {}
    for file in files:
        months.setdefault(Path(file).parent.name.removeprefix("month="), []).append(file)
    parts = (
        f"SELECT *, CAST({'NULL' if month == NULL_PARTITION else quoted(month)} AS VARCHAR) AS month "
        f"FROM {_read(of_month, 'false')}"
        for month, of_month in months.items()
    )
    return f"({' UNION ALL BY NAME '.join(parts)})"


def _read(files: Sequence[str], partitions: str) -> str:
    return f"read_parquet({quoted_list(files)}, union_by_name = true, hive_partitioning = {partitions})"


def _reasons() -> str:
    rows = ", ".join(
        f"({quoted(reason.value)}, {quoted(reason.meaning)}, {quoted(reason.what_to_do)}, {str(reason.retry).lower()})"
        for reason in Reason
    )
    columns = ", ".join(_REASON_COLUMNS)
    return f"CREATE VIEW reasons AS SELECT * FROM (VALUES {rows}) AS reasons ({columns})"


class _Texts(NamedTuple):
    """The statements of `views/`: those that make the views, and those that comment on them."""

    definitions: str
    comments: str


@cache
def _view_texts() -> _Texts:
    folder = Path(__file__).with_name("views")
    texts = [(folder / f"{name}.sql").read_text(encoding="utf-8") for name in VIEWS]
    comments = [comment for text in texts for comment in _COMMENT.findall(text)]
    comments.append(
        "COMMENT ON VIEW reasons IS 'A row is a reason why an input was not charged or a command refused.';"
    )
    comments += (
        f"COMMENT ON COLUMN reasons.{name} IS {quoted(what)};" for name, what in _REASON_COLUMNS.items()
    )
    return _Texts("".join(_COMMENT.sub("", text) for text in texts), "\n".join(comments))
