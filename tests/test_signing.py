"""Signatures, held against the reference implementation of Standard Webhooks."""

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from app.signing import (
    PREFIX,
    SCHEMES,
    V1,
    V1A,
    key_to_sign,
    key_to_verify,
    new_secret,
    public_key,
    scheme_of,
    sign,
    signing_key,
    verify,
)

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


def test_a_pair_signs_what_its_public_key_verifies() -> None:
    secret = new_secret(V1A)
    signature = sign(key_to_sign(secret), ID, 5, BODY)
    scheme, _, encoded = signature.partition(",")
    assert scheme == "v1a"
    raw = base64.b64decode(public_key(secret).removeprefix("whpk_"))
    Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(encoded), f"{ID}.5.".encode() + BODY)


def test_the_private_key_is_seed_and_public_key() -> None:
    secret = new_secret(V1A)
    raw = base64.b64decode(secret.removeprefix("whsk_"))
    assert (secret.startswith("whsk_"), len(raw)) == (True, 64)
    assert Ed25519PrivateKey.from_private_bytes(raw[:32]).public_key().public_bytes_raw() == raw[32:]
    assert new_secret(V1A) != secret


def test_a_public_key_refuses_another_id_time_body_or_key() -> None:
    secret = new_secret(V1A)
    key, signature = key_to_verify(public_key(secret)), sign(key_to_sign(secret), ID, 5, BODY)
    assert verify(key, ID, 5, BODY, f"v1,AAAA {signature}")
    assert not verify(key, "x", 5, BODY, signature)
    assert not verify(key, ID, 6, BODY, signature)
    assert not verify(key, ID, 5, BODY + b"x", signature)
    assert not verify(key_to_verify(public_key(new_secret(V1A))), ID, 5, BODY, signature)


@pytest.mark.parametrize("signatures", ["", "v1a", "v1a,", "v1a,AAAA", "v1a,签名", "v1,AAAA"])
def test_what_is_no_signature_of_a_pair_is_refused(signatures: str) -> None:
    assert not verify(key_to_verify(public_key(new_secret(V1A))), ID, 5, BODY, signatures)


def test_the_scheme_is_told_by_the_secret() -> None:
    assert [scheme_of(new_secret(scheme)) for scheme in SCHEMES] == [V1, V1A]


@pytest.mark.parametrize("text", ["whpk_", "whpk_AAAA", "whpk_*", "whpk_签", "whsec_*", "签"])
def test_what_is_no_key_can_not_verify(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        key_to_verify(text)
