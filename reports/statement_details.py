"""Call details as tables: one for each number, and one for each number's late calls (R-CALL-7, R-MIN-7)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa

from rating.calendar import DAY_US, SHANGHAI_OFFSET_US
from rating.columns import to_list
from rating.money import from_decimal_array
from reports import statement_text as text
from reports.statement import CustomerPart
from reports.statement_tables import Column, Rows, Table
from reports.statement_words import list_word, weekday, words

_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


def detail_tables(part: CustomerPart, language: str) -> Iterator[Table]:
    """The tables in their order; the first of each kind has the title."""
    said = words(language)
    title = said["details"]
    for number in part.numbers:
        if number.call_details:
            table = _table(number.call_details, language, late=False)
            table.title, table.name, title = title, text.printable(number.service_number), ""
            yield table
    title = said["late"]
    for number in part.numbers:
        if number.late_calls:
            table = _table(number.late_calls, language, late=True)
            table.note = said["late_note"] if title else ""
            table.title, table.name, title = title, text.printable(number.service_number), ""
            yield table


def _table(calls: pa.Table, language: str, *, late: bool) -> Table:
    """The rows of n calls and their sum. The date stands where a day begins, with a line above."""
    said = words(language)
    table = Table(_columns(language, late), continued=said["continued"], size=80, row_height=115)
    local = calls["start_at"].cast(pa.int64()).to_numpy() + SHANGHAI_OFFSET_US
    day, of_day = np.divmod(local, DAY_US)
    fees, rates = from_decimal_array(calls["owner_fee"]), from_decimal_array(calls["rate"])
    places = text.decimals(fees.tolist())
    new_days = np.flatnonzero(np.diff(day, prepend=day[:1] - 1)).tolist()
    dates = [_date(at, language, late) for at in day.tolist()]
    shown = [""] * len(dates)
    for at in new_days:
        shown[at] = dates[at]
    callers, areas = table.room(2), table.room(3)
    answered = zip(to_list(calls["duration_s"]), to_list(calls["answered"]), strict=True)
    columns = [
        shown,
        [text.time_of_day(at) for at in (of_day // 1_000_000).tolist()],
        [
            said["withheld"] if who is None else text.fit(who, callers)
            for who in to_list(calls["caller_number"])
        ],
        ["" if area is None else text.fit(area, areas) for area in to_list(calls["caller_area"])],
        [text.duration(seconds) if one else said["unanswered"] for seconds, one in answered],
        [text.minutes(seconds) for seconds in to_list(calls["billed_s"])],
        [text.rate(hao) for hao in rates.tolist()],
        [text.amount(hao, places) for hao in fees.tolist()],
    ]
    billed = text.minutes(sum(to_list(calls["billed_s"])))
    total = [said["total"], f"{len(calls):,} {said['calls_unit']}", "", "", "", billed, ""]
    total.append(text.amount(int(fees.sum()), places))
    if late:
        adjustments = from_decimal_array(calls["adjustment"])
        columns.append([text.blank_zero(hao) for hao in adjustments.tolist()])
        total.append(text.amount(int(adjustments.sum())))
    columns.append(_notes(calls["tags"], table, language))
    table.runs.append(Rows(columns, new_days, labels=dates))
    table.add([[*total, ""]], "total")
    return table


def _columns(language: str, late: bool) -> list[Column]:
    said = words(language)
    columns = [
        Column(said["day"], 21 if late else 14),
        Column(said["begin"], 12),
        Column(said["caller"], 19 if late else 18),  # twelve digits, 0531 and eight more, fit either
        Column(said["area"], 20),
        Column(said["duration"], 11, right=True),
        Column(said["minutes"], 12, right=True),
        Column(said["rate"], 10, right=True),
        Column(said["fee"], 12, right=True),
    ]
    columns += [Column(said["adjustment"], 12, right=True)] if late else []
    return [*columns, Column(said["note"], 18)]


@lru_cache(maxsize=1 << 12)
def _date(day: int, language: str, late: bool) -> str:
    """Days since 1970 as "11-03 周二"; late calls with their year."""
    at = str(np.datetime64(day, "D"))
    return f"{at if late else at[5:]} {weekday((day + _EPOCH_WEEKDAY) % 7, language)}"


def _notes(tags: pa.ChunkedArray, table: Table, language: str) -> list[str]:
    last = len(table.columns) - 1
    return [
        table.fit(last, ", ".join(list_word(tag, language) for tag in row)) if row else ""
        for row in to_list(tags)
    ]
