"""The commands that run beside the ingest: webhooks and their dead letters, and the live picture."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger.session import (
    DONE,
    FILE,
    FINDINGS,
    Session,
    err,
    format_option,
    out,
    print_table,
    say,
    session_of,
    until_interrupted,
)
from rating.masking import masked

if TYPE_CHECKING:
    from streams.webhooks import Webhook


@click.group()
def webhooks() -> None:
    """Alerts to other systems, as signed HTTP requests.

    Receivers stand in `webhooks.toml` in the home. `fentan ingest --follow` delivers by itself; where it does not
    run, `fentan webhooks deliver` does.
    """


def _configured(session: Session) -> tuple[Webhook, ...]:
    from ledger.faults import BadRequest
    from streams.webhooks import FILE_NAME, load

    found = load(session.home)
    if not found:
        raise BadRequest(
            f"There is no {FILE_NAME} in {session.home}: write one with a [[webhook]] that has name, url and secret."
        )
    return found


def delivering(session: Session) -> AbstractContextManager[None]:
    """Delivers to the home's webhooks, if it has any, while the block runs."""
    from streams.webhooks import FILE_NAME

    if not (session.home / FILE_NAME).exists():
        return nullcontext()
    from streams.delivery_run import delivering as delivering_beside

    return delivering_beside(session.home, session.running_clock(), complain)


def complain(sentence: str) -> None:
    """A sentence about what does not stop the work, on stderr; phone numbers in it are masked (F-27)."""
    err.print(masked(sentence), markup=False)


@webhooks.command()
@click.option("--once", is_flag=True, help="Sends what is due and ends; exit 1 if something is left.")
@session_of
def deliver(session: Session, once: bool) -> None:
    """Delivers alerts within a second of their commit, until interrupted.

    What fails is tried again with growing waits, and in the end becomes a dead letter. Of several processes one
    delivers; the others take over when it ends.
    """
    from streams.delivery import LEAVE_S
    from streams.delivery_run import deliver as deliver_alerts
    from streams.delivery_run import open_deliveries

    found = _configured(session)
    if not once:
        deliver_alerts(session.home, found, session.running_clock(), until_interrupted(), complain, LEAVE_S)
        return
    deliver_alerts(session.home, found, session.running_clock(), lambda: True, complain, None)
    names = {one.name for one in found}
    with open_deliveries(session.home) as deliveries:
        left = [one for one in deliveries.standings() if one.webhook in names and one.waiting + one.dead]
    say(
        *(
            f"{one.webhook}: {one.waiting:,} waiting for another try, {one.dead:,} dead letters."
            for one in left
        )
    )
    if not left:
        say("Everything is delivered.")
    sys.exit(FINDINGS if left else DONE)


@webhooks.command()
@format_option
@session_of
def status(session: Session, form: str) -> None:
    """How each webhook stands: what was delivered, what waits, what was given up."""
    from streams.delivery_tables import standings_table

    print_table(standings_table(session.home, _configured(session)), form)


@webhooks.command()
@click.option("--webhook", help="Only this one's.")
@format_option
@session_of
def dead(session: Session, webhook: str | None, form: str) -> None:
    """The dead letters: alerts that were given up after the last attempt."""
    from streams.delivery_tables import dead_table

    rows = dead_table(session.home, webhook)
    print_table(rows, form)
    if form == "table" and not rows.num_rows:
        say("There is no dead letter.")


@webhooks.command()
@click.argument("seqs", nargs=-1, type=click.IntRange(min=0))
@click.option("--all", "everything", is_flag=True, help="Every dead letter.")
@click.option("--webhook", help="Only this one's.")
@session_of
def resend(session: Session, seqs: tuple[int, ...], everything: bool, webhook: str | None) -> None:
    """Sends dead letters again: those of these seqs, or --all.

    They keep their ids. Whichever process delivers sends them; where none runs, `fentan webhooks deliver --once`.
    """
    from streams.delivery_run import open_deliveries

    if bool(seqs) == everything:
        raise click.UsageError("Name the seqs of dead letters (`fentan webhooks dead` lists them), or --all.")
    with open_deliveries(session.home) as deliveries:
        count = deliveries.send_again(None if everything else seqs, webhook)
    say(f"To be sent again: {count:,}.")
    if not everything and count < len(set(seqs)):
        complain("Not every seq is a dead letter: `fentan webhooks dead` lists them.")
        sys.exit(FINDINGS)


@webhooks.command()
@session_of
def test(session: Session) -> None:
    """Sends one signed message of kind `test` to each webhook; exit 1 if one does not take it."""
    from streams.delivery_run import send_test

    faults = 0
    for one, fault in send_test(_configured(session), session.clock()):
        faults += fault is not None
        say(f"{one.name} ({one.host}): {'took it' if fault is None else fault}.")
    sys.exit(FINDINGS if faults else DONE)


@click.command()
@click.argument("spool", required=False, type=FILE)
@click.option("--once", is_flag=True, help="One picture, and done.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table",
              help="For people; for programs, an object a line.")  # fmt: skip
@session_of
def top(session: Session, spool: Path | None, once: bool, form: str) -> None:
    """Shows live what comes in: calls and money a second, rejects, lag, the latest alerts.

    Anew each second until interrupted, beside whatever else works on the ledger. With the folder or file SPOOL that
    an ingest follows, also how much of it is not read yet.
    """
    from streams.top import Top, show, show_once

    clock = session.running_clock()
    picture = Top(session.home, spool, clock())
    if once:
        show_once(picture, form, out, clock())
    else:
        show(picture, form, out, clock, until_interrupted())


COMMANDS = (webhooks, top)
