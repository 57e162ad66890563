"""Profiles: servers and callers by name, in `$XDG_CONFIG_HOME/hookline/config.toml`.

The file may hold passwords in plain text, so that it is made readable for its owner alone.
"""

import json
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from app.errors import OperatorError

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONTROL = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A server and who calls it. `secret` belongs to the user or to the access key; `secret_env` names the variable
    that holds it. Without either it is asked for."""

    server: str
    user: str | None = None
    access_key: str | None = None
    secret: str | None = None
    secret_env: str | None = None
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Profiles:
    """All profiles, and the name of the one that is used where none is named."""

    by_name: Mapping[str, Profile] = field(default_factory=dict)
    default: str | None = None

    def get(self, name: str) -> Profile:
        """Return a profile. Raises OperatorError."""
        if name not in self.by_name:
            known = ", ".join(sorted(self.by_name)) or "none yet; add one with hookline profile add"
            raise OperatorError(f"there is no profile {name!r}; there are: {known}")
        return self.by_name[name]


def config_path(environ: Mapping[str, str]) -> Path:
    """Return where the profiles are kept."""
    home = environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    return Path(home) / "hookline" / "config.toml"


def read_profiles(path: Path) -> Profiles:
    """Return the profiles in a file; none where there is none. Raises OperatorError naming what is wrong with it."""
    try:
        with path.open("rb") as file:
            is_open = bool(os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO))
            document = tomllib.load(file)
    except FileNotFoundError:
        return Profiles()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path}: {error}") from error
    tables, default = document.get("profiles", {}), document.get("default")
    if not isinstance(tables, dict) or not isinstance(default, str | None):
        raise OperatorError(f"{path}: give default = NAME and a table [profiles.NAME] for each profile")
    found = {name: _profile(f"{path}: profile {name}", table) for name, table in tables.items()}
    if is_open and any(profile.secret for profile in found.values()):
        raise OperatorError(f"{path} holds passwords and others may read it; run chmod 600 {path}")
    return Profiles(found, default)


def _profile(place: str, table: Any) -> Profile:
    known = {each.name for each in fields(Profile)}
    if not isinstance(table, dict) or not isinstance(table.get("server"), str):
        raise OperatorError(f"{place}: server is missing")
    for name, value in table.items():
        if name not in known or not isinstance(value, str):
            raise OperatorError(f"{place}: {name} is not one of {', '.join(sorted(known))}, with a text as its value")
    return Profile(**table)


def write_profiles(path: Path, profiles: Profiles) -> None:
    """Replace the file by one that holds `profiles`, in one step, readable for its owner alone."""
    lines = [f"default = {_quoted(profiles.default)}\n"] if profiles.default else []
    for name, profile in sorted(profiles.by_name.items()):
        lines.append(f"\n[profiles.{name}]\n")
        given = ((each.name, getattr(profile, each.name)) for each in fields(Profile))
        lines += [f"{key} = {_quoted(value)}\n" for key, value in given if value is not None]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("".join(lines))
        os.replace(made, path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def check_name(name: str) -> str:
    """Return `name`, if a profile may have it. Raises OperatorError."""
    if not _NAME.fullmatch(name):
        raise OperatorError("the name of a profile has letters, digits, - and _, up to 64")
    return name


def _quoted(text: str) -> str:
    """Return `text` as a string of TOML, whose escapes are those of JSON."""
    if _CONTROL.search(text):
        raise OperatorError("a profile can't hold control characters")
    return json.dumps(text, ensure_ascii=False)
