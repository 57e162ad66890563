"""Signatures, held against the reference implementation of Standard Webhooks."""

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.signing import PREFIX, new_secret, sign, signing_key, verify

BODY = '{"eventType":"NODE_CREATED","path":"/路径"}'.encode()
ID = "0190a0b0c0d07000800000000000abcd"


def headers(signature: str, at: int) -> dict[str, str]:
    return {"webhook-id": ID, "webhook-timestamp": str(at), "webhook-signature": signature}


@pytest.mark.parametrize("body", [b"", b"{}", BODY, b"a.b.c"])
def test_it_signs_as_the_reference_does(body: bytes) -> None:
    secret = new_secret()
    at = int(datetime.now(UTC).timestamp())
    expected = Webhook(secret).sign(ID, datetime.fromtimestamp(at, UTC), body.decode())
    assert sign(signing_key(secret), ID, at, body) == expected


def test_the_reference_verifies_what_it_signs() -> None:
    secret = new_secret()
    at = int(datetime.now(UTC).timestamp())
    signature = sign(signing_key(secret), ID, at, BODY)
    assert Webhook(secret).verify(BODY, headers(signature, at))["eventType"] == "NODE_CREATED"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers(signature, at))


def test_it_verifies_what_the_reference_signs() -> None:
    secret = new_secret()
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    signature = Webhook(secret).sign(ID, at, BODY.decode())
    assert verify(signing_key(secret), ID, 1_700_000_000, BODY, signature)


def test_it_refuses_another_id_time_body_or_key() -> None:
    key = signing_key(new_secret())
    signature = sign(key, ID, 5, BODY)
    assert verify(key, ID, 5, BODY, signature)
    assert not verify(key, "x", 5, BODY, signature)
    assert not verify(key, ID, 6, BODY, signature)
    assert not verify(key, ID, 5, BODY + b"x", signature)
    assert not verify(signing_key(new_secret()), ID, 5, BODY, signature)


def test_one_of_several_signatures_is_enough() -> None:
    key = signing_key(new_secret())
    good = sign(key, ID, 5, BODY)
    assert verify(key, ID, 5, BODY, f"v1,AAAA v1a,{good[3:]} {good}")
    assert not verify(key, ID, 5, BODY, f"v1,AAAA v1a,{good[3:]}")


@pytest.mark.parametrize("signatures", ["", " ", "v1", "v1,", "签名", "v1,签名"])
def test_what_is_no_signature_is_refused(signatures: str) -> None:
    assert not verify(b"k" * 32, ID, 5, BODY, signatures)


def test_secrets_are_fresh_and_32_bytes_long() -> None:
    secrets = {new_secret() for _ in range(20)}
    assert len(secrets) == 20
    assert all(secret.startswith(PREFIX) and len(signing_key(secret)) == 32 for secret in secrets)


def test_a_secret_may_come_without_its_prefix() -> None:
    assert signing_key(base64.b64encode(b"key" * 8).decode()) == b"key" * 8


@pytest.mark.parametrize("secret", ["whsec_*", "whsec_abc", "not base64!", "whsec_密"])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match=r"whsec_|ASCII"):
        signing_key(secret)
