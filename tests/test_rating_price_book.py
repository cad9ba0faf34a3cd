"""Reading the price book: what is refused with file, key and reason, and that every number counts."""

from __future__ import annotations

import pickle
import re
import tomllib
from pathlib import Path

import pytest

from rating.price_book import PriceBook, PriceBookError, default_text, load, parse
from rating.toml_table import Table

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


def refusal(*changes: tuple[str, str]) -> str:
    with pytest.raises(PriceBookError) as refused:
        parse(a_book(*changes), "prices.toml")
    return str(refused.value)


def test_every_number_of_the_default_says_where_it_comes_from() -> None:
    """All but what a rule states is assumed, and the line says so."""
    settings = [line for line in default_text().splitlines() if re.search(r'= *("?\d|\[")', line)]
    assert len(settings) > 60
    silent = [
        line for line in settings if not line.startswith("#") and not re.search(r"#.*(assumed|R-|F-)", line)
    ]
    assert silent == []


def test_a_book_survives_another_process(book: PriceBook) -> None:
    assert pickle.loads(pickle.dumps(book)) == book  # noqa: S301  (our own bytes)


# what is refused


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        (
            "late_months = 6",
            "late_months = 6\nlate_month = 1",
            "calls.late_month",
            "did you mean late_months?",
        ),
        (
            "[calls]",
            "[surprise]\nx = 1\n[calls]",
            "surprise",
            "unknown key; known here: rate, caller, minimum",
        ),
        (
            'fee = "600"',
            'feee = "600"',
            "plan.Y600.fee",
            "this key is missing: fee_months and fee_by_class need it.",
        ),
        ('rate = "0.15"', 'rate = "-0.15"', "plan.T2000.rate", "-0.15 is negative"),
        ('rate = "0.15"', "rate = 0.15", "plan.T2000.rate", 'write it as text: "0.15"'),
        ('yuan = "200"', "yuan = 200", "minimum.ABCD.yuan", 'write it as text: "200"'),
        ('rate = "0.15"', 'rate = "0.15001"', "plan.T2000.rate", "at most 4 decimals"),
        ('rate = "0.15"', 'rate = "1e400"', "plan.T2000.rate", "is not an amount"),
        ('rate = "0.15"', "rate = nan", "plan.T2000.rate", "is a number"),
        ('rate = "0.15"', 'rate = "20000"', "plan.T2000.rate", "not believed"),
        ('rate = "0.15"', "rate = true", "plan.T2000.rate", "True is not text"),
        ('base = "0.30"', 'base = "0"', "rate[1].base", "must be above 0"),
        (
            '{class = "ABCD"',
            '{class = "ABBA"',
            "minimum[2].class",
            "'ABBA' is not known; it can be AAA-AAA, AAAAA",
        ),
        ('{id = "ivr"', '{id = "teleport"', "feature[1].id", "'teleport' is not known; it can be ivr"),
        (
            'price = "50"}',
            'price = "50", period = "week"}',
            "feature.ivr.period",
            "it can be once, month, year",
        ),
        (
            '{kind = "call", percent = "9"}',
            '{kind = "call", percent = "900"}',
            "vat.call.percent",
            "not a percentage",
        ),
        (
            '{kind = "call", percent = "9"}',
            '{kind = "call", percent = 9}',
            "vat.call.percent",
            'as text: "9"',
        ),
        ('{kind = "call"', '{kind = "calls"', "vat[1].kind", "'calls' is not known"),
        ('{id = "PAYG"}', '{id = "PAYG", from = "2026-01-01"}', "plan.PAYG.from", "write it without quotes"),
        ('{id = "PAYG"}', '{id = "PAYG", from = 2026-01-01T00:00:00Z}', "plan.PAYG.from", "is not a day"),
        ('{id = "PAYG"}', '{id = "PAYG", from = 1026-01-01}', "plan.PAYG.from", "before any 400 number"),
        (
            '{id = "PAYG"}',
            '{id = "PAYG", from = 2026-02-01, until = 2026-02-01}',
            "plan.PAYG.until",
            "is not after the first day, 2026-02-01",
        ),
        (
            '{id = "PAYG"}',
            '{id = "PAYG"}, {id = "PAYG"}',
            "plan.PAYG",
            "dates overlap: two entries begin since ever",
        ),
        (
            '{id = "PAYG"}',
            '{id = "PAYG", from = 2026-02-01}, {id = "PAYG", from = 2026-02-01}',
            "plan.PAYG",
            "dates overlap: two entries begin on 2026-02-01",
        ),
        (
            '{id = "PAYG"}',
            '{id = "PAYG", until = 2026-05-01}, {id = "PAYG", from = 2026-02-01}',
            "plan.PAYG",
            "dates overlap: one entry holds until 2026-05-01, the next begins on 2026-02-01.",
        ),
        (
            'class = "ordinary", yuan',
            'class = "AABBCC", until = 2020-01-01, yuan',
            "minimum.AABBCC",
            "dates overlap",
        ),
        (
            'price = "50"}',
            'price = "50", from = 2026-01-01}',
            "feature.ivr",
            "nothing holds before 2026-01-01",
        ),
        (
            'price = "50"}',
            'price = "50", until = 2027-01-01}',
            "feature.ivr",
            "nothing holds from 2027-01-01 any more",
        ),
        (
            'price = "50"}',
            'price = "50", until = 2027-01-01}, {id = "ivr", price = "60", from = 2028-01-01}',
            "feature.ivr",
            "nothing holds from 2027-01-01 until 2028-01-01",
        ),
        ('    {id = "fax", price = "30"},          # assumed\n', "", "feature.fax", "this entry is missing"),
        (f"    {ONE_MINIMUM}\n", "", "minimum.ordinary", "this entry is missing"),
        ("cooling_minutes = 30", "", "holding.cooling_minutes", "this key is missing"),
        (
            "cooling_minutes = 30",
            'cooling_minutes = "30"',
            "holding.cooling_minutes",
            "is not a whole number",
        ),
        ("cooling_minutes = 30", "cooling_minutes = -1", "holding.cooling_minutes", "is not between 0 and"),
        (
            "duration_limit_h = 24",
            "duration_limit_h = 24.5",
            "calls.duration_limit_h",
            "24.5 is not a whole number",
        ),
        (
            "freeze_after_days = 30",
            "freeze_after_days = 90",
            "arrears.long_arrears_after_days",
            "is less than freeze",
        ),
        ("[arrears]", "[arrear]", "arrears", "this key is missing"),
        ("[[caller]]", "[caller]", "caller", "is not a list of entries"),
        ('"0755" = "0.11"', '"755" = "0.11"', "caller[1].by_area.755", "not an area code"),
        (
            "bundled_prefixes = []",
            'bundled_prefixes = ["+86"]',
            "caller[1].bundled_prefixes",
            "does not match",
        ),
        ("bundled_prefixes = []", 'bundled_prefixes = ["17", "17"]', "caller[1].bundled_prefixes", "twice"),
        (
            'fee = "600", fee_months = 12,',
            'fee = "600",',
            "plan.Y600.fee_months",
            "a plan with a fee needs it",
        ),
        (
            'fee = "600",',
            'fee = "600", fee_by_class = {ABBA = "1"},',
            "plan.Y600.fee_by_class.ABBA",
            "no such class",
        ),
        ('{id = "PAYG"}', '{rate = "0.1"}', "plan[5].id", "this key is missing"),
        (
            '{id = "PAYG"}',
            '{id = "PAYG", opening_month = "half"}',
            "plan.PAYG.opening_month",
            "it can be use, minimum",
        ),
        ('"organisation_code"]', '"Organisation code"]', "documents.required", "does not match"),
    ],
)
def test_a_wrong_book_is_refused_with_file_key_and_reason(old: str, new: str, key: str, reason: str) -> None:
    """Unknown keys, negative rates, overlapping dates, floats, gaps: one sentence that names all three."""
    said = refusal((old, new))
    assert said.startswith(f"prices.toml: {key}: ")
    assert reason in said
    assert "\n" not in said


