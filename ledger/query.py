"""Finance's SQL: a DuckDB connection with the public views over one version of the two tables.

`connect` makes it from the data files of a snapshot; the views are `views/*.sql`. Two things that the views
need are made here from what the snapshot says, as macros that DuckDB folds into the plan: when it is
(`ledger_now`), and which close covers which call (`billed_month_of`, R-CALL-8).

Statements of others go through `run_select` (ledger/guard.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ledger import masking
from ledger.faults import LedgerFault
from ledger.files import NULL_PARTITION
from ledger.guard import QueryFailed, QueryRefused, lock_down, quoted, quoted_list, run_select, sentence
from ledger.schema import CALLS, EVENTS
from rating.calendar import next_month
from rating.money import MONEY
from rating.reasons import Reason
from rating.records import INSTANT

__all__ = ["VIEWS", "QueryFailed", "QueryRefused", "connect", "lock_down", "make_views", "run_select"]

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
) -> duckdb.DuckDBPyConnection:
    """A connection with `calls_rows`, `events_rows` and every public view, in Shanghai time.

    The files are absolute paths of data files of one snapshot each (calls partitioned by month, columns that
    a file lacks read as null, F-22); rows at or beyond `calls_seq` and `events_seq` are left out. `now`, an
    aware instant, is the time of the views numbers and arrears. With `read_only_for_others` the connection is
    locked down for `run_select`: for good, and without a `temp_directory` to spill into. With `mask` phone
    numbers are hidden (F-27). Raises LedgerFault if a file is gone or holds a column of another type.
    """
    config: dict[str, Any] = {"autoinstall_known_extensions": "false", "memory_limit": memory_limit}
    if threads is not None:
        config["threads"] = threads
    config["temp_directory"] = "" if read_only_for_others else temp_directory
    con = duckdb.connect(config=config)
    con.execute("SET GLOBAL TimeZone = 'Asia/Shanghai'; SET GLOBAL parquet_metadata_cache = true")
    make_views(con, calls_files, events_files, now=now, calls_seq=calls_seq, events_seq=events_seq, mask=mask)
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
) -> None:
    """Creates macros, stored rows and views in the connection's default schema, for good if that is a file."""
    con.execute(_macros(now, []))
    if mask:
        con.execute(masking.MACROS)
    con.execute(_reasons())
    con.execute(f"CREATE VIEW calls_rows AS {_none(CALLS)}; CREATE VIEW events_rows AS {_none(EVENTS)}")
    # over empty rows first: a view is bound when it is made, and binding opens every file
    for text in _view_texts():
        con.execute(text)
    _store(con, "events_rows", events_files, EVENTS, events_seq, mask)
    _store(con, "calls_rows", calls_files, CALLS, calls_seq, mask)
    con.execute(_macros(now, _closes(con)))


# what the views stand on


def _sql_type(kind: pa.DataType) -> str:
    return f"{_sql_type(kind.value_type)}[]" if pa.types.is_list(kind) else _TYPES[kind]


def _none(schema: pa.Schema) -> str:
    columns = ", ".join(f'CAST(NULL AS {_sql_type(field.type)}) AS "{field.name}"' for field in schema)
    return f"SELECT {columns} WHERE false"


def _store(
    con: duckdb.DuckDBPyConnection,
    view: str,
    files: Sequence[str],
    schema: pa.Schema,
    until_seq: int,
    mask: bool,
) -> None:
    """Puts the files' rows where the empty ones were; their columns become those of `schema`, in its order."""
    if not files:
        return
    scan = _scan(view, files)
    try:
        con.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM {scan}")
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise LedgerFault(f"{sentence(error)} Run `fentan verify`.") from None
    there = dict(
        con.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?", [view]
        ).fetchall()
    )
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
    con.execute(
        f"CREATE OR REPLACE VIEW {view} AS SELECT {', '.join(columns)} FROM {scan} WHERE seq < {int(until_seq)}"
    )


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


@dataclass(frozen=True)
class _Close:
    month: str
    calls_seq: int


def _closes(con: duckdb.DuckDBPyConnection) -> list[_Close]:
    """The month closes in order; each covers the calls below its `calls_seq`."""
    found = con.execute(
        "SELECT CAST(effect AS JSON) ->> '$.month', calls_seq FROM events_rows "
        "WHERE kind = 'close_month' AND outcome = 'accepted' ORDER BY ALL"
    ).fetchall()
    return [_Close(month, calls_seq) for month, calls_seq in found]


def _macros(now: datetime, closes: list[_Close]) -> str:
    """The macros that the views use.

    `billed_month_of(month, seq)`: the call's month if it is open or its close covered the call; else the
    first month whose close covered it, or the month after the last close. Both look-ups are decisions in a
    balanced tree. The first depends on the month alone, which is one value a file, so over 10 million calls
    it costs next to nothing, and only late calls come to the second. (An ASOF join sorts all calls.)
    """
    last = closes[-1] if closes else _Close("", 0)
    after = quoted(next_month(last.month)) if closes else "month"
    billed = (
        f"CASE WHEN month > {quoted(last.month)} OR seq < {_calls_seq_of(closes)} THEN month "
        f"ELSE greatest(month, {_month_covering(closes, after)}) END"
    )
    instant = quoted(now.astimezone(UTC).isoformat())
    return (
        f"CREATE OR REPLACE MACRO ledger_now() AS CAST({instant} AS TIMESTAMPTZ);"
        f"CREATE OR REPLACE MACRO last_closed_month() AS {quoted(last.month)};"
        f"CREATE OR REPLACE MACRO last_closed_calls_seq() AS {last.calls_seq};"
        f"CREATE OR REPLACE MACRO billed_month_of(month, seq) AS {billed}"
    )


def _calls_seq_of(closes: list[_Close]) -> str:
    if not closes:
        return "0"
    half = len(closes) // 2
    here = closes[half]
    return (
        f"CASE WHEN month = {quoted(here.month)} THEN {here.calls_seq} "
        f"WHEN month < {quoted(here.month)} THEN {_calls_seq_of(closes[:half])} "
        f"ELSE {_calls_seq_of(closes[half + 1 :])} END"
    )


def _month_covering(closes: list[_Close], after: str) -> str:
    if not closes:
        return after
    half = len(closes) // 2
    here = closes[half]
    return (
        f"CASE WHEN seq < {here.calls_seq} THEN {_month_covering(closes[:half], quoted(here.month))} "
        f"ELSE {_month_covering(closes[half + 1 :], after)} END"
    )


def _reasons() -> str:
    rows = ", ".join(
        f"({quoted(reason.value)}, {quoted(reason.meaning)}, {quoted(reason.what_to_do)}, {str(reason.retry).lower()})"
        for reason in Reason
    )
    comments = {
        "reason": "The code that stands in rejects, duplicates and events.",
        "meaning": "What it says.",
        "what_to_do": "What mends the cause.",
        "retry": "Whether the same record can be taken in later (`fentan retry`).",
    }
    described = "".join(
        f"; COMMENT ON COLUMN reasons.{name} IS {quoted(what)}" for name, what in comments.items()
    )
    return (
        f"CREATE VIEW reasons AS SELECT * FROM (VALUES {rows}) AS reasons ({', '.join(comments)}); "
        f"COMMENT ON VIEW reasons IS 'A row is a reason why an input was not charged or a command refused.'{described}"
    )


@cache
def _view_texts() -> tuple[str, ...]:
    folder = Path(__file__).with_name("views")
    return tuple((folder / f"{name}.sql").read_text(encoding="utf-8") for name in VIEWS)
