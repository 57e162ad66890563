"""Users, their grants, and the access keys of platforms (contract §2)."""

import hashlib
import json
import secrets
from collections.abc import Sequence

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from peewee import IntegrityError

from app.database import unavailable, write_transaction
from app.errors import AccountError
from app.fields import INVALID
from app.models import AccessKey, Grant, User
from app.registry import raise_version

FIRST_ADMIN = "admin"
PUBLISH_SCOPE = "event:publish"
SCOPES = frozenset({PUBLISH_SCOPE})

_MAX_NAME = 128
_MAX_PASSWORD = 1_024

# OWASP's second choice of parameters for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

# A hash with those parameters of random bytes that nobody kept: what the password of an unknown user is held against.
NOBODYS_HASH = "$argon2id$v=19$m=19456,t=2,p=1$tmQzhqL3E15bwkqJ0HAhDA$cFDiK9TmaPePSqzzXsBCpk7Jtz3ohWc/IQGTzSqxwvw"


def create_user(name: str, password: str, *, admin: bool, now: int) -> None:
    """Make a user. Raises AccountError where the name exists, or the name or password can't be used."""
    _check_name(name, field="name")
    password_hash = hash_password(password)
    try:
        with write_transaction():
            User.insert(id=name, password_hash=password_hash, admin=admin, created_at=now).execute()
            raise_version()
    except IntegrityError as error:
        raise AccountError(INVALID, "user_exists", field="name", value=name) from error


def has_users() -> bool:
    """Return whether there is any user."""
    with unavailable():
        return bool(User.select().exists())


def ensure_first_admin(password: str | None, now: int) -> str | None:
    """Make the user `admin` where there is no user at all.

    Returns the random password made for it, None where none was made. Two processes may call it at once: one of them
    makes the user. Raises AccountError for a password that can't be used.
    """
    if has_users():
        return None
    made = password or secrets.token_urlsafe(18)
    password_hash = hash_password(made)
    try:
        with write_transaction():
            if User.select().exists():
                return None
            User.insert(id=FIRST_ADMIN, password_hash=password_hash, admin=True, created_at=now).execute()
            raise_version()
    except IntegrityError:
        return None  # another process was first
    return None if password else made


def grant(user_id: str, project_id: str, repo_name: str, now: int) -> None:
    """Give a user MANAGE on a project (`repo_name` is "") or on one repository of it; again is fine.

    Raises AccountError where there is no such user, or a name can't be used.
    """
    _check_name(project_id, field="project")
    if repo_name:
        _check_name(repo_name, field="repo")
    with write_transaction():
        # Locks the user: one who is deleted meanwhile leaves no right to the next of that name.
        if not User.update(admin=User.admin).where(User.id == user_id).execute():
            raise AccountError(INVALID, "user_unknown", field="name", value=user_id)
        key = {"user_id": user_id, "project_id": project_id, "repo_name": repo_name}
        if Grant.get_or_none(**key) is None:
            Grant.insert(**key, created_at=now).execute()


def create_access_key(app: str, scopes: Sequence[str], now: int) -> tuple[str, str]:
    """Return a new access key and its secret, which is kept nowhere. Raises AccountError for an unknown scope."""
    _check_name(app, field="app")
    for scope in scopes:
        if scope not in SCOPES:
            raise AccountError(INVALID, "scope_unknown", field="scopes", value=scope, known=", ".join(sorted(SCOPES)))
    access_key, secret = secrets.token_hex(16), secrets.token_urlsafe(32)
    with write_transaction():
        AccessKey.insert(
            access_key=access_key,
            secret_hash=hashlib.sha256(secret.encode()).hexdigest(),
            app=app,
            scopes=json.dumps(sorted(set(scopes))),
            created_at=now,
        ).execute()
    return access_key, secret


def hash_password(password: str) -> str:
    """Return the argon2id hash of `password`. Raises AccountError where it is empty, too long or not printable."""
    if not 1 <= len(password) <= _MAX_PASSWORD or not password.isprintable():
        raise AccountError(INVALID, "password_form", field="password", limit=_MAX_PASSWORD)
    return _HASHER.hash(password)


def password_fits(password: str, password_hash: str | None) -> bool:
    """Return whether `password` belongs to the hash; without a hash it takes as long and does not."""
    try:
        _HASHER.verify(password_hash or NOBODYS_HASH, password)
    except VerifyMismatchError:
        return False
    return password_hash is not None


def _check_name(name: str, *, field: str) -> None:
    if not 1 <= len(name) <= _MAX_NAME or not name.isprintable() or ":" in name or name != name.strip():
        raise AccountError(INVALID, "name_form", field=field, limit=_MAX_NAME)
