"""Call details, cut into pages: each page has as many rows as it holds, each number its heading repeated.

Heights are counted in rows, so the template need not try where a page ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from rating.calendar import SHANGHAI_OFFSET_US
from rating.money import from_decimal_array
from reports import statement_text as text
from reports.statement import CustomerPart
from reports.statement_tables import Column, Table, lines
from reports.statement_words import list_word, weekday, words

PAGE_ROWS = 61
"""Rows of call details that fit on a page; statement.typ has their height."""

_TITLE_ROWS, _HEADING_ROWS, _LEAST_ROWS = 3, 4, 4
_DAY_US = 86_400_000_000
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


def detail_pages(part: CustomerPart, language: str) -> dict[str, Any] | None:
    """The pages of call details and of late calls; None if there are none to show."""
    said = words(language)
    runs: list[_Run] = []
    for word, kind in (("details", "calls"), ("late", "late")):
        for number in part.numbers:
            calls = number.call_details if kind == "calls" else number.late_calls
            if calls is None or not len(calls):
                continue
            first = not any(run.kind == kind for run in runs)
            runs.append(_run(calls, kind, number.service_number, language, said[word] if first else ""))
    if not runs:
        return None
    frames = {"calls": _frame(language, late=False), "late": _frame(language, late=True)}
    return {"frames": frames, "pages": list(_paginate(runs)), "late_note": said["late_note"]}


@dataclass(slots=True)
class _Run:
    """A number's rows of one kind, column by column; `new_days` are the rows at which a day begins."""

    kind: str
    number: str
    columns: list[list[str]]
    new_days: Sequence[int]
    total: list[str]
    title: str = ""
    dates: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """The date stands where a day begins, and at the head of a page."""
        self.dates = self.columns[0]
        starts = set(self.new_days)
        self.columns[0] = [day if at in starts else "" for at, day in enumerate(self.dates)]

    def block(self, start: int, stop: int) -> dict[str, Any]:
        """Rows start … stop as the template takes them."""
        columns = [lines(column[start:stop]) for column in self.columns]
        columns[0] = lines([self.dates[start], *self.columns[0][start + 1 : stop]])
        low, high = np.searchsorted(self.new_days, [start + 1, stop])
        return {
            "kind": self.kind,
            "title": self.title if start == 0 else "",
            "number": text.printable(self.number),
            "continued": start > 0,
            "n": stop - start,
            "texts": columns,
            "rules": [at - start for at in self.new_days[low:high]],
            "total": self.total if stop == len(self.dates) else [],
        }


def _paginate(runs: Sequence[_Run]) -> Iterator[list[dict[str, Any]]]:
    """Blocks by page. A page's last row stays free, for the sum that a number's last block may have."""
    page: list[dict[str, Any]] = []
    left = PAGE_ROWS
    for run in runs:
        rows, start = len(run.dates), 0
        while start < rows:
            heading = _HEADING_ROWS + (_TITLE_ROWS if run.title and start == 0 else 0)
            if page and left < heading + min(_LEAST_ROWS, rows - start):
                yield page
                page, left = [], PAGE_ROWS
            stop = min(rows, start + left - heading)
            page.append(run.block(start, stop))
            left -= heading + stop - start + 1
            start = stop
    if page:
        yield page


def _frame(language: str, late: bool) -> dict[str, Any]:
    said = words(language)
    columns = [
        Column(said["day"], 21 if late else 14),
        Column(said["begin"], 12),
        Column(said["caller"], 18),
        Column(said["area"], 20),
        Column(said["duration"], 11, right=True),
        Column(said["minutes"], 12, right=True),
        Column(said["rate"], 10, right=True),
        Column(said["fee"], 12, right=True),
    ]
    columns += [Column(said["adjustment"], 12, right=True)] if late else []
    columns += [Column(said["note"], 18)]
    return Table(columns, 80).frame()


def _run(calls: pa.Table, kind: str, number: str, language: str, title: str) -> _Run:
    """The printed columns of n calls, their sums, and the rows at which a day begins."""
    said, late = words(language), kind == "late"
    local = calls["start_at"].cast(pa.int64()).to_numpy() + SHANGHAI_OFFSET_US
    day, of_day = np.divmod(local, _DAY_US)
    fees, rates = from_decimal_array(calls["owner_fee"]), from_decimal_array(calls["rate"])
    places = text.decimals(fees.tolist())
    adjustments = from_decimal_array(calls["adjustment"]) if late else None
    columns = [
        [_date(at, language, late) for at in day.tolist()],
        [text.time_of_day(at) for at in (of_day // 1_000_000).tolist()],
        [said["withheld"] if who is None else text.fit(who, 9_500) for who in calls["caller_number"].to_pylist()],
        ["" if area is None else text.fit(area, 9_000) for area in calls["caller_area"].to_pylist()],
        [
            text.duration(seconds) if answered else said["unanswered"]
            for seconds, answered in zip(
                calls["duration_s"].to_pylist(), calls["answered"].to_pylist(), strict=True
            )
        ],
        [text.minutes(seconds) for seconds in calls["billed_s"].to_pylist()],
        [text.rate(hao) for hao in rates.tolist()],
        [text.amount(hao, places) for hao in fees.tolist()],
    ]
    if adjustments is not None:
        columns.append([text.blank_zero(hao) for hao in adjustments.tolist()])
    columns.append(_notes(calls["tags"], language))
    billed = text.minutes(sum(calls["billed_s"].to_pylist()))
    total = [said["total"], f"{len(calls):,} {said['calls_unit']}", "", "", "", billed, "", text.amount(int(fees.sum()), places)]
    if adjustments is not None:
        total.append(text.amount(int(adjustments.sum())))
    new_days = np.flatnonzero(np.diff(day, prepend=day[:1] - 1)).tolist()
    return _Run(kind, number, columns, new_days, [*total, ""], title)


def _date(day: int, language: str, late: bool) -> str:
    """Days since 1970 as "11-03 周二"; late calls with their year."""
    at = str(np.datetime64(day, "D"))
    return f"{at if late else at[5:]} {weekday((day + _EPOCH_WEEKDAY) % 7, language)}"


def _notes(tags: pa.ChunkedArray, language: str) -> list[str]:
    if not any(len(chunk.values) for chunk in chain(tags.chunks)):
        return [""] * len(tags)
    return [
        text.fit(", ".join(list_word(tag, language) for tag in row), 7_000) if row else ""
        for row in tags.to_pylist()
    ]
