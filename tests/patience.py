"""Waiting for what other processes and threads do: no test depends on how quickly."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 180


def eventually(holds: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """What `holds` gives once it is true; AssertionError if that takes too long."""
    until = time.monotonic() + within_s
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < until, f"{what}: not within {within_s:.0f} s"
        time.sleep(0.05)
