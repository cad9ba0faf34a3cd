"""The command line: what a command needs is opened, the work is done elsewhere, what came of it is said.

Exit 0 done, 1 done with findings, 2 bad usage or configuration, 3 refused by a rule, 4 the environment.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ledger.progress import progress
from ledger.session import (
    DONE,
    ENVIRONMENT,
    FILE,
    FINDINGS,
    INSTANT,
    INTERRUPTED,
    MONTH,
    REFUSED,
    USAGE,
    Session,
    err,
    format_option,
    out,
    print_table,
    say,
    session_of,
    until_interrupted,
)
from reports import command_line as asking
from reports import month_end_command_line as month_end
from streams import command_line as streaming
from streams import live_command_line as live

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ledger.home import Home
    from ledger.submit import Answer


class Fentan(click.Group):
    """Turns what a command raises into one sentence and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except SystemExit as ended:
            guard = sys.modules.get("ledger.guard")
            if guard is not None and guard.left_behind():
                # Python's orderly end would abort a thread that is deep inside of DuckDB
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(ended.code if isinstance(ended.code, int) else ENVIRONMENT)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException):
            raise
        except (KeyboardInterrupt, click.Abort):
            err.print("Interrupted: what was committed stays, and the same command goes on from there.")
            ctx.exit(INTERRUPTED)
        except Exception as error:
            if os.environ.get("FENTAN_DEBUG"):
                raise
            from rating.masking import masked

            sentence, code = _explained(error)
            err.print(masked(sentence), style="red", markup=False)
            ctx.exit(code)


def _explained(error: Exception) -> tuple[str, int]:
    from ledger.faults import BadRequest, LedgerFault, is_full
    from ledger.home import NoHome
    from ledger.query import QueryFailed, QueryRefused
    from rating.accounts import Refused
    from rating.price_book import PriceBookError
    from reports.explain import NotFound
    from streams.mapping import FormatError
    from streams.watching import CannotRead

    if isinstance(error, Refused):
        return f"Refused: {error.reason}: {error.detail}", REFUSED
    if isinstance(
        error,
        (NoHome, BadRequest, PriceBookError, FormatError, CannotRead, QueryRefused, QueryFailed, NotFound),
    ):
        return str(error), USAGE
    if isinstance(error, LedgerFault):
        return str(error), ENVIRONMENT
    if is_full(error):
        where = f" with {error.filename}" if error.filename else ""
        sentence = f"There is no space left on the disk{where}: free some and run the same command again; "
        return f"{sentence}what was committed stays, and it goes on from there.", ENVIRONMENT
    if isinstance(error, OSError):
        return (
            f"{error.filename or 'The system'}: {error.strerror or error}. Mend that and run the command again.",
            ENVIRONMENT,
        )
    return (
        f"{type(error).__name__}: {error}. This is a fault of Fentan's; FENTAN_DEBUG=1 shows where.",
        ENVIRONMENT,
    )


