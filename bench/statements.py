"""How many statements a second: PDF, JSON and CSV of ordinary customers, and of one with 50,000 calls.

    python -m bench.statements [--count 400] [--workers 2] [--large 50000]

Ordinary: 1 to 3 numbers with 30 to 200 calls together.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from reports.statement import CustomerPart, Party, Statement
from reports.statement_csv import statement_csv
from reports.statement_json import statement_json
from reports.statement_pages import pages
from reports.statement_pdf import statement_pdf
from reports.statement_run import issue_statements
from tests.statements_made import a_customer, a_number

_PLACES = ("济南", "青岛", "烟台", "潍坊", "临沂")
_TRADES = ("泉城便民服务", "海诚物流", "明德教育科技", "风筝文化传播", "康源医药")


def ordinary(seed: int) -> Statement:
    """A customer of 1 to 3 numbers with 30 to 200 calls together."""
    rng = random.Random(seed)
    numbers = 1 + seed % 3
    calls = rng.randrange(30, 201) // numbers
    name = f"{rng.choice(_PLACES)}{rng.choice(_TRADES)}有限公司"
    made = [a_number(f"400{rng.randrange(10**7):07d}", calls, seed * 10 + at) for at in range(numbers)]
    return a_customer(made, party_id=f"C{seed:06d}", name=name)


def calls_of(statement: Statement) -> int:
    part = statement.part
    return sum(number.calls for number in part.numbers) if isinstance(part, CustomerPart) else 0


def many(made: list[Statement], count: int) -> Iterator[Statement]:
    """`count` statements with ids of their own; contents come again only after all others."""
    for at in range(count):
        head = made[at % len(made)].head
        yield replace(made[at % len(made)], head=replace(head, party=Party(f"C{at:06d}", head.party.name)))


def seconds_each(what: Callable[[Statement], object], statements: list[Statement]) -> float:
    """CPU seconds for one, the first left out."""
    what(statements[0])
    began = time.process_time()
    for statement in statements[1:]:
        what(statement)
    return (time.process_time() - began) / (len(statements) - 1)


def resident_mb() -> float:
    pages_held = int(Path("/proc/self/statm").read_text().split()[1])
    return pages_held * resource.getpagesize() / 1e6


def parts(made: list[Statement]) -> None:
    """What one statement costs in one process, part by part."""
    empty = replace(a_customer(paid_hao=0), days=())
    floor = seconds_each(
        statement_pdf, [replace(empty, head=replace(empty.head, number=str(n))) for n in range(50)]
    )
    costs = {
        "pages cut": seconds_each(pages, made),
        "PDF, pages cut included": seconds_each(statement_pdf, made),
        "JSON": seconds_each(statement_json, made),
        "CSV": seconds_each(statement_csv, made),
        "floor: a PDF without calls": floor,
    }
    for name, cost in costs.items():
        print(f"{name:32} {cost * 1000:7.1f} ms CPU")


def by_size(sizes: list[int]) -> None:
    """What a PDF costs by the calls of its one number."""
    for calls in sizes:
        made = [a_customer([a_number(f"400{at:07d}", calls, at)], party_id=f"C{at:06d}") for at in range(40)]
        cost = seconds_each(statement_pdf, made)
        print(f"a PDF of one number with {calls:3} calls {cost * 1000:7.1f} ms CPU, {1 / cost:6.1f}/s a core")


def throughput(made: list[Statement], count: int, workers: int, folder: Path) -> None:
    """All three files, written and fsynced; memory of the processes that set them."""
    list(issue_statements(many(made, workers * 16), folder / "warm", workers))
    began = time.perf_counter()
    for issued in issue_statements(many(made, count), folder / str(workers), workers):
        if not issued.written:
            sys.exit(f"{issued.party_id}: {issued.error}")
    took = time.perf_counter() - began
    print(
        f"{workers} process{'es' if workers > 1 else ''}: {count / took:6.1f} statements/s ({count} in {took:.1f} s)"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=400)
    options.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options.add_argument("--sizes", type=int, nargs="*", default=[0, 30, 111])
    options.add_argument("--large", type=int, default=50_000)
    given = options.parse_args()
    made = [ordinary(seed) for seed in range(min(given.count, 120))]
    print(f"{len(made)} ordinary statements, {sum(map(calls_of, made)) // len(made)} calls each on average")
    with tempfile.TemporaryDirectory() as folder:
        parts(made)
        by_size(given.sizes)
        for workers in sorted({1, given.workers}):
            throughput(made, given.count, workers, Path(folder))
        before = resident_mb()
        for at, statement in enumerate(many(made, given.count)):
            statement_pdf(statement)
            before = resident_mb() if at == 50 else before
        print(
            f"memory of a process: {before:.0f} MB after 50 statements, {resident_mb():.0f} MB after {given.count}"
        )
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
        print(f"memory of the largest other process: {children:.0f} MB")
        large = a_customer([a_number(calls=given.large)])
        began = time.perf_counter()
        pdf = statement_pdf(large)
        took = time.perf_counter() - began
        count = len(pages(large)["pages"])
        print(
            f"{given.large:,} calls: {took:.1f} s, {count} pages, {len(pdf) / 1e6:.1f} MB, {resident_mb():.0f} MB memory"
        )


if __name__ == "__main__":
    main()
