"""Runs `fentan` again and again, each time in a fork of one process that has imported all that a command needs.

Starting Python and importing takes most of a short command's time, and a kill that hits an import proves nothing.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parent.parent
IMPORTED = ["fentan", "ledger.months", "ledger.submit", "reports.said", "streams.spool"]


class FentanServer:
    """The process that forks; one command runs at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fentan_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._pid = 0
        self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with self._process:
            self._process.kill()

    def start(self, arguments: list[str], said: Path) -> None:
        """Begins a command; what it prints goes to the file `said`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([arguments, str(said)]) + "\n")
        self._pid = self._answer()

    def wait(self, seconds: float) -> int | None:
        """The command's exit code (minus the signal that ended it); None if it is still running by then."""
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return self._answer() if ready else None

    def kill(self) -> bool:
        """SIGKILL to the running command; False if it ended before."""
        with suppress(ProcessLookupError):  # it ended and was waited for this very moment
            os.kill(self._pid, signal.SIGKILL)
        return self._answer() == -signal.SIGKILL

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def _serve() -> None:
    """Reads commands, forks, says each child's pid and then how it ended."""
    for name in IMPORTED:
        importlib.import_module(name)
    answers = os.dup(1)
    os.write(answers, b"0\n")
    for line in sys.stdin:
        arguments, said = json.loads(line)
        pid = os.fork()
        if not pid:
            _fentan(arguments, said)
        os.write(answers, b"%d\n" % pid)
        os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _fentan(arguments: list[str], said: str) -> None:
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.modules["fentan"].main(arguments)


if __name__ == "__main__":
    _serve()
