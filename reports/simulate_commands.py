"""`fentan simulate --commands`: what commands would charge more or less, refuse and alert, told of a rehearsal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ledger.submit import Answer
from rating.money import MONEY
from rating.state import State
from reports.said import SHOWN

_SQL = Path(__file__).parent / "simulate_sql" / "commands.sql"
_MONEY = ("calls_yuan", "top_ups_yuan", "fees_yuan", "difference_yuan")
_TEXTS = ("what", "account", "name", "month", "billed_month")
_ANSWER = ("command_id", "reason", "detail")
FORETOLD = pa.schema(
    [
        *((name, pa.string()) for name in _TEXTS),
        *((name, MONEY) for name in _MONEY),
        *((name, pa.string()) for name in _ANSWER),
    ]
)
"""`what` is charge, total, alert, or the outcome of a command that would not be accepted."""


def foretold(
    decided: pa.Table, state: State, answers: Sequence[Answer], month: str | None = None
) -> pa.Table:
    """FORETOLD: what the rows of `decided` (`events`) charge each account by month; the total; alerts; commands turned down.

    Charges are yuan, more or (below zero) less than without the commands. `state` is the one after them; with `month`
    only charges for that month or billed to it.
    """
    rows = [
        {"what": "charge", "name": _name(state, row["account"])} | row for row in _charges(decided, month)
    ]
    total = {name: sum(row[name] for row in rows) for name in _MONEY}
    alerts = decided.filter(pc.equal(decided.column("kind"), "alert"))
    found = [
        *rows,
        {"what": "total"} | total,
        *(_alert(state, orjson.loads(effect)) for effect in alerts.column("effect").to_pylist()),
        *(
            {"what": one.outcome} | {name: getattr(one, name) for name in _ANSWER}
            for one in answers
            if one.outcome != "accepted"
        ),
    ]
    return pa.Table.from_pylist(found, schema=FORETOLD)


def charges_of(table: pa.Table) -> pa.Table:
    """The charges and their total, as people read them."""
    shown = table.filter(pc.is_in(table.column("what"), value_set=pa.array(["charge", "total"])))
    named = pc.coalesce(shown.column("account"), shown.column("what"))
    return shown.select([*_TEXTS[2:], *_MONEY]).add_column(0, "account", named)


def alerts_said(table: pa.Table) -> list[str]:
    """A line for each alert that would be raised, at most SHOWN."""
    alerts = table.filter(pc.equal(table.column("what"), "alert"))
    lines = [f"Alert {row['reason']}: {row['account']}, {row['detail']}" for row in alerts.to_pylist()]
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"… and {len(lines) - SHOWN:,} alerts more: --format csv or json has them."]
    return lines


def _charges(decided: pa.Table, month: str | None) -> list[dict[str, Any]]:
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as con:
        con.register("decided", decided)
        query = _SQL.read_text(encoding="utf-8")
        rows: list[dict[str, Any]] = con.sql(query, params={"month": month}).to_arrow_table().to_pylist()
    return rows


def _alert(state: State, effect: dict[str, Any]) -> dict[str, Any]:
    account = effect["account"]
    detail = f"balance {effect['balance']}."
    return {
        "what": "alert",
        "account": account,
        "name": _name(state, account),
        "reason": effect["kind"],
        "detail": detail,
    }


def _name(state: State, account: str) -> str:
    kind, _, owner = account.partition("/")
    return state.customers[owner].name if kind == "customer" else state.providers[owner].name
