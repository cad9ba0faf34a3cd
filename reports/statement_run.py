"""Issues many statements, in several processes; memory does not grow with their number.

Each process loads the fonts once. A statement that cannot be issued comes back with its reason and does not stop
the others.
"""

from __future__ import annotations

import io
import os
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path

import pyarrow as pa

from reports.statement import CustomerPart, Statement, Unmade, findings
from reports.statement_files import IssuedDiffers, is_issued, prepare, store, write_sums

_BATCH = 16
_BATCH_CALLS = (
    3_000  # a statement with many calls is a batch of its own, so that no process waits for another's
)
_WAITING = 2  # batches for each process


@dataclass(frozen=True, slots=True)
class Issued:
    """What became of a statement: written now, there before (neither), or why there is none."""

    kind: str
    party_id: str
    written: bool = False
    error: str | None = None


def issue_statements(
    statements: Iterable[Statement | Unmade], folder: Path, workers: int = 1, language: str = "zh"
) -> Iterator[Issued]:
    """Writes each statement that is not there yet into `<folder>/<month>/`; yields what became of each, in order.

    `statements` is read as fast as they are written. At the end each month's SHA256SUMS is brought up to date.
    """
    months: set[str] = set()
    work = _Work(folder, language)
    batches = _batches(iter(statements), months)
    if workers <= 1:
        for batch in batches:
            yield from _batch(batch, work)
    else:
        yield from _in_processes(batches, work, workers)
    for month in sorted(months):
        write_sums(folder / month)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is the same for all: where to, and in which language."""

    folder: Path
    language: str


def _batches(
    statements: Iterator[Statement | Unmade], months: set[str]
) -> Iterator[list[Statement | Unmade]]:
    batch: list[Statement | Unmade] = []
    calls = 0
    for statement in statements:
        months.add(statement.month if isinstance(statement, Unmade) else statement.head.month)
        batch.append(statement)
        calls += 0 if isinstance(statement, Unmade) else _calls_of(statement)
        if len(batch) == _BATCH or calls >= _BATCH_CALLS:
            yield batch
            batch, calls = [], 0
    if batch:
        yield batch


def _calls_of(statement: Statement) -> int:
    part = statement.part
    return sum(number.calls for number in part.numbers) if isinstance(part, CustomerPart) else 0


def _in_processes(batches: Iterator[list[Statement | Unmade]], work: _Work, workers: int) -> Iterator[Issued]:
    waiting: deque[Future[list[Issued]]] = deque()
    with ProcessPoolExecutor(workers, get_context("spawn"), _end_with_parent) as pool:
        try:
            for batch in batches:
                waiting.append(pool.submit(_unpacked_batch, _packed(batch), work))
                if len(waiting) > workers * _WAITING:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for work for ever: the pipe that it reads is its sibling's, too."""
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _packed(batch: list[Statement | Unmade]) -> bytes:
    """A batch as bytes for another process.

    Arrow pickles a slice with all that it was cut from; its stream format holds the slice alone.
    """
    packed = io.BytesIO()
    pickler = pickle.Pickler(packed, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = {pa.Table: lambda table: (_table, (_stream(table),))}
    pickler.dump(batch)
    return packed.getvalue()


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _table(stream: bytes) -> pa.Table:
    return pa.ipc.open_stream(stream).read_all()


def _unpacked_batch(packed: bytes, work: _Work) -> list[Issued]:
    return _batch(pickle.loads(packed), work)  # noqa: S301 - it is our own


def _batch(statements: list[Statement | Unmade], work: _Work) -> list[Issued]:
    """Sets the statements here; threads wait for the disk, which takes longer than setting where it is busy."""
    with ThreadPoolExecutor(_BATCH) as disk:
        stored: list[Future[None]] = []
        issued = [
            _issued(statement, work, lambda files: stored.append(disk.submit(store, files)))
            for statement in statements
        ]
        for future in stored:
            future.result()
    return issued


def _issued(
    statement: Statement | Unmade, work: _Work, keep: Callable[[list[tuple[Path, bytes]]], None]
) -> Issued:
    if isinstance(statement, Unmade):
        sentence = f"The statement of {statement.kind} {statement.party_id} for {statement.month} could not be made: {statement.why}"
        return Issued(statement.kind, statement.party_id, error=sentence)
    kind, party_id, month = statement.kind, statement.head.party.party_id, statement.head.month
    folder = work.folder / month
    if is_issued(folder, kind, party_id, work.language):
        return Issued(kind, party_id)
    wrong = findings(statement)
    if wrong:
        sentence = f"The statement of {kind} {party_id} for {month} does not add up: {'; '.join(wrong)}."
        return Issued(kind, party_id, error=sentence)
    try:
        keep(prepare(folder, statement, work.language))
    except IssuedDiffers as error:
        return Issued(kind, party_id, error=str(error))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one is said of that one
        sentence = f"The statement of {kind} {party_id} for {month} could not be set: {type(error).__name__}: {error}"
        return Issued(kind, party_id, error=sentence)
    return Issued(kind, party_id, written=True)
