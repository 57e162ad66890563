"""Signatures of the Standard Webhooks specification 1.0: `v1` (HMAC-SHA-256) and `v1a` (ed25519).

A `v1` secret is `whsec_` and base64, and both sides have it. Of `v1a` the private key, `whsk_` and the base64 of seed
and public key, stays here; a receiver verifies with the public key, `whpk_` and base64.
"""

import base64
import binascii
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

V1 = "v1"
V1A = "v1a"
SCHEMES = (V1, V1A)

PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
MIN_SECRET_BYTES = 24
MAX_SECRET_BYTES = 64

_SEED = 32  # RFC 8032 §5.1.5

SigningKey = bytes | Ed25519PrivateKey
VerifyingKey = bytes | Ed25519PublicKey


def new_secret(scheme: str = V1) -> str:
    """Return a new secret of `scheme`, of 32 random bytes (for `v1` the specification asks for 24 to 64)."""
    if scheme == V1:
        return PREFIX + _base64(secrets.token_bytes(32))
    key = Ed25519PrivateKey.generate()
    return PRIVATE_PREFIX + _base64(key.private_bytes_raw() + key.public_key().public_bytes_raw())


def scheme_of(secret: str) -> str:
    """Return the scheme that `secret` signs by."""
    return V1A if secret.startswith(PRIVATE_PREFIX) else V1


def signing_key(secret: str) -> bytes:
    """Return the key bytes of a `whsec_` secret. Raises ValueError where it is not one."""
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise ValueError("a signing secret is whsec_ and base64") from error


def key_to_sign(secret: str) -> SigningKey:
    """Return what `sign` needs of a secret of either scheme. Raises ValueError where it is no secret."""
    if scheme_of(secret) == V1:
        return signing_key(secret)
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret.removeprefix(PRIVATE_PREFIX))[:_SEED])


def key_to_verify(text: str) -> VerifyingKey:
    """Return what `verify` needs of a `whsec_` secret or a `whpk_` public key. Raises ValueError for anything else."""
    if not text.startswith(PUBLIC_PREFIX):
        return signing_key(text)
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix(PUBLIC_PREFIX), validate=True))
    except ValueError as error:
        raise ValueError("a public key is whpk_ and the base64 of 32 bytes") from error


def public_key(secret: str) -> str:
    """Return the public key that belongs to a `whsk_` secret."""
    return PUBLIC_PREFIX + _base64(base64.b64decode(secret.removeprefix(PRIVATE_PREFIX))[_SEED:])


def sign(key: SigningKey, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the `webhook-signature` of a message: the scheme and the base64 signature of `id.timestamp.body`."""
    content = b"%b.%d.%b" % (message_id.encode(), timestamp_s, body)
    if isinstance(key, bytes):
        return "v1," + binascii.b2a_base64(hmac.digest(key, content, hashlib.sha256), newline=False).decode()
    return "v1a," + _base64(key.sign(content))


def verify(key: VerifyingKey, message_id: str, timestamp_s: int, body: bytes, signatures: str) -> bool:
    """Return whether one of the space-separated `signatures` fits, in time independent of where they differ."""
    if isinstance(key, bytes):
        expected = sign(key, message_id, timestamp_s, body)
        return any(hmac.compare_digest(expected.encode(), given.encode()) for given in signatures.split())
    content = b"%b.%d.%b" % (message_id.encode(), timestamp_s, body)
    return any(_fits(key, content, given[4:]) for given in signatures.split() if given.startswith("v1a,"))


def _fits(key: Ed25519PublicKey, content: bytes, signature: str) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
