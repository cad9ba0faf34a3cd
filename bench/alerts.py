"""From a call's arrival to its alert at a webhook: `fentan ingest --follow` on a spool file that grows steadily.

    python -m bench.alerts [SECONDS] [CALLS_PER_SECOND …]

Every call's bytes are appended to a file of the followed folder; twenty of them a second are the first calls of
customers without credit, whose arrears are delivered to an HTTP server in this process. A latency is the time from
the append to the request's arrival: polling, decoding, rating, commit and fsync, the alert's own commit, the
outbox, the file of deliveries and the request are all in it.
"""

from __future__ import annotations

import base64
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from bench.commands import START, life, line, send
from ledger.home import Home
from ledger.submit import Line
from rating import price_book
from rating.calendar import instant_text

RICH, FIRST_POOR = 10_000, 9_000_000
ALERTS_A_SECOND = 20
STEP_S = 0.05
WARM_S = 5


def poor(count: int) -> Iterator[Line]:
    """Numbers of customers who have paid nothing: their first call is arrears."""
    for one in life(FIRST_POOR, count):
        yield Line(one.raw.replace(b'"Y600"', b'"PAYG"'))


def make_home(folder: Path, poor_customers: int, url: str) -> None:
    """A ledger of both sorts of numbers, and its webhook."""
    home = Home.create(folder, price_book.default_text(), "default.toml", START)
    send(home, iter([line(0, "register_provider", 0, provider_id="P1", name="P")]))
    send(home, life(0, RICH))
    send(home, poor(poor_customers))
    home.keep_snapshot(always=True)
    secret = base64.b64encode(b"nobody needs to keep this one").decode()
    (folder / "webhooks.toml").write_text(
        f'[[webhook]]\nname = "bench"\nurl = "{url}"\nsecret = "whsec_{secret}"\nkinds = ["arrears"]\n'
    )


def a_call(place: int, number: int) -> bytes:
    """A call of a minute that has just ended."""
    ended = datetime.now(UTC) - timedelta(seconds=1)
    times = (instant_text((ended - timedelta(seconds=s)).replace(microsecond=0)) for s in (65, 60, 0))
    start, answer, end = times
    return (
        f'{{"call_id": "bench-{place}", "service_number": "400{number:07d}", "caller_number": "138{place % 10**8:08d}", '
        f'"start_at": "{start}", "answer_at": "{answer}", "end_at": "{end}", "duration_s": 60, '
        f'"answering_phone": "053188880{place % 100}", "answer_rule": "round_robin", "recording_ref": "rec/{place}.wav"}}\n'
    ).encode()


class Arrivals:
    """A server that notes when each customer's alert came."""

    def __init__(self) -> None:
        self.at_s: dict[str, float] = {}
        arrivals = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                came_s = time.monotonic()
                account = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["account"]
                arrivals.at_s.setdefault(account, came_s)
                self.send_response(204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def feed(spool: Path, seconds: int, calls_per_s: int) -> dict[str, float]:
    """Appends calls at a steady rate; returns when each poor customer's call was appended."""
    appended_s: dict[str, float] = {}
    began_s, place, broke = time.monotonic(), 0, 0
    with (spool / "calls.jsonl").open("ab", buffering=0) as file:
        while (passed_s := time.monotonic() - began_s) < seconds:
            lines, accounts = [], []
            while place < passed_s * calls_per_s:
                number = place * 7919 % RICH
                if broke < passed_s * ALERTS_A_SECOND:
                    number = FIRST_POOR + broke
                    accounts.append(f"customer/C{number}")
                    broke += 1
                lines.append(a_call(place, number))
                place += 1
            file.write(b"".join(lines))
            wrote_s = time.monotonic()
            appended_s.update(dict.fromkeys(accounts, wrote_s))
            time.sleep(max(0.0, STEP_S - (time.monotonic() - began_s - passed_s)))
    return appended_s


def measure(seconds: int, calls_per_s: int) -> bool:
    """Prints one line; False if an alert is missing."""
    arrivals = Arrivals()
    with tempfile.TemporaryDirectory() as name:
        home, spool = Path(name) / "home", Path(name) / "spool"
        spool.mkdir()
        make_home(home, (seconds + 1) * ALERTS_A_SECOND, f"http://127.0.0.1:{arrivals.server.server_port}/")
        ingest = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "fentan",
                "--home",
                str(home),
                "ingest",
                str(spool),
                "--follow",
                "--format",
                "jsonl",
            ],
            stdout=subprocess.DEVNULL,
        )
        time.sleep(WARM_S)
        appended_s = feed(spool, seconds, calls_per_s)
        until = time.monotonic() + 20
        while len(arrivals.at_s) < len(appended_s) and time.monotonic() < until:
            time.sleep(0.05)
        ingest.send_signal(signal.SIGTERM)
        ingest.wait()
    arrivals.server.shutdown()
    arrivals.server.server_close()
    took_ms = [(arrivals.at_s[one] - at_s) * 1e3 for one, at_s in appended_s.items() if one in arrivals.at_s]
    print(
        f"{calls_per_s:,} calls/s for {seconds} s: {len(took_ms)} of {len(appended_s)} alerts delivered, from append to "
        f"request: median {statistics.median(took_ms):.0f} ms, p99 {np.quantile(took_ms, 0.99):.0f} ms, "
        f"max {max(took_ms):.0f} ms"
    )
    return len(took_ms) == len(appended_s)


def main(seconds: int = 40, *rates: int) -> int:
    """Returns 1 if an alert is missing."""
    missing = [rate for rate in rates or (1_000, 5_000) if not measure(seconds, rate)]
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
