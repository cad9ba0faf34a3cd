"""The program as its users start it: exit codes, sentences instead of tracebacks, formats."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fentan as program
from ledger.home import Home
from tests.ledgers import a_call, a_home, calls, commands

ROOT = Path(__file__).parent.parent
NOW = ["--now", "2026-09-02T00:00:00+08:00"]


def fentan(home: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Runs the program with this home."""
    done = subprocess.run(
        [sys.executable, "-m", "fentan", "--home", str(home), *arguments],
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        timeout=300,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one number and 20 calls of August, closed."""
    place = tmp_path_factory.mktemp("home")
    (place / "commands.jsonl").write_bytes(b"\n".join(commands()))
    (place / "calls.jsonl").write_bytes(calls(0, 20) + b"not a call\n")
    folder = place / "ledger"
    assert fentan(folder, "--now", "2026-07-01T00:00:00+08:00", "init").returncode == 0
    assert fentan(folder, *NOW, "submit", str(place / "commands.jsonl")).returncode == 0
    assert fentan(folder, *NOW, "ingest", str(place / "calls.jsonl")).returncode == 0
    assert fentan(folder, *NOW, "close", "2026-08").returncode == 0
    return folder


def test_without_a_ledger_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    done = fentan(tmp_path / "nowhere", "sql", "SELECT 1")
    assert done.returncode == 2
    assert "run `fentan init` first" in done.stderr


@pytest.mark.parametrize("reached", ["nothing", "a folder", "one table", "both tables"])
def test_init_that_was_killed_is_finished_by_the_next_one(tmp_path: Path, reached: str) -> None:
    """F-16: wherever it was killed."""
    home = tmp_path / "ledger"
    if reached != "nothing":
        Home.bare(home)
    if reached == "one table":
        shutil.rmtree(home / "ledger" / "calls")
    elif reached == "a folder":
        shutil.rmtree(home / "ledger" / "calls")
        shutil.rmtree(home / "ledger" / "events")
        (home / "ledger" / "events" / "_delta_log").mkdir(parents=True)
    assert fentan(home, *NOW, "sql", "SELECT 1").returncode == 2
    assert "Made" in fentan(home, *NOW, "init").stdout
    assert fentan(home, "verify").returncode == 0


def test_a_refused_command_and_an_unreadable_one_exit_1_after_all_were_done(home: Path) -> None:
    """R-INV-1."""
    lines = [
        b'{"command_id":"x1","at":"2026-08-09T00:00:00+08:00","kind":"set_minimum","service_number":"4001170392","minimum":"40.00"}',
        b"{broken",
        b'{"command_id":"x2","at":"2026-08-09T00:00:00+08:00","kind":"tick"}',
    ]
    done = fentan(home, *NOW, "submit", "-", "--format", "json", stdin=b"\n".join(lines))
    assert done.returncode == 1
    assert [row["outcome"] for row in json.loads(done.stdout)] == ["refused", "rejected", "accepted"]
    assert "can only be raised" in json.loads(done.stdout)[0]["detail"]


def test_strict_ingest_exits_1_when_a_record_was_rejected(home: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_bytes(b"{}\n")
    done = fentan(home, *NOW, "ingest", str(tmp_path / "bad.jsonl"), "--format", "jsonl", "--strict")
    assert done.returncode == 1
    assert "MISSING_FIELD" in done.stdout


def test_a_month_that_has_not_ended_is_refused_with_3(home: Path) -> None:
    done = fentan(home, *NOW, "close", "2026-09")
    assert done.returncode == 3
    assert "MONTH_OPEN" in done.stderr


def test_closing_again_is_a_no_op(home: Path) -> None:
    done = fentan(home, *NOW, "close", "2026-08")
    assert done.returncode == 0
    assert "already" in done.stdout


def test_json_has_decimals_as_text_and_instants_with_their_offset(home: Path) -> None:
    """R-INV-4."""
    question = "SELECT call_id, owner_fee, start_at FROM calls ORDER BY seq LIMIT 1"
    rows = json.loads(fentan(home, "sql", question, "--format", "json").stdout)
    assert rows == [{"call_id": "k0", "owner_fee": "0.1500", "start_at": "2026-08-03T09:00:00+08:00"}]


def test_csv_neutralises_what_a_spreadsheet_would_execute_and_leaves_amounts(home: Path) -> None:
    """F-25."""
    done = fentan(home, "sql", "SELECT '=1+1' AS cell, -0.5::DECIMAL(18,4) AS amount", "--format", "csv")
    assert done.stdout == "cell,amount\n'=1+1,-0.5000\n"


@pytest.mark.parametrize(
    "statement",
    [
        "DROP VIEW calls",
        "COPY calls TO 'x.csv'",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_text('/etc/passwd')",
    ],
)
def test_sql_is_read_only_and_says_so_with_2(home: Path, statement: str) -> None:
    """F-24."""
    done = fentan(home, "sql", statement)
    assert done.returncode == 2
    assert len(done.stderr.strip()) > 10


def test_a_wrong_time_or_month_is_bad_usage(home: Path) -> None:
    assert fentan(home, "--now", "yesterday", "arrears").returncode == 2
    assert fentan(home, "close", "2026-13").returncode == 2


def test_a_wrong_price_book_is_refused_with_file_key_and_reason(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text("plans = 3\n")
    done = fentan(tmp_path / "home", "init", "--catalogue", str(tmp_path / "prices.toml"))
    assert done.returncode == 2
    assert "prices.toml" in done.stderr


def test_verify_and_replay_hold(home: Path, tmp_path: Path) -> None:
    """R-INV-5."""
    assert fentan(home, "verify").returncode == 0
    done = fentan(home, "replay", "--into", str(tmp_path / "again"))
    assert (done.returncode, "identical" in done.stdout) == (0, True)


def test_earlier_versions_can_be_asked(home: Path) -> None:
    """F-21: a version stays what it was."""
    done = fentan(
        home,
        "sql",
        "SELECT count(*) AS calls FROM calls",
        "--as-of",
        "2026-08-01T00:00:00+08:00",
        "--format",
        "json",
    )
    assert json.loads(done.stdout) == [{"calls": 0}]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sql", "--as-of", "99", "SELECT 1"], "The table calls has no version 99: its last is"),
        (["replay", "--into", "tests"], "tests is not an empty folder: name one that is empty or new."),
        (["ingest", "--format", "nosuch.toml", "README.md"], "The mapping nosuch.toml cannot be read"),
        (["demo", "--months", "0"], "months 0 is not between 1 and 24."),
    ],
)
def test_what_cannot_be_done_as_asked_is_bad_usage(home: Path, arguments: list[str], sentence: str) -> None:
    done = fentan(home, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_demo_that_cannot_be_made_leaves_the_earlier_one(home: Path, tmp_path: Path) -> None:
    (tmp_path / ".fentan-demo").touch()
    assert fentan(home, "demo", "--calls", "1", "--out", str(tmp_path)).returncode == 2
    assert (tmp_path / ".fentan-demo").exists()


def test_a_byte_order_mark_before_the_first_command_is_no_part_of_it(home: Path) -> None:
    line = b'\xef\xbb\xbf{"command_id":"bom","at":"2026-08-09T00:00:00+08:00","kind":"tick"}\n'
    done = fentan(home, *NOW, "submit", "--format", "json", "-", stdin=line)
    (answer,) = json.loads(done.stdout)
    assert answer["outcome"] == "accepted"


def test_a_statement_is_issued_once_and_stays_byte_for_byte(home: Path, tmp_path: Path) -> None:
    """F-14: issuing again gives the same bytes."""
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        assert fentan(home, "statements", "2026-08", "--out", str(folder)).returncode == 0
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert {path.suffix for path in files} >= {".pdf", ".json", ".csv"}
    assert all((first / path).read_bytes() == (second / path).read_bytes() for path in files)


def follow(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """`fentan alerts --follow` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "fentan", "--home", str(home), "alerts", "--follow", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_alerts_are_shown_live_while_another_process_ingests(tmp_path: Path, number: signal.Signals) -> None:
    """R-ARR-3: from a seq on, then as they are committed; a signal ends it with 0."""
    home = tmp_path / "ledger"
    ledger = a_home(home)
    (tmp_path / "calls.jsonl").write_bytes(b"".join(a_call(place, minutes=1400) for place in range(3)))
    with follow(home, "--format", "json", "--since", str(ledger.events.next_seq)) as watching:
        assert fentan(home, *NOW, "ingest", str(tmp_path / "calls.jsonl")).returncode == 0
        assert watching.stdout is not None
        shown = [json.loads(watching.stdout.readline()) for _ in range(3)]
        watching.send_signal(number)
        assert watching.wait(60) == 0
    assert [alert["kind"] for alert in shown] == ["low_balance", "arrears", "suspended"]
    assert shown == [
        alert | {"balance": alert["balance"].removesuffix("00")}
        for alert in json.loads(fentan(home, "alerts", "--format", "json").stdout)
    ]


def test_a_seq_that_is_not_there_yet_is_bad_usage(home: Path) -> None:
    done = fentan(home, "alerts", "--follow", "--since", "9999")
    assert (done.returncode, "end before seq 9999" in done.stderr) == (2, True)


def test_a_folder_with_a_file_that_cannot_be_read_exits_1_and_names_it(home: Path, tmp_path: Path) -> None:
    """R-INV-1, F-27: a phone number in its name is masked."""
    (tmp_path / "13812345678.bin").write_bytes(b"\0\1 no records\n")
    done = fentan(home, *NOW, "ingest", str(tmp_path))
    assert done.returncode == 1
    assert "138****5678.bin: The file's format cannot be told" in done.stderr.replace("\n", " ")


def test_a_full_disk_is_one_sentence_wherever_it_shows() -> None:
    """F-18: also where a cache or a library meets it, not only the tables."""
    for error in (
        OSError(errno.ENOSPC, "No space left on device", "cache/x"),
        OSError("[errno 28] No space left on device"),
    ):
        sentence, code = program._explained(error)
        assert code == 4
        assert sentence.startswith("There is no space left on the disk")
        assert "run the same command again" in sentence


def test_what_an_error_says_is_masked(home: Path) -> None:
    """F-27: stderr goes into logs."""
    done = fentan(home, *NOW, "statements", "2026-08", "--customer", "13812345678")
    assert done.returncode == 3
    assert "138****5678" in done.stderr
    assert "13812345678" not in done.stderr
