"""Options that several commands share."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from hookline_client import Client

from app import models
from app.database import connect
from app.errors import OperatorError
from app.schema import migrate
from config.settings import Settings, load_settings

DEFAULT_SERVER = "http://127.0.0.1:8080"

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


def client_options(command: C) -> C:
    """Give `command` the options that say which server to call and as whom; `open_client` takes their values."""
    options = (
        click.option("--password-stdin", is_flag=True, help="Read the user's password from standard input."),
        click.option("--user", help="The user who calls. Default: HOOKLINE_USER."),
        click.option("--server", metavar="URL", help=f"Default: HOOKLINE_SERVER, else {DEFAULT_SERVER}."),
    )
    for option in options:
        command = option(command)
    return command


def open_client(server: str | None, user: str | None, password_stdin: bool) -> Client:
    """Return a client with the credentials of the options, else of the environment, else of a prompt.

    Secrets come from the environment or standard input alone: every user of a machine can read command lines.
    Raises OperatorError where no credentials are given.
    """
    environ = os.environ
    server = server or environ.get("HOOKLINE_SERVER") or DEFAULT_SERVER
    caller = user or environ.get("HOOKLINE_USER")
    if password_stdin and caller:
        return Client(server, user=caller, password=password_from(True, confirm=False))
    access_key, secret_key = environ.get("HOOKLINE_ACCESS_KEY"), environ.get("HOOKLINE_ACCESS_SECRET")
    if access_key and secret_key:
        return Client(server, user=caller, access_key=access_key, secret_key=secret_key)
    if not caller:
        raise OperatorError(
            "no credentials: give --user, or set HOOKLINE_USER and HOOKLINE_PASSWORD, "
            "or HOOKLINE_ACCESS_KEY and HOOKLINE_ACCESS_SECRET"
        )
    password = environ.get("HOOKLINE_PASSWORD") or password_from(False, confirm=False)
    return Client(server, user=caller, password=password)
