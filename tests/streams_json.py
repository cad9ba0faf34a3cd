"""Makers of call records as JSON, and a plain reading of them to compare with."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rating.records import RECORD
from streams.decode import load_format, read_chunks

JSONL = load_format("jsonl")
NEEDED = ("call_id", "service_number", "caller_number", "caller_area")
SOFT = ("answering_phone", "answer_rule", "recording_ref")
TIMES = ("start_at", "answer_at", "end_at")
NAMES = (*NEEDED, *TIMES, "duration_s", *SOFT)


def a_call(**changes: Any) -> dict[str, Any]:
    return {
        "call_id": "sw1-000001",
        "service_number": "4001170392",
        "caller_number": "13800138000",
        "caller_area": "0531",
        "start_at": "2026-11-03T10:15:00+08:00",
        "answer_at": "2026-11-03T10:15:05+08:00",
        "end_at": "2026-11-03T10:16:06+08:00",
        "duration_s": 61,
        "answering_phone": "053188880000",
        "answer_rule": "sequential",
        "recording_ref": "rec/2026/11/1.wav",
    } | changes


def line(record: Any) -> bytes:
    return json.dumps(record).encode()


def rows(data: bytes, **options: Any) -> list[dict[str, Any]]:
    found = []
    for chunk in read_chunks(io.BytesIO(data), JSONL, **options):
        assert chunk.records.schema.equals(RECORD)
        chunk.records.validate(full=True)
        found += chunk.records.to_pylist()
    return found


class Number(str):
    __slots__ = ()


def finite(token: str) -> Number:
    if Decimal(token).adjusted() >= 300:
        raise ValueError(token)
    return Number(token)


def refuse(token: str) -> None:
    raise ValueError(token)


def instant(text: str) -> datetime | None:
    found = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", text, re.ASCII
    )
    if not found:
        return None
    fraction = (found[3] or ".0")[1:7].ljust(6, "0")
    offset = {"Z": "+00:00", "": "+08:00"}.get((found[4] or "").upper(), found[4])
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}.{fraction}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def reference(data: bytes) -> dict[str, Any] | None:
    """A line read plainly, with the json module; None if it is no record, `fault` alone if it cannot be read."""
    data = data.removesuffix(b"\r")
    if not data.strip(b" \t\r"):
        return None
    try:
        pairs = json.loads(
            data.decode("utf-8", "surrogateescape"),
            object_pairs_hook=lambda pairs: ("object", pairs),
            parse_constant=refuse,
            parse_float=finite,
            parse_int=finite,
        )
    except (ValueError, ArithmeticError, RecursionError):
        return {"fault": "UNREADABLE"}
    if not isinstance(pairs, tuple):
        return {"fault": "UNREADABLE"}
    found: dict[str, Any] = dict.fromkeys(NAMES)
    faults = ["UNREADABLE" for name in NAMES if sum(key == name for key, _ in pairs[1]) > 1]
    for key, value in pairs[1]:
        if key not in NAMES or value is None:
            continue
        number = isinstance(value, Number)
        if key in SOFT:
            found[key] = re.sub("[\ud800-\udfff\0]", "\ufffd", value) if isinstance(value, str) else "…"
        elif key == "duration_s":
            if number and re.fullmatch(r"-?\d+", value, re.ASCII):
                found[key] = int(value)
            else:
                faults.append("UNREADABLE")
        elif not isinstance(value, str) or number or re.search("[\ud800-\udfff\0]", value):
            faults.append("UNREADABLE")
        else:
            found[key] = value
    found = {key: None if value == "" else value for key, value in found.items()}
    faults += ["MISSING_FIELD" for name in ("call_id", "service_number") if found[name] is None]
    faults += ["UNREADABLE"] if len(found["call_id"] or "") > 64 else []
    for name in TIMES:
        if found[name] is None and name != "answer_at":
            faults.append("MISSING_FIELD")
        elif found[name] is not None:
            found[name] = instant(found[name])
            faults += [] if found[name] else ["UNREADABLE"]
    if abs(found["duration_s"] or 0) >= 1 << 63:
        faults.append("DURATION_LIMIT")
        found["duration_s"] = None
    found["fault"] = faults[0] if faults else None
    found["extra"] = [key for key, _ in pairs[1] if key not in NAMES]
    return found


def check(data: bytes, **options: Any) -> None:
    """What is read is what the reference reads, line by line."""
    expected = [(each, got) for each in data.split(b"\n") if (got := reference(each)) is not None]
    found = rows(data, **options)
    assert [row["raw"] for row in found] == [each.removesuffix(b"\r") for each, _ in expected]
    for row, (raw, wanted) in zip(found, expected, strict=True):
        assert row["fault"] == wanted["fault"], (raw, row["fault_detail"])
        assert (row["fault_detail"] is None) == (row["fault"] is None)
        if wanted.keys() == {"fault"} or (
            wanted["fault"] and raw.count(b'"call_id"') + raw.count(b'"duration_s"') > 2
        ):
            continue
        for name in NAMES:
            if wanted[name] == "…":
                assert row[name]
            elif name != "call_id" or len(wanted[name] or "") <= 64:
                assert row[name] == wanted[name], (name, raw)
        extra = json.loads(row["extra"]) if row["extra"] else {}
        clean = {re.sub("[\ud800-\udfff]", "\ufffd", key) for key in wanted["extra"]}
        assert extra.keys() == clean, raw
