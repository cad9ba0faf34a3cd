"""`fentan nightly`: a night's work by one command, twice in a row, with kill -9 in between, and with one who fails."""

from __future__ import annotations

import fcntl
import random
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import fentan
from ledger.faults import BadRequest, LedgerFault
from ledger.home import Home
from reports.night import Plan, Report, run_night
from tests.billed import billed_ledger

ROOT = Path(__file__).resolve().parent.parent
NOW = "2026-12-01T03:15:00+08:00"
NIGHT = datetime(2026, 11, 30, 19, 15, tzinfo=UTC)
DAY = date(2026, 12, 1)


@pytest.fixture(scope="module")
def billed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the nights before have left: the statements of all months but November's are there."""
    folder = tmp_path_factory.mktemp("night") / "home"
    billed_ledger(folder)
    first = datetime(2026, 11, 1, 19, 15, tzinfo=UTC)
    assert night(folder, day=date(2026, 11, 2), now=first).findings == []
    return folder


@pytest.fixture
def home(billed: Path, tmp_path: Path) -> Path:
    """A copy of its own, with November to be closed."""
    shutil.copytree(billed, tmp_path / "home")
    return tmp_path / "home"


def night(home: Path, **options: object) -> Report:
    plan = {"day": DAY, "now": NIGHT, "lists": home / "lists", "statements": home / "statements", **options}
    return run_night(Home.open(home), Plan(**plan))  # type: ignore[arg-type]


def program(home: Path, *options: str) -> Result:
    return CliRunner().invoke(fentan.main, ["--home", str(home), "--now", NOW, "nightly", *options])


def issued(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in (home / "statements").rglob("*")
        if path.is_file()
    }


def rows(home: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = Home.open_logs(home)[0].read_since(0).to_pylist()
    return found


def test_a_night_closes_issues_lists_proves_and_reports(home: Path) -> None:
    """R-ARR-4: the month that has ended, its statements, the debtors, the proof; on one page."""
    told = program(home)
    assert told.exit_code == 0, told.output
    assert "2026-11 closed: 2 customers" in told.output
    assert "2026-11: 3 written, 0 there already" in told.output
    assert "every invariant holds" in told.output
    assert told.output.rstrip().endswith("No findings.")
    folder = home / "nightly" / "2026-12-01"
    assert (folder / "report.txt").read_text(encoding="utf-8") == told.output
    assert len(told.output.splitlines()) < 50
    assert "customer/C2" in (folder / "arrears.csv").read_text(encoding="utf-8")
    assert (home / "statements" / "2026-11" / "customer-C1.pdf").is_file()


def test_a_second_run_changes_nothing(home: Path) -> None:
    """Every statement once, no event twice; the first report stays."""
    night(home)
    before, first = issued(home), rows(home)
    again = night(home)
    assert again.findings == []
    assert issued(home) == before
    assert rows(home) == first
    assert sorted(path.name for path in (home / "nightly" / "2026-12-01").glob("report*")) == [
        "report-2.txt",
        "report.txt",
    ]


def test_a_night_killed_anywhere_ends_as_if_it_had_not_been(home: Path, tmp_path: Path) -> None:
    """F-16: kill -9 at random moments, then once to the end: the same rows, the same bytes."""
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    calm = tmp_path / "calm"
    shutil.copytree(home, calm)
    began = time.monotonic()
    subprocess.run(command(calm), check=True, capture_output=True, cwd=ROOT, timeout=300)
    usual_s = time.monotonic() - began
    for _ in range(3):
        process = subprocess.Popen(
            command(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
        )
        try:
            process.wait(usual_s * rng.random())
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    done = subprocess.run(command(home), check=False, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, (seed, done.stdout, done.stderr)
    assert rows(home) == rows(calm), seed
    ours, theirs = (
        {
            name: content
            for name, content in issued(one).items()
            if not name.rsplit("/", 1)[1].startswith(".customer")
        }
        for one in (home, calm)
    )
    assert {name for name in ours if "/." not in name} == {name for name in theirs if "/." not in name}, seed
    assert all(ours[name] == theirs[name] for name in theirs), seed


def command(home: Path) -> list[str]:
    return [sys.executable, "-m", "fentan", "--home", str(home), "--now", NOW, "nightly"]


def test_one_who_fails_is_named_and_does_not_stop_the_others(home: Path) -> None:
    """F-14: a statement that was issued with other figures stays, and is told each night until it is put right."""
    changed = home / "statements" / "2026-11" / "customer-C1.json"
    changed.parent.mkdir(parents=True)
    changed.write_text("{}", encoding="utf-8")
    for _ in range(2):
        told = program(home)
        assert told.exit_code == 1
        assert "1 finding." in told.output
        assert "customer-C1.json holds other figures" in told.output
        assert changed.read_text(encoding="utf-8") == "{}"
        assert (home / "statements" / "2026-11" / "customer-C2.pdf").is_file()
    changed.unlink()
    assert program(home).exit_code == 0
    assert "nothing to do" in program(home).output


def test_two_nights_at_once_are_refused_and_a_dead_one_holds_no_lock(home: Path) -> None:
    """The lock is the system's: a file that was left behind locks nobody out."""
    lock = home / "nightly" / "lock"
    lock.write_text("4711", encoding="utf-8")
    with lock.open("a+", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LedgerFault, match="Another night is at work here \\(process 4711\\)"):
            night(home)
        assert program(home).exit_code == 4
    assert night(home).findings == []


def test_a_day_that_has_not_begun_is_refused(home: Path) -> None:
    with pytest.raises(BadRequest, match="2026-12-02 has not begun"):
        night(home, day=date(2026, 12, 2))
    assert program(home, "--as-of", "2026-13-01").exit_code == 2


def test_others_lists_are_reconciled(home: Path) -> None:
    """R-ARR-4: those that agree are said, those that do not or cannot be read are findings."""
    lists = home / "lists"
    lists.mkdir()
    (lists / "bank-november.csv").write_text("reference,amount,at\nx,5,2026-11-02\n", encoding="utf-8")
    (lists / "bank.csv").write_text("reference,amount,at\nslip 1,100.00,2026-08-04\n", encoding="utf-8")
    (lists / "carrier-2026-11.csv").write_text("nothing,of,this\n1,2,3\n", encoding="utf-8")
    (lists / "notes.txt").write_text("not asked for", encoding="utf-8")
    report = night(home)
    assert [finding.split(": ")[1] for finding in report.findings] == [
        "bank-november.csv",
        "carrier-2026-11.csv",
    ]
    (step,) = (step for step in report.steps if step.name == "reconciliation")
    assert "bank.csv: all 1 pair agree" in step.said
    told = home / "nightly" / "2026-12-01" / "differences-bank-november.csv"
    assert told.read_text(encoding="utf-8").count("\n") == 2
    (lists / "bank.csv").replace(lists / "bank-november.csv")
    night(home)
    assert not told.exists()  # the list that it was about was corrected


def test_a_late_night_closes_all_that_ended(home: Path, tmp_path: Path) -> None:
    """After an outage one night does the work of many, and a file for BI tools is published."""
    late = datetime(2027, 2, 3, tzinfo=UTC)
    report = night(home, day=date(2027, 2, 3), now=late, published=tmp_path / "f.duckdb")
    assert report.findings == []
    (closing,) = (step.said for step in report.steps if step.name == "close")
    assert [sentence[:7] for sentence in closing] == ["2026-11", "2026-12", "2027-01"]
    assert (tmp_path / "f.duckdb").is_file()
