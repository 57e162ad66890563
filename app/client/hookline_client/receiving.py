"""For receivers: whether a delivery is genuine, by Standard Webhooks 1.0.

message = verify(request.headers, request.get_data(), secret)
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, cast

from hookline_client.errors import HeaderError, PayloadError, SecretError, SignatureError, TimestampError

TOLERANCE_S = 300  # Standard Webhooks leaves it to the receiver; its libraries take five minutes
SYMMETRIC = "whsec_"
PUBLIC = "whpk_"


class Items(Protocol):
    """Headers as Flask, Django, requests or a dict have them."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return names and values."""


Headers = Items | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Message:
    """A genuine delivery. Do nothing for an `id` that was dealt with before: what got no answer is sent again.

    `payload` is the body as JSON, None where it is said to be something else. `timestamp` is that of the attempt.
    """

    id: str
    timestamp: datetime
    event_type: str | None
    payload: Any
    body: bytes


def verify(
    headers: Headers,
    body: bytes | str,
    secret: str | Iterable[str],
    *,
    tolerance_s: float = TOLERANCE_S,
    now_s: float | None = None,
) -> Message:
    """Return a delivery that one of the secrets has signed, `tolerance_s` old or early at most.

    `body` is what came, byte for byte, not parsed. A secret is `whsec_…`, or the public key `whpk_…` of a webhook whose
    `signing` is v1a, for which the package `cryptography` must be installed. Give the old and the new one while one
    replaces the other. `now_s` is the time in seconds since the epoch, for tests.

    Raises VerificationError, whose kinds say what is wrong, and SecretError for a secret that is none.
    """
    keys = _keys([secret] if isinstance(secret, str) else list(secret))
    given = {name.lower(): value for name, value in _pairs(headers)}
    message_id, stamp, signatures = (_required(given, f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    at_s = _seconds(stamp)
    late_s = (time.time() if now_s is None else now_s) - at_s
    if abs(late_s) > tolerance_s:
        when = "old" if late_s > 0 else "early"
        raise TimestampError(f"webhook-timestamp is {abs(late_s):.0f} s too {when}; {tolerance_s:g} s are allowed")
    raw = body.encode() if isinstance(body, str) else bytes(body)
    _check(keys, f"{message_id}.{stamp}.".encode() + raw, signatures.split())
    payload = _payload(raw, given.get("content-type", ""))
    said = payload.get("eventType") if isinstance(payload, dict) else None
    event_type = said if isinstance(said, str) else given.get("x-bkrepo-event")
    return Message(message_id, datetime.fromtimestamp(at_s, UTC), event_type, payload, raw)


def wsgi_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of a WSGI request (PEP 3333), for `verify`."""
    headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    return headers | {"Content-Type": environ.get("CONTENT_TYPE", "")}


def _pairs(headers: Headers) -> Iterable[tuple[str, str]]:
    items = getattr(headers, "items", None)
    return cast(Iterable[tuple[str, str]], headers if items is None else items())


def _required(given: Mapping[str, str], name: str) -> str:
    value = given.get(name)
    if not value:
        raise HeaderError(f"the header {name} is missing")
    return value


def _seconds(stamp: str) -> int:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise HeaderError("webhook-timestamp is not a number of seconds")
    return int(stamp)


def _keys(secrets: Sequence[str]) -> dict[str, list[bytes]]:
    """Return the keys by scheme. Raises SecretError."""
    keys: dict[str, list[bytes]] = {}
    for secret in secrets:
        scheme = "v1a" if secret.startswith(PUBLIC) else "v1"
        try:
            key = base64.b64decode(secret.removeprefix(SYMMETRIC).removeprefix(PUBLIC), validate=True)
        except ValueError:
            key = b""
        if not key or (scheme == "v1a" and len(key) != 32):
            raise SecretError("a secret is whsec_ and base64, a public key whpk_ and the base64 of 32 bytes")
        keys.setdefault(scheme, []).append(key)
    if not keys:
        raise SecretError("there is no secret to verify by")
    return keys


def _check(keys: Mapping[str, Sequence[bytes]], content: bytes, signatures: Sequence[str]) -> None:
    """Raise SignatureError unless one of `signatures` is that of `content` by one of `keys`."""
    schemes = {signature.partition(",")[0] for signature in signatures}
    if not schemes & keys.keys():
        wanted = " and ".join(sorted(keys))
        raise SignatureError(f"there is no signature of {wanted}, only {' and '.join(sorted(schemes)) or 'nothing'}")
    mac = [b"v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)) for key in keys.get("v1", ())]
    fits = [hmac.compare_digest(one, signature.encode()) for one in mac for signature in signatures]
    if not any(fits) and not _is_signed_by_pair(keys.get("v1a", ()), content, signatures):
        raise SignatureError("no signature fits: another secret signed it, or the body is not the one that was sent")


def _is_signed_by_pair(keys: Sequence[bytes], content: bytes, signatures: Sequence[str]) -> bool:
    """Return whether one of the ed25519 public keys verifies one of the signatures. Raises SecretError."""
    if not keys:
        return False
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise SecretError("a public key (whpk_…) needs a package: pip install 'hookline-client[v1a]'") from error
    for key in keys:
        for signature in signatures:
            try:
                made = base64.b64decode(signature.removeprefix("v1a,"), validate=True)
                Ed25519PublicKey.from_public_bytes(key).verify(made, content)
            except (InvalidSignature, ValueError):
                continue
            return True
    return False


def _payload(body: bytes, content_type: str) -> Any:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"the body is genuine, but not JSON: {error}") from error
