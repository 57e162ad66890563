"""config/example.env documents what is read, and its defaults."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.commands.calling import DEFAULT_SERVER
from config.settings import load_settings

ROOT = Path(__file__).parents[1]
COMMAND_VARIABLES = {
    "HOOKLINE_PROFILE",
    "HOOKLINE_CA_FILE",
    "HOOKLINE_SERVER",
    "HOOKLINE_USER",
    "HOOKLINE_PASSWORD",
    "HOOKLINE_ACCESS_KEY",
    "HOOKLINE_ACCESS_SECRET",
    "HOOKLINE_SIGNING_SECRET",
}


class Recording(Mapping[str, str]):
    """An empty environment that remembers what was asked of it."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def example() -> dict[str, str]:
    lines = (ROOT / "config" / "example.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_it_names_exactly_the_variables_that_the_settings_read() -> None:
    environ = Recording()
    load_settings(environ)
    assert set(example()) - COMMAND_VARIABLES == environ.asked


def test_it_names_exactly_the_variables_that_the_commands_read() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "app" / "commands").glob("*.py"))
    read = set(re.findall(r'(?:get\(|envvar=)"(HOOKLINE_[A-Z_]+)"', sources))
    assert read == COMMAND_VARIABLES
    assert set(example()) >= COMMAND_VARIABLES


def test_it_shows_the_defaults() -> None:
    assert load_settings(example()) == load_settings({})
    assert example()["HOOKLINE_SERVER"] == DEFAULT_SERVER


def test_it_shows_no_secret() -> None:
    secrets = {name: value for name, value in example().items() if re.search("KEY|PASSWORD|SECRET", name)}
    assert not any(secrets.values())


@pytest.mark.parametrize("name", sorted(example()))
def test_every_variable_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in (ROOT / "README.md").read_text()
