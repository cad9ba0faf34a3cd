"""python -m broker start|stop: the broker of `make kafka`, on port 9092, its data in .kafka_cache/data.

It goes on until it is stopped. Another port: python -m broker start 9095.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from broker import jars
from broker.node import Node, keep_archive

PORT = 9092


def _running(pid_file: Path) -> int | None:
    """The broker's process id; None if it does not run."""
    try:
        pid = int(pid_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return pid if runs(pid) else None


def runs(pid: int) -> bool:
    """Whether this process is there, and a broker."""
    try:
        os.kill(pid, 0)
        command = Path(f"/proc/{pid}/cmdline")
        return not command.parent.exists() or b"kafka.Kafka" in command.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def start(port: int) -> int:
    """Returns an exit code: 0 if the broker serves."""
    lacks = jars.missing()
    if lacks:
        print(f"A broker of our own needs {lacks}; install it, or use docker compose up broker.")
        return 4
    pid_file = jars.CACHE / "broker.pid"
    if _running(pid_file):
        print("The broker runs already; `make kafka-stop` ends it.")
        return 0
    node = Node(jars.CACHE / "data", port)
    node.start()
    assert node.process is not None
    pid_file.write_text(str(node.process.pid), encoding="utf-8")
    print(f"Kafka serves at {node.address}. Next: export FENTAN_KAFKA={node.address}")
    return 0


def stop() -> int:
    """Returns an exit code; waits until the broker has ended."""
    pid_file = jars.CACHE / "broker.pid"
    pid = _running(pid_file)
    if pid is None:
        print("No broker of ours is running.")
        return 0
    os.kill(pid, signal.SIGTERM)
    while _running(pid_file):
        time.sleep(0.1)
    pid_file.unlink()
    keep_archive(jars.CACHE / "data")
    print("The broker has ended; its data stay in .kafka_cache/data.")
    return 0


def main(arguments: list[str]) -> int:
    """Reads start [PORT] or stop; returns the exit code."""
    match arguments:
        case ["start"]:
            return start(PORT)
        case ["start", port] if port.isdigit():
            return start(int(port))
        case ["stop"]:
            return stop()
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
