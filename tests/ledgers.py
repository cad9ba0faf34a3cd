"""Small real ledgers for tests: one active number, and calls to it as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from ledger.home import Home
from ledger.submit import Line, submit
from rating import price_book
from rating.calendar import instant_text, parse_instant

NUMBER = "4001170392"
OPENED = parse_instant("2026-07-01T00:00:00+08:00")
ACTIVE = parse_instant("2026-08-03T09:00:00+08:00")
ARRIVED = parse_instant("2026-09-01T02:00:00+08:00")
DOCUMENTS = ["business_licence", "tax_registration", "organisation_code"]


def life(number: str = NUMBER, customer: str = "C1") -> Iterator[tuple[str, str, dict[str, object]]]:
    """(kind, time, fields) of everything from registering to activation."""
    yield "register_provider", "2026-07-01T09:00:00+08:00", {"provider_id": "P1", "name": "鲁信通信"}
    yield "register_customer", "2026-07-01T09:01:00+08:00", {
        "customer_id": customer, "provider_id": "P1", "name": "泰安旅行社", "low_balance": "50.00"}  # fmt: skip
    yield "add_number", "2026-07-01T09:02:00+08:00", {"service_number": number}
    yield "hold_number", "2026-07-19T10:00:00+08:00", {"service_number": number, "provider_id": "P1"}
    yield "sign_contract", "2026-07-20T10:00:00+08:00", {
        "service_number": number, "customer_id": customer, "plan_id": "Y600", "starts_on": "2026-08-01",
        "rate": "0.15"}  # fmt: skip
    yield "submit_documents", "2026-07-21T10:00:00+08:00", {"service_number": number, "documents": DOCUMENTS}
    yield "approve_real_name", "2026-07-22T10:00:00+08:00", {"service_number": number}
    yield "activate_number", "2026-08-03T09:00:00+08:00", {"service_number": number}


def commands() -> list[bytes]:
    """`life` as lines of a command file."""
    return [
        json.dumps({"command_id": f"c{place}", "at": at, "kind": kind, **fields}, ensure_ascii=False).encode()
        for place, (kind, at, fields) in enumerate(life(), 1)
    ]


def a_home(folder: Path) -> Home:
    """A ledger with NUMBER active for customer C1 of provider P1 since 3 August 2026."""
    home = Home.create(folder, price_book.default_text(), "default.toml", OPENED)
    answers = submit(home, [Line(raw) for raw in commands()], "life", OPENED, lambda _: {})
    assert {answer.outcome for answer in answers} == {"accepted"}
    return home


def a_call(place: int, *, minutes: int = 1, start_at: datetime | None = None, **fields: object) -> bytes:
    """One call record as a line; calls of one file are a minute apart."""
    start = start_at or ACTIVE + timedelta(minutes=place)
    record: dict[str, object] = {
        "call_id": f"k{place}",
        "service_number": NUMBER,
        "caller_number": "13853112345",
        "start_at": instant_text(start),
        "answer_at": instant_text(start + timedelta(seconds=5)),
        "end_at": instant_text(start + timedelta(seconds=5 + 60 * minutes)),
        "duration_s": 60 * minutes,
    }
    return json.dumps(record | fields).encode() + b"\n"


def calls(first: int, last: int) -> bytes:
    """The calls first ≤ place < last as a file's bytes."""
    return b"".join(a_call(place) for place in range(first, last))
