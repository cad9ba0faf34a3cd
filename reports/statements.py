"""Issuing a closed month's statements: figures from the ledger, set and written by a process a core (R-ARR-4)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from ledger.home import Home
from ledger.memory import work_for_long
from rating.accounts import Refused
from rating.calendar import end_of_month
from rating.reasons import Reason
from reports.ask import views
from reports.statement import Statement, Unmade
from reports.statement_data import Month
from reports.statement_run import issue_statements

IN_ONE_PROCESS = 100
"""So few statements are set sooner than other processes have started."""

Progress = Callable[[int, int, int], None]


@dataclass
class IssuedMonth:
    """What issuing a month did: statements written, those that were there, and why some were not issued."""

    folder: Path
    written: int = 0
    kept: int = 0
    findings: list[str] = field(default_factory=list)


def issue(
    home: Path,
    month: str,
    out: Path,
    customer: str | None,
    provider: str | None,
    language: str,
    progress: Progress,
) -> IssuedMonth:
    """Writes the statements of a closed month that are not there yet; all, or one customer's or provider's.

    Refused if the month is not closed or there is no such party. A statement that cannot be issued is named
    and does not stop the others.
    """
    work_for_long()
    events, calls = Home.open_logs(home)
    done = IssuedMonth(out / month)
    with views(events, calls, end_of_month(month)) as con:
        data = Month(con, month, events, calls)
        if data.close is None:
            raise Refused(Reason.MONTH_OPEN, f"{month} is not closed: run `fentan close {month}` first.")
        statements, total = _wanted(data, customer, provider)
        workers = 1 if total <= IN_ONE_PROCESS else os.cpu_count() or 1
        for number, issued in enumerate(issue_statements(statements, out, workers, language), start=1):
            done.written += issued.written
            done.kept += not issued.written and issued.error is None
            done.findings += [issued.error] if issued.error else []
            progress(number, total, number)
    return done


def _wanted(
    data: Month, customer: str | None, provider: str | None
) -> tuple[Iterator[Statement | Unmade], int]:
    if customer is not None and customer not in data.customers:
        raise Refused(
            Reason.UNKNOWN_CUSTOMER, f"There was no customer {customer!r} when the month was closed."
        )
    if provider is not None and provider not in data.providers:
        raise Refused(
            Reason.UNKNOWN_PROVIDER, f"There was no provider {provider!r} when the month was closed."
        )
    if customer is None and provider is None:
        count = len(data.customer_ids()) + len(data.provider_ids())
        return chain(data.customer_statements(), data.provider_statements()), count
    some: tuple[Iterable[Statement | Unmade], ...] = (
        data.customer_statements(customer) if customer else [],
        data.provider_statements(provider) if provider else [],
    )
    return chain(*some), (customer is not None) + (provider is not None)
