"""Where alerts are posted: `webhooks.toml` in the home, and how a message is signed.

Messages follow the Standard Webhooks specification, for which every language has a library that verifies them:
`webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`, `v1,` and the base64 of HMAC-SHA256
over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from ledger.faults import BadRequest
from rating.toml_table import SettingsError, Table, read_toml

FILE_NAME = "webhooks.toml"
ALERT_KINDS = (
    "low_balance",
    "arrears",
    "suspended",
    "frozen",
    "long_arrears",
    "cleared",
    "renewal_due",
    "documents_due",
)
_PREFIX = "whsec_"
_LEAST_KEY_BYTES = 24
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}"
_DAY_S = 86_400


@dataclass(frozen=True)
class Webhook:
    """One receiver. `kinds` None: all; `from_start`: also the alerts from before it was configured."""

    name: str
    url: str
    key: bytes
    kinds: frozenset[str] | None
    from_start: bool
    timeout_s: int
    attempts: int
    longest_wait_s: int

    @property
    def host(self) -> str:
        """What may be shown of the URL: the rest of it may hold a password."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    def wants(self, kind: str) -> bool:
        return self.kinds is None or kind in self.kinds

    def wait_s(self, attempts: int) -> int:
        """How long to wait after so many attempts: 1, 2, 4, … seconds, at most `longest_wait_s`."""
        return min(self.longest_wait_s, 1 << min(attempts - 1, 30))


def load(home: Path) -> tuple[Webhook, ...]:
    """The webhooks of a home; none without the file. Raises BadRequest with file, key and reason."""
    path = home / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} cannot be read: {error}.") from None
    try:
        return _read(read_toml(text, str(path)))
    except SettingsError as error:
        raise BadRequest(str(error)) from None


def _read(top: Table) -> tuple[Webhook, ...]:
    hooks = tuple(map(_read_one, top.tables("webhook")))
    top.end()
    names = [hook.name for hook in hooks]
    for name in names:
        if names.count(name) > 1:
            raise top.error(
                "webhook", f"two of them are called {name!r}; each keeps its own place by its name."
            )
    return hooks


def _read_one(table: Table) -> Webhook:
    name = table.word("name")
    if not re.fullmatch(_NAME, name):
        raise table.error("name", f"{name!r} must be 1 to 40 letters, digits, dots, dashes or underscores.")
    table.call_it(f"webhook {name}")
    url = table.word("url")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii() or " " in url:
        raise table.error("url", "this is not an address that begins with https:// or http://.")
    kinds = table.optional("kinds", lambda key: table.words(key, ALERT_KINDS))
    begin = table.optional("begin", lambda key: table.word(key, ("now", "start")))
    hook = Webhook(
        name,
        url,
        _key(table),
        None if kinds is None else frozenset(kinds),
        begin == "start",
        _whole(table, "timeout_s", 1, 120, 10),
        _whole(table, "attempts", 1, 1000, 20),
        _whole(table, "longest_wait_s", 1, _DAY_S, 3600),
    )
    table.end()
    return hook


def _whole(table: Table, key: str, low: int, high: int, usual: int) -> int:
    value = table.optional(key, lambda name: table.whole(name, low, high))
    return usual if value is None else value


def _key(table: Table) -> bytes:
    """The secret's bytes, from the file or from the environment; never shown."""
    secret = table.optional("secret", table.word)
    variable = table.optional("secret_env", table.word)
    if (secret is None) == (variable is None):
        raise table.error("secret", "give this, or secret_env with the name of an environment variable.")
    where = "secret"
    if variable is not None:
        where, secret = "secret_env", os.environ.get(variable)
        if not secret:
            raise table.error(where, f"the environment has no variable {variable}.")
    try:
        key = base64.b64decode((secret or "").removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < _LEAST_KEY_BYTES:
        raise table.error(
            where, f"this must be {_PREFIX} and at least {_LEAST_KEY_BYTES} random bytes in base64."
        )
    return key


def message_id(alert_id: str) -> str:
    """An alert's id as a header can carry it: the same for every repeat."""
    return quote(alert_id, safe="").replace(".", "%2E")


def signed_headers(key: bytes, message: str, body: bytes, at: datetime) -> dict[str, str]:
    """The headers of one attempt at `at`; a receiver refuses a timestamp that is too old."""
    seconds = int(at.timestamp())
    digest = hmac.new(key, f"{message}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "Fentan",
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
