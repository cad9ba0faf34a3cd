"""What only a customer's statement shows: its numbers, their minimums step by step, their days, its credit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rating.calendar import days_in, first_day
from reports import statement_text as text
from reports.statement import CustomerPart, Day, NumberCharges
from reports.statement_book import Book
from reports.statement_tables import Column, Table
from reports.statement_words import list_word, weekday, words

_DAYS_HEIGHT = 80 + 140 + 11 * 115


def number_tables(part: CustomerPart, language: str) -> Iterator[Table]:
    """The numbers side by side, and the credit that paid for them."""
    if part.numbers:
        yield _numbers(part.numbers, language)
    if part.credits:
        yield _credits(part, language)


def add_cards(book: Book, part: CustomerPart, month: str, language: str) -> None:
    """A card for each number: its figures, how its minimum came about, its days."""
    for number in part.numbers:
        _add_card(book, number, month, language)


def _numbers(numbers: Sequence[NumberCharges], language: str) -> Table:
    said = words(language)
    table = Table(
        [
            Column(said["number"], 17),
            Column(said["class"], 12),
            Column(said["plan"], 11),
            Column(said["calls"], 10, right=True),
            Column(said["minutes"], 12, right=True),
            Column(said["call_charges"], 15, right=True),
            Column(said["top_up"], 14, right=True),
            Column(said["other"], 15, right=True),
            Column(said["total"], 15, right=True),
        ],
        said["numbers"],
    )
    columns = [
        (number.call_hao, number.top_up_hao, number.late_hao + number.adjustment_hao + number.rerating_hao)
        for number in numbers
    ]
    places = text.decimals(hao for row in columns for hao in row)
    table.add(
        [
            [
                number.service_number,
                table.fit(1, list_word(number.number_class, language)),
                table.fit(2, number.plan_id or ""),
                f"{number.calls:,}",
                text.minutes(number.billed_s),
                *(text.amount(hao, places) for hao in (*amounts, number.total_hao)),
            ]
            for number, amounts in zip(numbers, columns, strict=True)
        ]
    )
    sums = [sum(column) for column in zip(*columns, strict=True)]
    table.add(
        [
            [
                said["total"],
                "",
                "",
                f"{sum(number.calls for number in numbers):,}",
                text.minutes(sum(number.billed_s for number in numbers)),
                *(text.amount(hao, places) for hao in (*sums, sum(sums))),
            ]
        ],
        "total",
    )
    return table


def _credits(part: CustomerPart, language: str) -> Table:
    said = words(language)
    moves = ("before", "paid", "drawn", "expired", "after")
    table = Table(
        [
            Column(said["number"], 15),
            Column(said["plan"], 9),
            Column(said["valid"], 24),
            *(Column(said[word], 13, right=True) for word in moves),
        ],
        said["credits"],
    )
    rows = [
        (credit.opening_hao, credit.paid_hao, -credit.drawn_hao, -credit.expired_hao, credit.closing_hao)
        for credit in part.credits
    ]
    places = text.decimals(hao for row in rows for hao in row)
    table.add(
        [
            [
                credit.service_number,
                table.fit(1, credit.plan_id),
                f"{credit.starts_on} – {credit.ends_on}",
                text.amount(row[0], places),
                *(text.blank_zero(hao, places) for hao in row[1:4]),
                text.amount(row[4], places),
            ]
            for credit, row in zip(part.credits, rows, strict=True)
        ]
    )
    return table


def _add_card(book: Book, number: NumberCharges, month: str, language: str) -> None:
    said = words(language)
    figures = [
        (said["calls"], f"{number.calls:,}"),
        (said["answered"], f"{number.answered:,}"),
        (said["minutes"], text.minutes(number.billed_s)),
        (said["call_charges"], text.amount(number.call_hao)),
        (said["minimum"], "–" if number.minimum_hao is None else text.amount(number.minimum_hao)),
        (said["top_up"], text.amount(number.top_up_hao)),
        (said["total"], text.amount(number.total_hao)),
    ]
    tags = [list_word(number.number_class, language), number.plan_id or "", *_rates(number, language)]
    tags.append(list_word(number.state, language))
    steps = _steps(number, language)
    lines = sum(len(run) for run in steps.runs)
    steps_height = 190 + lines * steps.row_height if lines else 0
    days = _days(number.days, month, language)
    book.add(
        "card",
        180 + 220 + 360 + steps_height + (_DAYS_HEIGHT if days else 220),
        number=text.printable(number.service_number),
        tags=text.fit("  ·  ".join(tag for tag in tags if tag), 48_000),
        labels=[label for label, _ in figures],
        figures=[figure for _, figure in figures],
        steps={
            **steps.frame(),
            "parts": [run.part(0, len(run)) for run in steps.runs],
            "height": steps_height,
        },
        days=days,
        no_calls=said["no_calls"],
    )


def _rates(number: NumberCharges, language: str) -> list[str]:
    said = words(language)
    unit = said["per_min"]
    changes = [next(same) for _, same in groupby(number.rates, lambda rate: rate[1])]
    if len(changes) == 1:
        return [f"{text.rate(changes[0][1])} {unit}"]
    return [
        f"{said['from_day'].format(day=text.month_and_day(day))} {text.rate(hao)} {unit}"
        for day, hao in changes
    ]


def _steps(number: NumberCharges, language: str) -> Table:
    """A step's text may need several lines; its rule and amount stand on the last one."""
    said = words(language)
    columns = [Column(said["how"], 70), Column(said["rule"], 14), Column(said["amount"], 16, right=True)]
    table = Table(columns, size=80, row_height=120)
    rows: list[list[str]] = []
    for step in number.steps:
        lines = text.wrap(step.text_zh if language == "zh" else step.text_en, table.room(0))
        shown = "" if step.amount_hao is None else text.amount(step.amount_hao)
        rows += [[line, "", ""] for line in lines[:-1]]
        rows.append([lines[-1], step.rule, shown])
    table.add(rows)
    return table


def _days(days: Sequence[Day], month: str, language: str) -> dict[str, Any] | None:
    """The month by day, 11 days side by side, with a bar for each day's share of the highest."""
    if not days:
        return None
    said = words(language)
    by_day = {day.day.day: day for day in days}
    first, last = first_day(month), days_in(month)
    peak = max(1, *(day.charges_hao for day in days))
    places = text.decimals(day.charges_hao for day in days)
    spans = []
    for span in (range(1, 12), range(12, 23), range(23, last + 1)):
        rows = []
        for at in span:
            label = f"{month[5:]}-{at:02d} {weekday((first.weekday() + at - 1) % 7, language)}"
            day = by_day.get(at)
            rows.append([label, *(_day(day, places) if day else ("–", "", "", ""))])
        bars = [max(0, by_day[at].charges_hao) * 1000 // peak if at in by_day else 0 for at in span]
        spans.append({"texts": ["\n".join(column) for column in zip(*rows, strict=True)], "bars": bars})
    return {
        "heads": [said[word] for word in ("day", "calls", "answered_short", "minutes_short", "fee")],
        "spans": spans,
    }


def _day(day: Day, places: int) -> tuple[str, str, str, str]:
    return (
        f"{day.calls:,}",
        f"{day.answered:,}",
        text.minutes(day.billed_s),
        text.amount(day.charges_hao, places),
    )
