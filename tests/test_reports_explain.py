"""`fentan call` and `fentan explain`: every amount with its input, its rule and its arithmetic, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from ledger.home import Home
from reports.ask import views
from reports.explain import NotFound, explain, explain_call, lines_of
from tests.billed import FREE, NUMBER, PAID_BOTH, SECOND, billed_ledger
from tests.scenario import instant, read_all
from tests.scenario_then import play

NOW = datetime(2026, 11, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of three closed months and an open one."""
    folder = tmp_path_factory.mktemp("billed")
    billed_ledger(folder)
    return folder


@pytest.fixture(scope="module")
def con(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The views over it."""
    with views(*Home.open_logs(folder), NOW) as con:
        yield con


@pytest.fixture(scope="module")
def seqs(folder: Path) -> dict[str, int]:
    """The seq of each event by its id, the first if it has several."""
    rows = Home.open_logs(folder)[0].read_since(0, ["seq", "command_id"]).to_pylist()
    return {row["command_id"]: row["seq"] for row in reversed(rows)}


def call(con: duckdb.DuckDBPyConnection, call_id: str) -> str:
    return "\n".join(lines_of(con, call_id, only_calls=True))


def told(con: duckdb.DuckDBPyConnection, name: str) -> str:
    return "\n".join(lines_of(con, name))


# calls


def test_a_call_is_explained_from_its_input_to_its_statement(
    con: duckdb.DuckDBPyConnection, seqs: dict[str, int]
) -> None:
    """R-CALL-3 R-CALL-7 R-CALL-8 R-CALL-1: who pays, by which event; the seconds, the rate and the product."""
    lines = lines_of(con, "k3")
    assert (
        lines[0]
        == "Call k3: row 2 of calls, rated. It came from scenario, position 2, at 2026-08-10 12:01:01."
    )
    lines = lines_of(con, "k10")
    rate = f"change_rate dearer, row {seqs['dearer']} of events"
    assert lines[1:6] == [
        f"13853100001 (0531, 山东 济南) called {NUMBER} at 2026-11-05 10:00:00; the call was answered at 2026-11-05 10:00:00 for 1 min.",
        f"Customer C1 (provider P1) held the number at its start and pays (R-CALL-8): sign_contract given-5, plan Y600, row {seqs['given-5']} of events, in force from 2026-08-01 10:00:00.",
        f"The number was suspended: alert customer/C1/suspended/1, row {seqs['customer/C1/suspended/1']} of events, in force from 2026-11-01 00:10:00.",
        f"The rate was 0.20 yuan a minute (R-CALL-3): {rate}, in force from 2026-09-01 00:00:00. The catalogue knew 56 rows of events then.",
        "1 min in whole steps of 1 min is 1 min (R-CALL-3).",
    ]
    assert lines[6] == "1 min × 0.20 = 0.2000 yuan (R-CALL-3)."
    assert (
        "probably charges 0.10 yuan for the caller's leg; that is never charged here (R-CALL-1, R-CALL-2)"
        in lines[7]
    )
    assert lines[8] == "Worth noticing: suspended."
    assert lines[9].startswith(
        "It belongs to 2026-11, the month of its start, and is on that month's statement"
    )


def test_a_call_shows_all_that_came_under_its_id(con: duckdb.DuckDBPyConnection) -> None:
    """R-INV-6 F-10 F-11: the duplicate and the conflict, each a row with its reason and bytes."""
    text = call(con, "k1")
    assert "The id k1 came 3 times" in text
    assert "row 5 of calls, duplicate, DUPLICATE: this id was charged before, with the same content" in text
    assert "row 6 of calls, duplicate, CONFLICTING_DUPLICATE" in text
    assert "duration_s 60 there and 120 here. The first stands." in text
    assert "Its bytes: {}" in text


def test_a_late_call_shows_its_adjustment_and_what_it_comes_to(
    con: duckdb.DuckDBPyConnection, seqs: dict[str, int]
) -> None:
    """R-MIN-7 F-14: charged 1.50, taken back 1.50 of the top-up; then re-rated by 0.50."""
    text = call(con, "k9")
    assert "9 min 1 s in whole steps of 1 min is 10 min" in text
    assert "10 min × 0.15 = 1.5000 yuan" in text
    assert (
        "which was closed when it came; so it counts for the minimum of 2026-09 and is on the statement of 2026-10"
        in text
    )
    assert (
        f"1.50 yuan were taken back of the top-up of 2026-09, posting {seqs['adjust/k9']}-1, billed to 2026-10 (R-MIN-7)"
        in text
    )
    assert (
        f"dearer reached back to it: it was re-rated, 0.50 yuan more, posting {seqs['rerate/dearer']}-2"
        in text
    )
    assert text.endswith("Altogether the call changed what customer C1 owes by 0.50 yuan.")


@pytest.mark.parametrize(
    ("call_id", "says"),
    [
        ("k2", "It was not answered, so it costs 0.0000 yuan (R-CALL-3)."),
        ("k3", "2 min × 0.30 = 0.6000 yuan, and the caller's leg of 0.2000 yuan, which the owner of an 800 number pays too (R-CALL-5): 0.8000 yuan."),
        ("k4", "The owner of a 95 number pays nothing for calls: 0.0000 yuan (R-CALL-5)."),
        ("k5", "What the caller's own carrier charges for the caller's leg is not known (R-CALL-2)."),
    ],
)  # fmt: skip
def test_each_kind_of_number_and_caller_has_its_arithmetic(
    con: duckdb.DuckDBPyConnection, call_id: str, says: str
) -> None:
    """R-CALL-2 R-CALL-3 R-CALL-5."""
    assert says in lines_of(con, call_id, only_calls=True)


def test_a_rejected_call_says_why_and_what_to_do(con: duckdb.DuckDBPyConnection) -> None:
    """R-INV-1 F-05."""
    text = call(con, "k6")
    assert "rejected, UNKNOWN_NUMBER: nobody added this number" in text
    assert text.count("then `fentan retry`") == 1


# postings


def test_a_top_up_shows_its_working(con: duckdb.DuckDBPyConnection, seqs: dict[str, int]) -> None:
    """R-MIN-1 R-MIN-3: base × rate ÷ base rate, less the month's calls."""
    text = told(con, f"{seqs['close/2026-09/C1']}-1")
    assert (
        "minimum_top_up of 20.00 yuan, from the usage of customer C1 to platform/revenue/minimum, billed to 2026-09"
        in text
    )
    assert f"The minimum of {NUMBER} in 2026-09: 100.00 × 0.15 ÷ 0.30 = 50.00 (R-MIN-3)." in text
    assert "Calls of 2026-09: 30.00. 50.00 − 30.00 = 20.00 yuan (R-MIN-1)." in text
    assert (
        f"Decided by Fentan itself: close_customer close/2026-09/C1, row {seqs['close/2026-09/C1']} of events"
        in text
    )


def test_an_adjustment_shows_the_top_up_before_and_after(
    con: duckdb.DuckDBPyConnection, seqs: dict[str, int]
) -> None:
    """R-MIN-7: by a late call, and by a rate recorded late that raised the closed month's minimum."""
    text = told(con, f"{seqs['adjust/k9']}-1")
    assert "The call k9 of 2026-09 came after that month's close" in text
    assert "stood at 20.00 yuan, after it at 18.50 yuan" in text
    text = told(con, f"{seqs['rerate/dearer']}-3")
    assert "dearer was recorded after 2026-09 had been closed" in text
    assert f"The minimum of {NUMBER} in 2026-09 changed by 16.67 yuan." in text
    assert "stood at 18.50 yuan, after it at 24.67 yuan" in text


def test_a_settlement_lists_the_credits_in_drawing_order(
    con: duckdb.DuckDBPyConnection, seqs: dict[str, int]
) -> None:
    """R-PLAN-3: the credit that ends first, then cash."""
    lines = lines_of(con, f"{seqs['close/2026-10/C1']}-4")
    assert (
        "  1. the call credit 4001170392-20260801 of customer C1, which ends on 2027-07-31: 149.70 yuan paid (this posting)"
        in lines
    )
    assert "  2. the cash of customer C1: 133.64 yuan paid" in lines


def test_a_reversal_and_what_it_reverses_name_each_other(
    con: duckdb.DuckDBPyConnection, seqs: dict[str, int]
) -> None:
    """R-INV-3."""
    assert f"It reverses: Posting {seqs['oops']}-1: payment of 7.00 yuan" in told(con, f"{seqs['undo']}-1")
    assert f"It was reversed by posting {seqs['undo']}-1: another's money (R-INV-3)." in told(
        con, f"{seqs['oops']}-1"
    )


def test_a_plan_fee_and_a_feature_fee_name_their_prices(
    con: duckdb.DuckDBPyConnection, seqs: dict[str, int]
) -> None:
    """R-PLAN-1 R-FEAT-1: with the input as it was given."""
    text = told(con, f"{seqs['given-5']}-1")
    assert "The plan Y600 costs 600.00 yuan for 2026-08-01 to 2027-07-31" in text
    assert "customer_id: C1, plan_id: Y600, rate: 0.15" in text
    assert "recording has this price in the price book of that day; on since 2026-10-12." in told(
        con, f"{seqs['record']}-1"
    )


def test_a_rerating_names_the_call_and_its_cause(
    con: duckdb.DuckDBPyConnection, seqs: dict[str, int]
) -> None:
    """R-CALL-8."""
    assert "dearer was recorded after the call k8 had been charged" in told(con, f"{seqs['rerate/dearer']}-1")


# statement lines


@pytest.mark.parametrize(
    "name",
    [f"2026-10/customer/C1/P1/{NUMBER}/call", f"2026-10/C1/{NUMBER}/call", f"2026-10/C1/{NUMBER}/late_call"],
)
def test_a_line_of_calls_is_told_by_month_and_rate(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """R-ARR-4 R-CALL-8: by its line_id, in short, or as printed."""
    text = told(con, name)
    assert f"call of {NUMBER} in 2026-10 on the statement of customer/C1, 1.50 yuan from 1 call" in text
    assert (
        "1 call of 2026-09 at 0.15 yuan a minute: 10 minutes, 1.50 yuan, which came after that month's close"
        in text
    )


def test_a_line_of_postings_explains_them(con: duckdb.DuckDBPyConnection) -> None:
    """R-ARR-4: of a customer, of a provider, and a settlement, which is printed but moves nobody's balance."""
    assert "96.78" in told(con, f"2026-10/C2/{SECOND}/minimum_top_up")
    assert "100.00 − 0.80 = 99.20 yuan (R-MIN-1)" in told(con, f"2026-08/C1/{PAID_BOTH}/minimum_top_up")
    assert "feature_fee of 100.00 yuan" in told(con, f"2026-10/P1/{NUMBER}/feature_fee")
    assert "settled 283.34 yuan of usage" in told(con, "2026-10/C1/-/settlement")


# commands and alerts


def test_a_refused_command_says_why_and_what_to_do(con: duckdb.DuckDBPyConnection) -> None:
    """R-MIN-2."""
    text = told(con, "lower")
    assert (
        "Refused: MINIMUM_LOWERED, a minimum can only be raised (R-MIN-2, R-MIN-4, R-MIN-5). The minimum of 4001170392 is 66.67"
        in text
    )
    assert "What to do: ask for at least the present minimum." in text


def test_an_alert_names_what_made_the_balance_cross(
    con: duckdb.DuckDBPyConnection, seqs: dict[str, int]
) -> None:
    """R-ARR-1."""
    text = told(con, "customer/C1/arrears/1")
    assert "balance: -133.64" in text
    assert (
        f"It follows from close_customer close/2026-10/C1, row {seqs['close/2026-10/C1']} of events" in text
    )


def test_the_ledger_in_a_folder_is_asked(folder: Path) -> None:
    """R-CALL-7: a call's id is understood by both."""
    lines = explain_call(folder, "k2", NOW)
    assert "It was not answered, so it costs 0.0000 yuan (R-CALL-3)." in lines
    assert explain(folder, "k2", NOW) == lines


@pytest.mark.parametrize(
    "name", ["nobody", "99-1", "2026-10/C9/4001170392/call", "'; DROP TABLE calls; --", f"2026-10/{FREE}"]
)
def test_an_unknown_name_is_answered_with_how_names_look(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """F-24: names are bound parameters."""
    with pytest.raises(NotFound, match=r"is called .*A posting's id is like 812-1"):
        lines_of(con, name)
    with pytest.raises(NotFound, match="has come in"):
        lines_of(con, name, only_calls=True)


def test_a_call_that_another_holder_pays_names_both(tmp_path: Path) -> None:
    """R-CALL-8 R-INV-3: what was taken back of the one, and what the other is charged."""
    (scenario,) = [one for one in read_all() if "a holder who is recorded late pays" in one.title]
    play(scenario, tmp_path / "ledger")
    text = "\n".join(explain_call(tmp_path / "ledger", "call-1", instant("2026-09-05 10:00")))
    assert "row-11 reached back to it: it was re-rated, 10.00 yuan less, posting" in text
    assert "row-17 reached back to it: it was re-rated, 20.00 yuan more for customer C2, posting" in text
    assert (
        "Altogether the call changed what customer C1 owes by 0.00 yuan and customer C2 owes by 16.00 yuan."
        in text
    )
