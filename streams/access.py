"""How to get into a Kafka cluster that asks who comes: TLS and SASL, once for all three clients.

The file has the settings by librdkafka's names, `name=value` a line. kafka-python and Faust are given the same by
theirs; what they could not all heed is refused.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.faults import BadRequest

if TYPE_CHECKING:
    from faust.auth import Credentials

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_FILES = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location")
_CLOSED = {"security.protocol": _PROTOCOLS, "sasl.mechanism": _MECHANISMS}
_NAMES = (*_CLOSED, *_FILES, "ssl.key.password", "sasl.username", "sasl.password")
_KAFKA_PYTHON = {
    "security.protocol": "security_protocol",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
}
"""librdkafka's name -> kafka-python's; certificates and key it is given as a context, as Faust is."""


@dataclass(frozen=True)
class Access:
    """The settings of one cluster, checked, by librdkafka's names; empty for one that asks nothing."""

    settings: Mapping[str, str]

    def __repr__(self) -> str:
        """Without values: there is a password among them."""
        return f"Access({', '.join(self.settings)})"

    def for_librdkafka(self) -> dict[str, str]:
        """Settings of a consumer or producer."""
        return dict(self.settings)

    def for_kafka_python(self) -> dict[str, Any]:
        """Arguments of an admin client. Raises BadRequest if a certificate or key cannot be used."""
        arguments = {
            theirs: self.settings[ours] for ours, theirs in _KAFKA_PYTHON.items() if ours in self.settings
        }
        return {**arguments, "ssl_context": self._context}

    def for_faust(self) -> Credentials | None:
        """Faust's broker credentials. Raises BadRequest if a certificate or key cannot be used."""
        from faust.auth import SASLCredentials, SSLCredentials

        context = self._context
        if self._protocol.startswith("SASL"):
            return SASLCredentials(
                username=self.settings["sasl.username"],
                password=self.settings["sasl.password"],
                mechanism=self.settings["sasl.mechanism"],
                ssl_context=context,
            )
        return None if context is None else SSLCredentials(context)

    @property
    def _protocol(self) -> str:
        return self.settings.get("security.protocol", "PLAINTEXT")

    @cached_property
    def _context(self) -> ssl.SSLContext | None:
        """Made once: a worker asks about its topics all the time, and must not end while somebody renews the files."""
        if not self._protocol.endswith("SSL"):
            return None
        given = self.settings
        try:
            context = ssl.create_default_context(cafile=given.get("ssl.ca.location"))
            if "ssl.certificate.location" in given:
                # with no password at all, OpenSSL would ask on the terminal, and wait
                context.load_cert_chain(
                    given["ssl.certificate.location"],
                    given["ssl.key.location"],
                    given.get("ssl.key.password", ""),
                )
        except (OSError, ValueError) as error:  # ssl's own errors are among them
            raise BadRequest(
                f"The certificates for Kafka cannot be used ({error}): ssl.ca.location, ssl.certificate.location and "
                "ssl.key.location are PEM files, and ssl.key.password opens the key."
            ) from error
        return context


OPEN = Access({})


def read_access(path: Path) -> Access:
    """The settings in a file. Raises BadRequest naming the line, or what is missing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"The settings for Kafka in {path} cannot be read: {error}.") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in text.partition("="))
        name = "sasl.mechanism" if name == "sasl.mechanisms" else name
        where = f"{path}, line {number}"
        if not equals or name not in _NAMES:  # the line itself is not shown: it may be a password
            raise BadRequest(f"{where}: write name=value; the names are {', '.join(sorted(_NAMES))}.")
        if name in _CLOSED and value not in _CLOSED[name]:
            raise BadRequest(f'{where}: {name} is "{value}", not one of {", ".join(_CLOSED[name])}.')
        if name in _FILES and not Path(value).is_file():
            raise BadRequest(f"{where}: there is no file {value} for {name}.")
        found[name] = value
    _check(path, found)
    return Access(found)


def _check(path: Path, found: Mapping[str, str]) -> None:
    """No setting without the one that makes it heeded: a password that is sent nowhere, a key that nobody asks for."""
    protocol = found.get("security.protocol", "PLAINTEXT")
    sasl = {"sasl.mechanism", "sasl.username", "sasl.password"}
    if protocol.startswith("SASL") and not sasl <= found.keys():
        raise BadRequest(f"{path}: {protocol} needs {', '.join(sorted(sasl - found.keys()))} too.")
    idle = [
        name
        for name in found
        if (name.startswith("sasl.") and not protocol.startswith("SASL"))
        or (name.startswith("ssl.") and not protocol.endswith("SSL"))
    ]
    if idle:
        raise BadRequest(
            f"{path}: {', '.join(idle)} would not be heeded with security.protocol={protocol}: give another protocol "
            f"({', '.join(_PROTOCOLS)}), or leave it out."
        )
    # librdkafka looks for the key in its own file only, and would send no certificate without it
    own = ("ssl.certificate.location", "ssl.key.location")
    missing = [name for name in own if name not in found]
    if missing and found.keys() & {*own, "ssl.key.password"}:
        raise BadRequest(
            f"{path}: our own certificate needs {', '.join(missing)} too; one PEM file may hold both."
        )
