"""Closing months: gathers what each month's calls cost, decides, commits; one commit a month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger import scan
from ledger.home import Home
from ledger.log import LostRace
from ledger.rerate import rerate_due
from ledger.rows import EventRows
from rating import business, closing, rerating
from rating.accounts import Refused
from rating.calendar import end_of_month, instant_text
from rating.reasons import Reason


@dataclass(frozen=True, slots=True)
class Closed:
    """What one close did."""

    month: str
    customers: int
    postings: int
    alerts: int


def close(home: Home, month: str, at: datetime) -> list[Closed]:
    """Closes every open month up to `month`; none if that is done already. Refused if it has not ended."""
    if at < end_of_month(month):
        raise Refused(
            Reason.MONTH_OPEN,
            f"{month} ends on {instant_text(end_of_month(month))}; it can't be closed at {instant_text(at)}.",
        )
    done: list[Closed] = []
    while True:
        home.see()
        rerate_due(home)  # of a process that was killed before it
        open_months = closing.months_to_close(home.state, month)
        if not open_months:
            return done
        try:
            closed = _close_one(home, open_months[0], at)
        except LostRace:
            continue
        rerate_due(home)
        done += [closed] if closed else []


def decide_due(home: Home, at: datetime, rows: EventRows) -> None:
    """Decides what fell due by `at` onto the state and into `rows`; commits nothing."""
    for event in business.what_fell_due(home.state, at):
        rows.add(event, home.state.calls_seq, at)


def _close_one(home: Home, month: str, at: datetime) -> Closed | None:
    rows = EventRows()
    try:
        closed = decide_close(home, month, at, rows)
    except BaseException:
        home.state.take_back()
        raise
    home.commit_events(rows)
    return closed


def decide_close(home: Home, month: str, at: datetime, rows: EventRows) -> Closed | None:
    """Decides a close, and what fell due before it, onto the state and into `rows`; commits nothing.

    None if what fell due calls for a re-rating: that prices by what was committed, so it comes between them.
    """
    state = home.state
    decide_due(home, at, rows)
    if rerating.next_due(state) is not None:
        return None
    usage = scan.month_usage(home.calls, state, month, state.calls_seq)
    customers = postings = alerts = 0
    for event in business.close_month(state, month, at, usage):
        rows.add(event, state.calls_seq, at)
        customers += event.kind == "close_customer"
        postings += len(event.postings)
        alerts += event.kind == "alert"
    return Closed(month, customers, postings, alerts)
