"""`fentan export`: what other programs get is what the ledger says, and they accept it."""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from beancount.core.data import Balance, Open, Transaction
from beancount.loader import load_file
from click.testing import CliRunner

import fentan
from ledger.faults import BadRequest
from ledger.home import Home
from rating.accounts import Refused
from rating.calendar import end_of_month
from rating.money import to_yuan
from reports.ask import views
from reports.export_beancount import TAXED, account_name
from reports.export_xlsx import table_sheet, write_workbook
from reports.exports import export
from reports.statement_data import Month
from tests.billed import billed_ledger, play

MONTHS = ("2026-08", "2026-09", "2026-10")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a feature fee that is given back, so that VAT goes back too."""
    world = billed_ledger(tmp_path_factory.mktemp("exported"))
    play(world, "2026-11-06 10:00", "enable_feature", "id more, number 4001170392, feature queue")
    play(
        world,
        "2026-11-07 10:00",
        "reverse_posting",
        "id back, posting feature_fee 50.00, reason never asked for",
    )
    play(world, "2026-12-01 00:10", "close 2026-11")
    return world.home.folder


@pytest.fixture(scope="module")
def con(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with views(*Home.open_logs(home), datetime(2026, 12, 2, tzinfo=UTC)) as con:
        yield con


def books(home: Path, month: str, tmp_path: Path) -> tuple[dict[str, Decimal], list[Transaction]]:
    """The file as Beancount reads it: closing balances as the ledger counts, and its transactions. No error at all."""
    file = export(home, month, "beancount", tmp_path / f"{month}.beancount")
    entries, errors, _ = load_file(str(file))
    assert errors == []
    balances: dict[str, Decimal] = defaultdict(Decimal)
    transactions = [entry for entry in entries if isinstance(entry, Transaction)]
    for entry in transactions:
        for posting in entry.postings:
            balances[posting.account] -= posting.units.number
    asserted = {entry.account: -entry.amount.number for entry in entries if isinstance(entry, Balance)}
    assert asserted == dict(balances)
    assert {entry.account for entry in entries if isinstance(entry, Open)} == set(balances)
    return balances, transactions


def ours(con: duckdb.DuckDBPyConnection, month: str) -> dict[str, Decimal]:
    """Each leaf account of the balance sheet after the month, by Beancount's name."""
    rows = con.execute(
        "SELECT account, sum(amount) FROM (SELECT unnest([debit, credit]) AS account, unnest([-amount, amount]) AS amount "
        "FROM movements WHERE billed_month <= ?) GROUP BY 1",
        [month],
    ).fetchall()
    return {
        account_name(account): yuan for account, yuan in rows if not account.startswith("platform/revenue/")
    }


# Beancount


@pytest.mark.parametrize("month", [*MONTHS, "2026-11"])
def test_beancount_accepts_the_month_and_its_balances_are_ours(
    home: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path, month: str
) -> None:
    """R-INV-2: to the last digit."""
    balances, _ = books(home, month, tmp_path)
    for account, yuan in ours(con, month).items():
        assert balances.get(account, Decimal(0)) == yuan, account
    assert sum(balances.values()) == 0


@pytest.mark.parametrize("month", [*MONTHS, "2026-11"])
def test_income_is_ours_less_the_vat_on_the_statements(
    home: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path, month: str
) -> None:
    """R-ARR-4: VAT by kind of posting, each in its account; a reversed charge takes its VAT back."""
    balances, _ = books(home, month, tmp_path)
    with views(*Home.open_logs(home), end_of_month(month)) as at_close:
        statements = list(Month(at_close, month, *Home.open_logs(home)).summaries())
    taxes: dict[str, Decimal] = defaultdict(Decimal)
    for statement in statements:
        for vat in statement.vat:
            taxes[vat.kind] += to_yuan(vat.vat_hao)
    assert {name: yuan for name, yuan in balances.items() if name.startswith("Liabilities:VAT") and yuan} == {
        account_name(f"vat/{kind}"): yuan for kind, yuan in taxes.items() if yuan
    }
    gross = con.execute(
        "SELECT account, sum(amount) FROM (SELECT unnest([debit, credit]) AS account, unnest([-amount, amount]) AS amount "
        "FROM movements WHERE billed_month = ?) WHERE starts_with(account, 'platform/revenue/') GROUP BY 1",
        [month],
    ).fetchall()
    for account, yuan in gross:
        taxed = sum((taxes[kind] for kind, income in TAXED.items() if income == account), Decimal(0))
        assert balances[account_name(account)] == yuan - taxed, account


def test_closing_balances_are_those_of_the_statements(home: Path, tmp_path: Path) -> None:
    """R-ARR-4: statement, ledger and book say the same of every customer and provider."""
    for month in MONTHS:
        balances, _ = books(home, month, tmp_path)
        with views(*Home.open_logs(home), end_of_month(month)) as con:
            for statement in Month(con, month, *Home.open_logs(home)).summaries():
                owner = f"{statement.kind.capitalize()}s:{statement.head.party.party_id}:"
                of_owner = [
                    yuan for name, yuan in balances.items() if name.startswith(f"Liabilities:{owner}")
                ]
                assert sum(of_owner) == to_yuan(sum(statement.account.closing)), (month, owner)


