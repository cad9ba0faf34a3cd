"""The one thread of a worker that works on the ledger: batches of calls and of commands take turns there."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ledger.home import Home

T = TypeVar("T")


class LedgerThread:
    """Owns a `Home`, which is not for two threads at once."""

    def __init__(self, folder: Path) -> None:
        """Opens the ledger; raises what `Home.open` raises."""
        self.folder = folder
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._home = self._executor.submit(Home.open, folder).result()
        self.repaired = [*self._home.events.repaired, *self._home.calls.repaired]

    def submit(self, job: Callable[[Home], T]) -> Future[T]:
        """Runs the job when those before it are done."""
        return self._executor.submit(job, self._home)

    def close(self) -> None:
        """Returns when what was begun is done, and a snapshot is kept if folding anew would take long."""
        self._executor.submit(self._home.keep_snapshot)
        self._executor.shutdown(wait=True)
