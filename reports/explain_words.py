"""Words for explanations: instants, durations, accounts and inputs as a clerk reads them aloud."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from rating.calendar import SHANGHAI
from rating.money import yuan_text

_QUERIES = Path(__file__).with_name("explain_sql")
_LEAVES = {"cash": "cash", "usage": "usage", "deposit": "deposit", "fines": "fines"}
_SHOWN_BYTES = 400

Row = dict[str, Any]


def rows_of(con: duckdb.DuckDBPyConnection, text: str, **params: object) -> list[Row]:
    """The answer to a question; `text` is SQL, or the name of a file of `explain_sql/`."""
    if text.endswith(".sql"):
        text = (_QUERIES / text).read_text(encoding="utf-8")
    found: list[Row] = con.sql(text, params=params).to_arrow_table().to_pylist()
    return found


def when(instant: datetime) -> str:
    """`2026-09-11 10:00:00`, Shanghai time, with a fraction if it has one."""
    local = instant.astimezone(SHANGHAI)
    return local.strftime("%Y-%m-%d %H:%M:%S.%f" if local.microsecond else "%Y-%m-%d %H:%M:%S")


def yuan(amount: Decimal) -> str:
    """`50.00 yuan`, with four decimals where it has them."""
    return f"{yuan_text(int(amount.scaleb(4)))} yuan"


def lasting(seconds: int) -> str:
    """`9 min 1 s`."""
    minutes, rest = divmod(seconds, 60)
    parts = [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest)
    return " ".join(parts) or "0 s"


def counted(count: int, what: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def account(path: str) -> str:
    """`the cash of customer C1` for `customer/C1/cash`; the platform's accounts by their path."""
    kind, _, rest = path.partition("/")
    owner, _, leaf = rest.partition("/")
    if kind == "platform" or not leaf:
        return path
    if leaf.startswith("credit/"):
        return f"the call credit {leaf.removeprefix('credit/')} of {kind} {owner}"
    return f"the {_LEAVES.get(leaf, leaf)} of {kind} {owner}"


def fields(text: str | None) -> str:
    """A JSON object as `name: value, name: value`; what is no object as it is."""
    if not text:
        return "nothing more"
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if not isinstance(value, dict):
        return text
    return ", ".join(f"{name}: {_plain(given)}" for name, given in value.items()) or "nothing more"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def came(row: Row) -> str:
    """From where and when an input came."""
    place = "" if row["source_pos"] is None else f", position {row['source_pos']}"
    source = f" from {row['source']}{place}," if row["source"] else ""
    return f"came{source} at {when(row['received_at'])}"


def bytes_of(raw: bytes) -> str:
    """The input's bytes as text, cut short; what is not UTF-8 as escapes."""
    text = raw[:_SHOWN_BYTES].decode("utf-8", "backslashreplace").rstrip("\r\n")
    text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    return text + (f" … ({len(raw):,} bytes)" if len(raw) > _SHOWN_BYTES else "")
