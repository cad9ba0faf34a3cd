"""The examples of README.md and docs/: read from the pages, run, compared with what the pages show.

A page's blocks run from top to bottom in one folder of their own, which holds the demo's town as `fentan-demo`.
What is fenced as

* `console` is commands, each on a line that begins with `$ `, and what they print. In a line `…` stands for
  anything, a line that is only `…` for any lines. A command that ends with another code than 0 is followed by
  `$ echo $?`;
* `sql` is a question to the town's ledger, and `text` right after it is the answer;
* a language and a name, such as `json first.jsonl`, is a file that the reader saves under this name;
* anything else is not run.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import duckdb
from click.testing import CliRunner
from rich.console import Console

import fentan
from ledger.query import QueryFailed, QueryRefused, run_select
from ledger.tables import write_table
from rating.calendar import parse_instant
from reports.ask import snapshot, views_for_others

ROOT = Path(__file__).resolve().parent.parent
TOWN_NOW = "2026-11-15T09:00:00+08:00"
"""When the questions to the town are asked; it was billed for the two months before."""

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANY_LINES = "…"


@dataclass(frozen=True)
class Block:
    """What is fenced: `start` and `end` of its text in the page."""

    language: str
    name: str
    text: str
    start: int
    end: int


@dataclass
class Step:
    """One command with what the page shows of its answer, a line each."""

    command: str
    shown: list[str] = field(default_factory=list)


def blocks(page: str) -> list[Block]:
    """Every fenced block of a page, in its order."""
    found = []
    for match in _FENCE.finditer(page):
        language, _, name = match[1].strip().partition(" ")
        found.append(Block(language, name, match[2], match.start(2), match.end(2)))
    return found


def steps(text: str) -> list[Step]:
    """The commands of a console block."""
    found: list[Step] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Step(line[2:]))
        else:
            found[-1].shown.append(line)
    return found


def matches(shown: Sequence[str], printed: str) -> bool:
    """Whether what was printed is what the page shows, spaces at the ends of lines and of the text aside."""
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    pattern = "".join(
        r"(?:.*\n)*"
        if line.strip() == _ANY_LINES
        else ".*".join(map(re.escape, line.rstrip().split("…"))) + r"\n"
        for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


class Shell:
    """Runs a page's commands in a folder: fentan's in this process, which is quick, all others in bash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.code = 0
        self._town: duckdb.DuckDBPyConnection | None = None
        (folder / "rating").symlink_to(ROOT / "rating")
        program = folder / ".bin" / "fentan"
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fentan "$@"\n', encoding="utf-8"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        self.environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}

    def run(self, command: str) -> str:
        """What the command prints, errors included; its exit code goes into `code`."""
        if command == "echo $?":
            shown, self.code = f"{self.code}\n", 0
            return shown
        words = shlex.split(command, comments=True)
        if words[0] == "export":
            self.environ.update(dict(word.split("=", 1) for word in words[1:]))
            return ""
        if words[0] == "fentan" and not {"|", ">", "<", "&&", "||", "&"} & set(words):
            result = CliRunner().invoke(
                fentan.main, words[1:], prog_name="fentan", env=self.environ, catch_exceptions=False
            )
            self.code = result.exit_code
            return result.output
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environ, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        self.code = done.returncode
        return done.stdout

    def ask(self, question: str) -> str:
        """The town's answer, as `fentan sql` prints it; all questions go to one connection, which is quick."""
        if self._town is None:
            events, calls = snapshot(self.folder / "fentan-demo" / "home", None)
            self._town = views_for_others(events, calls, parse_instant(TOWN_NOW))
        printed = io.StringIO()
        write_table(run_select(self._town, question), "table", Console(file=printed))
        return printed.getvalue()


def make_town(folder: Path) -> Path:
    """The demo's town of two months, small; the folder that it is in."""
    words = ["--now", TOWN_NOW, "demo", "--calls", "2000", "--months", "2"]
    # so few statements are set sooner than other processes have started
    with chdir(folder), patch("reports.statements.IN_ONE_PROCESS", 1000):
        result = CliRunner().invoke(fentan.main, words, prog_name="fentan", catch_exceptions=False)
    if result.exit_code:
        raise RuntimeError(f"fentan {shlex.join(words)}: {result.output}")
    (folder / "demo.txt").write_text(result.output, encoding="utf-8")
    return folder / "fentan-demo"


def run_page(page: str, shell: Shell) -> Iterator[tuple[Block, str, str]]:
    """Runs a page; yields blocks that show answers, their text as it must be, and what is wrong, if anything.

    The current folder must be the shell's.
    """
    all_blocks = blocks(page)
    for place, block in enumerate(all_blocks):
        if block.name:
            (shell.folder / block.name).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            yield _run_console(block, shell)
        elif block.language == "sql":
            yield from _ask(page, block, all_blocks[place + 1 : place + 2], shell)


def _ask(page: str, block: Block, after: list[Block], shell: Shell) -> Iterator[tuple[Block, str, str]]:
    try:
        answer = shell.ask(block.text)
    except (QueryRefused, QueryFailed) as no:
        yield block, block.text, f"{block.text}fails: {no}"
        return
    for shown in after:
        between = page[block.end : shown.start].replace("```", "").strip()
        if shown.language == between == "text" and not matches(shown.text.splitlines(), answer):
            yield shown, answer, f"{block.text}gives now\n{answer}"


def _run_console(block: Block, shell: Shell) -> tuple[Block, str, str]:
    text, wrong = "", ""
    all_steps = steps(block.text)
    for place, step in enumerate(all_steps):
        printed = shell.run(step.command)
        text += f"$ {step.command}\n"
        if matches(step.shown, printed):
            text += "".join(f"{line}\n" for line in step.shown)
        else:
            text += printed if printed.endswith("\n") or not printed else f"{printed}\n"
            wrong += f"\n$ {step.command}\nshown:\n" + "\n".join(step.shown) + f"\nprinted:\n{printed}"
        told = place + 1 < len(all_steps) and all_steps[place + 1].command == "echo $?"
        if shell.code and not told:
            wrong += f"\n$ {step.command}\nends with the code {shell.code}:\n{printed}"
    return block, text, wrong
