"""Verifying deliveries: against what the service signs, and against another implementation of Standard Webhooks."""

import builtins
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from hookline_client import (
    HeaderError,
    Message,
    PayloadError,
    SecretError,
    SignatureError,
    TimestampError,
    VerificationError,
    verify,
    wsgi_headers,
)
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from app.signing import V1A, key_to_sign, new_secret, public_key, sign

pytestmark = pytest.mark.sqlite_only

BODY = json.dumps({"eventType": "NODE_CREATED", "user": {"name": "小明"}}, ensure_ascii=False).encode()
AT_S = 1_700_000_000
SECRET = new_secret()
PAIR = new_secret(V1A)


def headers(*signing: str, body: bytes = BODY, **changes: str) -> dict[str, str]:
    """Return the headers of a delivery that the service signed with each of the secrets."""
    signature = " ".join(sign(key_to_sign(secret), "d1", AT_S, body) for secret in signing)
    made = {
        "webhook-id": "d1",
        "webhook-timestamp": str(AT_S),
        "webhook-signature": signature,
        "content-type": "application/json",
        "x-bkrepo-event": "NODE_CREATED",
    }
    return made | {name.replace("_", "-"): value for name, value in changes.items()}


def checked(given: Any, secret: Any = SECRET, body: bytes | str = BODY, now_s: float = AT_S) -> Message:
    return verify(given, body, secret, now_s=now_s)


def test_it_returns_what_came() -> None:
    message = checked(headers(SECRET))
    assert message == Message("d1", datetime.fromtimestamp(AT_S, UTC), "NODE_CREATED", json.loads(BODY), BODY)


def test_a_key_pair_is_verified_by_its_public_key() -> None:
    assert checked(headers(PAIR), public_key(PAIR)).id == "d1"
    with pytest.raises(SignatureError, match="no signature fits"):
        checked(headers(PAIR), public_key(new_secret(V1A)))
    with pytest.raises(SignatureError, match="no signature fits"):
        checked(headers(PAIR) | {"webhook-signature": "v1a,not base64"}, public_key(PAIR))


@pytest.mark.parametrize("known", [(SECRET, new_secret()), (new_secret(), SECRET), (public_key(PAIR), SECRET)])
def test_one_of_several_secrets_is_enough(known: tuple[str, ...]) -> None:
    assert checked(headers(SECRET), known).id == "d1"


@pytest.mark.parametrize("signing", [(SECRET, new_secret()), (new_secret(), SECRET), (PAIR, SECRET)])
def test_one_of_several_signatures_is_enough(signing: tuple[str, ...]) -> None:
    assert checked(headers(*signing)).id == "d1"


def test_secrets_that_are_replaced_verify_by_either() -> None:
    for secret in (SECRET, public_key(PAIR)):
        assert checked(headers(PAIR, SECRET), secret).id == "d1"


@pytest.mark.parametrize("prefix", ["whsec_", ""])
def test_it_agrees_with_standardwebhooks(prefix: str) -> None:
    now = datetime.now(UTC)
    other = standardwebhooks.Webhook(SECRET)
    given = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": other.sign("msg_1", now, BODY.decode()),
    }
    assert verify(given, BODY, prefix + SECRET.removeprefix("whsec_")).payload == other.verify(BODY.decode(), given)


def test_a_str_of_the_body_will_do() -> None:
    assert checked(headers(SECRET), body=BODY.decode()).body == BODY


@pytest.mark.parametrize(
    "form",
    [
        lambda given: {name.upper(): value for name, value in given.items()},
        lambda given: list(given.items()),
        lambda given: Headers(given),
        lambda given: wsgi_headers(EnvironBuilder(method="POST", headers=given, data=BODY).get_environ()),
    ],
)
def test_headers_come_in_any_case_and_form(form: Any) -> None:
    message = checked(form(headers(SECRET)))
    assert (message.id, message.event_type) == ("d1", "NODE_CREATED")


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_named(name: str) -> None:
    given = headers(SECRET)
    del given[name]
    with pytest.raises(HeaderError, match=f"the header {name} is missing"):
        checked(given)


@pytest.mark.parametrize("stamp", ["soon", "1e9", "-1", "٣", "1" * 13, "1.5"])
def test_a_timestamp_is_a_number_of_seconds(stamp: str) -> None:
    with pytest.raises(HeaderError, match="webhook-timestamp"):
        checked(headers(SECRET, webhook_timestamp=stamp))


@pytest.mark.parametrize(("off_s", "reason"), [(301, "301 s too old; 300 s"), (-301, "301 s too early")])
def test_a_timestamp_is_five_minutes_off_at_most(off_s: int, reason: str) -> None:
    with pytest.raises(TimestampError, match=reason):
        checked(headers(SECRET), now_s=AT_S + off_s)
    assert checked(headers(SECRET), now_s=AT_S + off_s // 301 * 300).id == "d1"
    assert verify(headers(SECRET), BODY, SECRET, now_s=AT_S + off_s, tolerance_s=302).id == "d1"


@pytest.mark.parametrize(
    "given",
    [
        headers(new_secret()),
        headers(SECRET, webhook_id="d2"),
        headers(SECRET, webhook_timestamp=str(AT_S + 1)),
        headers(SECRET, body=BODY + b" "),
        headers(SECRET) | {"webhook-signature": "v1,"},
        headers(SECRET) | {"webhook-signature": "v1,ünicode"},
    ],
)
def test_what_another_signed_or_someone_changed_is_refused(given: Mapping[str, str]) -> None:
    with pytest.raises(SignatureError, match="no signature fits"):
        checked(given)


@pytest.mark.parametrize(
    ("given", "secret", "reason"),
    [
        (headers(PAIR), SECRET, "no signature of v1, only v1a"),
        (headers(SECRET), public_key(PAIR), "no signature of v1a, only v1"),
        (headers(SECRET) | {"webhook-signature": " "}, SECRET, "no signature of v1, only nothing"),
    ],
)
def test_a_secret_of_the_other_kind_is_said_to_be(given: Mapping[str, str], secret: str, reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        checked(given, secret)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%", "whpk_QUJD", []])
def test_a_secret_that_is_none_is_no_fault_of_the_delivery(secret: Any) -> None:
    with pytest.raises(SecretError) as caught:
        checked(headers(SECRET), secret)
    assert not isinstance(caught.value, VerificationError)


def test_a_public_key_without_cryptography_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SecretError, match=r"pip install 'hookline-client\[v1a\]'"):
        checked(headers(PAIR), public_key(PAIR))
    assert checked(headers(SECRET)).id == "d1"


def test_a_body_that_is_said_to_be_json_and_is_not_is_refused() -> None:
    for body in (b"hello", b"[" * 100_000):
        with pytest.raises(PayloadError, match="not JSON"):
            checked(headers(SECRET, body=body), body=body)


def test_a_body_of_another_type_is_left_as_it_is() -> None:
    body = secrets.token_bytes(20)
    message = checked(headers(SECRET, body=body, content_type="text/plain; charset=utf-8"), body=body)
    assert (message.payload, message.body, message.event_type) == (None, body, "NODE_CREATED")
