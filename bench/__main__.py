"""Runs the benchmarks one after the other, or those that are named: python -m bench [NAME …]

Each prints its own figures beside what it is compared with, measured in the same run.
"""

from __future__ import annotations

import subprocess
import sys
import time

ALL = (
    "kernel",
    "decode",
    "ingest",
    "commits",
    "seen",
    "query",
    "questions",
    "month_end",
    "commands",
    "rules",
    "statements",
    "alerts",
)


def main(names: list[str]) -> int:
    """Returns 2 for a name that is no benchmark, else the worst exit code."""
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}; there are {', '.join(ALL)}.")
        return 2
    worst = 0
    for name in names or ALL:
        print(f"\n== {name}", flush=True)
        began = time.perf_counter()
        worst = max(worst, subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode)
        print(f"   ({time.perf_counter() - began:.0f} s)", flush=True)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
