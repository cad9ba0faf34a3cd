"""A ledger of three months for benchmarks of the month's end: 10 million calls of 10,000 customers, two months closed.

    python -m bench.three_months DIR [--calls 10000000] [--customers 10000]

Customers differ: the busiest hundredth has a tenth of the calls. Each has a number, each fiftieth pays nothing, and in
every thousand calls of a month one arrives after its close. The ledger is `DIR/home`, maintained; it is made once.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb

from bench.commands import DOCUMENTS, send
from ledger.home import Home
from ledger.maintain import maintain_both
from ledger.months import close
from ledger.submit import Line
from rating import price_book
from rating.calendar import end_of_month, instant_text, start_of_month
from streams import spool

MONTHS = ("2026-08", "2026-09", "2026-10")
PROVIDERS = 20
_BEGIN = start_of_month(MONTHS[0])
_FEATURES = ("ivr", "recording", "ringback", "queue")
_YUAN_A_CALL = 0.58  # about: what customers pay in follows from it
_LATE = 1000


def make_ledger(folder: Path, calls: int = 10_000_000, customers: int = 10_000) -> Path:
    """The ledger's home; what was made before in the folder is taken as it is."""
    home_folder, made = folder / "home", folder / "made"
    if made.exists():
        return home_folder
    folder.mkdir(parents=True, exist_ok=True)
    home = Home.create(home_folder, price_book.default_text(), "default.toml", _BEGIN)
    send(home, people(customers))
    for place, month in enumerate(MONTHS):
        send(home, business(place, calls // 3, customers))
        file = folder / f"jinan-{month}.parquet"
        make_calls(file, place, calls, customers)
        began = time.perf_counter()
        arrived = end_of_month(month) + timedelta(hours=2)
        taken = spool.ingest(home, file, "parquet", lambda arrived=arrived: arrived)  # type: ignore[misc]
        print(f"{month}: {dict(taken.counts)} in {time.perf_counter() - began:.0f} s", flush=True)
        file.unlink()
        if place < 2:
            began = time.perf_counter()
            close(home, month, arrived)
            print(f"{month}: closed in {time.perf_counter() - began:.0f} s", flush=True)
    home.keep_snapshot(always=True)
    for _ in maintain_both(*Home.open_logs(home_folder)):
        pass
    made.touch()
    return home_folder


def people(customers: int) -> Iterator[Line]:
    """Providers in a tree, and everything from registering a customer to its active number."""
    for index in range(PROVIDERS):
        above = {} if index < 4 else {"parent_id": f"P{index % 4 + 1}"}
        yield _line(
            index, "register_provider", 0, provider_id=f"P{index + 1}", name=f"服务商{index + 1}", **above
        )
    for index in range(customers):
        number, customer, provider = f"400{index:07d}", f"C{index}", f"P{index % PROVIDERS + 1}"
        yield _line(
            index, "register_customer", 1, customer_id=customer, provider_id=provider, name=f"客户{index}"
        )
        yield _line(index, "add_number", 2, service_number=number, number_class="ordinary")
        yield _line(index, "hold_number", 3, service_number=number, provider_id=provider)
        yield _line(index, "sign_contract", 4, service_number=number, customer_id=customer, plan_id="Y600", starts_on="2026-08-01")  # fmt: skip
        yield _line(index, "submit_documents", 5, service_number=number, documents=DOCUMENTS)
        yield _line(index, "approve_real_name", 6, service_number=number)
        yield _line(index, "activate_number", 7, service_number=number)


def business(place: int, calls: int, customers: int) -> Iterator[Line]:
    """At the beginning of a month comes in about what its calls will cost; some enable a feature."""
    day = place * 31 * 24 * 60 + 600
    for index in range(customers):
        if index % 50:
            share = math.sqrt((index + 1) / customers) - math.sqrt(index / customers)
            amount = f"{10 * math.ceil(share * calls * _YUAN_A_CALL / 10)}.00"
            yield _line(
                index,
                "receive_payment",
                day,
                f"/{place}",
                account=f"customer/C{index}",
                amount=amount,
                reference=f"slip {place}-{index}",
            )
    for index in range(PROVIDERS):
        yield _line(
            index,
            "receive_payment",
            day,
            f"/P/{place}",
            account=f"provider/P{index + 1}",
            amount="5000.00",
            reference=f"slip {place}-P{index + 1}",
        )
    for index in range(place, customers, 15):
        yield _line(
            index,
            "enable_feature",
            day + index // 5,
            f"/{place}",
            service_number=f"400{index:07d}",
            feature=_FEATURES[index % 4],
        )


def make_calls(path: Path, place: int, calls: int, customers: int) -> None:
    """The month's call records in the order of their end, and before them the late ones of the month before."""
    first, last, month = calls * place // 3, calls * (place + 1) // 3, MONTHS[place]
    begins = instant_text(start_of_month(month) + timedelta(hours=1))
    seconds = int((end_of_month(month) - start_of_month(month)).total_seconds()) - 14_400
    earlier = 0 if place == 0 else 30 * 86_400
    duckdb.connect(config={"memory_limit": "2GB"}).execute(
        f"""
        COPY (
            WITH drawn AS (
                SELECT
                    i,
                    CAST({customers} * pow(hash(i) % 1000000 / 1000000, 2) AS BIGINT) AS line,
                    TIMESTAMPTZ '{begins}' + to_seconds(CAST(hash(i + 5) % {seconds} AS BIGINT))
                        - to_seconds(IF(i % {_LATE} = 0, {earlier}, 0)) AS start_at,
                    CAST(hash(i + 11) % 7 > 0 AS BIGINT) * CAST(1 + least(7200, exp(ln(70) + 0.9 * sqrt(-2 * ln((1 + hash(i + 7) % 999999) / 1000000)) * cos(6.2831853 * (hash(i + 9) % 1000000) / 1000000))) AS BIGINT) AS talk_s
                FROM range({first}, {last}) AS t(i)
            )
            SELECT
                'sw1-' || lpad(hex(hash(i * 3 + 2)), 16, '0') || '-' || i AS call_id,
                '400' || lpad(least(line, {customers - 1})::VARCHAR, 7, '0') AS service_number,
                ['138', '139', '150', '186'][CAST(1 + hash(i + 13) % 4 AS BIGINT)] || lpad((hash(i + 17) % 100000000)::VARCHAR, 8, '0') AS caller_number,
                start_at,
                IF(talk_s > 0, start_at + INTERVAL 6 SECOND, NULL) AS answer_at,
                start_at + to_seconds(6 + talk_s) AS end_at,
                talk_s AS duration_s,
                '053188880' || (100 + i % 100) AS answering_phone,
                'round_robin' AS answer_rule
            FROM drawn ORDER BY end_at)
        TO '{path}' (FORMAT parquet, COMPRESSION zstd)"""
    )


def _line(index: int, kind: str, minutes: int, part: str = "", **fields: object) -> Line:
    at = instant_text(_BEGIN + timedelta(minutes=minutes))
    return Line(
        json.dumps({"command_id": f"{kind}-{index}{part}", "at": at, "kind": kind, **fields}).encode()
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--customers", type=int, default=10_000)
    given = parser.parse_args()
    began = time.perf_counter()
    make_ledger(given.folder, given.calls, given.customers)
    print(f"made in {time.perf_counter() - began:.0f} s")
