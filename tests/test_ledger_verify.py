"""`fentan verify`: a ledger as it was written has no findings, and every rule that is broken is found and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ledger.faults import LedgerFault
from ledger.home import Home
from ledger.maintain import finish
from ledger.rows import EventRows
from ledger.schema import CALLS
from ledger.verify import Finding, verify
from rating import price_book
from rating.accounts import Event, Posting
from rating.reasons import Reason
from tests.billed import NUMBER, billed_ledger

AT = datetime(2026, 11, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of three closed months, never to be changed."""
    folder = tmp_path_factory.mktemp("billed")
    home = billed_ledger(folder).home
    for log in (home.events, home.calls):
        finish(log)
        for checkpoint in (log.folder / "_delta_log").glob("*checkpoint*"):
            checkpoint.unlink()  # so that `edit` need only change the entries
    return folder


@pytest.fixture
def ledger(written: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(written, tmp_path / "home"))


def found(folder: Path) -> dict[str, list[Finding]]:
    """Findings by rule."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in verify(*Home.open_logs(folder)):
        by_rule.setdefault(finding.rule, []).append(finding)
    return by_rule


def tell(findings: Mapping[str, list[Finding]], rule: str) -> str:
    return "\n".join(one.sentence for one in findings.get(rule, []))


# what was written


def test_a_ledger_as_it_was_written_has_no_findings(written: Path) -> None:
    """R-INV-1 R-INV-2 R-INV-3 R-INV-4 R-INV-5 R-INV-6 R-MIN-7: late calls, re-ratings and reversals included."""
    told: list[tuple[int, int]] = []
    assert verify(*Home.open_logs(written), lambda done, total: told.append((done, total))) == []
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1]


def test_an_empty_ledger_has_no_findings(tmp_path: Path) -> None:
    """R-INV-1: nothing but the price book."""
    Home.create(tmp_path, price_book.default_text(), "default.toml", AT)
    assert verify(*Home.open_logs(tmp_path)) == []


# files that somebody edited


def edit(
    folder: Path, table: str, change: Callable[[pa.Table], pa.Table], containing: int, careful: bool = True
) -> Path:
    """Rewrites the file of a table that holds the row `containing`, and in the log what gives the edit away at once."""
    log = dict(zip(("events", "calls"), Home.open_logs(folder), strict=True))[table]
    live = next(file for file in log.live_files() if file.seq_min <= containing <= file.seq_max)
    path = log.folder / live.path
    rows = pq.ParquetFile(path).read()
    pq.write_table(change(rows), path, store_decimal_as_integer=True)
    if careful:
        for entry in (log.folder / "_delta_log").glob("*.json"):
            lines = entry.read_text().splitlines()
            for place, line in enumerate(lines):
                action = json.loads(line)
                if action.get("add", {}).get("path") == live.path:
                    action["add"]["size"] = path.stat().st_size
                    lines[place] = json.dumps(action)
            entry.write_text("\n".join(lines) + "\n")
    return path


def with_fee(rows: pa.Table, fee: str) -> pa.Table:
    column = pa.array([Decimal(fee)] * rows.num_rows, rows.schema.field("owner_fee").type)
    return rows.set_column(rows.schema.get_field_index("owner_fee"), rows.schema.field("owner_fee"), column)


def test_a_changed_cell_is_found_by_the_chain_and_by_its_rule(ledger: Path) -> None:
    """F-23 R-INV-3 R-INV-4 R-CALL-3: the row and both amounts are named, and what to do."""
    edit(ledger, "calls", lambda rows: with_fee(rows, "9.0000"), containing=0)
    findings = found(ledger)
    (chain,) = findings["R-INV-3"]
    assert chain.where == "rows 0 to 0 of calls"
    assert "was changed" in chain.sentence
    (fee,) = findings["R-INV-4"]
    assert fee.where == "row 0 of calls"
    assert "the call k1 costs 9.0000 and its owner's leg comes to 0.1500" in fee.sentence
    assert "backup" in fee.sentence
    assert f"the close of 2026-08 for {NUMBER} counted calls of" in tell(findings, "R-MIN-1")
    assert "customer/C1/usage at the close of 2026-08" in tell(findings, "R-PLAN-3")


def test_a_changed_posting_is_found_in_the_balances(ledger: Path) -> None:
    """F-23 R-INV-2 R-INV-3: who makes a payment larger makes every closing balance after it wrong."""

    def richer(rows: pa.Table) -> pa.Table:
        values = [[amount + 1 for amount in amounts] for amounts in rows.column("p_amount").to_pylist()]
        field = rows.schema.field("p_amount")
        return rows.set_column(rows.schema.get_field_index("p_amount"), field, pa.array(values, field.type))

    (seq,) = (
        row["seq"]
        for row in Home.open_logs(ledger)[0].read_since(0).to_pylist()
        if row["command_id"] == "pay"
    )
    edit(ledger, "events", richer, containing=seq)
    findings = found(ledger)
    assert f"rows {seq} to {seq} of events" in findings["R-INV-3"][0].where
    said = "customer/C2/cash at the close of 2026-08 is closed at 0.0000, its movements come to 1.0000"
    assert said in tell(findings, "R-INV-2")


def test_missing_and_added_rows_are_found(ledger: Path) -> None:
    """F-23 R-INV-1 R-INV-3: seq are dense, so what is gone shows; a row there twice is one more than was committed."""
    edit(ledger, "calls", lambda rows: rows.slice(1), containing=0)
    edit(ledger, "calls", lambda rows: pa.concat_tables([rows, rows]), containing=9)
    findings = found(ledger)
    assert "rows 0 to 0 of calls: 1 row is missing" in tell(findings, "R-INV-3")
    assert "rows 9 to 9 of calls: 1 row is more than were committed" in tell(findings, "R-INV-3")
    assert "rows 0 to 11 of calls are 12 rows, some of them twice" in tell(findings, "R-INV-1")


def test_a_careless_edit_is_refused_when_the_ledger_is_opened(ledger: Path) -> None:
    """F-23: the file is named and the way out is."""
    path = edit(ledger, "calls", lambda rows: with_fee(rows, "9.0000"), containing=0, careful=False)
    with pytest.raises(LedgerFault, match=rf"{path.name}.*backup"):
        Home.open_logs(ledger)


# rows that were committed so: the chain holds, the rules do not


def rows_like(home: Home, call_id: str, changes: list[dict[str, Any]]) -> pa.Table:
    """Rows of `calls` like that of a rated call, each with some values changed."""
    whole = home.calls.read_since(0)
    like = whole.filter(pc.equal(whole.column("call_id"), call_id)).to_pylist()[0]
    first = home.calls.next_seq
    rows = [
        like | {"call_id": f"odd-{at}"} | change | {"seq": first + at} for at, change in enumerate(changes)
    ]
    return pa.Table.from_pylist(rows, CALLS)


_NOBODY: dict[str, Any] = dict.fromkeys(
    ("customer_id", "provider_id", "rate", "owner_fee", "caller_estimate", "billed_s")
)


def test_every_rule_about_calls_finds_the_row_that_breaks_it(ledger: Path) -> None:
    """R-INV-1 R-INV-4 R-INV-5 R-INV-6 R-CALL-3 R-CALL-8: each by its row, and the chain still holds."""
    home = Home.open(ledger)
    first = home.calls.next_seq
    reject = _NOBODY | {
        "outcome": "rejected",
        "reason": "NO_PLAN",
        "detail": "No plan.",
        "raw": b"{}",
        "month": "2026-11",
    }
    repeat = _NOBODY | {"outcome": "duplicate", "reason": "DUPLICATE", "detail": "Again.", "raw": b"{}"}
    broken: list[tuple[dict[str, Any], str, str]] = [
        ({"owner_fee": Decimal("0.2500")}, "R-INV-4", "costs 0.2500"),
        ({"call_id": "k10"}, "R-INV-6", "charges the call k10 again"),
        ({"month": "2026-12"}, "R-CALL-8", "is kept under 2026-12"),
        ({"rate": Decimal("0.3300"), "owner_fee": Decimal("0.3300")}, "R-CALL-3", "which is no price of"),
        ({"billed_s": 61, "owner_fee": Decimal("0.2033")}, "R-CALL-3", "billed as 61 s"),
        ({"reason": "NO_PLAN"}, "R-INV-1", "is rated and has what only other rows have"),
        ({"customer_id": None}, "R-INV-1", "nobody pays for it"),
        ({"outcome": "lost"}, "R-INV-1", "has the outcome lost"),
        (reject | {"raw": None}, "R-INV-1", "is rejected without its reason, sentence or bytes"),
        (reject | {"reason": "MOOD"}, "R-INV-1", "has the unknown reason MOOD"),
        (repeat | {"duplicate_of": 0}, "R-INV-1", "repeats row 0, which has another call_id"),
        (repeat | {"duplicate_of": 999}, "R-INV-1", "repeats row 999, which is not there"),
        ({"retries": 0}, "R-INV-1", "retries row 0, which is rated"),
        ({"retries": first + 40}, "R-INV-1", f"retries row {first + 40}, which is not there"),
        ({"events_seq": 9_999}, "R-INV-5", "has seen 9999 events"),
        (reject | {"call_id": "twice"}, "", ""),
        ({"call_id": "twice", "retries": first + 15}, "R-INV-1", "as another row does"),
        (reject | {"call_id": "twice", "retries": first + 15}, "R-INV-1", "as another row does"),
    ]  # fmt: skip
    home.calls.append(rows_like(home, "k10", [change for change, _, _ in broken]))
    findings = found(ledger)
    assert "R-INV-3" not in findings, "the chain holds"
    for at, (change, rule, says) in enumerate(broken):
        if rule:
            named = [
                one
                for one in findings.get(rule, [])
                if f"row {first + at} of calls" in one.where and says in one.sentence
            ]
            assert named, (change, rule, tell(findings, rule))
            assert all("The chain holds" in one.sentence for one in named)


def post(
    kind: str, debit: str, credit: str, amount_hao: int, month: str = "2026-11", **values: Any
) -> Posting:
    return Posting(kind, month, debit, credit, amount_hao, NUMBER, "C1", "P1", **values)


def test_every_rule_about_events_finds_the_row_that_breaks_it(ledger: Path) -> None:
    """R-INV-1 R-INV-2 R-INV-3 R-INV-5 R-INV-6 R-MIN-7 R-PLAN-3: each by its row, posting or account."""
    home = Home.open(ledger)
    first = home.events.next_seq
    paid = next(
        f"{row['seq']}-1" for row in home.events.read_since(0).to_pylist() if row["command_id"] == "pay"
    )
    usage, cash, minimum = "customer/C1/usage", "customer/C1/cash", "platform/revenue/minimum"
    broken: list[tuple[Event, str, str]] = [
        (Event("e0", "receive_payment", AT, {}, (post("payment", cash, cash, 5),)), "R-INV-2", f"posting {first}-1 goes from {cash} to itself"),
        (Event("e1", "receive_payment", AT, {}, (post("payment", cash, minimum, -5),)), "R-INV-2", f"posting {first + 1}-1 moves -0.0005"),
        (Event("e2", "receive_payment", AT, {}, (post("payment", cash, "nobody", 5),)), "R-INV-2", "goes from customer/C1/cash to nobody"),
        (Event("e3", "reverse_posting", AT, {}, (post("reversal", cash, "platform/bank", 5, reverses=paid),)), "R-INV-3", f"posting {first + 3}-1 reverses {paid}, which moved 100.0000, not 0.0005"),
        (Event("e4", "reverse_posting", AT, {}, (post("reversal", cash, "platform/bank", 5, reverses="7777-1"),)), "R-INV-3", "reverses 7777-1, which is not there"),
        (Event("e5", "rerate", AT, {"rerated": []}, (post("rerating", usage, minimum, 5, reverses="call/zz"),)), "R-INV-3", "re-rates call/zz, which is no call to this number"),
        (Event("undo", "tick", AT), "", ""),
        (Event("undo", "tick", AT), "", ""),
        (Event("e8", "adjust_minimum", AT, {}, (post("minimum_top_up", usage, minimum, 7, reason="top-up of 2026-09"),)), "R-MIN-7", f"{NUMBER} in 2026-09 (customer C1) was topped up by"),
        (Event("e9", "adjust_minimum", AT, {}, (post("write_off", usage, minimum, 7, month="2026-10"),)), "R-PLAN-3", "customer/C1/usage at the close of 2026-10 is left at 0.0000, its movements come to -0.0007"),
        (Event("e10", "tick", AT, {}, outcome="refused", reason=Reason.BAD_VALUE), "R-INV-1", f"row {first + 10} of events is refused without its reason, sentence or bytes"),
        (Event("e11", "tick", AT, {}, outcome="maybe"), "R-INV-1", "has the outcome maybe"),
        (Event("e12", "tick", AT, {}), "R-INV-5", f"row {first + 12} of events has seen 3 calls"),
        (Event("e13", "tick", AT, {}), "R-INV-5", f"row {first + 13} of events has seen 777 calls of"),
    ]  # fmt: skip
    rows = EventRows()
    seen = home.state.calls_seq
    for at, (event, _, _) in enumerate(broken):
        payload = "{}" if event.command_id == "undo" else None
        rows.add(event, {12: 3, 13: 777}.get(at, seen), AT, payload=payload)
    home.events.append(rows.table(first))
    findings = found(ledger)
    for event, rule, says in broken:
        if rule:
            assert says in tell(findings, rule), (event, tell(findings, rule))
    assert f"row {first + 7} of events accepts undo again" in tell(findings, "R-INV-6")
    assert "closed" not in tell(findings, "R-INV-2"), "closing balances are those of their time"


def test_many_broken_rows_are_counted_and_the_first_ones_named(ledger: Path) -> None:
    """R-INV-4: five rows by name, the rest by number. R-INV-6: an id may come again beyond the window for late calls."""
    home = Home.open(ledger)
    first = home.calls.next_seq

    def of(month: str) -> dict[str, Any]:
        start = datetime.fromisoformat(f"{month}-03T02:00:00+00:00")
        return {"call_id": "again", "month": month, "start_at": start, "end_at": start, "received_at": start}

    wrong = [{"owner_fee": Decimal("7.0000")}] * 1_234
    home.calls.append(rows_like(home, "k10", [*wrong, of("2026-11"), of("2027-08"), of("2027-09")]))
    findings = found(ledger)
    assert findings["R-INV-4"][0].where == (
        ", ".join(f"row {first + at} of calls" for at in range(5)) + " and 1,229 more"
    )
    assert f"row {first + 1_236} of calls charges the call again again, after row {first + 1_235}" in tell(
        findings, "R-INV-6"
    )
    assert findings["R-INV-6"][0].where == f"row {first + 1_236} of calls"
