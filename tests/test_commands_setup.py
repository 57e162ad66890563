"""`hookline secret`, `hookline migrate` and `hookline release`, on each database."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from app.accounts import password_fits
from app.cli import main
from app.database import connect
from app.models import User, database
from app.vault import open_vault
from tests.conftest import SECRET_KEY, Place
from tests.empty_database import empty_database
from tests.server import free_port

ALL = ("0001_initial", "0002_production", "0003_isolation", "0004_dashboard", "0005_formats")
UP_TO_DATE = "The database is up to date.\n"
CLEARED = {name: None for name in os.environ if name.startswith(("HOOKLINE_", "DATABASE_", "REDIS_"))}

Run = Callable[..., Result]


@pytest.fixture
def url(database_place: Place, tmp_path: Path) -> Iterator[str]:
    with empty_database(database_place, tmp_path) as made:
        yield made


@pytest.fixture
def run(url: str, tmp_path: Path) -> Run:
    """Run `hookline` in this process on a database without tables."""

    def run(*arguments: str, **environ: str) -> Result:
        own = {"HOOKLINE_DATA": str(tmp_path), "DATABASE_URL": url, "HOOKLINE_SECRET_KEY": SECRET_KEY}
        return CliRunner(env={**CLEARED, **own, **environ}).invoke(main, arguments)

    return run


def one_line(result: Result) -> str:
    """Return what a failed command printed: one line."""
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("Error: ").strip()


def test_secret_makes_a_key_that_encrypts(tmp_path: Path) -> None:
    made = [CliRunner(env=CLEARED).invoke(main, ["secret"]) for _ in range(2)]
    assert [(result.exit_code, result.stderr) for result in made] == [(0, "")] * 2
    keys = [result.stdout.removesuffix("\n") for result in made]
    assert keys[0] != keys[1]
    assert Fernet(keys[0]).decrypt(Fernet(keys[0]).encrypt(b"x")) == b"x"
    vault = open_vault(",".join(keys), tmp_path)
    assert vault.decrypt(vault.encrypt("secret")) == "secret"
    assert list(tmp_path.iterdir()) == []


def test_migrate_says_what_it_applied_and_then_nothing(run: Run) -> None:
    assert (run("migrate").stdout, run("migrate").stdout) == (f"Applied {', '.join(ALL)}.\n", UP_TO_DATE)


def test_check_tells_what_is_missing_and_changes_nothing(run: Run, url: str) -> None:
    for _ in range(2):
        result = run("migrate", "--check")
        assert (result.exit_code, result.stdout) == (1, "".join(f"missing: {name}\n" for name in ALL))
    connect(url)
    assert database.get_tables() == []


def test_check_is_content_with_a_database_that_is_up_to_date(run: Run) -> None:
    run("migrate")
    result = run("migrate", "--check")
    assert (result.exit_code, result.output) == (0, UP_TO_DATE)
    assert database.is_closed()


def test_check_tells_of_a_newer_version_and_migrate_refuses_it(run: Run, url: str) -> None:
    run("migrate")
    connect(url)
    database.execute_sql(f"UPDATE schema_migration SET name = '9999_later' WHERE name = '{ALL[1]}'")
    result = run("migrate", "--check")
    assert (result.exit_code, result.stdout) == (1, f"missing: {ALL[1]}\nof a newer version: 9999_later\n")
    for command in (["migrate"], ["release"], ["events", "rejected"]):
        assert one_line(run(*command)) == "the database belongs to a newer version: it has 9999_later"


@pytest.mark.parametrize("command", [["migrate"], ["migrate", "--check"], ["release"], ["events", "rejected"]])
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_is_not_there_is_one_line(tmp_path: Path, command: list[str], scheme: str) -> None:
    place = f"127.0.0.1:{free_port()}/hookline"
    environ = {"HOOKLINE_DATA": str(tmp_path), "HOOKLINE_SECRET_KEY": SECRET_KEY}
    environ["DATABASE_URL"] = f"{scheme}://amy:s3cret-word@{place}"
    text = one_line(CliRunner(env={**CLEARED, **environ}).invoke(main, command))
    assert text.startswith(f"DATABASE_URL: {scheme}://{place} can't be opened: ")
    assert "s3cret-word" not in text


@pytest.mark.parametrize("command", ["migrate", "release"])
def test_a_database_of_ones_own_needs_a_key_of_ones_own(run: Run, command: str) -> None:
    assert one_line(run(command, HOOKLINE_SECRET_KEY="")).startswith("HOOKLINE_SECRET_KEY is needed where DATABASE_URL")


def test_release_migrates_and_makes_the_first_administrator(run: Run, url: str) -> None:
    result = run("release", HOOKLINE_ADMIN_PASSWORD="correct horse")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "correct horse" not in result.output
    connect(url)
    [user] = User.select()
    assert (user.id, user.admin) == ("admin", True)
    assert password_fits("correct horse", user.password_hash)


def test_release_again_changes_nothing(run: Run, url: str) -> None:
    run("release", HOOKLINE_ADMIN_PASSWORD="correct horse")
    for password in ("another", ""):
        result = run("release", HOOKLINE_ADMIN_PASSWORD=password)
        assert (result.exit_code, result.output) == (0, UP_TO_DATE)
    connect(url)
    [user] = User.select()
    assert password_fits("correct horse", user.password_hash)


def test_release_makes_no_administrator_where_there_is_a_user(run: Run, url: str) -> None:
    run("migrate")
    connect(url)
    User.insert(id="amy", password_hash="x", admin=False, created_at=0).execute()
    database.close()
    assert run("release", HOOKLINE_ADMIN_PASSWORD="correct horse").output == UP_TO_DATE
    connect(url)
    assert [user.id for user in User.select()] == ["amy"]


def test_release_without_a_password_says_which_variable_to_set(run: Run, url: str) -> None:
    result = run("release")
    assert result.exit_code == 1
    assert result.stderr == "Error: HOOKLINE_ADMIN_PASSWORD is needed to make the first administrator\n"
    connect(url)
    assert User.select().count() == 0


def test_release_refuses_a_password_that_cannot_be_used(run: Run, url: str) -> None:
    result = run("release", HOOKLINE_ADMIN_PASSWORD="x" * 2_000)
    assert result.exit_code == 1
    assert result.stderr == "Error: a password has 1 to 1024 printable characters\n"
    connect(url)
    assert User.select().count() == 0
