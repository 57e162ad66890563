"""Users, grants and access keys."""

import json
import threading

import pytest

from app import accounts
from app.errors import OperatorError
from app.models import AccessKey, Grant, User, database

pytestmark = pytest.mark.usefixtures("services")


def test_it_makes_a_user_whose_password_is_not_kept() -> None:
    accounts.create_user("alice", "correct horse", admin=True, now=5)
    row = User.get_by_id("alice")
    assert (row.admin, row.created_at) == (True, 5)
    assert row.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert accounts.password_fits("correct horse", row.password_hash)
    assert not accounts.password_fits("wrong", row.password_hash)


def test_a_name_is_given_once() -> None:
    accounts.create_user("alice", "one", admin=False, now=0)
    with pytest.raises(OperatorError, match="alice exists already"):
        accounts.create_user("alice", "two", admin=True, now=0)
    assert not User.get_by_id("alice").admin


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", " a", "a ", "a\0", "x" * 129])
def test_it_refuses_names_that_could_not_log_in(name: str) -> None:
    with pytest.raises(OperatorError, match="name has 1 to 128"):
        accounts.create_user(name, "correct horse", admin=False, now=0)
    assert User.select().count() == 0


@pytest.mark.parametrize("password", ["", "a\nb", "x" * 1_025])
def test_it_refuses_passwords_that_could_not_be_given(password: str) -> None:
    with pytest.raises(OperatorError, match="password"):
        accounts.create_user("alice", password, admin=False, now=0)


def test_the_hash_for_unknown_users_costs_as_much_and_fits_nothing() -> None:
    ours = accounts.hash_password("x").split("$")[:4]
    assert accounts.NOBODYS_HASH.split("$")[:4] == ours
    assert not accounts.password_fits("x", None)


def test_the_first_administrator_has_a_random_password_shown_once() -> None:
    password = accounts.ensure_first_admin(None, now=5)
    assert password is not None
    assert len(password) >= 20
    row = User.get_by_id("admin")
    assert row.admin
    assert accounts.password_fits(password, row.password_hash)
    assert accounts.ensure_first_admin(None, now=6) is None
    assert User.select().count() == 1


def test_the_first_administrator_may_have_a_given_password() -> None:
    assert accounts.ensure_first_admin("from the settings", now=5) is None
    assert accounts.password_fits("from the settings", User.get_by_id("admin").password_hash)


def test_where_there_is_a_user_no_administrator_is_made() -> None:
    accounts.create_user("alice", "correct horse", admin=False, now=0)
    assert accounts.ensure_first_admin(None, now=5) is None
    assert [row.id for row in User.select()] == ["alice"]


def test_two_processes_make_one_first_administrator() -> None:
    made: list[str | None] = []

    def start() -> None:
        made.append(accounts.ensure_first_admin(None, now=5))
        database.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [password is not None for password in made].count(True) == 1
    assert User.select().count() == 1


def test_a_grant_may_be_given_again() -> None:
    accounts.create_user("alice", "x", admin=False, now=0)
    for now in (1, 2):
        accounts.grant("alice", "p", "", now=now)
        accounts.grant("alice", "p", "r", now=now)
    rows = Grant.select().order_by(Grant.repo_name).dicts()
    assert [(row["project_id"], row["repo_name"], row["created_at"]) for row in rows] == [("p", "", 1), ("p", "r", 1)]


@pytest.mark.parametrize(
    ("user_id", "project_id", "repo_name", "text"),
    [
        ("nobody", "p", "", "no user nobody"),
        ("alice", "", "r", "project has"),
        ("alice", "p:r", "", "project"),
        ("alice", "p", "r:s", "repo has"),
        ("alice", "p" * 129, "", "project"),
    ],
)
def test_it_refuses_grants_that_mean_nothing(user_id: str, project_id: str, repo_name: str, text: str) -> None:
    accounts.create_user("alice", "x", admin=False, now=0)
    with pytest.raises(OperatorError, match=text):
        accounts.grant(user_id, project_id, repo_name, now=1)
    assert Grant.select().count() == 0


def test_an_access_key_has_a_secret_that_is_not_kept() -> None:
    access_key, secret = accounts.create_access_key("ci", ["event:publish", "event:publish"], now=5)
    row = AccessKey.get_by_id(access_key)
    assert (row.app, json.loads(row.scopes), row.created_at) == ("ci", ["event:publish"], 5)
    assert len(secret) >= 43
    assert secret not in str(row.__data__)
    assert accounts.create_access_key("ci", [], now=5) != (access_key, secret)


@pytest.mark.parametrize(("app", "scopes", "text"), [("ci", ["event:all"], "no scope event:all"), ("", [], "app has")])
def test_it_refuses_keys_for_nothing(app: str, scopes: list[str], text: str) -> None:
    with pytest.raises(OperatorError, match=text):
        accounts.create_access_key(app, scopes, now=5)
    assert AccessKey.select().count() == 0