@click.group(cls=Fentan, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--home", type=FILE, envvar="FENTAN_HOME", default="fentan-data", help="The ledger's folder.")
@click.option("--now", type=INSTANT, help="The time to work at instead of the clock's (RFC 3339).")
@click.version_option(package_name="fentan", prog_name="fentan")
@click.pass_context
def main(ctx: click.Context, home: Path, now: datetime | None) -> None:
    """Bills calls to China's 400 numbers: call files and commands in, an exact ledger and statements out."""
    ctx.obj = Session(home, now)


for command in (*asking.COMMANDS, *month_end.COMMANDS, *live.COMMANDS, *streaming.COMMANDS):
    main.add_command(command)


# a ledger is made


@main.command()
@click.option("--catalogue", type=FILE, help="A price book of your own (TOML).")
@session_of
def init(session: Session, catalogue: Path | None) -> None:
    """Makes a ledger, or gives one another price book."""
    from ledger.home import Home, Unfinished
    from rating import price_book

    name, text = "default.toml", price_book.default_text()
    book = price_book.load(catalogue) if catalogue else None
    if catalogue:
        name, text = catalogue.name, catalogue.read_text(encoding="utf-8")
    home = None
    if Home.exists(session.home):
        with suppress(Unfinished):
            home = session.open()
    if home is not None:
        if book is None or home.state.book == book:
            say(f"{session.home} is a ledger already; nothing was changed.")
            return
        home.adopt_price_book(text, name, session.clock())
        say(f"{session.home} goes by {name} from now on; what was charged before stays as it is.")
        return
    Home.create(session.home, text, name, session.clock())
    say(f"Made {session.home} with the price book {name}. Next: `fentan submit FILE`, `fentan ingest FILE`.")


@main.command()
@click.option("--calls", default=300_000, help="How many calls.")
@click.option("--months", default=3, help="How many months.")
@click.option("--seed", default=400, help="Another seed makes another town.")
@click.option("--out", "folder", type=FILE, default="fentan-demo", help="Replaces an earlier demo there.")
@session_of
def demo(session: Session, calls: int, months: int, seed: int, folder: Path) -> None:
    """Bills a make-believe town of providers, customers and calls.

    From its first command to the last month's statements; shows what happened and where the results are.
    """
    from rating.calendar import month_of, next_month
    from reports.statements import issue
    from reports.town_story import tell, tell_counts
    from streams.town_run import ends_at, found_town, run_town

    last = next_month(month_of(session.clock()), -1)
    try:
        town, home = found_town(folder, calls=calls, months=months, seed=seed, last_month=last)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    with progress(err, "billing the town") as done:
        run = run_town(home, town, done)
    home.keep_snapshot(always=True)
    tell_counts(run.commands, run.calls, out)
    say(*(f"  {answer.outcome}: {answer.reason or ''}: {answer.detail}" for answer in run.refusals))
    with progress(err, f"statements {last}", unit="statements") as done:
        issued = issue(home.folder, last, folder / "statements", None, None, "zh", done)
    tell(home.folder, ends_at(town), out)
    say(
        f"\n{issued.written:,} statements (PDF, JSON, CSV) in {issued.folder}, the ledger in {home.folder}.",
        f'Go on with: fentan --home {home.folder} sql "SELECT * FROM customer_balances ORDER BY balance"',
    )


# what comes in


@main.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@format_option
@session_of
def submit(session: Session, file: Path, form: str) -> None:
    """Sends business commands; every line gets an answer.

    FILE has one JSON object a line (JSON Lines); `-` reads standard input. What a rule refuses, or what cannot be
    read, is said, and all else is done. Lines of a file that were sent before are not sent again.
    """
    from reports.said import answers_table

    answers: list[Answer] = []
    home = session.open()
    with progress(err, f"submit {file}", unit="commands") as done:

        def heard(answer: Answer) -> None:
            answers.append(answer)
            done(len(answers), 0, len(answers))

        _send_commands(session, home, file, heard)
    home.keep_snapshot()
    if form == "table":
        say(*_said_of_commands(file, answers))
    else:
        print_table(answers_table(answers), form)
    sys.exit(_exit_of_commands(answers))


def _send_commands(session: Session, home: Home, file: Path, heard: Callable[[Answer], None]) -> None:
    """Submits the file's commands, or with - those of standard input."""
    from streams.spool import submit_file, submit_stdin

    if str(file) == "-":
        submit_stdin(home, session.clock, heard)
    else:
        submit_file(home, file, session.clock, heard)


def _said_of_commands(file: Path, answers: Sequence[Answer]) -> list[str]:
    from reports.said import said_of_answers

    return said_of_answers(answers) or [f"{file} holds no command that was not submitted before."]


def _exit_of_commands(answers: Sequence[Answer]) -> int:
    return FINDINGS if any(one.outcome in {"refused", "rejected"} for one in answers) else DONE


@main.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--format", "format_name", default="auto",
              help="auto, jsonl, csv, parquet, freeswitch, asterisk, asterisk_custom, or a mapping's TOML file.")  # fmt: skip
@click.option("--follow", is_flag=True, help="Goes on with what appears or is appended, until interrupted.")
@click.option("--strict", is_flag=True, help="Exit 1 if a record was rejected.")
@session_of
def ingest(session: Session, file: Path, format_name: str, follow: bool, strict: bool) -> None:
    """Takes call records into the ledger, each exactly once.

    FILE is a file, a folder of files, or `-` for standard input. Naming a file twice adds nothing twice: it is known
    by its content. A file that grew goes on where it ended. Exit 1 if a file of the folder could not be read.
    """
    from ledger.memory import work_for_long
    from reports.said import said_of_calls
    from streams import spool

    if follow:
        work_for_long()
    with live.delivering(session) if follow else nullcontext():
        home = session.open()
        with progress(err, f"ingest {file}") as done:
            if str(file) == "-":
                taken = spool.ingest_stdin(home, format_name, session.clock, done)
            elif follow:
                taken = spool.follow(
                    home, file, format_name, session.clock, until_interrupted(), done, live.complain
                )
            else:
                taken = spool.ingest(home, file, format_name, session.clock, done, live.complain)
        home.keep_snapshot()
    say(*said_of_calls(taken.files, taken.known_files, taken.counts))
    sys.exit(FINDINGS if taken.unread or (strict and taken.counts["rejected"]) else DONE)


@main.command()
@click.option("--reason", help="Only rejects with this reason.")
@session_of
def retry(session: Session, reason: str | None) -> None:
    """Tries rejected call records again, once their cause is mended."""
    from ledger.retry import retry as try_again
    from rating.reasons import Reason
    from reports.said import said_of_retry

    if reason is not None and reason not in list(Reason):
        raise click.BadParameter(f"{reason} is not a reason; see docs/reasons.md.", param_hint="--reason")
    counts = try_again(session.open(), Reason(reason) if reason else None, session.clock())
    say(*said_of_retry(counts))


