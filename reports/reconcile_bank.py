"""`fentan reconcile bank`: a bank's list of payments against those that were booked, by reference and amount (R-ARR-4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from ledger.home import Home
from reports.ask import views
from reports.foreign_list import read_list

HEADINGS = {
    "reference": ("reference", "ref", "流水号", "交易流水号", "凭证号", "摘要", "附言", "备注"),
    "amount": ("amount", "金额", "交易金额", "发生额"),
    "at": ("at", "date", "time", "交易日期", "交易时间", "日期", "记账日期"),
}
"""What a bank may call its columns. Without a day all that was ever booked is compared."""


@dataclass(frozen=True, slots=True)
class BankFindings:
    """What came of comparing: `differences` has a row for each payment that only one side has or that differs."""

    lines: int
    bookings: int
    agreed: int
    differences: pa.Table


def reconcile_bank(home: Path, file: Path, now: datetime) -> BankFindings:
    """Pairs the bank's lines with our postings on `platform/bank`; what left the bank is below zero.

    References agree when their letters and digits do. BadRequest if the file is no such list.
    """
    folder = Path(__file__).parent / "reconcile_sql"
    lines = read_list(file, HEADINGS, frozenset({"at"}))
    with views(*Home.open_logs(home), now) as con:
        con.register("their_lines", lines)
        con.execute((folder / "bank_sides.sql").read_text(encoding="utf-8"))
        counts = con.execute(
            "SELECT (SELECT count(*) FROM theirs), (SELECT count(*) FROM ours), (SELECT count(*) FROM agreed)"
        ).fetchall()
        found = con.sql((folder / "bank_differences.sql").read_text(encoding="utf-8")).to_arrow_table()
    read, bookings, agreed = counts[0]
    return BankFindings(read, bookings, agreed, found)
