"""Who calls: the Authorization header (contract §2), checked once and then remembered for a short time."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from dataclasses import dataclass

from app.accounts import password_fits
from app.errors import BadRequest, TooManyRequests, Unauthenticated
from app.models import AccessKey, User
from app.throttle import Throttle

UNAUTHENTICATED = 250114
TOO_MANY = 250124
INVALID = 250105

REMEMBERED_MS = 60_000
REMEMBERED = 10_000
MAX_FAILURES = 10
FAILURE_WINDOW_MS = 60_000
MAX_NAME = 128
_MAX_HEADER = 8_192


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever makes a call. `user_id` is None where a platform acts on nobody's behalf."""

    user_id: str | None
    admin: bool
    scopes: frozenset[str]
    platform: bool


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request says about its caller. `address` is where it comes from, `on_behalf_of` X-BKREPO-UID."""

    authorization: str | None
    on_behalf_of: str | None
    address: str


class Authenticator:
    """Turns credentials into a caller.

    Verified credentials are remembered for a minute, because a password check costs some 30 ms. So a changed
    password, a removed key or a removed right of an administrator takes up to a minute to be seen in every process;
    grants are read anew for each call.
    """

    def __init__(self) -> None:
        # The key lives and dies with this process: what memory holds can't be tested against a list of passwords.
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, tuple[Caller, int]] = {}
        self._changing = threading.Lock()
        self._throttle = Throttle(MAX_FAILURES, FAILURE_WINDOW_MS)
        # One password check at a time: each takes a core and 19 MiB, and equal requests that meet share the first one.
        self._password_turn = threading.Lock()

    def authenticate(self, given: Credentials, now: int) -> Caller:
        """Return the caller.

        Raises Unauthenticated where the credentials are missing, unreadable or wrong, and TooManyRequests after
        10 failures in a minute for one name from one address.
        """
        if not given.authorization:
            raise Unauthenticated(UNAUTHENTICATED, "credentials_missing")
        text = f"{given.authorization}\n{given.on_behalf_of or ''}"
        digest = hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")
        return self._remembered(digest, now) or self._check(given, digest, now)

    def _remembered(self, digest: bytes, now: int) -> Caller | None:
        found = self._known.get(digest)
        return found[0] if found is not None and found[1] > now else None

    def _check(self, given: Credentials, digest: bytes, now: int) -> Caller:
        scheme, name, secret = parse_authorization(given.authorization or "")
        if scheme == "platform":
            return self._settle(_platform(name, secret, given.on_behalf_of), (name, given.address), digest, now)
        with self._password_turn:
            known = self._remembered(digest, now)
            if known is not None:
                return known
            self._refuse_guessing((name, given.address), now)
            return self._settle(_user(name, secret), (name, given.address), digest, now)

    def _settle(self, caller: Caller | None, origin: tuple[str, str], digest: bytes, now: int) -> Caller:
        self._refuse_guessing(origin, now)
        if caller is None:
            self._throttle.fail(origin, now)
            raise Unauthenticated(UNAUTHENTICATED, "credentials_wrong")
        with self._changing:
            while len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[digest] = (caller, now + REMEMBERED_MS)
        return caller

    def _refuse_guessing(self, origin: tuple[str, str], now: int) -> None:
        wait = self._throttle.wait_ms(origin, now)
        if wait:
            raise TooManyRequests(TOO_MANY, "too_many_failures", retry_after=-(-wait // 1000))


def parse_authorization(header: str) -> tuple[str, str, str]:
    """Return scheme (`basic` or `platform`), name and secret of an Authorization header (RFC 7617 §2).

    Raises Unauthenticated where it is anything else.
    """
    scheme, _, encoded = header.partition(" ")
    pair = _decode(encoded.strip(" "))
    name, colon, secret = pair.partition(":")
    readable = name and colon and secret and pair.isprintable() and len(header) <= _MAX_HEADER
    if scheme.lower() not in {"basic", "platform"} or not readable or len(name) > MAX_NAME:
        raise Unauthenticated(UNAUTHENTICATED, "credentials_malformed")
    return scheme.lower(), name, secret


def _decode(encoded: str) -> str:
    """Return the text of `encoded`, "" where it is not base64 as its standard writes it, or not UTF-8."""
    try:
        raw = base64.b64decode(encoded, validate=True)
        return raw.decode() if base64.b64encode(raw).decode() == encoded else ""
    except ValueError:
        return ""


def _user(name: str, password: str) -> Caller | None:
    row = User.get_or_none(User.id == name)
    # The check is made for an unknown name too, so that the time it takes tells nobody which names exist.
    fits = password_fits(password, row.password_hash if row else None)
    return Caller(name, bool(row.admin), frozenset(), platform=False) if row and fits else None


def _platform(access_key: str, secret: str, on_behalf_of: str | None) -> Caller | None:
    row = AccessKey.get_or_none(AccessKey.access_key == access_key)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    if not hmac.compare_digest(digest, row.secret_hash if row else "-" * 64) or row is None:
        return None
    user_id = _user_id(on_behalf_of)
    admin = user_id is not None and User.select().where(User.id == user_id, User.admin).exists()
    return Caller(user_id, admin, frozenset(json.loads(row.scopes)), platform=True)


def _user_id(header: str | None) -> str | None:
    """Return the user that X-BKREPO-UID names. WSGI hands headers over as Latin-1; clients send UTF-8."""
    if not header:
        return None
    try:
        user_id = header.encode("latin-1").decode()
    except UnicodeError:
        user_id = ""
    if not user_id.isprintable() or not 1 <= len(user_id) <= MAX_NAME:
        raise BadRequest(INVALID, "user_id_invalid", field="X-BKREPO-UID")
    return user_id
