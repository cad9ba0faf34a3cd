"""One Kafka node on this machine: started, killed, started again on the same data, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from broker import jars

START_S = 60
_STARTED = "Kafka Server started"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def keep_archive(folder: Path) -> None:
    """For the next starts: the archive that a first run has left when it ended."""
    archive = folder / "classes.jsa"
    if archive.exists():
        archive.replace(jars.ARCHIVE)


class Node:
    """A broker whose data and log are in `folder`; `more` are lines for its properties, which may take ours back."""

    def __init__(self, folder: Path, port: int | None = None, more: str = "") -> None:
        self.folder, self.more = folder, more
        self.port = port or free_port()
        self.controller_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "broker.log"

    def launch(self) -> None:
        """Starts the process, which goes on by itself; `wait` until it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self.folder / "server.properties"
        properties.write_text(self._properties(), encoding="utf-8")
        if not (self.folder / "data" / "meta.properties").exists():
            made = subprocess.run(
                jars.java("kafka.tools.StorageTool", "format", "--standalone", "-t", "Zm_eCzFHTP2KhJXlCA5iDg",
                          "-c", str(properties)),
                check=False, capture_output=True,
            )  # fmt: skip
            if made.returncode:
                raise RuntimeError(f"Kafka's storage could not be made: {made.stdout.decode()[-2000:]}")
        archive = (
            () if jars.ARCHIVE.exists() else (f"-XX:ArchiveClassesAtExit={self.folder / 'classes.jsa'}",)
        )
        command = jars.java("kafka.Kafka", str(properties), options=archive)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def wait(self) -> None:
        """Returns when the broker serves; RuntimeError with the end of its log if it does not."""
        assert self.process is not None
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            if _STARTED in self.log.read_text(encoding="utf-8", errors="replace"):
                return
            time.sleep(0.05)
        said = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        self.kill()
        raise RuntimeError(f"Kafka did not start; its log {self.log} ends with: {said}")

    def start(self) -> None:
        """`launch` and `wait`."""
        self.launch()
        self.wait()

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and keeps the archive of classes that the first run on this machine leaves."""
        self._end(signal.SIGTERM)
        keep_archive(self.folder)

    def _end(self, number: int) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                os.kill(self.process.pid, number)
            self.process.wait()
            self.process = None

    def _properties(self) -> str:
        base = Path(__file__).with_name("server.properties").read_text(encoding="utf-8")
        return f"""{base}
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}
advertised.listeners=PLAINTEXT://{self.address}
controller.quorum.bootstrap.servers=127.0.0.1:{self.controller_port}
log.dirs={self.folder / "data"}
{self.more}
"""
