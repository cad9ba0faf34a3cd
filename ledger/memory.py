"""Memory of a process that folds millions of facts, or commits for months.

Python's garbage collector is kept from going through folded facts that stay anyway, and the C library from keeping
what is free.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

atexit.register(gc.unfreeze)  # extension modules count what the last collection leaves of them, and complain

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
_MALLOC = {_TRIM_THRESHOLD: 1 << 20, _MMAP_THRESHOLD: 1 << 17, _ARENA_MAX: 2}


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


def work_for_long() -> None:
    """For a process that makes objects by ten thousands and frees them soon: a worker for months, statements all night.

    Looking through them finds nothing, so it is done seldom. glibc is to have two arenas instead of eight a core, and
    to give back what is free: without that two million calls in small batches left 80 MB behind. Other C libraries
    are left as they are.
    """
    gc.set_threshold(200_000, 50, 50)
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for option, value in _MALLOC.items():
        mallopt(option, value)
