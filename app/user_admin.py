"""What administrators do with users, their rights and access keys, and users with their own password.

The service is never left without an administrator. The API takes up to a minute to see a changed password, a deleted
user or key, or an administrator who is none any more (app.authentication); the dashboard sees it at once.
"""

import json
import secrets
from collections.abc import Collection
from typing import NamedTuple

from peewee import fn

from app import accounts
from app.accounts import hash_password, password_fits
from app.authentication import Caller
from app.database import repeat_on_conflict, unavailable, write_transaction
from app.errors import AccountError, NotFound
from app.fields import INVALID
from app.models import AccessKey, Grant, User
from app.registry import raise_version

NOT_FOUND = 250108
SHORTEST_PASSWORD = 8  # NIST SP 800-63B §5.1.1
SCAN = 20_000  # users that one page looks at where a search passes most of them over


class UserRow(NamedTuple):
    """A user as lists show one. `grants` is how many places he manages by grants of his own."""

    name: str
    admin: bool
    created_at: int
    grants: int


class UserPage(NamedTuple):
    """Users by name, and after which name the next page begins; None where there is none."""

    users: list[UserRow]
    following: str | None


class Place(NamedTuple):
    """What a grant is for: a project, or with `repo_name` one repository of it."""

    project_id: str
    repo_name: str
    created_at: int


class KeyRow(NamedTuple):
    """An access key as lists show one."""

    access_key: str
    app: str
    scopes: list[str]
    created_at: int


def page_of_users(search: str, after: str, size: int) -> UserPage:
    """Return up to `size` users whose names come after `after` and hold `search`, upper and lower case alike.

    It looks at some 20,000 users at most: then it returns what it has found, and where to go on. Raises
    DatabaseUnavailable.
    """
    within = [User.id > after]
    users = User.select(User.id, User.admin, User.created_at).order_by(User.id)
    with unavailable():
        horizon = None
        if search:
            horizon = User.select(User.id).where(*within).order_by(User.id).limit(1).offset(SCAN).scalar()
            within.append(fn.LOWER(User.id).contains(search.lower()))
        if horizon is not None:
            within.append(User.id <= horizon)
        found = list(users.where(*within).limit(size + 1))
        counts = _grants_of([row.id for row in found])
    rows = [UserRow(row.id, bool(row.admin), row.created_at, counts.get(row.id, 0)) for row in found]
    return UserPage(rows[:size], rows[size - 1].name if len(rows) > size else horizon)


def find_user(name: str) -> UserRow:
    """Return a user. Raises NotFound, and DatabaseUnavailable."""
    with unavailable():
        row = None if "\0" in name else User.get_or_none(User.id == name)
        if row is None:
            raise NotFound(NOT_FOUND, "user_unknown", value=name)
        return UserRow(row.id, bool(row.admin), row.created_at, _grants_of([name]).get(name, 0))


def _grants_of(names: Collection[str]) -> dict[str, int]:
    counted = Grant.select(Grant.user_id, fn.COUNT(Grant.project_id)).where(Grant.user_id.in_(names))
    return dict(counted.group_by(Grant.user_id).tuples())


def add_user(name: str, password: str, *, admin: bool, now: int) -> None:
    """Make a user. Raises AccountError where the name exists, or the name or password can't be used."""
    _check_length(password)
    accounts.create_user(name, password, admin=admin, now=now)


def made_password() -> str:
    """Return a random password for somebody, to be handed over once."""
    return secrets.token_urlsafe(15)


def set_password(caller: Caller, name: str, password: str) -> None:
    """Give another user a new password; his sessions end. Raises AccountError for one's own, and NotFound."""
    if name == caller.user_id:
        raise AccountError(INVALID, "own_password", field="password")
    _check_length(password)
    password_hash = hash_password(password)
    with write_transaction():
        if not User.update(password_hash=password_hash).where(User.id == name).execute():
            raise NotFound(NOT_FOUND, "user_unknown", value=name)


