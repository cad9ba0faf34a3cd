"""Chinese working days (工作日) with 调休: periods of penalties are counted in them (R-PEN-3, R-PEN-4).

`chinesecalendar` knows the years whose arrangement the State Council has announced. Beyond them weekdays count,
but for the holidays and working weekends of the price book; whoever asks is told so.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache

import chinese_calendar
from chinese_calendar.constants import holidays

from rating.calendar import day_of, start_of_day
from rating.prices import WorkingDays

FIRST_YEAR, LAST_YEAR = min(holidays).year, max(holidays).year
"""The years that the library covers."""
_SATURDAY = 5


def end_after(at: datetime, days: int, beyond: WorkingDays) -> tuple[datetime, str | None]:
    """24:00 of the `days`-th working day after the day of `at`, which counts as zero.

    The second value is a warning, if a day lay in a year that is not announced yet.
    """
    day, left, guessed = day_of(at), days, set()
    while left:
        day += timedelta(days=1)
        if not FIRST_YEAR <= day.year <= LAST_YEAR:
            guessed.add(day.year)
        left -= is_working_day(day, beyond)
    warning = None
    if guessed:
        years = " and ".join(str(year) for year in sorted(guessed))
        warning = (
            f"The working days of {years} are not in the calendar ({FIRST_YEAR} to {LAST_YEAR}): weekdays were counted, "
            "with [working_days] of the price book. Enter the holidays there once they are announced."
        )
    return start_of_day(day + timedelta(days=1)), warning


def is_working_day(day: date, beyond: WorkingDays) -> bool:
    """True on weekdays but holidays, and on weekend days that are worked in their stead (调休)."""
    if FIRST_YEAR <= day.year <= LAST_YEAR:
        return _announced(day)
    return day in beyond.workdays or (day.weekday() < _SATURDAY and day not in beyond.holidays)


@lru_cache(10_000)
def _announced(day: date) -> bool:
    worked: bool = chinese_calendar.is_workday(day)
    return worked
