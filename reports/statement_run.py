"""Issues many statements, in several processes; memory does not grow with their number.

Each process has its own typesetter, which keeps fonts and the layout of what statements share. A statement
that cannot be issued comes back with its reason and does not stop the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import typst

from reports.statement import Statement, findings
from reports.statement_files import IssuedDiffers, is_issued, write, write_sums
from reports.statement_pdf import Typesetter

_BATCH = 8
_WAITING = 3  # batches for each process


@dataclass(frozen=True, slots=True)
class Issued:
    """What became of a statement: written now, there before (neither), or why there is none."""

    kind: str
    party_id: str
    written: bool = False
    error: str | None = None


def issue_statements(
    statements: Iterable[Statement], folder: Path, workers: int = 1, language: str = "zh"
) -> Iterator[Issued]:
    """Writes each statement that is not there yet into `<folder>/<month>/`; yields what became of each, in order.

    `statements` is read as fast as they are written. At the end each month's SHA256SUMS is brought up to date.
    """
    months: set[str] = set()
    if workers <= 1:
        with Typesetter() as typesetter:
            for statement in statements:
                months.add(statement.head.month)
                yield _issued(statement, folder, typesetter, language)
    else:
        yield from _in_processes(iter(statements), folder, workers, language, months)
    for month in sorted(months):
        write_sums(folder / month)


def _in_processes(
    statements: Iterator[Statement], folder: Path, workers: int, language: str, months: set[str]
) -> Iterator[Issued]:
    waiting: deque[Future[list[Issued]]] = deque()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            while batch := list(islice(statements, _BATCH)):
                months.update(statement.head.month for statement in batch)
                waiting.append(pool.submit(_batch, batch, folder, language))
                if len(waiting) > workers * _WAITING:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@cache
def _typesetter() -> Typesetter:
    """One a process; its folder goes when the process ends."""
    return Typesetter()


def _batch(statements: list[Statement], folder: Path, language: str) -> list[Issued]:
    return [_issued(statement, folder, _typesetter(), language) for statement in statements]


def _issued(statement: Statement, folder: Path, typesetter: Typesetter, language: str) -> Issued:
    kind, party_id, month = statement.kind, statement.head.party.party_id, statement.head.month
    if is_issued(folder / month, kind, party_id, language):
        return Issued(kind, party_id)
    wrong = findings(statement)
    if wrong:
        sentence = f"The statement of {kind} {party_id} for {month} does not add up: {'; '.join(wrong)}."
        return Issued(kind, party_id, error=sentence)
    (folder / month).mkdir(parents=True, exist_ok=True)
    try:
        write(folder / month, statement, language, typesetter)
    except IssuedDiffers as error:
        return Issued(kind, party_id, error=str(error))
    except typst.TypstError as error:
        sentence = f"The statement of {kind} {party_id} for {month} could not be set: {error}"
        return Issued(kind, party_id, error=sentence)
    return Issued(kind, party_id, written=True)
