"""`hookline user` and `hookline key`, in the database itself."""

import pytest
from click.testing import Result

from app.accounts import password_fits
from app.models import AccessKey, Grant, User
from app.services import Services
from tests.commands.conftest import Run, ok, one_line, parsed


@pytest.fixture
def local(bare: Run, environ: dict[str, str], services: Services) -> Run:
    """Run `hookline` on a database with the administrator root and the user amy."""

    def local(*arguments: str, **more: str) -> Result:
        return bare(*arguments, **{**environ, **more})

    ok(bare("user", "create", "root", "--admin", "--password-stdin", stdin="pass word", **environ))
    ok(bare("user", "create", "amy", "--password-stdin", stdin="pass word", **environ))
    return local


def test_users_are_listed_and_shown_with_what_they_manage(local: Run) -> None:
    ok(local("user", "grant", "amy", "p:r"))
    ok(local("user", "grant", "amy", "q"))
    amy, root = parsed(local("user", "list", "--json"))
    assert (amy["name"], amy["admin"], amy["grants"]) == ("amy", False, 2)
    assert (root["name"], root["admin"], root["grants"]) == ("root", True, 0)
    assert [line.split()[0] for line in ok(local("user", "list", "RO")).splitlines()] == ["name", "root"]
    assert parsed(local("user", "show", "amy", "--json"))["manages"] == ["p:r", "q"]
    assert "p:r, q" in ok(local("user", "show", "amy"))


def test_a_grant_is_taken_back(local: Run) -> None:
    ok(local("user", "grant", "amy", "p"))
    ok(local("user", "revoke", "amy", "p"))
    assert not Grant.select().exists()
    assert "holds no grant" in one_line(local("user", "revoke", "amy", "p"))


def test_a_password_is_replaced(local: Run) -> None:
    ok(local("user", "password", "amy", "--password-stdin", stdin="another one\n"))
    assert password_fits("another one", User.get_by_id("amy").password_hash)
    assert "nobody" in one_line(local("user", "password", "nobody", "--password-stdin", stdin="another one\n"))
    assert "8" in one_line(local("user", "password", "amy", "--password-stdin", stdin="short\n"))


def test_the_last_administrator_stays_one(local: Run) -> None:
    assert "root" in one_line(local("user", "demote", "root"))
    assert "root" in one_line(local("user", "delete", "root", "--yes"))
    ok(local("user", "promote", "amy"))
    ok(local("user", "demote", "root"))
    ok(local("user", "delete", "root", "--yes"))
    assert [row.id for row in User.select()] == ["amy"]


def test_deleting_asks(local: Run) -> None:
    assert "give --yes" in one_line(local("user", "delete", "amy"))
    assert "nobody" in one_line(local("user", "show", "nobody"))
    ok(local("user", "delete", "amy", "--yes"))


def test_keys_are_made_listed_and_deleted(local: Run) -> None:
    made = parsed(local("key", "create", "build", "--scope", "event:publish", "--json"))
    [row] = parsed(local("key", "list", "--json"))
    assert (row["accessKey"], row["app"], row["scopes"]) == (made["accessKey"], "build", ["event:publish"])
    assert made["secretKey"] not in ok(local("key", "list"))
    ok(local("key", "delete", row["accessKey"], "--yes"))
    assert not AccessKey.select().exists()
    assert "no access key" in one_line(local("key", "delete", "x", "--yes"))
