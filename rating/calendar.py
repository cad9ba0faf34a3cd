"""Instants, days and months of a Chinese bill: UTC in storage, Asia/Shanghai for days and months (R-CALL-8).

China has kept +08:00 without daylight saving since 1991, so a fixed offset is exact for every call that
can be billed and costs no time-zone look-up.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
SHANGHAI_OFFSET_US = 8 * 3600 * 1_000_000
DAY_US = 86_400_000_000

_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
_NO_INSTANT = "is not an RFC 3339 time with an offset, like 2026-11-03T10:15:00+08:00"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NO_DAY = "is not a day, like 2026-08-01"
_KEPT = 10_000  # of each function's answers: commands and contracts ask for the same few days again and again
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])", re.ASCII)


def parse_instant(text: object) -> datetime:
    """RFC 3339 with an offset -> aware UTC. ValueError otherwise; a local time is never guessed at."""
    if not isinstance(text, str):
        raise ValueError(f"{text!r} {_NO_INSTANT}")
    return _parsed_instant(text)


@lru_cache(_KEPT)
def _parsed_instant(text: str) -> datetime:
    if not _INSTANT.fullmatch(text):
        raise ValueError(f"{text!r} {_NO_INSTANT}")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a time: {error}") from None


@lru_cache(_KEPT)
def instant_text(instant: datetime) -> str:
    """RFC 3339 in Shanghai time, fractions only where there are any."""
    return instant.astimezone(SHANGHAI).isoformat()


def parse_day(text: object) -> date:
    """`2026-08-01` -> date. ValueError otherwise."""
    if not isinstance(text, str):
        raise ValueError(f"{text!r} {_NO_DAY}")
    return _parsed_day(text)


@lru_cache(_KEPT)
def _parsed_day(text: str) -> date:
    if not _DAY.fullmatch(text):
        raise ValueError(f"{text!r} {_NO_DAY}")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a day: {error}") from None


def parse_month(text: object) -> str:
    """`2026-11` -> itself. ValueError otherwise."""
    if not isinstance(text, str) or not _MONTH.fullmatch(text):
        raise ValueError(f"{text!r} is not a month, like 2026-11")
    return text


@lru_cache(_KEPT)
def day_of(instant: datetime) -> date:
    """The Shanghai day that an instant lies in."""
    return instant.astimezone(SHANGHAI).date()


@lru_cache(_KEPT)
def month_of(instant: datetime | date) -> str:
    """The Shanghai month that an instant, or a day, lies in."""
    day = day_of(instant) if isinstance(instant, datetime) else instant
    return f"{day.year:04d}-{day.month:02d}"


@lru_cache(_KEPT)
def start_of_day(day: date) -> datetime:
    """00:00 in Shanghai as a UTC instant."""
    return datetime.combine(day, time(), SHANGHAI).astimezone(UTC)


@lru_cache(_KEPT)
def first_day(month: str) -> date:
    return date(int(month[:4]), int(month[5:]), 1)


@lru_cache(_KEPT)
def start_of_month(month: str) -> datetime:
    return start_of_day(first_day(month))


@lru_cache(_KEPT)
def next_month(month: str, months: int = 1) -> str:
    """The month `months` later (or earlier, if negative)."""
    index = int(month[:4]) * 12 + int(month[5:]) - 1 + months
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def end_of_month(month: str) -> datetime:
    """The instant at which the month has ended: 00:00 of the next one's first day."""
    return start_of_month(next_month(month))


@lru_cache(_KEPT)
def days_in(month: str) -> int:
    return calendar.monthrange(int(month[:4]), int(month[5:]))[1]


def months_between(earlier: str, later: str) -> int:
    """How many months `later` lies after `earlier`."""
    return (int(later[:4]) - int(earlier[:4])) * 12 + int(later[5:]) - int(earlier[5:])


def add_months(anchor: date, months: int) -> date:
    """The same day of the month `months` later, or the month's last day where there is none (F-13).

    Terms are counted from their anchor, not from one another, so a term that began on the 31st comes
    back to the 31st.
    """
    month = next_month(month_of(anchor), months)
    return first_day(month).replace(day=min(anchor.day, days_in(month)))
