"""Look-ups in the price book: what the default says, and how dates resolve."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from rating.money import parse_yuan
from rating.numbers import CLASSES
from rating.price_book import PriceBook, default_text, parse
from rating.prices import FEATURES, SINCE_EVER, VAT_KINDS

DAY = date(2026, 8, 1)
ONE_MINIMUM = '{class = "ordinary", yuan = "100"}, # R-MIN-3'


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return parse(default_text(), "default.toml")


def a_book(*changes: tuple[str, str]) -> str:
    """The default's text with pieces replaced, each of which must be there."""
    text = default_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


# the default


@pytest.mark.parametrize(
    ("plan_id", "fee", "fee_months", "contract_months", "rate"),
    [
        ("Y600", "600", 12, 36, "0.30"),
        ("Y866", "866", 12, 12, "0.30"),
        ("T2000", "2000", 36, 36, "0.15"),
        ("T3000", "3000", 36, 36, "0.12"),
        ("PAYG", "0", 0, 0, "0.30"),
    ],
)
def test_default_has_the_plans(
    book: PriceBook, plan_id: str, fee: str, fee_months: int, contract_months: int, rate: str
) -> None:
    """R-PLAN-1: contract_months and fee_months are separate."""
    plan = book.plan(plan_id, DAY)
    assert plan is not None
    assert (plan.fee_hao, plan.fee_months, plan.contract_months) == (
        parse_yuan(fee),
        fee_months,
        contract_months,
    )
    assert (plan.rate_hao, plan.increment_s, plan.opening_month) == (parse_yuan(rate), 60, "use")


def test_a_plan_that_is_not_there_is_none(book: PriceBook) -> None:
    """R-PLAN-1."""
    assert book.plan("Y999", DAY) is None


@pytest.mark.parametrize(
    ("number_class", "minimum"),
    [
        ("ordinary", "100"),
        ("ABCD", "200"),
        ("AAAA", "300"),
        ("AABBCC", "300"),
        ("ABC-ABC", "400"),
        ("AAA-BBB", "500"),
        ("ABCDE", "500"),
        ("AAAAA", "1000"),
        ("AAA-AAA", "3000"),
    ],
)
def test_default_has_the_base_minimums(book: PriceBook, number_class: str, minimum: str) -> None:
    """R-MIN-3, R-PLAN-4, R-NUM-6: at the base rate of 0.30."""
    assert book.base_minimum_hao(number_class, DAY) == parse_yuan(minimum)
    assert book.base_rate_hao(DAY) == book.default_rate_hao(DAY) == parse_yuan("0.30")


