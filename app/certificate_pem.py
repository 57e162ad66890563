"""The certificates that webhooks show to their receivers: one text of PEM, the chain and then the key. Pure."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from app.errors import BadRequest
from app.fields import INVALID, text

MAX_PEM = 64 * 1024

_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----[^-]*-----END \1-----")
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)
# RFC 5280 §4.1.2.5 has certificates that never end do so in the last second of 9999, which is past it further east.
_FIRST_END = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_END = datetime(9999, 12, 31, tzinfo=UTC)


class Shown(NamedTuple):
    """What may be shown of a certificate. `expires_at` is in milliseconds UTC."""

    subject: str  # in the form of RFC 4514
    expires_at: int


def clean_pem(field: str, value: object) -> str:
    """Return the PEM of a certificate, those that lead to its authority, and the private key of the first.

    Comments and whatever else stood in `value` are left out. Raises BadRequest naming `field`.
    """
    pem = text(field, value, limit=MAX_PEM).encode()
    chain, public = _chain(field, pem)
    blocks = list(_KEY.finditer(pem))
    if len(blocks) != 1:
        raise BadRequest(INVALID, "certificate_key", field=field)
    try:
        # Whether its numbers are primes takes a minute to find out for a long key; what matters is that it fits.
        key = load_pem_private_key(blocks[0][0], password=None, unsafe_skip_rsa_key_validation=True)
        mine = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    except _UNREADABLE as error:
        raise BadRequest(INVALID, "certificate_key", field=field) from error
    if mine != public:
        raise BadRequest(INVALID, "certificate_mismatch", field=field)
    return (chain + sealed).decode()


def describe_pem(pem: str) -> Shown:
    """Return what may be shown of the first certificate in a text of `clean_pem`."""
    first = x509.load_pem_x509_certificate(pem.encode())
    ends = min(max(_FIRST_END, first.not_valid_after_utc), _LAST_END)
    return Shown(first.subject.rfc4514_string(), int(ends.timestamp() * 1000))


def _chain(field: str, pem: bytes) -> tuple[bytes, bytes]:
    """Return the certificates in `pem`, and the first one's public key."""
    try:
        found = x509.load_pem_x509_certificates(pem)
        public = found[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        _ = found[0].subject.rfc4514_string(), found[0].not_valid_after_utc
        return b"".join(each.public_bytes(Encoding.PEM) for each in found), public
    except _UNREADABLE as error:
        raise BadRequest(INVALID, "certificate_unreadable", field=field) from error
