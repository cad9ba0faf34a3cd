"""`fentan reconcile carrier`: a carrier's list of calls against ours, call by call, in money (R-ARR-4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from ledger.home import Home
from rating.calendar import end_of_month, start_of_month
from rating.numbers import normalise_callers, normalise_service_numbers
from reports.ask import views
from reports.foreign_list import read_list

HEADINGS = {
    "service_number": ("service_number", "number", "called", "被叫号码", "被叫", "400号码", "业务号码"),
    "caller_number": ("caller_number", "caller", "calling", "主叫号码", "主叫"),
    "start_at": ("start_at", "start", "start_time", "开始时间", "起始时间", "通话开始时间", "呼叫时间"),
    "duration_s": (
        "duration_s",
        "duration",
        "seconds",
        "通话时长",
        "时长",
        "通话时长(秒)",
        "通话时长（秒）",
        "时长(秒)",
    ),
    "amount": ("amount", "fee", "charge", "费用", "金额", "话费", "通话费"),
}
"""What a carrier may call its columns; caller and amount may be missing."""

_OPTIONAL = frozenset({"caller_number", "amount"})
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class CarrierFindings:
    """What came of comparing: `differences` has a row each, `worth_yuan` above zero where we may have charged too little."""

    lines: int
    other_months: int
    calls: int
    pairs: int
    differences: pa.Table


def reconcile_carrier(
    home: Path, file: Path, month: str, now: datetime, *, tolerance_s: int = 5, duration_tolerance_s: int = 1
) -> CarrierFindings:
    """Pairs each line with one call of the same number that starts within `tolerance_s`; tells what is left.

    Durations differ when they are more than `duration_tolerance_s` apart. Calls that nobody answered are paired but
    never missed. BadRequest if the file is no such list.
    """
    lines = _normal(read_list(file, HEADINGS, _OPTIONAL))
    with views(*Home.open_logs(home), now) as con:
        con.register("their_lines", lines)
        con.execute(
            "CREATE MACRO fee_of(rate, duration_s, increment_s) AS CAST(((CAST(rate * 10000 AS HUGEINT) "
            "* ((duration_s + increment_s - 1) // increment_s * increment_s) + 30) // 60) AS DECIMAL(18, 0)) * CAST(0.0001 AS DECIMAL(4, 4))"
        )
        span = {"month": month, "from_at": start_of_month(month), "until_at": end_of_month(month)}
        near = {"tolerance_us": tolerance_s * 1_000_000}
        for statement in _sql("carrier_sides").split(";"):
            wanted = {"tolerance_s": tolerance_s, **span} if "$" in statement else None
            con.execute(statement, wanted)
        _pair(con, near)
        found = con.sql(
            _sql("carrier_differences"),
            params={**span, **near, "duration_tolerance_s": duration_tolerance_s},
        ).to_arrow_table()
        counted = con.execute(_sql("carrier_counts"), span).fetchall()
    lines_read, other_months, calls, pairs = counted[0]
    return CarrierFindings(lines_read, other_months, calls, pairs, found)


def _pair(con: duckdb.DuckDBPyConnection, near: dict[str, int]) -> None:
    """Rounds of pairing until one finds nothing; each pairs all but those whose choice was another's too."""
    for _ in range(_ROUNDS):
        ((added,),) = con.execute(_sql("carrier_round"), near).fetchall()
        if not added:
            return


def _normal(lines: pa.Table) -> pa.Table:
    """Numbers in our form; a line whose number is none has null."""
    called = normalise_service_numbers(lines.column("service_number").combine_chunks()).texts
    calling = normalise_callers(lines.column("caller_number").combine_chunks()).texts
    place = lines.column_names.index
    return lines.set_column(place("service_number"), "service_number", called).set_column(
        place("caller_number"), "caller_number", calling
    )


@cache
def _sql(name: str) -> str:
    return (Path(__file__).parent / "reconcile_sql" / f"{name}.sql").read_text(encoding="utf-8")
