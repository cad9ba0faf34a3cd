"""`fentan simulate`: the same prices change nothing; others change what they say, to the last hao."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import fentan
from ledger.faults import BadRequest
from ledger.home import Home
from rating import price_book
from rating.accounts import Refused
from reports.simulate import Account, simulate
from tests.billed import billed_ledger

MONTHS = ("2026-08", "2026-09", "2026-10")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    billed_ledger(folder)
    return folder


def under(home: Path, month: str, *changes: tuple[str, str]) -> dict[str, Account]:
    """The month under the default prices with these places changed."""
    text = price_book.default_text()
    for place, instead in changes:
        assert place in text
        text = text.replace(place, instead)
    return simulate(home, month, price_book.parse(text, "other.toml"))


@pytest.mark.parametrize("month", MONTHS)
def test_the_same_prices_change_nothing(home: Path, month: str) -> None:
    for name, account in under(home, month).items():
        assert account.other == account.charged, name


def test_another_default_rate_changes_calls_and_minimums(home: Path) -> None:
    """R-CALL-3 R-MIN-3: PAYG numbers go by it; the rate that was agreed for the other stays."""
    accounts = under(home, "2026-08", ('default = "0.30"', 'default = "0.60"'))
    second = accounts["customer/C2"]
    assert (second.charged["calls"], second.other["calls"]) == (150_000, 300_000)  # 50 minutes
    assert (second.charged["top_up"], second.other["top_up"]) == (850_000, 1_700_000)
    august = accounts["customer/C1"]
    called = august.other["calls"] - august.charged["calls"]
    assert called == 2 * 3000  # 61 s to the 800 number; the Y600 number's 0.15 was agreed


def test_another_increment_rounds_each_call_anew(home: Path) -> None:
    """R-CALL-3: by the call, not by the sum."""
    accounts = under(home, "2026-08", ("increment_s = 60", "increment_s = 1"))
    calls = accounts["customer/C1"].charged["calls"] - accounts["customer/C1"].other["calls"]
    # 10 s at 0.15 instead of 60; 61 s instead of 120 at 0.15 and at 0.30
    assert calls == (1500 - 250) + (6000 - 3050)


def test_a_raised_base_raises_top_ups_alone(home: Path) -> None:
    """R-MIN-1 R-MIN-3: 120 at 0.30 is 60 at 0.15."""
    accounts = under(
        home, "2026-09", ('{class = "ordinary", yuan = "100"}', '{class = "ordinary", yuan = "120"}')
    )
    second = accounts["customer/C2"]
    assert second.other["calls"] == second.charged["calls"]
    assert second.other["top_up"] - second.charged["top_up"] == 200_000


def test_features_cost_their_provider_the_other_price(home: Path) -> None:
    """R-FEAT-1."""
    accounts = under(
        home, "2026-10", ('{id = "recording", price = "100"}', '{id = "recording", price = "80"}')
    )
    provider = accounts["provider/P1"]
    assert (provider.charged["features"], provider.other["features"]) == (1_000_000, 800_000)


def test_the_opening_month_may_be_charged(home: Path) -> None:
    """R-MIN-6: by plan."""
    before = under(home, "2026-08")["customer/C1"]
    after = under(
        home,
        "2026-08",
        (
            "contract_months = 36},                  # R-PLAN-1",
            'contract_months = 36, opening_month = "minimum"}, # R-PLAN-1',
        ),
    )
    assert after["customer/C1"].other["top_up"] > before.charged["top_up"]


def test_nothing_is_written_and_an_open_month_is_refused(home: Path, tmp_path: Path) -> None:
    before = [log.next_seq for log in Home.open_logs(home)]
    (tmp_path / "other.toml").write_text(
        re.sub(r'default = "0.30"', 'default = "0.45"', price_book.default_text()), encoding="utf-8"
    )
    words = ["--home", str(home), "simulate", "2026-08", "--catalogue", str(tmp_path / "other.toml")]
    told = CliRunner().invoke(fentan.main, words)
    assert told.exit_code == 0, told.output
    assert told.output.splitlines()[-1].startswith("total")
    assert [log.next_seq for log in Home.open_logs(home)] == before
    with pytest.raises(Refused, match="is not closed"):
        under(home, "2026-12")
    assert CliRunner().invoke(fentan.main, [*words[:-1], str(tmp_path / "none.toml")]).exit_code == 2


def test_a_book_without_a_plan_that_numbers_had_is_refused(home: Path) -> None:
    """R-CALL-3: nothing is known of what it would cost, which is not the same as no difference."""
    with pytest.raises(BadRequest, match="has no plan PAYG on 2026-08-01, which numbers had in 2026-08"):
        under(home, "2026-08", ('id = "PAYG"', 'id = "PAYG2"'))
