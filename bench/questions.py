"""Finance's standard questions over 10 million calls: as `fentan sql` asks them, against the same SQL by hand.

    python -m bench.questions [--rows 10000000] [--dir DIR]

By hand is DuckDB without the guard, with `calls` being the data files themselves. Both are asked in turn; the median of
each is compared. The files are those of `bench.query`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from bench import query
from ledger.query import connect, run_select
from reports.questions import Question, bound, standard_questions

_GIVEN = {"month": query.MONTHS[1], "with": query.MONTHS[0], "day": f"{query.MONTHS[1]}-12"}
_REACH = 1.2


def by_hand(files: list[str], events: str, rows: int) -> duckdb.DuckDBPyConnection:
    """The views that are not about calls as they are, `calls` as one scan of the files."""
    con = connect([], [events], now=datetime(2026, 12, 1, tzinfo=UTC), calls_seq=rows, events_seq=2)
    con.execute(
        "CREATE OR REPLACE VIEW calls AS SELECT * EXCLUDE (outcome), month AS billed_month, "
        "CAST(billed_s // 60 AS DECIMAL(18, 4)) AS billed_min "
        f"FROM read_parquet({files}, hive_types = {{'month': 'VARCHAR'}}) WHERE outcome = 'rated'"
    )
    columns = ", ".join(f'"{name}"' for name, *_ in con.execute("DESCRIBE calls_rows").fetchall())
    con.execute(
        f"CREATE OR REPLACE VIEW calls_rows AS SELECT {columns} "
        f"FROM read_parquet({files}, hive_types = {{'month': 'VARCHAR'}})"
    )
    return con


def values_of(question: Question) -> dict[str, str]:
    wanted = {one.name for one in question.parameters}
    return bound(question, [f"{name}={value}" for name, value in _GIVEN.items() if name in wanted])


def measure(folder: Path, rows: int) -> None:
    """Makes the files if they are not there, then asks."""
    files, _, events = query.make(folder, rows)
    ours = connect(
        files,
        [events],
        now=datetime(2026, 12, 1, tzinfo=UTC),
        calls_seq=rows,
        events_seq=2,
        read_only_for_others=True,
    )
    hand = by_hand(files, events, rows)
    print(f"{rows:,} calls; median of {query.ROUNDS}")
    print(f"{'':30} {'fentan sql':>12} {'by hand':>12} {'ratio':>6} {'reach':>6}")
    for question in standard_questions():
        values = values_of(question) or None
        taken = query.compare(
            lambda sql=question.sql, given=values: run_select(ours, sql, given),  # type: ignore[misc]
            lambda sql=question.sql, given=values: hand.cursor().sql(sql, params=given).to_arrow_table(),  # type: ignore[misc]
        )
        ratio = taken[0] / taken[1]
        print(
            f"{question.name:30} {taken[0] * 1000:9.1f} ms {taken[1] * 1000:9.1f} ms {ratio:6.2f} {_REACH:6}",
            flush=True,
        )


if __name__ == "__main__":
    query.asked_for(measure, __doc__.splitlines()[0])
