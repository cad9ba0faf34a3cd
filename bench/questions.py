"""Finance's standard questions over 10 million calls: as `fentan sql` asks them, against the same SQL by hand.

    python -m bench.questions [--dir DIR] [--calls 10000000] [--rounds 7]

By hand is DuckDB without the guard, on the same files, with `calls` as one writes it who knows which file is billed to
which month: each scan has its month as a literal. Both are asked in turn and must answer alike; medians are compared, of
the time waited for and of the CPU's. Then the same as whole processes: `fentan sql` and a script with two imports. The
ledger is that of `bench.three_months`.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa

from bench.three_months import MONTHS, make_ledger
from ledger import billed
from ledger.home import Home
from ledger.query import connect, run_select
from rating.calendar import end_of_month, instant_text
from reports.ask import views_for_others
from reports.questions import Question, bound, standard_questions

NOW = end_of_month(MONTHS[-1])
_GIVEN = {"month": MONTHS[1], "with": MONTHS[0], "day": f"{MONTHS[1]}-12"}
_REACH = 1.2
_WHOLE = ("debtors_by_age", "minimum_top_ups")


def main() -> None:
    """Makes the ledger if it is not there, then asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fentan-questions-") as made:
        home = make_ledger(given.dir or Path(made), given.calls)
        measure(home, given.rounds)


def measure(home: Path, rounds: int) -> None:
    """Prints a line a question."""
    events, calls = Home.open_logs(home)
    ours = views_for_others(events, calls, NOW)
    hand = by_hand(home)
    print(f"{calls.next_seq:,} calls, load {os.getloadavg()[0]:.1f}; medians of {rounds}")
    print(f"{'':28}{'fentan sql':>22}{'by hand':>22}{'ratio':>8}{'of CPU':>8}{'reach':>7}")
    for question in standard_questions():
        values = values_of(question) or None
        taken = in_turn(
            lambda sql=question.sql, given=values: run_select(ours, sql, given),  # type: ignore[misc]
            lambda sql=question.sql, given=values: hand.cursor().sql(sql, params=given).to_arrow_table(),  # type: ignore[misc]
            rounds,
        )
        tell(question.name, taken)
    for question in standard_questions():
        if question.name in _WHOLE:
            tell(f"{question.name}, processes", in_turn(*processes(home, question), max(3, rounds // 2)))


Taken = tuple[tuple[float, float], tuple[float, float]]
"""Median seconds waited and of CPU, of ours and by hand."""


def tell(name: str, taken: Taken) -> None:
    """A line: milliseconds waited and of CPU, and the ratios."""
    (ours, ours_cpu), (hand, hand_cpu) = taken
    print(
        f"{name:28}{ours * 1000:9.0f} ms{ours_cpu * 1000:6.0f} CPU{hand * 1000:10.0f} ms{hand_cpu * 1000:6.0f} CPU"
        f"{ours / hand:8.2f}{ours_cpu / hand_cpu:8.2f}{_REACH:7}",
        flush=True,
    )


def in_turn(ours: Callable[[], object], hand: Callable[[], object], rounds: int) -> Taken:
    """Asks the one and the other, so that both meet the same machine; exits if they answer differently."""
    waited: tuple[list[float], list[float]] = ([], [])
    worked: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        answers: list[object] = []
        for place, ask in enumerate((ours, hand)):
            began, began_cpu = time.perf_counter(), _cpu_s()
            answers.append(ask())
            waited[place].append(time.perf_counter() - began)
            worked[place].append(_cpu_s() - began_cpu)
        if isinstance(answers[0], pa.Table) and answers[0].to_pylist() != answers[1].to_pylist():  # type: ignore[attr-defined]
            sys.exit(f"The answers differ: {answers[0].to_pylist()[:3]} and {answers[1].to_pylist()[:3]}")  # type: ignore[attr-defined]
    return (
        (statistics.median(waited[0]), statistics.median(worked[0])),
        (statistics.median(waited[1]), statistics.median(worked[1])),
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def by_hand(home: Path) -> duckdb.DuckDBPyConnection:
    """The views that are not about calls as they are; `calls` as scans of the files, each with its billed month."""
    events, calls = Home.open_logs(home)
    con = connect(
        [], events.files(), now=NOW, calls_seq=calls.next_seq, events_seq=events.next_seq, memory_limit="2GB"
    )
    made = billed.closes(con)
    spans = calls.spans()
    in_time = billed.on_time(calls.files(), spans, made)
    groups = [(file, Path(file).parent.name.removeprefix("month="), "true") for file in in_time]
    bounds = [close.calls_seq for close in made]
    ends = [*zip(MONTHS, [0, *bounds], [*bounds, calls.next_seq], strict=True)]
    groups += [
        (file, month, f"seq >= {first} AND seq < {last}")
        for file in calls.files()
        if file not in in_time
        for month, first, last in ends
        if spans[file][0] < last and spans[file][1] >= first
    ]
    scan = (
        "SELECT *, '{}' AS billed_month FROM read_parquet('{}', hive_types = {{'month': 'VARCHAR'}}) WHERE {}"
    )
    rows = " UNION ALL ".join(scan.format(month, file, where) for file, month, where in groups)
    columns = ", ".join(f'"{name}"' for name, *_ in con.execute("DESCRIBE calls_rows").fetchall())
    con.execute(
        "CREATE OR REPLACE VIEW calls AS SELECT * EXCLUDE (outcome), "
        "CAST((billed_s * 10000 + 30) // 60 AS DECIMAL(14, 0)) * CAST(0.0001 AS DECIMAL(4, 4)) AS billed_min "
        f"FROM ({rows}) WHERE outcome = 'rated'"
    )
    con.execute(
        f"CREATE OR REPLACE VIEW calls_rows AS SELECT {columns} "
        f"FROM read_parquet({calls.files()}, hive_types = {{'month': 'VARCHAR'}})"
    )
    return con


def values_of(question: Question) -> dict[str, str]:
    """The bench's values for the question's parameters."""
    wanted = {one.name for one in question.parameters}
    return bound(question, [f"{name}={value}" for name, value in _GIVEN.items() if name in wanted])


def processes(home: Path, question: Question) -> tuple[Callable[[], object], Callable[[], object]]:
    """What somebody waits for at a prompt: the program, and a script that does what `by_hand` does."""
    values = [f"--param={name}={value}" for name, value in values_of(question).items()]
    program = [sys.executable, "-m", "fentan", "--home", str(home), "--now", instant_text(NOW)]
    script = (
        "from pathlib import Path; from bench.questions import *; "
        f"con = by_hand(Path({str(home)!r})); q = next(q for q in standard_questions() if q.name == {question.name!r}); "
        "print(con.sql(q.sql, params=values_of(q) or None).to_arrow_table().num_rows)"
    )

    def run(command: list[str]) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return (
        lambda: run([*program, "sql", "--file", question.name, *values, "--format", "csv"]),
        lambda: run([sys.executable, "-c", script]),
    )


if __name__ == "__main__":
    main()