def test_a_file_that_is_not_toml_is_refused_with_its_line() -> None:
    """F-09."""
    assert re.fullmatch(
        r"prices\.toml: this is not TOML: .*\(at line \d+, column \d+\)\.", refusal(("[calls]", "[calls"))
    )


def test_a_day_that_does_not_exist_is_refused() -> None:
    """F-13: 2026 has no 29 February."""
    assert "prices.toml: this " in refusal(('{id = "PAYG"}', '{id = "PAYG", from = 2026-02-29}'))


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    """F-09: missing, a folder, or not UTF-8."""
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# \xe9")
    for path, reason in (
        (tmp_path / "none.toml", "No such file"),
        (tmp_path, "directory"),
        (latin, "byte 2"),
    ):
        with pytest.raises(PriceBookError, match=reason) as refused:
            load(path)
        assert str(refused.value).startswith(f"{path}: ")


def test_a_file_is_read_as_it_stands(tmp_path: Path, book: PriceBook) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(default_text(), encoding="utf-8")
    assert load(path) == book


def test_no_value_of_the_file_becomes_a_float(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-INV-4."""
    floats: list[object] = []
    taken = Table._value

    def watched(self: Table, key: str) -> object:
        value = taken(self, key)
        floats.extend([value] if isinstance(value, float) else [])
        return value

    monkeypatch.setattr(Table, "_value", watched)
    refusal(('rate = "0.15"', "rate = 0.15"))
    assert floats == []


def test_every_number_can_be_changed_without_code(book: PriceBook) -> None:
    """Each scalar of the file, replaced by another, changes the book."""
    text = default_text()
    numbers = list(
        re.finditer(
            r'(?<== )"?(\d+(?:\.\d+)?)"?',
            "\n".join(line.split("#")[0].ljust(len(line)) for line in text.splitlines()),
        )
    )
    assert len(numbers) > 60
    for found in numbers:
        other = str(int(found[1]) + 1) if found[1].isdigit() else found[1] + "1"
        changed = text[: found.start(1)] + other + text[found.end(1) :]
        assert tomllib.loads(changed) != tomllib.loads(text)
        assert parse(changed, "p") != book, found[0]
