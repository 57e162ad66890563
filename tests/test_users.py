"""The users that payloads show, and remembering them."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.accounts import create_user
from app.database import write_transaction
from app.models import User, database
from app.registry import current_version
from app.services import Services
from app.users import UserCache, describe_users

UTC = ZoneInfo("UTC")


def add(name: str, *, admin: bool = False) -> None:
    with write_transaction():
        User.insert(id=name, password_hash="x", admin=admin, created_at=0).execute()


@pytest.fixture
def asked(services: Services) -> Iterator[list[str]]:
    """The statements that ask for users."""
    found: list[str] = []

    def note(event: Any) -> None:
        if "user_account" in event.sql:
            found.append(event.sql)

    database.obj.query_hooks.append(note)
    yield found
    database.obj.query_hooks.remove(note)


def test_a_user_is_shown_with_what_is_known_and_no_more(services: Services) -> None:
    add("amy", admin=True)
    assert describe_users({"amy", "nobody"}, UTC) == {
        "amy": {
            "userId": "amy",
            "name": "amy",
            "email": None,
            "phone": None,
            "createdDate": "1970-01-01T00:00:00.000",
            "locked": False,
            "admin": True,
        }
    }


def test_nobody_is_looked_up_for_nothing(asked: list[str]) -> None:
    assert describe_users(set(), UTC) == {}
    assert asked == []


def test_the_same_users_are_looked_up_once(asked: list[str]) -> None:
    add("amy")
    asked.clear()
    cache = UserCache(UTC)
    for _ in range(3):
        assert list(cache.describe({"amy", "nobody"}, 1)) == ["amy"]
    assert len(asked) == 1


def test_another_version_is_looked_up_again(services: Services) -> None:
    cache = UserCache(UTC)
    assert cache.describe({"amy"}, 1) == {}
    add("amy")
    assert cache.describe({"amy"}, 1) == {}
    assert list(cache.describe({"amy"}, 2)) == ["amy"]


def test_making_a_user_is_another_version(services: Services) -> None:
    before = current_version()
    create_user("amy", "a password", admin=False, now=1)
    assert current_version() == before + 1
