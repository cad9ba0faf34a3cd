"""Python's garbage collector, kept from going through millions of folded facts that stay anyway."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

atexit.register(gc.unfreeze)  # extension modules count what the last collection leaves of them, and complain


@contextmanager
def uncollected() -> Iterator[None]:
    """No collection while much is folded or decided, nor of it later: it stays, or is freed by its count."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def collect_seldom() -> None:
    """For a process that makes objects by ten thousands and frees them soon: looking through them finds nothing."""
    gc.set_threshold(200_000, 50, 50)
