"""A real HTTP server that takes webhooks: it checks every signature, and fails, hangs or cuts off as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes at least").decode()
HANG_S = 120


@dataclass(frozen=True)
class Got:
    """One request as it came."""

    path: str
    message_id: str
    timestamp: int
    body: dict[str, Any]
    at_s: float


class _Quiet(ThreadingHTTPServer):
    """Without a word about senders that are killed or go away."""

    def handle_error(self, *_: object) -> None:
        """They are meant to."""


class Receiver:
    """`answer` gets the request and gives the status; HANG answers never, CUT closes the connection."""

    HANG, CUT = 0, -1

    def __init__(self, answer: Callable[[Got], int] = lambda _: 204) -> None:
        self.answer = answer
        self.got: list[Got] = []
        self.forged: list[str] = []
        self._gone = threading.Event()
        self._server = _Quiet(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._gone.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/alerts?token=hush"

    def ids(self) -> list[str]:
        """The alerts in the order in which they came, repeats included."""
        return [got.body["alert_id"] for got in self.got]

    def wait_for(self, count: int, within_s: float = 180) -> None:
        """Until so many requests have come."""
        until = time.monotonic() + within_s
        while len(self.got) < count:
            assert time.monotonic() < until, f"{len(self.got)} of {count} came: {self.ids()}"
            time.sleep(0.01)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not is_signed(dict(self.headers), body):
                    receiver.forged.append(self.path)
                got = Got(
                    self.path,
                    self.headers["webhook-id"],
                    int(self.headers["webhook-timestamp"]),
                    json.loads(body),
                    time.monotonic(),
                )
                receiver.got.append(got)
                status = receiver.answer(got)
                if status == Receiver.HANG:
                    receiver._gone.wait(HANG_S)
                if status in {Receiver.HANG, Receiver.CUT}:
                    self.close_connection = True
                    return
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        return Handler


def is_signed(headers: dict[str, str], body: bytes) -> bool:
    """The check that a receiver makes, written from the documentation and not with our own code."""
    lower = {name.lower(): value for name, value in headers.items()}
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = b".".join([lower["webhook-id"].encode(), lower["webhook-timestamp"].encode(), body])
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{wanted}" in lower["webhook-signature"].split(" ")


def configure(home: Path, *urls: str, **settings: object) -> None:
    """Writes webhooks.toml: `desk`, `desk2`, …; settings are those of all."""
    parts = []
    for place, url in enumerate(urls, 1):
        lines = {"name": f"desk{place if place > 1 else ''}", "url": url, "secret": SECRET} | settings
        parts.append(
            "[[webhook]]\n"
            + "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items() if value is not None)
        )
    (home / "webhooks.toml").write_text("\n".join(parts), encoding="utf-8")
