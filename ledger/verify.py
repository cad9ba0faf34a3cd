"""Every invariant over the whole ledger (`fentan verify`): both hash chains, then one SQL file a rule.

Each file of `checks/` is a query for the rows that break its rule: `place` to order them by, `named` and `says`
for a sentence about one. Memory is bounded: DuckDB spills beside the tables. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ledger.faults import LedgerFault
from ledger.files import spill_folder
from ledger.log import Log
from ledger.proof import verify_chain
from ledger.query import connect
from rating import price_book

SHOWN = 5
"""How many of the rows that break a rule a finding names."""

_IDS_AT_ONCE = 20_000_000
_CHECKS = Path(__file__).with_name("checks")
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)  # no check asks what time it is

_EDITED = (
    "The chain shows that rows are not as they were committed: restore the ledger's folder from a backup."
)
_AS_WRITTEN = (
    "The chain holds, so the rows are as they were committed: report this with its rule, issue no statement that "
    "it touches, and put amounts right by commands, never in the files."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that does not hold: a sentence with how many rows, the first of them and what to do; `where` they are."""

    rule: str
    sentence: str
    where: str


@dataclass(frozen=True, slots=True)
class _Check:
    """One file of `checks/`, its rule, and what is the case if it finds something."""

    name: str
    rule: str
    what: str


_ALL = (
    _Check("r_inv_1_dense", "R-INV-1", "Rows are missing or there twice"),
    _Check("r_inv_1_one_outcome", "R-INV-1", "A call record has not exactly one outcome"),
    _Check("r_inv_1_commands", "R-INV-1", "A command has not exactly one outcome"),
    _Check("r_inv_1_duplicates", "R-INV-1", "A duplicate does not name the row that stands"),
    _Check("r_inv_1_retries", "R-INV-1", "A retry does not name a reject of its own"),
    _Check("r_inv_2_postings", "R-INV-2", "A posting is not an amount from one account to another"),
    _Check("r_inv_2_zero_sum", "R-INV-2", "The accounts do not sum to zero"),
    _Check("r_inv_2_closing_balances", "R-INV-2", "A closing balance is not the sum of its movements"),
    _Check("r_inv_3_reversals", "R-INV-3", "A reversal is not the opposite of one posting"),
    _Check("r_inv_3_reratings", "R-INV-3", "A re-rating does not correct a call of its customer"),
    _Check("r_inv_4_fees", "R-INV-4", "A fee is not rate × billed seconds ÷ 60 (R-CALL-3)"),
    _Check("r_inv_5_order", "R-INV-5", "A row has seen what was not there"),
    _Check("r_inv_6_charged_once", "R-INV-6", "A call is charged more than once"),
    _Check("r_inv_6_commands_once", "R-INV-6", "A command is accepted more than once"),
    _Check("r_call_3_prices", "R-CALL-3", "A call has a rate or an increment that its number never had"),
    _Check("r_call_8_months", "R-CALL-8", "A call is kept under another month than its own"),
    _Check("r_min_1_closes", "R-MIN-1", "A close did not charge max(calls, minimum)"),
    _Check("r_min_7_top_ups", "R-MIN-7", "A closed month's top-up is not max(0, minimum − calls)"),
    _Check("r_plan_3_settled", "R-PLAN-3", "A close did not settle a customer's usage"),
)


