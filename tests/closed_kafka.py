"""A broker that asks who comes, and what gets in: PLAIN or SCRAM over TLS, or a certificate that it knows."""

from __future__ import annotations

import base64
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from broker.node import Node, free_port

PASSWORD, KEY_PASSWORD = "not-told", "told-to-nobody"
"""Of a broker that lives for one module."""
_LOGIN = "org.apache.kafka.common.security"


class Way(NamedTuple):
    """A listener's address, and the settings that it lets in."""

    address: str
    settings: dict[str, str]

    def write(self, file: Path, **other: str | None) -> Path:
        """The settings as a file. `other` replaces some, `_` for the dot in their names; None leaves one out."""
        changed = {**self.settings, **{name.replace("_", "."): value for name, value in other.items()}}
        file.write_text("".join(f"{name}={value}\n" for name, value in changed.items() if value is not None))
        return file


@contextmanager
def closed_kafka(folder: Path) -> Iterator[dict[str, Way]]:
    """Runs while the block does; gives the ways in by name."""
    ours, key = folder / "fentan.pem", folder / "fentan-key.pem"
    node_store, _ = _key_pair(folder, "node", "-ext", "san=ip:127.0.0.1")
    our_store, store = _key_pair(folder, "fentan")
    ours.write_bytes(_keytool("-exportcert", "-rfc", *store))
    key.write_text(_key_of(our_store.read_bytes()))
    plain, sasl, tls, controller = (free_port() for _ in range(4))
    listeners = f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{tls}"
    node = Node(
        folder / "kafka",
        plain,
        f"""
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={_LOGIN}.plain.PlainLoginModule required user_fentan="{PASSWORD}";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={_LOGIN}.scram.ScramLoginModule required;
ssl.keystore.location={node_store}
ssl.keystore.password={KEY_PASSWORD}
ssl.truststore.type=PEM
ssl.truststore.location={ours}
listener.name.ssl.ssl.client.auth=required
""",
    )
    try:
        node.start()
        _know_by_scram(node)
        ca = folder / "ca.pem"
        ca.write_text(ssl.get_server_certificate(("127.0.0.1", sasl)))
        user = {"security.protocol": "SASL_SSL", "ssl.ca.location": str(ca),
                "sasl.username": "fentan", "sasl.password": PASSWORD}  # fmt: skip
        certificate = {"security.protocol": "SSL", "ssl.ca.location": str(ca), "ssl.certificate.location": str(ours),
                       "ssl.key.location": str(key), "ssl.key.password": KEY_PASSWORD}  # fmt: skip
        yield {
            "PLAIN": Way(f"127.0.0.1:{sasl}", {**user, "sasl.mechanism": "PLAIN"}),
            "SCRAM": Way(f"127.0.0.1:{sasl}", {**user, "sasl.mechanism": "SCRAM-SHA-512"}),
            "certificate": Way(f"127.0.0.1:{tls}", certificate),
        }
    finally:
        node.kill()


def _know_by_scram(node: Node) -> None:
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    user = UserScramCredentialUpsertion("fentan", info, PASSWORD.encode())
    admin = AdminClient({"bootstrap.servers": node.address})  # gives no answer once nobody holds it
    for answer in admin.alter_user_scram_credentials([user]).values():
        answer.result(timeout=30)


def _key_pair(folder: Path, name: str, *more: str) -> tuple[Path, list[str]]:
    """A store with a key and its certificate, and what opens it."""
    file = folder / f"{name}.p12"
    store = ["-keystore", str(file), "-storepass", KEY_PASSWORD, "-storetype", "PKCS12", "-alias", name]
    _keytool("-genkeypair", "-keyalg", "EC", "-dname", f"CN={name}", *more, *store)
    return file, store


def _keytool(*arguments: str) -> bytes:
    quick = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC")
    return subprocess.run(["keytool", *quick, *arguments], check=True, capture_output=True).stdout


def _key_of(store: bytes) -> str:
    """The encrypted key in a PKCS12 file, as PEM: the same bytes stand in it, and keytool does not give them away."""
    key_bag = bytes.fromhex("060b2a864886f70d010c0a0102")  # its object identifier; [0] with the key follows
    start, _ = _inside(store, store.index(key_bag) + len(key_bag))
    body, size = _inside(store, start)
    text = base64.encodebytes(store[start : body + size]).decode()
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{text}-----END ENCRYPTED PRIVATE KEY-----\n"


def _inside(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the DER element at this place begins, and how long it is."""
    size = der[at + 1]
    if size < 0x80:
        return at + 2, size
    long = size - 0x80
    return at + 2 + long, int.from_bytes(der[at + 2 : at + 2 + long], "big")
