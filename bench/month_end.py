"""The month's end over 10 million calls of 10,000 customers, step by step, the PDFs left out.

    python -m bench.month_end [--dir DIR] [--calls 10000000] [STEP …]

Steps: data (every statement's figures without and with its call details, against one DuckDB scan of the same calls), simulate,
reconcile (a carrier's list of a million lines), publish, arrears, verify. Each is one process's work; seconds waited and of
the CPU, and the most memory so far. The ledger is that of `bench.three_months`; nothing is written into it.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from bench.three_months import MONTHS, make_ledger
from ledger.home import Home
from ledger.verify import verify
from rating import price_book
from rating.calendar import end_of_month
from reports.ask import views
from reports.night_files import write_arrears
from reports.publish import publish
from reports.reconcile_carrier import reconcile_carrier
from reports.simulate import simulate
from reports.statement import CustomerPart, Unmade
from reports.statement_data import Month

MONTH = MONTHS[1]
NOW = end_of_month(MONTHS[-1])
_LINES = 1_000_000
_ROUNDS = 5


def main() -> None:
    """Makes the ledger if it is not there, then does the steps that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("steps", nargs="*", default=list(STEPS), metavar="STEP")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fentan-month-end-") as made:
        folder = Path(made)
        home = make_ledger(given.dir or folder, given.calls)
        print(f"{Home.open_logs(home)[1].next_seq:,} calls, load {os.getloadavg()[0]:.1f}")
        for name in given.steps:
            STEPS[name](home, folder)


def timed(name: str, work: Callable[[], str]) -> tuple[float, float]:
    """Prints what the work says of itself and what it took; gives the seconds waited and the CPU's."""
    began, began_cpu = time.perf_counter(), time.process_time()
    said = work()
    waited, worked = time.perf_counter() - began, time.process_time() - began_cpu
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{name:34}{waited:8.2f} s {worked:8.2f} s CPU {memory_mb:8.0f} MB  {said}", flush=True)
    return waited, worked


def data(home: Path, _folder: Path) -> None:
    """The figures of every statement of a month and its call details, as they are drawn."""
    events, calls = Home.open_logs(home)
    files = [file for file in calls.files() if f"month={MONTH}" in file]

    def scan() -> str:
        columns = (
            "customer_id, service_number, call_id, start_at, caller_number, caller_area, answer_at, duration_s, billed_s, "
            "rate, owner_fee, caller_estimate, tags"
        )
        rows = sum(
            batch.num_rows
            for batch in duckdb.connect()
            .sql(f"SELECT {columns} FROM read_parquet({files}) WHERE outcome = 'rated'")
            .to_arrow_reader(100_000)
        )
        return f"{rows:,} calls"

    def figures() -> str:
        with views(events, calls, end_of_month(MONTH)) as con:
            return f"{sum(1 for _ in Month(con, MONTH, events, calls).summaries()):,} statements"

    def statements() -> str:
        made = calls_told = 0
        with views(events, calls, end_of_month(MONTH)) as con:
            month = Month(con, MONTH, events, calls)
            for one in month.customer_statements():
                if isinstance(one, Unmade):
                    sys.exit(one.why)
                part = one.part
                made += 1
                calls_told += sum(number.calls for number in part.numbers if isinstance(part, CustomerPart))
        return f"{made:,} statements with {calls_told:,} calls"

    works = {"figures": figures, "figures and call details": statements}
    ratios: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(_ROUNDS):
        floor_waited, floor_worked = timed("one scan of the month's calls", scan)
        for name, of_name in ratios.items():
            waited, worked = timed(name, works[name])
            of_name.append((worked / floor_worked, waited / floor_waited))
    for name, of_name in ratios.items():
        cpu, wait = (statistics.median(column) for column in zip(*of_name, strict=True))
        print(
            f"{name:34}{cpu:.2f} x the scan's CPU, {wait:.2f} x its time, medians of {_ROUNDS}; to reach: 3"
        )


def what_if(home: Path, folder: Path) -> None:
    """The month under a price book whose Y600 costs 0.01 yuan a minute more."""
    other = folder / "other.toml"
    other.write_text(price_book.default_text().replace('rate = "0.30"', 'rate = "0.31"'), encoding="utf-8")
    timed("simulate", lambda: f"{len(simulate(home, MONTH, price_book.load(other))):,} accounts")


def carrier(home: Path, folder: Path) -> None:
    """A list of the month's calls with some missing, some longer and some that are unknown here."""
    listed = folder / "carrier.csv"
    _, calls = Home.open_logs(home)
    files = [file for file in calls.files() if f"month={MONTH}" in file]
    con = duckdb.connect()
    con.execute("SET TimeZone = 'Asia/Shanghai'")
    con.execute(
        f"""COPY (
            SELECT service_number, caller_number, strftime(start_at + to_seconds(seq % 3), '%Y-%m-%d %H:%M:%S') AS start_at,
                duration_s + IF(seq % 5000 = 0, 90, 0) AS duration_s
            FROM read_parquet({files}) WHERE outcome = 'rated' AND seq % 4999 > 0 ORDER BY seq LIMIT {_LINES}
        ) TO '{listed}' (HEADER)"""
    )

    def reconcile() -> str:
        found = reconcile_carrier(home, listed, MONTH, NOW)
        return f"{found.lines:,} lines, {found.calls:,} calls, {found.pairs:,} pairs, {found.differences.num_rows:,} differences"

    timed("reconcile carrier", reconcile)


def published(home: Path, folder: Path) -> None:
    """The file for BI tools, written twice: the second time a reader is connected to the first."""
    file = folder / "finance.duckdb"

    def write() -> str:
        made = publish(home, file, NOW)
        return f"{made.tables} tables, {made.views} views, {file.stat().st_size / 1e6:.0f} MB"

    timed("publish", write)
    with duckdb.connect(file, read_only=True) as reader:
        before = reader.sql("SELECT sum(balance) FROM balances").fetchall()
        timed("publish under a reader", write)
        if reader.sql("SELECT sum(balance) FROM balances").fetchall() != before:
            sys.exit("The reader saw the new file.")


def arrears(home: Path, folder: Path) -> None:
    """The list of debtors."""
    timed("arrears", lambda: write_arrears(home, NOW, folder))


def proof(home: Path, _folder: Path) -> None:
    """Every invariant and both chains."""
    timed("verify", lambda: f"{len(verify(*Home.open_logs(home)))} findings")


STEPS: dict[str, Callable[[Path, Path], None]] = {
    "data": data,
    "simulate": what_if,
    "reconcile": carrier,
    "publish": published,
    "arrears": arrears,
    "verify": proof,
}


if __name__ == "__main__":
    main()
