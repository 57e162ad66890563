"""Options that several commands share: where the data are, and passwords."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from app import models
from app.database import connect
from app.errors import OperatorError
from app.schema import migrate
from config.settings import Settings, load_settings

C = TypeVar("C", bound="Callable[..., Any] | click.Command")


def data_option(command: C) -> C:
    """Give `command` the option --data, and put the Settings that result into the context's `obj`."""
    option = click.option(
        "--data",
        metavar="DIR",
        expose_value=False,
        callback=_load,
        help="Data directory. Default: HOOKLINE_DATA, else var/.",
    )
    return option(command)


def _load(context: click.Context, _: click.Parameter, data: str | None) -> None:
    if not context.resilient_parsing:
        environ = dict(os.environ)
        if data is not None:
            environ["HOOKLINE_DATA"] = data
        context.obj = load_settings(environ)


@contextmanager
def open_database(settings: Settings) -> Iterator[list[str]]:
    """Open the database for one command, bring it up to date, and yield the migrations applied.

    Raises OperatorError where it can't be opened.
    """
    connect(settings.database_url)
    try:
        yield migrate()
    finally:
        models.database.close()


def password_from(standard_input: bool, *, confirm: bool) -> str:
    """Return the password from the first line of standard input, or else from a prompt. Raises OperatorError."""
    if standard_input:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True)
    else:
        raise OperatorError("there is no terminal to ask for a password; give it with --password-stdin")
    if not password:
        raise OperatorError("the password is empty")
    return password
