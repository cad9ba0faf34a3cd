"""A statement as JSON: the model's own nouns, amounts as decimal text, instants in RFC 3339, both languages."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from rating.calendar import SHANGHAI_OFFSET_US, instant_text
from rating.columns import to_list
from rating.money import yuan_text
from reports.statement import Account, CustomerCharges, Day, Line, NumberCharges, Statement, Vat

_SUMS: dict[type, tuple[str, ...]] = {
    NumberCharges: ("late_hao", "adjustment_hao", "total_hao"),
    Vat: ("net_hao", "vat_hao"),
    CustomerCharges: ("total_hao",),
}
"""What a value knows beside its fields."""

_MONEY_COLUMNS = frozenset({"rate", "owner_fee", "caller_estimate", "adjustment"})


def statement_json(statement: Statement) -> bytes:
    """UTF-8 with a line for each value; the same bytes for the same statement."""
    head = _plain(statement.head)
    whole = {
        "statement": head.pop("number"),
        "kind": statement.kind,
        **head,
        "account": _account(statement.account),
        "vat": _plain(statement.vat),
        "entries": _plain(statement.entries),
        "days": _plain(statement.days),
        **_plain(statement.part),
    }
    try:
        return orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # half a surrogate pair, which is no UTF-8: \\udXXX, as JSON has it
        return (json.dumps(whole, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "backslashreplace")


def _account(account: Account) -> dict[str, Any]:
    def pots(amounts: tuple[int, ...]) -> dict[str, str]:
        named = {pot: yuan_text(hao) for pot, hao in zip(account.pots, amounts, strict=True)}
        return {**named, "total": yuan_text(sum(amounts))}

    def line(one: Line) -> dict[str, Any]:
        return {"kind": one.kind, "count": one.count, **pots(one.amounts)}

    return {
        "opening": pots(account.opening),
        "paid": yuan_text(account.paid_hao),
        "charged": yuan_text(account.charged_hao),
        "closing": pots(account.closing),
        "lines": [line(one) for one in account.lines],
    }


def _plain(value: Any) -> Any:
    """JSON's spelling. A field `x_hao` is the amount `x`; rates are (day, yuan a minute)."""
    if value is None or isinstance(value, str | int):
        return value
    if type(value) is tuple:  # but not a Day, which has names
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, pa.Table):
        return _call_rows(value)
    return {shown: _field(name, getattr(value, name)) for name, shown in _names(value.__class__)}


@cache
def _names(kind: type[Any]) -> tuple[tuple[str, str], ...]:
    """What a value of one of the statement's types knows, and what JSON calls it."""
    own = Day._fields if kind is Day else [field.name for field in fields(kind)]
    names = [*own, *_SUMS.get(kind, ())]
    return tuple((name, name.removesuffix("_hao")) for name in names)


def _field(name: str, value: Any) -> Any:
    if name.endswith("_hao"):
        return None if value is None else yuan_text(value)
    if name == "rates":
        return [{"from": day.isoformat(), "rate": yuan_text(hao)} for day, hao in value]
    return _plain(value)


_yuan = lru_cache(maxsize=1 << 16)(yuan_text)  # few prices and fees for many calls


def call_columns(calls: pa.Table) -> dict[str, list[Any]]:
    """Calls as columns of plain values: instants in Shanghai time, amounts as text."""
    return {name: _column(name, calls[name]) for name in calls.column_names}


def _call_rows(calls: pa.Table) -> list[dict[str, Any]]:
    columns = call_columns(calls)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(name: str, column: pa.ChunkedArray) -> list[Any]:
    if name == "start_at":
        local = column.cast(pa.int64()).to_numpy() + SHANGHAI_OFFSET_US
        whole = bool((local % 1_000_000 == 0).all())
        texts = np.datetime_as_string(local.view("datetime64[us]"), unit="s" if whole else "us")
        return [f"{text}+08:00" for text in texts.tolist()]
    if name in _MONEY_COLUMNS:
        return [hao if hao is None else _yuan(hao) for hao in to_list(column)]
    return to_list(column)