# the month


@main.command()
@click.argument("month", type=MONTH)
@session_of
def close(session: Session, month: str) -> None:
    """Closes a month, and every open month before it.

    Numbers below their minimum are topped up, usage is settled from call credit and then from cash, and credit ends
    where its period does. Closing a month again does nothing.
    """
    from ledger.months import close as close_months
    from reports.explain_words import counted

    home = session.open()
    closed = close_months(home, month, session.clock())
    home.keep_snapshot()
    for one in closed:
        parts = ((one.customers, "customer"), (one.postings, "posting"), (one.alerts, "alert"))
        say(f"{one.month} closed: {', '.join(counted(*part) for part in parts)}.")
    if not closed and month <= (home.state.closed_month or ""):
        say(f"{month} is closed already; nothing to do.")
    elif not closed:
        say(f"There is nothing to close: no command was accepted for {month} or before.")


# what if


@main.command()
@click.argument("month", type=MONTH, required=False)
@click.option("--catalogue", type=FILE, help="Another price book (TOML) for a closed month.")
@click.option(
    "--commands",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Commands (JSON Lines) as for `submit`; - is standard input.",
)
@format_option
@session_of
def simulate(
    session: Session, month: str | None, catalogue: Path | None, commands: Path | None, form: str
) -> None:
    """What another price book or what commands would change; nothing is written.

    With --catalogue: what each account was charged in the closed MONTH for calls, minimums and features, what it would
    have been, and the difference. A table shows the accounts that differ, csv and json have all.

    With --commands: what they would charge each account more or less, by month, with the calls that a contract, rate or
    holder recorded late re-rates and what falls due before them; the alerts; and which commands would be refused, and
    why (exit 1). MONTH shows only charges for that month or billed to it.
    """
    if commands is not None and catalogue is None:
        sys.exit(_foretell(session, commands, month, form))
    if catalogue is None or commands is not None:
        raise click.UsageError("Name a price book with --catalogue, or a file of commands with --commands.")
    if month is None:
        raise click.UsageError(
            "Name the closed month to price anew: fentan simulate 2026-10 --catalogue FILE."
        )
    from rating import price_book
    from reports.simulate import as_table
    from reports.simulate import simulate as run

    accounts = run(session.home, month, price_book.load(catalogue))
    print_table(as_table(accounts, differing=form == "table"), form)


def _foretell(session: Session, commands: Path, month: str | None, form: str) -> int:
    from ledger.rehearsal import Rehearsal
    from reports.simulate_commands import alerts_said, charges_of, foretold

    answers: list[Answer] = []
    home = Rehearsal.open(session.home)
    before = home.events.next_seq
    _send_commands(session, home, commands, answers.append)
    table = foretold(home.events.read_since(before), home.state, answers, month)
    if form == "table":
        print_table(charges_of(table), form)
        say(*alerts_said(table), *_said_of_commands(commands, answers))
    else:
        print_table(table, form)
    return _exit_of_commands(answers)


# proof and care


@main.command()
@session_of
def verify(session: Session) -> None:
    """Checks the whole ledger: every invariant, both hash chains."""
    from ledger.home import Home
    from ledger.verify import verify as check

    events, calls = Home.open_logs(session.home, whole=False)
    findings = check(events, calls)
    say(*(f"{finding.rule}: {finding.sentence}" for finding in findings))
    if not findings:
        say(f"Every invariant holds over {calls.next_seq:,} call records and {events.next_seq:,} events.")
    sys.exit(FINDINGS if findings else DONE)


@main.command()
@click.option("--into", type=FILE, required=True, help="An empty folder for the rebuilt ledger.")
@session_of
def replay(session: Session, into: Path) -> None:
    """Rebuilds the ledger from its facts and compares the two."""
    from ledger.home import Home
    from ledger.replay import replay as rebuild

    events, calls = Home.open_logs(session.home)
    with progress(err, "replay", unit="rows") as done:
        rebuilt = rebuild(events, calls, into, lambda rows, total: done(rows, total, rows))
    for one in rebuilt.differences:
        say(f"{one.table} row {one.seq}, {one.column}: was {one.was}, is now {one.now}")
    verdict = "identical" if rebuilt.identical else "different"
    say(f"{rebuilt.calls:,} call records and {rebuilt.events:,} events rebuilt in {into}: {verdict}.")
    sys.exit(DONE if rebuilt.identical else FINDINGS)


@main.command()
@session_of
def maintain(session: Session) -> None:
    """Merges and sorts files, removes what nobody needs."""
    from ledger.home import Home
    from ledger.maintain import maintain_both
    from reports.said import said_of_maintenance

    for log, done in maintain_both(*Home.open_logs(session.home)):
        say(said_of_maintenance(log.folder.name, done))


if __name__ == "__main__":
    main(prog_name="fentan")
