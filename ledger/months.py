"""Closing months: gathers what each month's calls cost, decides, commits; one commit a month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger import scan
from ledger.home import Home
from ledger.log import LostRace
from ledger.rows import EventRows
from rating import business, closing
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
        open_months = closing.months_to_close(home.state, month)
        if not open_months:
            return done
        try:
            done.append(_close_one(home, open_months[0], at))
        except LostRace:
            continue


def _close_one(home: Home, month: str, at: datetime) -> Closed:
    rows = EventRows()
    try:
        closed = decide_close(home, month, at, rows)
    except BaseException:
        home.state.take_back()
        raise
    home.commit_events(rows)
    return closed


def decide_close(home: Home, month: str, at: datetime, rows: EventRows) -> Closed:
    """Decides a close, and what fell due before it, onto the state and into `rows`; commits nothing."""
    state = home.state
    for event in business.what_fell_due(state, at):
        rows.add(event, state.calls_seq, at)
    usage = scan.month_usage(home.calls, state, month, state.calls_seq)
    customers = postings = alerts = 0
    for event in business.close_month(state, month, at, usage):
        rows.add(event, state.calls_seq, at)
        customers += event.kind == "close_customer"
        postings += len(event.postings)
        alerts += event.kind == "alert"
    return Closed(month, customers, postings, alerts)
