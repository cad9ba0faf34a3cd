"""Answers of `fentan sql` as files: the same values, exact, in every format; bounds that are said in a sentence."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import fentan
from tests.billed import billed_ledger

ROOT = Path(__file__).resolve().parent.parent
QUESTION = "SELECT call_id, owner_fee, start_at, '=1+1' AS formula FROM calls WHERE call_id IN ('k1', 'k7') ORDER BY call_id"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answered")
    billed_ledger(folder)
    return folder


def sql(home: Path, *words: str) -> Result:
    return CliRunner().invoke(fentan.main, ["--home", str(home), "sql", *words])


def test_every_format_has_the_same_values(home: Path, tmp_path: Path) -> None:
    """R-INV-4: decimals stay decimals, also in a sheet."""
    for form in ("table", "csv", "json", "parquet", "arrow", "xlsx"):
        told = sql(home, QUESTION, "--format", form, "--out", str(tmp_path / f"a.{form}"))
        assert (told.exit_code, told.output) == (0, ""), told.output
    parquet = pq.ParquetFile(tmp_path / "a.parquet").read()
    with pa.ipc.open_stream(tmp_path / "a.arrow") as stream:
        assert stream.read_all().equals(parquet)
    assert parquet.column("owner_fee").to_pylist() == [Decimal("0.1500"), Decimal("15.0000")]
    assert [row["owner_fee"] for row in json.loads((tmp_path / "a.json").read_bytes())] == [
        "0.1500",
        "15.0000",
    ]
    assert "k7,15.0000,2026-08-12T10:00:00+08:00,'=1+1" in (tmp_path / "a.csv").read_text(encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "a.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<v>15.0000</v>" in sheet
    assert "<f>" not in sheet  # F-25
    assert len(list(tmp_path.iterdir())) == 6


def test_bytes_go_to_a_pipe(home: Path) -> None:
    program = [sys.executable, "-m", "fentan", "--home", str(home), "sql", QUESTION, "--format"]
    for form in ("arrow", "parquet"):
        done = subprocess.run([*program, form], check=True, capture_output=True, cwd=ROOT, timeout=180)
        source = io.BytesIO(done.stdout)
        rows = pa.ipc.open_stream(source).read_all() if form == "arrow" else pq.ParquetFile(source).read()
        assert rows.num_rows == 2


@pytest.mark.parametrize("size", ["2", "0GB", "2 GB", "-1GB", "all", "2GB'; --"])
def test_a_limit_of_memory_is_a_size(home: Path, size: str) -> None:
    told = sql(home, "SELECT 1", f"--memory={size}")
    assert told.exit_code == 2
    assert "is no size" in told.output


def test_too_little_memory_and_too_little_time_are_said(home: Path) -> None:
    told = sql(
        home,
        "SELECT range AS x, repeat('x', 1000) FROM range(3000000) ORDER BY 2, 1 DESC",
        "--memory",
        "60MB",
    )
    assert told.exit_code == 2
    assert "needs more memory than it may have" in told.output
    told = sql(
        home, "SELECT sum(a.range * b.range) FROM range(1000000) AS a, range(1000000) AS b", "--timeout", "1"
    )
    assert told.exit_code == 2
    assert "longer than 1 s" in told.output


def test_a_folder_that_is_not_there_is_named(home: Path, tmp_path: Path) -> None:
    told = sql(home, "SELECT 1", "--out", str(tmp_path / "no" / "a.csv"))
    assert told.exit_code == 4
    assert "could not be written: No such file" in told.output
