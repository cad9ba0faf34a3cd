"""The commands of the Kafka side; `fentan.py` puts them on the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ledger.session import (
    DONE,
    FILE,
    FINDINGS,
    Session,
    err,
    format_option,
    print_table,
    say,
    session_of,
    until_interrupted,
)

if TYPE_CHECKING:
    from streams.cluster import Cluster


def on_kafka(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which cluster; the command is given it as `cluster`."""

    @wraps(command)
    def with_cluster(
        *args: Any, kafka: str | None, prefix: str, kafka_config: Path | None, **rest: Any
    ) -> Any:
        from streams.cluster import cluster_at

        return command(*args, cluster=cluster_at(kafka, prefix, kafka_config), **rest)

    kafka = click.option("--kafka", envvar="FENTAN_KAFKA", help="The broker, HOST:PORT; several with commas.")
    prefix = click.option(
        "--prefix", envvar="FENTAN_KAFKA_PREFIX", default="", help="Stands before topics' and groups' names."
    )
    config = click.option(
        "--kafka-config",
        envvar="FENTAN_KAFKA_CONFIG",
        type=FILE,
        help="A file of TLS and SASL settings, name=value a line.",
    )
    return kafka(prefix(config(with_cluster)))


@click.group()
def topics() -> None:
    """Makes and shows the topics on Kafka."""


@topics.command("create")
@on_kafka
@click.option("--partitions", type=click.IntRange(1, 10_000), help="Of cdrs and account-changes; usually 12.")
@click.option("--replicas", type=click.IntRange(1, 100), help="Copies of each; by default the broker's.")
def create_topics(cluster: Cluster, partitions: int | None, replicas: int | None) -> None:
    """Makes the topics that are not there yet; others stay as they are."""
    from streams.topics import create

    for one in create(cluster, partitions, replicas):
        count = f"{one.partitions} partition{'s' if one.partitions > 1 else ''}"
        say(f"{one.name}: {f'made with {count}' if one.is_new else f'is there, {count}'}.")


@topics.command("status")
@on_kafka
@format_option
@session_of
def topics_status(session: Session, cluster: Cluster, form: str) -> None:
    """How far each partition was read into the ledger, and the lag."""
    from ledger.home import Home
    from streams.lag import status

    events, calls = Home.open_logs(session.home)
    print_table(status(cluster, events, calls, session.clock()), form)


@click.command()
@on_kafka
@click.option("--web", default="127.0.0.1:6066", help="Where its pages are, HOST:PORT; `none` for no pages.")
@click.option("--batch", type=click.IntRange(1, 1_000_000), default=100_000, help="Records a commit at most.")
@click.option(
    "--wait-ms", type=click.IntRange(1, 60_000), default=200, help="How long a record may wait for others."
)
@click.option(
    "--session-timeout",
    type=click.IntRange(1, 600),
    default=10,
    help="Seconds until a worker that is silent is replaced.",
)
@click.option(
    "--ready-within",
    type=click.IntRange(1, 3600),
    default=150,
    help="Seconds that the group may take to give it its part.",
)
@click.option(
    "--accept-gap", multiple=True, help="Goes on behind missing records; the message about them says how."
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", help="What is logged."
)
@session_of
def worker(
    session: Session, cluster: Cluster, web: str, batch: int, wait_ms: int, session_timeout: int,
    ready_within: int, accept_gap: tuple[str, ...], log_level: str,
) -> None:  # fmt: skip
    """Takes calls and commands from Kafka into the ledger, and sends alerts.

    Any number of workers share the work. SIGTERM ends one after its last commit; one that cannot go on says why
    and ends. The log is on stderr, a JSON object a line.
    """
    from streams.logs import set_up

    pages = _web_address(web)
    set_up(log_level)
    from streams.calls import Flush
    from streams.worker import Settings, run

    flush = Flush(max_records=batch, max_wait_s=wait_ms / 1000)
    run(
        cluster,
        session.home,
        session.clock,
        Settings(flush, pages, accept_gap, session_timeout, ready_within),
    )


@click.command()
@click.argument("path", type=FILE)
@on_kafka
@click.option("--format", "format_name", default="auto",
              help="auto, jsonl, csv, parquet, freeswitch, asterisk, asterisk_custom, or a mapping's TOML file.")  # fmt: skip
@click.option("--once", is_flag=True, help="Sends what is there, and ends.")
@click.option("--places", type=FILE, help="Keeps how far files were sent; by default in the folder.")
def collect(cluster: Cluster, path: Path, format_name: str, once: bool, places: Path | None) -> None:
    """Sends a folder's call files to Kafka, and goes on with what appears.

    For switches that write files. What Kafka has acknowledged is not sent again; the folder need not be on the
    ledger's machine.
    """
    from streams.collect import collect as send_files

    sent = send_files(cluster, path, format_name, places, None if once else until_interrupted(), heard=_warn)
    say(f"{sent.records:,} call records of {sent.files:,} file{'s' if sent.files != 1 else ''} sent.")
    sys.exit(FINDINGS if sent.unread else DONE)


def _warn(sentence: str) -> None:
    err.print(sentence, markup=False)


def _web_address(text: str) -> tuple[str, int] | None:
    if text == "none":
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise click.BadParameter(
            f"{text} is not HOST:PORT, such as 127.0.0.1:6066, or none.", param_hint="--web"
        )
    return host, int(port)


COMMANDS = (topics, worker, collect)
