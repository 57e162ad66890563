"""Signatures of the Standard Webhooks specification 1.0, symmetric scheme `v1` (HMAC-SHA-256)."""

import base64
import binascii
import hashlib
import hmac
import secrets

PREFIX = "whsec_"


def new_secret() -> str:
    """Return a new signing secret: `whsec_` and 32 random bytes in base64 (the specification asks for 24 to 64)."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signing_key(secret: str) -> bytes:
    """Return the key bytes of a `whsec_` secret. Raises ValueError where it is not one."""
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a signing secret is whsec_ and base64") from error


def sign(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the `webhook-signature` of a message: `v1,` and the base64 HMAC of `id.timestamp.body`."""
    digest = hmac.digest(key, b"%b.%d.%b" % (message_id.encode(), timestamp_s, body), hashlib.sha256)
    return "v1," + binascii.b2a_base64(digest, newline=False).decode()


def verify(key: bytes, message_id: str, timestamp_s: int, body: bytes, signatures: str) -> bool:
    """Return whether one of the space-separated `signatures` is ours, in time independent of where they differ."""
    expected = sign(key, message_id, timestamp_s, body)
    return any(hmac.compare_digest(expected.encode(), given.encode()) for given in signatures.split())