def change_password(name: str, present: str, password: str) -> None:
    """Give a user who knows his present password another. Raises AccountError naming the field, `present` or
    `password`; then it is as it was."""
    with unavailable():
        row = User.get_or_none(User.id == name)
    if row is None or not password_fits(present, row.password_hash):
        raise AccountError(INVALID, "password_wrong", field="present")
    _check_length(password)
    password_hash = hash_password(password)
    with write_transaction():
        same = (User.id == name) & (User.password_hash == row.password_hash)
        if not User.update(password_hash=password_hash).where(same).execute():
            raise AccountError(INVALID, "password_changed", field="present")


def _check_length(password: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        raise AccountError(INVALID, "password_short", field="password", limit=SHORTEST_PASSWORD)


@repeat_on_conflict
def set_admin(caller: Caller, name: str, admin: bool) -> None:
    """Make a user an administrator, or no longer one.

    Raises AccountError for one's own rights and for those of the only administrator, NotFound, and
    DatabaseUnavailable.
    """
    if name == caller.user_id and not admin:
        raise AccountError(INVALID, "own_rights", field="admin")
    with write_transaction():
        raise_version()  # which has others that change users wait: what is read now stays so
        if not admin:
            _require_another_admin(name)
        if not User.update(admin=admin).where(User.id == name).execute():
            raise NotFound(NOT_FOUND, "user_unknown", value=name)


@repeat_on_conflict
def delete_user(caller: Caller, name: str) -> int:
    """Delete a user with his grants, and return how many those were. His sessions end; webhooks that he made stay.

    Raises AccountError for oneself and for the only administrator, NotFound, and DatabaseUnavailable.
    """
    if name == caller.user_id:
        raise AccountError(INVALID, "own_deletion", field="name")
    with write_transaction():
        raise_version()
        _require_another_admin(name)
        if not User.delete().where(User.id == name).execute():
            raise NotFound(NOT_FOUND, "user_unknown", value=name)
        return int(Grant.delete().where(Grant.user_id == name).execute())


def _require_another_admin(name: str) -> None:
    if not User.select().where(User.admin, User.id != name).exists():
        raise AccountError(INVALID, "last_administrator", field="admin", value=name)


def places_of(name: str, after: tuple[str, str], size: int) -> tuple[list[Place], Place | None]:
    """Return up to `size` places that a user manages, from after the project and repository `after`, in order.

    The second value is the last of them where there are more. Raises DatabaseUnavailable.
    """
    project_id, repo_name = after
    rest = (Grant.project_id > project_id) | ((Grant.project_id == project_id) & (Grant.repo_name > repo_name))
    rows = Grant.select(Grant.project_id, Grant.repo_name, Grant.created_at).where(
        Grant.user_id == name, Grant.project_id >= project_id, rest
    )
    with unavailable():
        found = list(rows.order_by(Grant.project_id, Grant.repo_name).limit(size + 1).tuples())
    places = [Place(*row) for row in found]
    return places[:size], places[size - 1] if len(places) > size else None


def revoke(name: str, project_id: str, repo_name: str) -> bool:
    """Take a grant away, and return whether there was one. Raises DatabaseUnavailable."""
    key = (Grant.user_id == name) & (Grant.project_id == project_id) & (Grant.repo_name == repo_name)
    with write_transaction():
        return bool(Grant.delete().where(key).execute())


def page_of_keys(after: str, size: int) -> tuple[list[KeyRow], str | None]:
    """Return up to `size` access keys after `after`, and after which the next page begins.

    A page is ordered by application, newest first; the pages are not, for keys are random. Raises DatabaseUnavailable.
    """
    rows = AccessKey.select(AccessKey.access_key, AccessKey.app, AccessKey.scopes, AccessKey.created_at)
    with unavailable():
        found = list(rows.where(AccessKey.access_key > after).order_by(AccessKey.access_key).limit(size + 1))
    keys = [KeyRow(row.access_key, row.app, json.loads(row.scopes), row.created_at) for row in found]
    following = keys[size - 1].access_key if len(keys) > size else None
    return sorted(keys[:size], key=lambda key: (key.app, -key.created_at, key.access_key)), following


def revoke_key(access_key: str) -> bool:
    """Delete an access key, and return whether there was one. Raises DatabaseUnavailable."""
    with write_transaction():
        return bool(AccessKey.delete().where(AccessKey.access_key == access_key).execute())
