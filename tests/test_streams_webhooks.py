"""`webhooks.toml`: what is refused and how it is said; signatures; waits."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.faults import BadRequest
from streams.webhooks import load, message_id, signed_headers
from tests.webhook_receiver import SECRET, configure, is_signed

URL = "https://alerts.example.org/in"
GOOD = {"name": "desk", "url": URL, "secret": SECRET}


def written(home: Path, **changed: object) -> Path:
    """A home whose only webhook differs from a good one."""
    fields = GOOD | changed
    configure(home, str(fields.pop("url", URL)), **fields)
    return home


def test_without_the_file_there_is_no_webhook(tmp_path: Path) -> None:
    assert load(tmp_path) == ()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"url": "ftp://x"}, "desk.url: this is not an address"),
        ({"url": "https://"}, "desk.url: this is not an address"),
        ({"name": "../../etc"}, "name: '../../etc' must be 1 to 40"),
        ({"name": ""}, "name: '' is not text"),
        ({"secret": "whsec_c2hvcnQ="}, "desk.secret: this must be whsec_ and at least 24 random bytes"),
        ({"secret": "whsec_!!!"}, "desk.secret: this must be"),
        ({"secret": None}, "desk.secret: give this, or secret_env"),
        ({"secret_env": "NO_SUCH"}, "desk.secret: give this, or secret_env"),
        ({"secret": None, "secret_env": "FENTAN_NO_SUCH"}, "the environment has no variable FENTAN_NO_SUCH"),
        ({"kinds": ["arrear"]}, "desk.kinds: 'arrear' is not known; it can be low_balance"),
        ({"attempts": 0}, "desk.attempts: 0 is not between 1 and 1000"),
        ({"timeout_s": "10"}, "desk.timeout_s: '10' is not a whole number"),
        ({"begin": "yesterday"}, "desk.begin: 'yesterday' is not known"),
        ({"retries": 3}, "desk.retries: unknown key"),
    ],
)
def test_a_wrong_setting_is_refused_with_file_key_and_reason(
    tmp_path: Path, changed: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        load(written(tmp_path, **changed))
    assert sentence in str(refused.value)
    assert "webhooks.toml" in str(refused.value)
    assert "c2hvcnQ" not in str(refused.value)


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    configure(tmp_path, URL, URL)
    path = tmp_path / "webhooks.toml"
    path.write_text(path.read_text().replace('"desk2"', '"desk"'))
    with pytest.raises(BadRequest, match="two of them are called 'desk'"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"[[webhook]\n", b"\xff\xfe", b"", b"webhook = 3\n"])
def test_what_is_no_configuration_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "webhooks.toml").write_bytes(content)
    with pytest.raises(BadRequest, match=r"webhooks\.toml"):
        load(tmp_path)


def test_a_secret_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_SECRET", SECRET)
    (hook,) = load(written(tmp_path, secret=None, secret_env="DESK_SECRET"))  # noqa: S106 - a variable's name
    assert hook.key == b"a secret of 24 bytes at least"


def test_a_signature_covers_id_time_and_body(tmp_path: Path) -> None:
    """F-20: whoever changes one of them is found out, and so is a replay."""
    (hook,) = load(written(tmp_path))
    headers = signed_headers(hook.key, "a%2F1", b'{"x":1}', datetime(2026, 11, 22, tzinfo=UTC))
    assert headers["webhook-timestamp"] == "1795305600"
    assert is_signed(headers, b'{"x":1}')
    assert not is_signed(headers, b'{"x":2}')
    assert not is_signed(headers | {"webhook-timestamp": "1795305601"}, b'{"x":1}')
    assert not is_signed(headers | {"webhook-id": "a%2F2"}, b'{"x":1}')


def test_an_id_fits_into_a_header() -> None:
    assert message_id("customer/泰安.1/arrears/1") == "customer%2F%E6%B3%B0%E5%AE%89%2E1%2Farrears%2F1"


def test_waits_double_up_to_the_longest(tmp_path: Path) -> None:
    (hook,) = load(written(tmp_path, longest_wait_s=100))
    assert [hook.wait_s(attempts) for attempts in (1, 2, 3, 7, 8, 1000)] == [1, 2, 4, 64, 100, 100]