def test_default_has_the_features(book: PriceBook) -> None:
    """R-FEAT-1, R-FEAT-3: once is the default."""
    prices = {feature: book.feature(feature, DAY).price_hao // 10_000 for feature in FEATURES}
    assert prices == {
        "ivr": 50,
        "ringback": 30,
        "recording": 100,
        "screen_pop": 50,
        "block_list": 20,
        "time_routing": 0,
        "area_routing": 0,
        "voicemail": 20,
        "queue": 50,
        "satisfaction": 30,
        "fax": 30,
        "conference": 100,
    }
    assert {book.feature(feature, DAY).period for feature in FEATURES} == {"once"}


def test_default_has_vat_by_kind(book: PriceBook) -> None:
    """Calls and minimum 9 %, features 6 %, fines none; what moves money only has none."""
    percent = {kind: book.vat_percent_hundredths(kind, DAY) for kind in (*VAT_KINDS, "payment", "settlement")}
    nines = {"call", "minimum_top_up", "late_call_adjustment", "rerating", "credit_expiry"}
    assert {kind for kind, hundredths in percent.items() if hundredths == 900} == nines
    assert percent["feature_fee"] == 600
    assert percent["fine"] == percent["plan_fee"] == percent["payment"] == percent["settlement"] == 0


def test_default_has_the_callers_rates_within_the_rule(book: PriceBook) -> None:
    """R-CALL-2: 0.08 to 0.25 yuan a minute."""
    (rates,) = book.terms().caller_rates
    every = [rates.default_hao_per_min, *rates.by_area.values()]
    assert min(every) == parse_yuan("0.08")
    assert max(every) == parse_yuan("0.25")


def test_default_has_the_limits_of_a_record(book: PriceBook) -> None:
    """R-CALL-3, F-01, F-03, F-04."""
    terms = book.terms()
    assert (terms.duration_limit_s, terms.duration_tolerance_s) == (86_400, 1)
    assert (terms.clock_tolerance_s, terms.late_months) == (300, 6)


@pytest.mark.parametrize(
    ("service_number", "number_class", "hours", "special"),
    [
        ("4001170392", "ordinary", 72, False),
        ("4008170392", "ordinary", 720, False),
        ("4001171234", "ABCD", 720, True),
    ],
)
def test_default_holds_special_and_4008_numbers_longer(
    book: PriceBook, service_number: str, number_class: str, hours: int, special: bool
) -> None:
    """R-HOLD-1, R-HOLD-4: a 4008 number has the long hold, but needs no intent form unless it is special."""
    assert book.holding.hours(service_number, number_class) == hours
    assert book.holding.is_special(number_class) is special


def test_default_has_the_periods_and_fines(book: PriceBook) -> None:
    """R-HOLD-2, R-HOLD-3, R-NUM-2, R-NUM-3, R-ARR-1, R-PEN-1, R-PEN-3, R-PEN-4, R-PLAN-1."""
    assert (book.holding.blocked_cycles, book.holding.cooling_minutes) == (2, 30)
    assert book.documents.required == ("business_licence", "tax_registration", "organisation_code")
    documents = book.documents
    assert (documents.due_days, documents.real_name_deadline_days, documents.restricted_days) == (15, 180, 30)
    arrears = book.arrears
    assert (arrears.suspend_after_days, arrears.freeze_after_days, arrears.long_arrears_after_days) == (
        0,
        30,
        60,
    )
    penalties = book.penalties
    assert penalties.fraud_fine_hao == parse_yuan("30000")
    assert penalties.secondary_sale_fine_hao == parse_yuan("1000")
    assert penalties.secondary_sale_repeated_fine_hao == parse_yuan("2000")
    assert (penalties.rectify_working_days, penalties.fine_due_working_days) == (3, 5)
    assert (book.ahead.days, book.renewal_due_days) == (366, 30)


# dates


def test_a_new_entry_ends_the_one_before() -> None:
    """Effective-dated: `from` is the first day of the new price, what was billed before keeps the old one."""
    book = parse(
        a_book(
            (
                ONE_MINIMUM,
                ONE_MINIMUM.replace(" # R", '{class = "ordinary", yuan = "120", from = 2027-01-01},\n# R'),
            )
        ),
        "p",
    )
    assert book.base_minimum_hao("ordinary", date(2026, 12, 31)) == parse_yuan("100")
    assert book.base_minimum_hao("ordinary", date(2027, 1, 1)) == parse_yuan("120")


def test_a_plan_is_sold_from_its_first_day_until_before_its_last() -> None:
    """`until` is the first day that it no longer holds."""
    book = parse(a_book(('{id = "PAYG"}', '{id = "PAYG", from = 2026-03-01, until = 2026-09-01}')), "p")
    days = [date(2026, 2, 28), date(2026, 3, 1), date(2026, 8, 31), date(2026, 9, 1)]
    assert [book.plan("PAYG", day) is not None for day in days] == [False, True, True, False]


def test_a_plan_may_pause() -> None:
    """Two entries of one plan with a gap between them."""
    text = a_book(
        ('{id = "PAYG"}', '{id = "PAYG", until = 2026-03-01}, {id = "PAYG", rate = "0.2", from = 2026-05-01}')
    )
    book = parse(text, "p")
    assert book.plan("PAYG", date(2026, 4, 1)) is None
    resumed = book.plan("PAYG", date(2026, 5, 1))
    assert resumed is not None
    assert resumed.rate_hao == 2_000


def test_a_plan_without_a_rate_follows_the_default_rate_of_the_day() -> None:
    """R-CALL-3: a contract's rate is the plan's, else the default's."""
    later = ', {base = "0.30", default = "0.28", increment_s = 6, from = 2027-01-01}]'
    book = parse(a_book(("increment_s = 60}]", "increment_s = 60}" + later)), "p")
    before, after = book.plan("Y600", date(2026, 12, 31)), book.plan("Y600", date(2027, 1, 1))
    assert before is not None
    assert after is not None
    assert (before.rate_hao, before.increment_s) == (3_000, 60)
    assert (after.rate_hao, after.increment_s) == (2_800, 6)


def test_callers_rates_are_dated_too() -> None:
    """R-CALL-2: the kernel gets every entry with the instant it begins, midnight in Shanghai."""
    more = '\n[[caller]]\nfrom = 2027-01-01\ndefault = "0.2"\nbundled_prefixes = ["1701"]\n\n# Which call records'
    first, second = parse(a_book(("\n# Which call records", more)), "p").terms().caller_rates
    assert first.from_at.year < 1900
    assert second.from_at == datetime(2026, 12, 31, 16, tzinfo=UTC)
    assert (second.default_hao_per_min, second.by_area, second.bundled_prefixes) == (2_000, {}, ("1701",))


def test_a_class_without_an_entry_has_the_ordinary_minimum() -> None:
    """R-MIN-3."""
    book = parse(a_book(('    {class = "ABCD", yuan = "200"},     # assumed\n', "")), "p")
    assert book.base_minimum_hao("ABCD", DAY) == parse_yuan("100")


def test_a_fee_can_depend_on_the_class_and_the_opening_month_on_the_plan() -> None:
    """R-PLAN-4, R-MIN-6."""
    change = (
        'fee_months = 12, contract_months = 36, fee_by_class = {AAAAA = "5000"}, opening_month = "minimum"'
    )
    plan = parse(a_book(("fee_months = 12, contract_months = 36", change)), "p").plan("Y600", DAY)
    assert plan is not None
    assert [plan.fee_hao_for(name) for name in ("ordinary", "AAAAA")] == [
        parse_yuan("600"),
        parse_yuan("5000"),
    ]
    assert plan.opening_month == "minimum"


def test_days_before_any_number_have_the_first_price(book: PriceBook) -> None:
    """A command that is dated absurdly early is a rule's business, not a crash."""
    assert book.base_rate_hao(date.min) == book.base_rate_hao(SINCE_EVER)
    assert book.plan("Y600", date.min) == book.plan("Y600", SINCE_EVER)
    assert [book.base_minimum_hao(name, date.min) for name in CLASSES] == [
        book.base_minimum_hao(name, SINCE_EVER) for name in CLASSES
    ]
