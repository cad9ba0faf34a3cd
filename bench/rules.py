"""A tick over a million numbers, and re-rating a million calls that a rate recorded late reaches back to."""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.commands import START, line
from ledger.charge import charge
from ledger.home import Home
from ledger.months import decide_due
from ledger.rows import EventRows
from ledger.submit import submit
from rating import price_book
from rating.records import RECORD
from rating.state import Contract, Number

_OPENED = START + timedelta(days=1)


def a_contract(index: int) -> Contract:
    """One that was signed and never got its documents."""
    customer, day = f"C{index % 1000}", _OPENED.date()
    return Contract(
        customer,
        "P1",
        "PAYG",
        _OPENED,
        day,
        0,
        100_0000,
        3000,
        60,
        opening_month_free=True,
        rates=((_OPENED, 3000),),
    )


def tick(numbers: int, due: int) -> None:
    """A tick that finds `due` of the numbers' documents missing, decided and committed; and one that finds nothing."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home.create(Path(folder), price_book.default_text(), "default.toml", START)
        state = home.state
        for index in range(numbers):
            name = f"400{index:07d}"
            state.numbers.put(
                name, Number(name, "ordinary", "locked", _OPENED, contracts=(a_contract(index),))
            )
            if index < due:
                state.schedule("documents_due", name, _OPENED + timedelta(days=15, seconds=index))
        state.keep()
        at = START + timedelta(days=60)
        for what in (f"{due:,} due", "nothing due"):
            rows = EventRows()
            began = time.perf_counter()
            decide_due(home, at, rows)
            if len(rows):
                home.commit_events(rows)
            print(f"tick over {numbers:,} numbers, {what}: {time.perf_counter() - began:.2f} s")


def rerating(calls: int) -> None:
    """A rate recorded late, decided and committed with its difference for each of the calls of one number."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home.create(Path(folder), price_book.default_text(), "default.toml", START)
        number, customer = "4001170392", "C1"
        lines = [
            line(0, "register_provider", 0, provider_id="P1", name="P"),
            line(0, "register_customer", 1, customer_id=customer, provider_id="P1", name="客户"),
            line(0, "add_number", 2, service_number=number),
            line(0, "hold_number", 3, service_number=number, provider_id="P1"),
            line(0, "sign_contract", 4, service_number=number, customer_id=customer, plan_id="PAYG",
                 starts_on="2026-07-01"),
            line(0, "submit_documents", 5, service_number=number,
                 documents=["business_licence", "tax_registration", "organisation_code"]),
            line(0, "approve_real_name", 6, service_number=number),
            line(0, "activate_number", 7, service_number=number),
            line(1, "receive_payment", 8, account=f"customer/{customer}", amount="90000000", reference="r"),
        ]  # fmt: skip
        submit(home, lines, "bench", START, lambda _: {})
        for first in range(0, calls, 100_000):
            count = min(100_000, calls - first)
            charge(home, some_calls(number, first, count), "bench", START + timedelta(days=40), {})
        change = line(
            2, "change_rate", 60 * 24 * 41, service_number=number, rate="0.25", from_month="2026-08"
        )
        began, worked = time.perf_counter(), time.process_time()
        submit(home, [change], "bench", START + timedelta(days=41), lambda _: {})
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
        print(f"re-rating {calls:,} calls, each difference posted: {seconds:.2f} s ({worked:.2f} s of work)")


def some_calls(number: str, first: int, count: int) -> pa.Table:
    """Calls of 1 to 10 minutes in August."""
    start_us = int((START + timedelta(days=32)).timestamp()) * 1_000_000
    starts = start_us + (np.arange(first, first + count) % 500_000) * 1_000_000
    talked_us = (np.arange(first, first + count) % 10 + 1) * 60_000_000
    columns = {name: pa.nulls(count, RECORD.field(name).type) for name in RECORD.names} | {
        "call_id": pa.array([f"k{index}" for index in range(first, first + count)]),
        "service_number": pa.array([number] * count),
        "start_at": pa.array(starts).cast(RECORD.field("start_at").type),
        "answer_at": pa.array(starts).cast(RECORD.field("answer_at").type),
        "end_at": pa.array(starts + talked_us).cast(RECORD.field("end_at").type),
        "raw": pa.array([b"{}"] * count),
        "source_pos": pa.array(np.arange(first, first + count)),
    }
    return pa.table([columns[field.name].cast(field.type) for field in RECORD], schema=RECORD)


def main(numbers: int = 1_000_000, calls: int = 1_000_000) -> None:
    """Prints seconds of both."""
    tick(numbers, numbers // 10)
    rerating(calls)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