def verify(events: Log, calls: Log, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
    """Everything that does not hold, the chains' findings first; empty if all is well.

    The chains are proven in a thread beside the queries. `progress` gets (checks done, checks in all).
    """
    say = progress or (lambda _done, _total: None)
    total = len(_ALL) + 1
    see_one_moment(events, calls)
    with ThreadPoolExecutor(1, thread_name_prefix="chain") as beside:
        chains = beside.submit(lambda: [*_chain(events), *_chain(calls)])
        broken: list[Finding] = []
        try:
            with _reading(events, calls) as con:
                for done, check in enumerate(_ALL):
                    say(done, total)
                    broken += _checked(con, check)
        except (LedgerFault, duckdb.Error) as error:
            what = f"The tables cannot be read as a whole: {_first_line(error)}"
            broken.append(Finding("R-INV-3", what, "both tables"))
        say(total - 1, total)
        findings = chains.result()
    say(total, total)
    advice = _EDITED if findings else _AS_WRITTEN
    return [Finding(one.rule, f"{one.sentence} {advice}", one.where) for one in [*findings, *broken]]


def see_one_moment(events: Log, calls: Log) -> None:
    """Catches up with both tables until no event came between: each row's view of the other table is then in it."""
    known = -1
    while known != events.next_seq:
        known = events.next_seq
        calls.refresh()
        events.refresh()


def _chain(log: Log) -> list[Finding]:
    """What the hash chain says of one table: nothing is edited or deleted (R-INV-3)."""
    found = []
    for fault in verify_chain(log):
        where = f"rows {fault.seq_from} to {max(fault.seq_from, fault.seq_to - 1)} of {log.folder.name}"
        found.append(Finding("R-INV-3", f"{where}: {fault.sentence.removesuffix('.')}.", where))
    return found


def _checked(con: duckdb.DuckDBPyConnection, check: _Check) -> list[Finding]:
    text = (_CHECKS / f"{check.name}.sql").read_text(encoding="utf-8")
    try:
        row = con.execute(
            f"SELECT count(*), arg_min({{'named': named, 'says': says}}, place, {SHOWN}) FROM ({text})"
        ).fetchone()
    except duckdb.Error as error:
        return [Finding(check.rule, f"{check.what}, or cannot be told: {_first_line(error)}", "unknown")]
    count, first = row or (0, [])
    if not count:
        return []
    more = f" and {count - len(first):,} more" if count > len(first) else ""
    told = "; ".join(f"{one['named']} {one['says']}" for one in first)
    where = ", ".join(one["named"] for one in first)
    return [Finding(check.rule, f"{check.what}: {told}{more}.", f"{where}{more}")]


@contextmanager
def _reading(events: Log, calls: Log) -> Iterator[duckdb.DuckDBPyConnection]:
    """The views over both snapshots with what the checks build on, in bounded memory."""
    with (
        spill_folder(events.folder) as place,
        connect(
            calls.files(),
            events.files(),
            now=_NEVER,
            calls_seq=calls.next_seq,
            events_seq=events.next_seq,
            memory_limit="768MB",
            temp_directory=place,
            described=False,
        ) as con,
    ):
        con.execute(
            f"CREATE MACRO calls_size() AS {calls.next_seq}; CREATE MACRO events_size() AS {events.next_seq};"
            f"CREATE MACRO window_months() AS {_window_months(con)}"
        )
        con.execute((_CHECKS / "gathered.sql").read_text(encoding="utf-8"))
        marks = pa.table({"mark": pa.array(_marks_seen_twice(con, calls.next_seq), pa.uint64())})
        con.register("suspects", marks)
        yield con


def _window_months(con: duckdb.DuckDBPyConnection) -> int:
    """How many months back every call id is remembered, by the narrowest price book so far."""
    books = con.execute(
        "SELECT CAST(effect AS JSON) ->> '$.price_book', CAST(effect AS JSON) ->> '$.name' FROM events_rows "
        "WHERE kind = 'adopt_price_book' AND outcome = 'accepted'"
    ).fetchall()
    try:
        return min((price_book.parse(text, name).terms().late_months + 1 for text, name in books), default=0)
    except price_book.PriceBookError as error:
        raise LedgerFault(f"A price book of the ledger cannot be read: {error}") from None


def _marks_seen_twice(con: duckdb.DuckDBPyConnection, rows: int) -> Any:
    """Hashes of call ids that more than one rated row has; sorting them costs a quarter of grouping them."""
    passes = rows // _IDS_AT_ONCE + 1
    twice = []
    for one in range(passes):
        found = con.execute(
            "SELECT hash(call_id) AS mark FROM calls_rows WHERE outcome = 'rated' AND hash(call_id) % $passes = $one",
            {"passes": passes, "one": one},
        ).fetchnumpy()
        marks = np.asarray(found["mark"])
        marks.sort()
        twice.append(np.unique(marks[1:][marks[1:] == marks[:-1]]))
    return np.concatenate(twice)


def _first_line(error: Exception) -> str:
    line = str(error).splitlines()[0].strip() if str(error).strip() else type(error).__name__
    return line if line.endswith(".") else f"{line}."
