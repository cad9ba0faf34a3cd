"""The commands of a month's end: comparing with what others say. `fentan.py` puts them on the command line."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger.session import (
    DAY,
    DONE,
    FILE,
    FINDINGS,
    MONTH,
    Session,
    format_option,
    print_table,
    say,
    session_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 20


@click.group()
def reconcile() -> None:
    """Compares the ledger with what others say."""


@reconcile.command()
@click.argument("file", type=FILE)
@click.argument("month", type=MONTH)
@click.option(
    "--tolerance", default=5, help="Seconds that two clocks may differ.", type=click.IntRange(0, 3600)
)
@click.option(
    "--duration-tolerance", default=1, help="Seconds that durations may differ.", type=click.IntRange(0, 3600)
)
@format_option
@session_of
def carrier(
    session: Session, file: Path, month: str, tolerance: int, duration_tolerance: int, form: str
) -> None:
    """A carrier's list of calls against ours, call by call.

    FILE is CSV with the columns service_number, start_at, duration_s and, if the carrier tells, caller_number and
    amount; Chinese headings are known too. Exit 1 if something differs.
    """
    from reports.explain_words import counted
    from reports.reconcile_carrier import reconcile_carrier

    found = reconcile_carrier(
        session.home,
        file,
        month,
        session.clock(),
        tolerance_s=tolerance,
        duration_tolerance_s=duration_tolerance,
    )
    left_out = f" ({found.other_months:,} of other months)" if found.other_months else ""
    _tell(
        found.differences,
        form,
        f"{counted(found.lines, 'line')} of theirs{left_out}, {counted(found.calls, 'call')} of ours: "
        f"{counted(found.pairs, 'pair')}.",
        "worth_yuan",
    )


@reconcile.command()
@click.argument("file", type=FILE)
@format_option
@session_of
def bank(session: Session, file: Path, form: str) -> None:
    """A bank's list of payments against those that were booked.

    FILE is CSV with the columns reference and amount (below zero for what left the bank) and, best, at: then only the
    days that it covers are compared. Exit 1 if something differs.
    """
    from reports.explain_words import counted
    from reports.reconcile_bank import reconcile_bank

    found = reconcile_bank(session.home, file, session.clock())
    _tell(
        found.differences,
        form,
        f"{counted(found.lines, 'line')} of the bank, {counted(found.bookings, 'booking')}: {found.agreed:,} paired.",
        "difference_yuan",
    )


def _tell(differences: pa.Table, form: str, summary: str, worth: str) -> None:
    """A sentence for each kind of difference, and the rows; all of them for programs. Ends the program."""
    if form != "table":
        print_table(differences, form)
    else:
        say(summary)
        if differences.num_rows:
            sums = differences.group_by("finding").aggregate([("finding", "count"), (worth, "sum")])
            for row in sums.sort_by("finding").to_pylist():
                yuan = row[f"{worth}_sum"]
                say(
                    f"  {row['finding']}: {row['finding_count']:,}"
                    + ("" if yuan is None else f", {yuan:,} yuan")
                )
            print_table(differences.slice(0, _SHOWN), form)
            if differences.num_rows > _SHOWN:
                say(f"… and {differences.num_rows - _SHOWN:,} more: --format csv has them all.")
    sys.exit(FINDINGS if differences.num_rows else DONE)


@click.command()
@click.argument("month", type=MONTH)
@click.option(
    "--format",
    "form",
    type=click.Choice(["beancount", "xlsx", "parquet"]),
    required=True,
    help="For which programs.",
)
@click.option("--out", "file", type=FILE, help="Where to; by default `exports` in the home.")
@session_of
def export(session: Session, month: str, form: str, file: Path | None) -> None:
    """A closed month for other programs.

    beancount has every posting, VAT in accounts of its own and balances that bean-check proves; xlsx statements, VAT and
    the standard questions; parquet is a folder of calls, postings and statement lines.
    """
    from reports.exports import export as write

    say(f"{month} as {form}: {write(session.home, month, form, file)}")


@click.command()
@click.option("--as-of", "day", type=DAY, help="Which day's night it is; by default today's.")
@click.option(
    "--lists", type=FILE, help="Folder of others' lists to reconcile; by default `lists` in the home."
)
@click.option("--out", "folder", type=FILE, help="Where statements go; by default `statements` in the home.")
@click.option("--publish", "published", type=FILE, help="A DuckDB file to publish at the end.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", help="Of the statements.")
@session_of
def nightly(
    session: Session,
    day: date | None,
    lists: Path | None,
    folder: Path | None,
    published: Path | None,
    lang: str,
) -> None:
    """What a timer runs each night.

    Time passes, months that have ended are closed, statements issued, debtors listed, others' lists reconciled, the
    ledger proven and maintained. Run twice it does nothing twice, and after a crash it goes on. Exit 1 if something
    was found.
    """
    from rating.calendar import day_of
    from reports.night import Plan, run_night

    now = session.clock()
    plan = Plan(
        day or day_of(now),
        now,
        lists or session.home / "lists",
        folder or session.home / "statements",
        published,
        lang,
    )
    report = run_night(session.open(), plan)
    say(*report.lines())
    sys.exit(FINDINGS if report.findings else DONE)


COMMANDS = (reconcile, export, nightly)
