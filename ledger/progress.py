"""How far long work has come: a line on a terminal, nothing anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def progress(
    console: Console, title: str, unit: str = "records"
) -> Iterator[Callable[[int, int, int], None]]:
    """Gives what to call with (done, of how much or 0, how many of `unit`); the line goes when all is done."""
    if not console.is_terminal:
        yield lambda _done, _size, _count: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]:,} " + unit),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(title, total=None, count=0)
        yield lambda done, size, count: bars.update(task, completed=done, total=size or None, count=count)
