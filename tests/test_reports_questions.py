"""Finance's standard questions: each runs, means what it says, and asks for what it lacks in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

import fentan
from ledger.faults import BadRequest
from ledger.guard import run_select
from ledger.home import Home
from rating.areas import areas
from reports.ask import views_for_others
from reports.questions import Question, bound, question_in, standard_questions
from tests.billed import billed_ledger
from tests.ledgers import a_home
from tests.scenario import read_all
from tests.scenario_then import play

NOW = datetime(2026, 11, 6, tzinfo=UTC)
GIVEN = ("month=2026-10", "with=2026-09", "day=2026-10-12")
NAMES = [question.name for question in standard_questions()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    billed_ledger(folder)
    return folder


@pytest.fixture(scope="module")
def con(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """As `fentan sql` asks: locked down."""
    with views_for_others(*Home.open_logs(home), NOW) as con:
        yield con


def ask(con: duckdb.DuckDBPyConnection, name: str, *given: str) -> list[dict[str, Any]]:
    question = question_in(Path(name))
    wanted = {one.name for one in question.parameters}
    values = bound(question, [text for text in given or GIVEN if text.partition("=")[0] in wanted])
    return run_select(con, question.sql, values or None).to_pylist()


def yuan(con: duckdb.DuckDBPyConnection, sql: str) -> Decimal:
    amount: Decimal = run_select(con, f"SELECT coalesce(sum(amount), 0) AS yuan FROM {sql}").to_pylist()[0][
        "yuan"
    ]
    return amount


def test_there_are_eleven_and_each_says_what_it_means() -> None:
    assert len(NAMES) == 11
    for question in standard_questions():
        assert question.title[0].isupper()
        assert question.meaning.endswith("."), question.name


@pytest.mark.parametrize("name", NAMES)
def test_each_is_answered_with_exact_money(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """R-INV-4: no column is a binary float."""
    for row in ask(con, name):
        for column, value in row.items():
            assert not isinstance(value, float), (column, value)
            assert not column.endswith("yuan") or isinstance(value, Decimal), (column, value)


def test_revenue_by_day_is_all_revenue_of_the_month(con: duckdb.DuckDBPyConnection) -> None:
    """With late calls, minimums, features and what was taken back."""
    for month in ("2026-08", "2026-09", "2026-10", "2026-11"):
        into = yuan(con, f"movements WHERE billed_month = '{month}' AND credit LIKE 'platform/revenue/%'")
        out_of = yuan(con, f"movements WHERE billed_month = '{month}' AND debit LIKE 'platform/revenue/%'")
        asked = ask(con, "revenue_by_day", f"month={month}")
        assert sum((row["yuan"] for row in asked), Decimal(0)) == into - out_of, month
        total = ask(con, "month_comparison", f"month={month}", "with=2026-07")[-1]
        assert (total["kind"], total["this_month_yuan"]) == ("total", into - out_of)


def test_minimum_top_ups_are_what_was_posted(con: duckdb.DuckDBPyConnection) -> None:
    """R-MIN-1 R-MIN-7."""
    rows = ask(con, "minimum_top_ups", "month=2026-10")
    posted = yuan(con, "postings WHERE month = '2026-10' AND credit = 'platform/revenue/minimum'")
    assert posted > 0
    assert sum(row["topped_up_yuan"] for row in rows) == posted
    back = yuan(con, "postings WHERE month = '2026-10' AND debit = 'platform/revenue/minimum'")
    assert sum(row["taken_back_yuan"] for row in rows) == back > 0


def test_unused_credit_is_the_customers_credit(tmp_path: Path) -> None:
    """R-PLAN-1: with the day it ends."""
    a_home(tmp_path)
    with views_for_others(*Home.open_logs(tmp_path), NOW) as con:
        (row,) = ask(con, "unused_credit")
    told = (row["customer_id"], str(row["ends_on"]), row["days_left"], row["unused_yuan"])
    assert told == ("C1", "2027-07-31", 267, Decimal(600))


def test_every_debtor_has_an_age(con: duckdb.DuckDBPyConnection) -> None:
    """R-ARR-1."""
    rows = ask(con, "debtors_by_age")
    assert -sum(row["owed_yuan"] for row in rows) == yuan(con, "(SELECT balance AS amount FROM arrears)") < 0


def test_provider_settlement_closes_with_the_providers_balance(con: duckdb.DuckDBPyConnection) -> None:
    """R-ARR-4: and the columns add up."""
    for row in ask(con, "provider_settlement", "month=2026-11"):
        moved = ("opening_yuan", "paid_in_yuan", "features_yuan", "fines_yuan", "other_yuan")
        assert sum(row[column] for column in moved) == row["closing_yuan"]
        balance = (
            f"(SELECT balance AS amount FROM balances WHERE account LIKE 'provider/{row['provider_id']}/%')"
        )
        assert row["closing_yuan"] == yuan(con, balance)


def test_records_of_a_switch_are_counted_once(con: duckdb.DuckDBPyConnection) -> None:
    """R-INV-1."""
    (row,) = ask(con, "reject_rate_by_switch", "month=2026-08")
    assert row["switch"] == "scenario"
    assert row["records"] == row["rated"] + row["duplicates"] + row["rejects"] == 9
    assert (row["duplicates"], row["rejects"], row["percent_rejected"]) == (2, 1, Decimal("11.11"))


def test_areas_are_those_that_rating_knows(con: duckdb.DuckDBPyConnection) -> None:
    known = areas()
    names = {
        code: "".join(dict.fromkeys(place))
        for code, place in zip(known.codes.to_pylist(), known.names, strict=True)
    }
    assert {row["code"]: row["name"] for row in run_select(con, "SELECT * FROM areas").to_pylist()} == names


# asked by hand


def test_a_parameter_is_data_and_nothing_else(con: duckdb.DuckDBPyConnection) -> None:
    """F-24."""
    assert ask(con, "minimum_top_ups", "month=' OR 1=1; DROP VIEW calls; --") == []


@pytest.mark.parametrize(
    ("sql", "given", "says"),
    [
        ("SELECT $a", [], "needs --param a=…: what stands for $a"),
        ("-- T\n-- $month: the billed month\nSELECT $month", [], "needs --param month=…: the billed month"),
        ("SELECT 1", ["a=1"], "has no parameter 'a'; it has none"),
        ("SELECT $b", ["a=1"], "has no parameter 'a'; it has b"),
        ("SELECT $a", ["a"], "is not name=value"),
        ("SELECT $a", ["=1"], "is not name=value"),
    ],
)
def test_what_is_missing_or_too_much_is_named(tmp_path: Path, sql: str, given: list[str], says: str) -> None:
    (tmp_path / "q.sql").write_text(sql, encoding="utf-8")
    with pytest.raises(BadRequest) as said:
        bound(question_in(tmp_path / "q.sql"), given)
    assert says in str(said.value)


def test_a_default_may_be_left_out_or_replaced() -> None:
    question = Question("q", "", "", question_in(Path("top_caller_areas")).parameters, "SELECT $top")
    assert bound(question, []) == {"top": "20"}
    assert bound(question, ["top=a=b"]) == {"top": "a=b"}


def test_the_program_lists_them_and_asks_them(home: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    listed = run(fentan.main, ["questions"]).output
    assert all(name in listed for name in NAMES)
    asked = ["--home", str(home), "--now", "2026-11-06T00:00:00+08:00", "sql", "--format", "csv"]
    for name in ("month_comparison", "month_comparison.sql"):
        words = [word for given in GIVEN[:2] for word in ("--param", given)]
        assert run(fentan.main, [*asked, "--file", name, *words]).output.startswith("kind,this_month_yuan")
    assert "needs --param month=" in run(fentan.main, [*asked, "--file", "month_comparison"]).output
    assert run(fentan.main, [*asked, "--file", "no_such"]).exit_code == 2
    (tmp_path / "own.sql").write_text(
        run(fentan.main, ["questions", "debtors_by_age"]).output, encoding="utf-8"
    )
    assert run(fentan.main, [*asked, "--file", str(tmp_path / "own.sql")]).output.startswith("debtor,age")


def test_a_days_charges_say_which_are_disputed(tmp_path: Path) -> None:
    """R-FEAT-1 R-FEAT-2."""
    (scenario,) = [one for one in read_all() if "a charge is disputed and upheld" in one.title]
    play(scenario, tmp_path / "ledger")
    with views_for_others(*Home.open_logs(tmp_path / "ledger"), NOW) as con:
        rows = ask(con, "feature_charges", "day=2026-08-10")
        found = [(row["provider_id"], row["feature"], str(row["yuan"]), row["dispute"]) for row in rows]
        assert sorted(found) == [
            ("P1", "ivr", "50.0000", "reversed"),
            ("P1", "recording", "100.0000", "upheld"),
        ]
        assert ask(con, "feature_charges", "day=2026-08-11") == []