def test_every_posting_of_the_month_is_in_the_book_once(
    home: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """R-INV-1: with its id, which `fentan explain` knows."""
    _, transactions = books(home, "2026-10", tmp_path)
    told = sorted(entry.meta["posting"] for entry in transactions if "posting" in entry.meta)
    assert told == sorted(
        row[0] for row in con.execute("SELECT posting_id FROM postings WHERE month = '2026-10'").fetchall()
    )
    assert all(entry.date.isoformat()[:7] == "2026-10" for entry in transactions)


def test_an_open_month_is_refused(home: Path, tmp_path: Path) -> None:
    for form in ("beancount", "xlsx", "parquet"):
        with pytest.raises(Refused, match="is not closed"):
            export(home, "2026-12", form, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("party", ["C1", "c1", "客户一", "a b", "A/../B", 'x"y', "-1", ""])
def test_ids_of_any_kind_have_names_of_their_own(party: str) -> None:
    """F-26."""
    others = {
        account_name(f"customer/{one}/cash")
        for one in ("C1", "c1", "客户一", "a b", 'x"y', "-1")
        if one != party
    }
    name = account_name(f"customer/{party.replace('/', '|')}/cash")
    assert re.fullmatch(r"Liabilities:Customers:[A-Z0-9][A-Za-z0-9-]*:Cash", name)
    assert name not in others


# worksheets and Parquet


def cells(path: Path) -> str:
    with zipfile.ZipFile(path) as book:
        return "".join(book.read(name).decode() for name in book.namelist() if name.endswith(".xml"))


def test_a_workbook_has_texts_and_numbers_and_no_formula(tmp_path: Path) -> None:
    """F-25: whatever a text begins with; negative amounts stay numbers."""
    table = pa.table(
        {
            "text": ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "http://example.com", "{=1}", "x\x00y"],
            "yuan": [Decimal("-12.3400")] * 9,
        }
    )
    write_workbook(tmp_path / "t.xlsx", [table_sheet("t", table)])
    content = cells(tmp_path / "t.xlsx")
    assert "<f>" not in content
    assert "hyperlink" not in content
    assert content.count("<v>-12.3400</v>") == 9
    assert "=1+1" in content


def test_a_sheet_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.export_xlsx.MAX_ROWS", 3)
    with pytest.raises(BadRequest, match="export Parquet instead"):
        write_workbook(tmp_path / "t.xlsx", [table_sheet("t", pa.table({"a": range(4)}))])


def test_the_months_workbook_has_statements_vat_and_the_questions(home: Path, tmp_path: Path) -> None:
    content = cells(export(home, "2026-10", "xlsx", tmp_path / "m.xlsx"))
    for sheet in ("statements", "accounts", "vat", "revenue_by_day", "provider_settlement"):
        assert f'name="{sheet}"' in content, sheet
    assert "202610-C-C1" in content
    assert "<f>" not in content


def test_parquet_has_the_months_rows(home: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """R-CALL-8: by the month that they are billed to. Writing again replaces the folder."""
    for _ in range(2):
        folder = export(home, "2026-10", "parquet", tmp_path / "p")
    assert sorted(path.name for path in folder.iterdir()) == [
        "calls.parquet",
        "postings.parquet",
        "statement_lines.parquet",
    ]
    calls = pq.ParquetFile(folder / "calls.parquet").read()
    assert calls.column("call_id").to_pylist() == ["k9"]
    assert calls.schema.field("owner_fee").type == pa.decimal128(18, 4)
    (count,) = con.execute("SELECT count(*) FROM postings WHERE month = '2026-10'").fetchall()
    assert pq.ParquetFile(folder / "postings.parquet").metadata.num_rows == count[0]


def test_an_export_takes_nobody_elses_place(home: Path, tmp_path: Path) -> None:
    """A folder of other things would be gone."""
    (tmp_path / "letters").mkdir()
    letter = tmp_path / "letters" / "letter.txt"
    letter.write_text("dear")
    for form, place, says in (
        ("parquet", letter.parent, "holds other things, such as letter.txt"),
        ("parquet", letter, "is a file, and Parquet is a folder"),
        ("xlsx", letter.parent, "is a folder: name a file, such as .*letters/month.xlsx"),
    ):
        with pytest.raises(BadRequest, match=says):
            export(home, "2026-10", form, place)
    assert letter.read_text() == "dear"


def test_the_program_writes_into_the_homes_exports(home: Path) -> None:
    told = CliRunner().invoke(
        fentan.main, ["--home", str(home), "export", "2026-09", "--format", "beancount"]
    )
    assert told.output.strip().endswith("fentan-2026-09.beancount")
    assert (home / "exports" / "fentan-2026-09.beancount").is_file()
    assert (
        CliRunner()
        .invoke(fentan.main, ["--home", str(home), "export", "2027-09", "--format", "xlsx"])
        .exit_code
        == 3
    )
