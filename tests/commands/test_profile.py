"""`hookline profile`, and the file that it keeps."""

import os
import stat
from pathlib import Path

import pytest

from app.commands.profiles import Profile, Profiles, config_path, read_profiles, write_profiles
from app.errors import OperatorError
from tests.commands.conftest import Run, ok, one_line, parsed
from tests.server import PASSWORD, Server

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hookline" / "config.toml"


def test_a_profile_is_added_used_and_removed(bare: Run, server: Server) -> None:
    address = f"http://127.0.0.1:{server.port}"
    added = bare("profile", "add", "here", "--server", address, "--user", "admin", "--password-stdin", stdin=PASSWORD)
    assert "plain text" in ok(added) + added.stderr
    ok(bare("profile", "add", "ci", "--server", address, "--access-key", "ak", "--password-env", "CI_SECRET"))
    ok(bare("webhook", "list"))
    ok(bare("webhook", "list", "--profile", "here", HOOKLINE_SERVER="http://127.0.0.1:1"))
    assert "HTTP 401" in one_line(bare("webhook", "list", "--profile", "ci", CI_SECRET="wrong"))
    listed = parsed(bare("profile", "list", "--json"))
    assert [(row["name"], row["default"], row["password"]) for row in listed] == [
        ("ci", False, "in $CI_SECRET"),
        ("here", True, "kept"),
    ]
    assert PASSWORD not in ok(bare("profile", "list"))
    ok(bare("profile", "use", "ci"))
    ok(bare("profile", "remove", "ci"))
    assert "no credentials" in one_line(bare("webhook", "list"))


def test_what_is_written_is_read_again_by_its_owner_alone(path: Path) -> None:
    odd = Profile(server="https://ü.example", user='a"b\\c', secret="😀 #", secret_env=None, ca_file="/ca")
    kept = Profiles({"a-1": odd, "b_2": Profile(server="http://b", user="b")}, "a-1")
    write_profiles(path, kept)
    assert read_profiles(path) == kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["config.toml"]


def test_a_password_that_others_may_read_is_refused(path: Path) -> None:
    write_profiles(path, Profiles({"a": Profile(server="http://a", user="a", secret="s")}))
    path.chmod(0o640)
    with pytest.raises(OperatorError, match="run chmod 600"):
        read_profiles(path)
    write_profiles(path, Profiles({"a": Profile(server="http://a", user="a")}))
    path.chmod(0o644)
    assert list(read_profiles(path).by_name) == ["a"]


def test_no_file_is_no_profile(path: Path) -> None:
    assert read_profiles(path) == Profiles()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", "config.toml: "),
        ("default = 5", "give default = NAME"),
        ("[profiles.a]\nuser = 'x'", "profile a: server is missing"),
        ("[profiles.a]\nserver = 'x'\nport = '1'", "profile a: port is not one of"),
        ("[profiles.a]\nserver = 'x'\nuser = 1", "profile a: user is not one of"),
    ],
)
def test_a_file_that_is_wrong_says_where(path: Path, text: str, reason: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(OperatorError, match=reason):
        read_profiles(path)


def test_the_file_is_where_the_environment_says() -> None:
    assert config_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/hookline/config.toml")
    assert config_path({}) == Path.home() / ".config/hookline/config.toml"


@pytest.mark.parametrize(
    "arguments",
    [
        ("a b", "--user", "x", "--no-password"),
        ("a", "--no-password"),
        ("a", "--user", "x", "--no-password", "--password-env", "X"),
    ],
)
def test_what_is_no_profile_is_not_added(bare: Run, arguments: tuple[str, ...]) -> None:
    assert bare("profile", "add", *arguments, "--server", "http://x").exit_code != 0
    assert parsed(bare("profile", "list", "--json")) == []


def test_an_address_that_is_none_is_not_kept(bare: Run) -> None:
    text = one_line(bare("profile", "add", "a", "--server", "hooks.example.com", "--user", "x", "--no-password"))
    assert "hooks.example.com" in text


def test_an_unknown_profile_can_be_neither_used_nor_removed(bare: Run) -> None:
    assert "no profile 'x'" in one_line(bare("profile", "use", "x"))
    assert "no profile 'x'" in one_line(bare("profile", "remove", "x"))
