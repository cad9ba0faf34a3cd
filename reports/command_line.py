"""The commands that ask the ledger and write documents; `fentan.py` puts them on the command line."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from ledger.progress import progress
from ledger.session import (
    DONE,
    FILE,
    FINDINGS,
    INSTANT,
    MONTH,
    SINCE,
    Session,
    err,
    format_option,
    print_lines,
    print_table,
    say,
    session_of,
    until_interrupted,
)

ANSWERS = ("table", "csv", "json", "parquet", "arrow", "xlsx")
"""What `fentan sql` answers in; Arrow is a stream of record batches."""


@click.command()
@click.argument("month", type=MONTH)
@click.option("--customer", help="Only this customer's.")
@click.option("--provider", help="Only this provider's.")
@click.option("--out", "folder", type=FILE, help="Where to; by default `statements` in the home.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", help="Chinese or English.")
@session_of
def statements(
    session: Session, month: str, customer: str | None, provider: str | None, folder: Path | None, lang: str
) -> None:
    """Writes a closed month's statements as PDF, JSON and CSV.

    One for each customer and each provider. What was issued once stays as it is, byte by byte.
    """
    from reports.explain_words import counted
    from reports.statements import issue

    with progress(err, f"statements {month}", unit="statements") as done:
        issued = issue(
            session.home, month, folder or session.home / "statements", customer, provider, lang, done
        )
    say(
        f"{counted(issued.written, 'statement')} of {month} in {issued.folder}; {issued.kept:,} were there already and stay as they are."
    )
    for sentence in issued.findings:
        err.print(sentence, markup=False)
    sys.exit(FINDINGS if issued.findings else DONE)


# questions


@click.command()
@click.argument("statement", required=False)
@click.option(
    "--file", type=FILE, help="Holds the statement; or a standard question's name (`fentan questions`)."
)
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE", help="What stands for $NAME in the statement."
)
@click.option("--as-of", help="A version of the table of calls, or a time.")
@click.option("--timeout", default=60, help="Seconds before a statement is stopped.")
@click.option("--mask", is_flag=True, help="Phone numbers are hidden: 138****5678.")
@click.option("--memory", default="2GB", metavar="SIZE", help="How much a statement may use, such as 500MB.")
@click.option(
    "--format", "form", type=click.Choice(ANSWERS), default="table", help="For people, sheets, programs."
)
@click.option("--out", type=FILE, help="A file for the answer instead of the terminal.")
@session_of
def sql(
    session: Session,
    statement: str | None,
    file: Path | None,
    params: tuple[str, ...],
    as_of: str | None,
    timeout: int,
    mask: bool,
    memory: str,
    form: str,
    out: Path | None,
) -> None:
    """Asks the ledger anything: one SELECT, in DuckDB's SQL.

    SHOW TABLES lists the views, DESCRIBE tells what their columns mean. Nothing can be written.
    """
    from reports.answers import require_size, write_answer
    from reports.ask import ask
    from reports.questions import Question, bound, question_in

    if (statement is None) == (file is None):
        raise click.UsageError('Give one statement, or --file: fentan sql "SELECT * FROM balances".')
    question = question_in(file) if file is not None else Question("", "", "", (), statement or "")
    values = bound(question, params)
    require_size(memory)
    answer = ask(
        session.home, question.sql, session.clock(), as_of, timeout, values, mask=mask, memory_limit=memory
    )
    if out is None and form in {"table", "csv", "json"}:
        print_table(answer, form)
    else:
        write_answer(answer, form, out)


@click.command()
@click.argument("name", required=False)
@format_option
def questions(name: str | None, form: str) -> None:
    """Finance's standard questions; with NAME one's SQL.

    Ask one with `fentan sql --file NAME`, with a --param for each parameter that has no default.
    """
    import pyarrow as pa

    from reports.questions import question_in, standard_questions

    if name is not None:
        say(question_in(Path(name)).sql.rstrip())
        return
    rows = [
        {
            "name": one.name,
            "title": one.title,
            "parameters": ", ".join(f"{p.name}={p.default or '…'}" for p in one.parameters),
        }
        for one in standard_questions()
    ]
    print_table(pa.Table.from_pylist(rows), form)


@click.command()
@click.option("--as-of", type=INSTANT, help="As it stood at this time.")
@format_option
@session_of
def arrears(session: Session, as_of: datetime | None, form: str) -> None:
    """Who owes what since when, and what was done about it."""
    from reports.ask import ask_own

    rows = ask_own(
        session.home, "SELECT * FROM arrears ORDER BY balance, account", as_of or session.clock(), as_of
    )
    print_table(rows, form)
    if form == "table" and not rows.num_rows:
        say("Nobody is in arrears.")


@click.command()
@click.option("--since", type=SINCE, help="From this seq of events or this time on.")
@click.option("--follow", is_flag=True, help="Shows each as soon as it is committed, until interrupted.")
@format_option
@session_of
def alerts(session: Session, since: int | datetime | None, follow: bool, form: str) -> None:
    """The alerts that were raised, oldest first; with --follow those that come from now on.

    Phone numbers in them are masked. --follow --format json prints one object a line.
    """
    from reports.alerts import alerts_so_far, follow_alerts

    if follow:
        follow_alerts(session.home, since, form, until_interrupted(), say)
    else:
        print_table(alerts_so_far(session.home, since or 0, session.clock()), form)


@click.command()
@click.argument("call_id")
@format_option
@session_of
def call(session: Session, call_id: str, form: str) -> None:
    """How one call was charged, and what else came under its id."""
    from reports.explain import explain_call

    print_lines(explain_call(session.home, call_id, session.clock()), form)


@click.command()
@click.argument("name")
@format_option
@session_of
def explain(session: Session, name: str, form: str) -> None:
    """How an amount came to be: input, rules, arithmetic.

    NAME is a posting (812-1), a line of a statement (its line_id), a command's id or a call's.
    """
    from reports.explain import explain as explain_one

    print_lines(explain_one(session.home, name, session.clock()), form)


@click.command()
@click.argument("file", type=FILE)
@click.option("--copy", is_flag=True, help="The file holds every row itself and can be carried elsewhere.")
@click.option(
    "--mask", is_flag=True, help="Phone numbers are hidden: 138****5678. The file holds every row itself."
)
@session_of
def publish(session: Session, file: Path, copy: bool, mask: bool) -> None:
    """Writes a DuckDB file for notebooks and BI tools.

    It has the views of `fentan sql`, as of now; those that sum up are tables. It takes the place of the one that was
    published before, whose readers keep what they have until they connect again.
    """
    from reports.publish import publish as publish_file

    made = publish_file(session.home, file, session.clock(), copy=copy, mask=mask)
    say(
        f"{file}: {made.tables} tables and {made.views} views over {made.calls:,} call records and {made.events:,} events."
    )


COMMANDS = (statements, sql, questions, arrears, alerts, call, explain, publish)
