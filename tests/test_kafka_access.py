"""A cluster that asks who comes: TLS and SASL, for all three clients."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import fentan
from broker.node import Node, free_port
from ledger.faults import BadRequest
from rating.calendar import instant_text
from streams.access import read_access
from streams.cluster import Cluster
from streams.topics import ALERTS, ANSWERS, create
from tests.kafka_cluster import Worker, calls_in, read_all, send_calls, send_commands
from tests.ledgers import ARRIVED, NUMBER, a_call, a_home

NOW = instant_text(ARRIVED)
PASSWORD = "not-told"  # noqa: S105  of a broker that lives for one test


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a broker that lets one user in, over TLS, and a file of settings that does."""
    keys, ca = tmp_path / "keys.p12", tmp_path / "ca.pem"
    made = ["-genkeypair", "-keyalg", "EC", "-dname", "CN=node", "-ext", "san=ip:127.0.0.1", "-alias", "node"]
    store = ["-keystore", str(keys), "-storepass", "storepass", "-storetype", "PKCS12"]
    subprocess.run(["keytool", *made, *store], check=True, capture_output=True)
    plain, port, controller = free_port(), free_port(), free_port()
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    node = Node(
        tmp_path / "kafka",
        plain,
        f"""
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SASL_SSL://127.0.0.1:{port}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{port}
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config={login} user_fentan="{PASSWORD}";
ssl.keystore.location={keys}
ssl.keystore.password=storepass
""",
    )
    node.start()
    ca.write_text(ssl.get_server_certificate(("127.0.0.1", port)))
    settings = tmp_path / "client.properties"
    settings.write_text(
        f"# as librdkafka calls them\nsecurity.protocol=SASL_SSL\nssl.ca.location={ca}\n"
        f"sasl.mechanism=PLAIN\nsasl.username=fentan\nsasl.password={PASSWORD}\n"
    )
    yield f"127.0.0.1:{port}", settings
    node.kill()


@pytest.mark.usefixtures("can_start_brokers")
def test_all_clients_get_into_a_cluster_that_asks_who_comes(closed: tuple[str, Path], tmp_path: Path) -> None:
    """kafka-python makes the topics, librdkafka and Faust read, and answers and alerts come back; else a sentence."""
    address, settings = closed
    home = tmp_path / "home"
    a_home(home)
    cluster = Cluster(address, "", read_access(settings))
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
    settings.write_text(settings.read_text().replace(PASSWORD, "wrong"))
    arguments = ["topics", "create", "--kafka", address, "--kafka-config", str(settings)]
    result = CliRunner().invoke(fentan.main, arguments)
    said = " ".join(result.output.split())
    assert (result.exit_code, "No Kafka broker lets us in" in said, "wrong" in said) == (4, True, False), said


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
