"""A cluster that asks who comes: TLS, SASL and certificates, for all three clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import fentan
from broker.node import free_port
from ledger.faults import BadRequest
from rating.calendar import instant_text
from streams.access import read_access
from streams.cluster import Cluster
from streams.topics import ALERTS, ANSWERS, create
from tests.closed_kafka import KEY_PASSWORD, PASSWORD, Way, closed_kafka
from tests.kafka_cluster import Worker, a_prefix, calls_in, read_all, send_calls, send_commands
from tests.ledgers import ARRIVED, NUMBER, a_call, a_home

NOW = instant_text(ARRIVED)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Way]]:
    """The ways into a broker that asks who comes."""
    with closed_kafka(tmp_path_factory.mktemp("closed")) as found:
        yield found


@pytest.mark.usefixtures("can_start_brokers")
@pytest.mark.parametrize("name", ["PLAIN", "SCRAM", "certificate"])
def test_all_clients_get_into_a_cluster_that_asks_who_comes(
    ways: dict[str, Way], name: str, tmp_path: Path
) -> None:
    """kafka-python makes the topics, librdkafka and Faust read, and answers and alerts come back."""
    settings = ways[name].write(tmp_path / "client.properties")
    home = tmp_path / "home"
    a_home(home)
    cluster = Cluster(ways[name].address, a_prefix(), read_access(settings))
    create(cluster, 1)
    worker = Worker(cluster, home, "--kafka-config", str(settings), now=NOW)
    try:
        send_commands(cluster, [b"poison"])
        send_calls(cluster, [a_call(place, minutes=23 * 60) for place in range(3)], key=NUMBER)
        worker.until(lambda: calls_in(home).num_rows == 3, "the calls are in the ledger")
        worker.until(
            lambda: read_all(cluster, ANSWERS) and read_all(cluster, ALERTS), "answer and alerts are out"
        )
        assert worker.stop() == 0, worker.said
    finally:
        worker.kill()
    assert PASSWORD not in worker.said
    assert KEY_PASSWORD not in worker.said


@pytest.mark.usefixtures("can_start_brokers")
def test_a_worker_that_is_not_let_in_says_so(ways: dict[str, Way], tmp_path: Path) -> None:
    """Exit code 4, a sentence, and no password. All at once, for each tries as long as a broker may take."""
    a_home(tmp_path / "home")
    lacking: dict[str, dict[str, str | None]] = {
        "PLAIN": {"sasl_password": "mistyped"},
        "SCRAM": {"sasl_password": "mistyped"},
        "certificate": {"ssl_certificate_location": None, "ssl_key_location": None, "ssl_key_password": None},
    }
    workers = []
    try:
        for name, other in lacking.items():
            settings = ways[name].write(tmp_path / f"{name}.properties", **other)
            cluster = Cluster(ways[name].address)
            workers.append(Worker(cluster, tmp_path / "home", "--kafka-config", str(settings), now=NOW))
        for worker in workers:
            assert worker.wait() == 4, worker.said
            said = " ".join(worker.said.split())
            assert "No Kafka broker lets us in" in said
            assert "user and password in the file of --kafka-config?" in said
            assert not [word for word in ("mistyped", PASSWORD, KEY_PASSWORD) if word in said], said
    finally:
        for worker in workers:
            worker.kill()


def test_a_worker_whose_broker_is_away_says_a_sentence_and_no_more(tmp_path: Path) -> None:
    """Exit code 4; what its clients think of each attempt is not told."""
    a_home(tmp_path / "home")
    worker = Worker(Cluster(f"127.0.0.1:{free_port()}"), tmp_path / "home", now=NOW)
    try:
        assert worker.wait() == 4, worker.said
        assert worker.said.startswith("No Kafka broker answers at 127.0.0.1:"), worker.said
        assert worker.said.count(". ") + worker.said.count(".\n") == 1, worker.said
    finally:
        worker.kill()


@pytest.mark.usefixtures("can_start_brokers")
@pytest.mark.parametrize("given", ["mistyped", None])
def test_a_key_that_does_not_open_is_said(ways: dict[str, Way], given: str | None, tmp_path: Path) -> None:
    """At once, and nobody is asked for its password on the terminal."""
    way = ways["certificate"]
    settings = way.write(tmp_path / "client.properties", ssl_key_password=given)
    arguments = ["topics", "create", "--kafka", way.address, "--kafka-config", str(settings)]
    result = CliRunner().invoke(fentan.main, arguments)
    said = " ".join(result.output.split())
    assert (result.exit_code, "ssl.key.password opens the key." in said, "mistyped" in said) == (
        2,
        True,
        False,
    ), said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sasl.pasword=x", "line 1: write name=value; the names are sasl.mechanism, sasl.password,"),
        ("\nsecret", "line 2: write name=value"),
        (
            "security.protocol=TLS",
            'security.protocol is "TLS", not one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL.',
        ),
        ("security.protocol=SASL_SSL\nsasl.username=u", "SASL_SSL needs sasl.mechanism, sasl.password too."),
        ("sasl.username=u", "sasl.username would not be heeded with security.protocol=PLAINTEXT"),
        ("security.protocol=SSL\nssl.ca.location=/no/ca.pem", "line 2: there is no file /no/ca.pem"),
        (
            f"security.protocol=SSL\nssl.certificate.location={__file__}",
            "certificate needs ssl.key.location too",
        ),
        (f"security.protocol=SSL\nssl.key.location={__file__}", "needs ssl.certificate.location too"),
        ("security.protocol=SSL\nssl.key.password=secret", "ssl.certificate.location, ssl.key.location too"),
    ],
)
def test_settings_that_cannot_be_heeded_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """A line, and what to write; what may be a password is not shown."""
    (tmp_path / "client.properties").write_text(text)
    with pytest.raises(BadRequest) as refused:
        read_access(tmp_path / "client.properties")
    assert sentence in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_no_certificate_is_said(tmp_path: Path) -> None:
    """Before anything is sent."""
    (tmp_path / "ca.pem").write_text("no certificate")
    (tmp_path / "client.properties").write_text(
        f"security.protocol=SSL\nssl.ca.location={tmp_path / 'ca.pem'}"
    )
    with pytest.raises(BadRequest, match=r"certificates for Kafka cannot be used .* are PEM files"):
        read_access(tmp_path / "client.properties").for_faust()
