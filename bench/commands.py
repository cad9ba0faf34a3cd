"""Commands a second on a ledger of many numbers, each decided by itself, committed in batches."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

from ledger.home import Home
from ledger.submit import Line, submit
from rating import price_book
from rating.calendar import instant_text, parse_instant
from streams.spool import COMMANDS_A_COMMIT

START = parse_instant("2026-07-01T00:00:00+08:00")
DOCUMENTS = ["business_licence", "tax_registration", "organisation_code"]


def line(index: int, kind: str, minutes: int, **fields: object) -> Line:
    """One command as bytes, `minutes` after the start."""
    at = instant_text(START + timedelta(minutes=minutes))
    return Line(json.dumps({"command_id": f"{kind}-{index}", "at": at, "kind": kind, **fields}).encode())


def life(first: int, count: int) -> Iterator[Line]:
    """Everything from registering to activation for `count` numbers, one customer each."""
    for index in range(first, first + count):
        number, customer = f"400{index:07d}", f"C{index}"
        yield line(index, "register_customer", 1, customer_id=customer, provider_id="P1", name=f"客户{index}")
        yield line(index, "add_number", 2, service_number=number, number_class="ordinary")
        yield line(index, "hold_number", 3, service_number=number, provider_id="P1")
        yield line(index, "sign_contract", 4, service_number=number, customer_id=customer, plan_id="Y600",
                   starts_on="2026-07-01")  # fmt: skip
        yield line(index, "submit_documents", 5, service_number=number, documents=DOCUMENTS)
        yield line(index, "approve_real_name", 6, service_number=number)
        yield line(index, "activate_number", 7, service_number=number)


def send(home: Home, lines: Iterator[Line]) -> tuple[int, float]:
    """Sends all lines in batches; returns how many and the seconds."""
    sent, seconds = 0, 0.0
    while batch := list(islice(lines, COMMANDS_A_COMMIT)):
        began = time.perf_counter()
        sent += _submit(home, batch)
        seconds += time.perf_counter() - began
    return sent, seconds


def _submit(home: Home, batch: list[Line]) -> int:
    answers = submit(home, batch, "bench", START, lambda _: {})
    bad = [answer for answer in answers if answer.outcome != "accepted"]
    if bad:
        raise SystemExit(f"unexpected: {bad[0]}")
    return len(answers)


def mixed(count: int, numbers: int) -> Iterator[Line]:
    """Payments, raised minimums, rates and features on active numbers."""
    for index in range(count):
        number = f"400{index * 7919 % numbers:07d}"
        customer = f"customer/C{index * 7919 % numbers}"
        kind = index % 4
        if kind == 0:
            yield line(
                index, "receive_payment", 60_000, account=customer, amount="100.00", reference=f"r{index}"
            )
        elif kind == 1:
            yield line(
                index, "set_minimum", 60_000, service_number=number, minimum=f"{200 + index // numbers}.00"
            )
        elif kind == 2:
            yield line(index, "change_rate", 60_000, service_number=number, rate="0.2800")
        else:
            yield line(
                index, "receive_payment", 60_000, account="provider/P1", amount="1.00", reference=f"p{index}"
            )


def main(numbers: int = 100_000, commands: int = 100_000) -> None:
    """Prints commands a second while the ledger grows, then mixed ones, then a cold start."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home.create(Path(folder), price_book.default_text(), "default.toml", START)
        _submit(home, [line(0, "register_provider", 0, provider_id="P1", name="P")])
        sent, seconds = send(home, life(0, numbers))
        print(f"building {numbers:,} numbers: {sent:,} commands, {sent / seconds:,.0f}/s")
        sent, seconds = send(home, mixed(commands, numbers))
        print(f"mixed commands: {sent:,}, {sent / seconds:,.0f}/s")
        began = time.perf_counter()
        Home.open(Path(folder))
        print(f"cold start without a snapshot: {time.perf_counter() - began:.1f} s")
        home.keep_snapshot(always=True)
        began = time.perf_counter()
        Home.open(Path(folder))
        print(f"start with a snapshot: {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
