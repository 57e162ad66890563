"""Which server a command calls, and as whom: from its options, the environment and profiles.

What is nearer wins: options, among them --profile with all that the profile says; then the environment; then the
profile of HOOKLINE_PROFILE, else the default one; then the default server. A password goes only to the server and for
the user that it was given with.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
from click.shell_completion import CompletionItem
from hookline_client import NO_RETRY, Client

from app.commands.options import password_from
from app.commands.profiles import Profile, Profiles, config_path, read_profiles
from app.errors import OperatorError

DEFAULT_SERVER = "http://127.0.0.1:8080"

C = TypeVar("C", bound="Callable[..., Any] | click.Command")


class Layer(NamedTuple):
    """What one source says. `secret` belongs to `access_key` if there is one, else to `user`."""

    server: str | None = None
    user: str | None = None
    access_key: str | None = None
    secret: str | None = None
    ca_file: str | None = None


class Target(NamedTuple):
    """Whom to call, and as whom; without `secret` it has to be asked for."""

    server: str
    user: str | None
    access_key: str | None
    secret: str | None
    ca_file: str | None


def profile_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of profiles for a shell to offer."""
    try:
        known = read_profiles(config_path(os.environ)).by_name
    except (OperatorError, OSError):
        return []
    return [CompletionItem(name, help=known[name].server) for name in sorted(known) if name.startswith(incomplete)]


_OPTIONS = (
    click.option("--profile", metavar="NAME", shell_complete=profile_names, help="A profile; see hookline profile."),
    click.option("--server", metavar="URL", help=f"Default: HOOKLINE_SERVER, else {DEFAULT_SERVER}."),
    click.option("--user", help="The user who calls. Default: HOOKLINE_USER."),
    click.option("--password-stdin", is_flag=True, help="Read the user's password from standard input."),
    click.option(
        "--ca-file", type=click.Path(), help="PEM file of the authorities to trust. Default: HOOKLINE_CA_FILE."
    ),
)
CONNECTION = ("profile", "server", "user", "password_stdin", "ca_file")


def client_options(command: C) -> C:
    """Give `command` the options that say which server to call and as whom; `open_client` takes their values."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def calls_server(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `client_options`, and a client as its first argument."""

    @functools.wraps(function)
    def run(**options: Any) -> Any:
        connection = {name: options.pop(name) for name in CONNECTION}
        with open_client(**connection) as client:
            return function(client, **options)

    return client_options(run)


def open_client(
    profile: str | None = None,
    server: str | None = None,
    user: str | None = None,
    password_stdin: bool = False,
    ca_file: str | None = None,
) -> Client:
    """Return a client for what the options say; where no password is known, it is asked for.

    Its calls are made once: a person waits for them. Raises OperatorError where no caller is given.
    """
    flags = Layer(server=server, user=user, ca_file=ca_file)
    found = resolve(flags, profile, os.environ, read_profiles(config_path(os.environ)))
    if password_stdin:
        found = found._replace(access_key=None, secret=None)
    if not found.user and not (found.access_key and found.secret):
        raise OperatorError(
            "no credentials: give --user, add a profile with hookline profile add, or set HOOKLINE_USER and "
            "HOOKLINE_PASSWORD, or HOOKLINE_ACCESS_KEY and HOOKLINE_ACCESS_SECRET"
        )
    return client_for(found, found.secret or password_from(password_stdin, confirm=False))


def client_for(target: Target, secret: str, timeout_s: float = 60.0) -> Client:
    """Return a client for `target`."""
    credentials: dict[str, Any] = (
        {"access_key": target.access_key, "secret_key": secret} if target.access_key else {"password": secret}
    )
    return Client(
        target.server, user=target.user, ca_file=target.ca_file, retry=NO_RETRY, timeout_s=timeout_s, **credentials
    )


def resolve(flags: Layer, named: str | None, environ: Mapping[str, str], profiles: Profiles) -> Target:
    """Return what options, environment and profiles say together; `named` is the profile that an option names. Pure.

    Raises OperatorError for a profile that is not there.
    """
    implied = environ.get("HOOKLINE_PROFILE") or profiles.default
    of_environ = Layer(
        server=environ.get("HOOKLINE_SERVER") or None,
        user=environ.get("HOOKLINE_USER") or None,
        ca_file=environ.get("HOOKLINE_CA_FILE") or None,
    )
    kept = [*_keys_of(of_environ, environ), of_environ._replace(secret=environ.get("HOOKLINE_PASSWORD") or None)]
    if named is not None:
        layers = [flags, _layer(profiles.get(named), environ), *kept]
    else:
        layers = [flags, *kept, *([_layer(profiles.get(implied), environ)] if implied else [])]
    server = next((layer.server for layer in layers if layer.server), DEFAULT_SERVER)
    usable = [layer for layer in layers if layer.server in {None, server}]
    user = next((layer.user for layer in usable if layer.user), None)
    secrets = (layer for layer in usable if layer.secret and (layer.access_key or layer.user in {None, user}))
    secret = next(secrets, Layer())
    ca_file = next((layer.ca_file for layer in usable if layer.ca_file), None)
    return Target(server, user, secret.access_key, secret.secret, ca_file)


def _keys_of(of_environ: Layer, environ: Mapping[str, str]) -> Iterator[Layer]:
    access_key, secret = environ.get("HOOKLINE_ACCESS_KEY"), environ.get("HOOKLINE_ACCESS_SECRET")
    if access_key and secret:
        yield of_environ._replace(access_key=access_key, secret=secret)


def _layer(profile: Profile, environ: Mapping[str, str]) -> Layer:
    secret = profile.secret or (environ.get(profile.secret_env) if profile.secret_env else None)
    return Layer(profile.server, profile.user, profile.access_key, secret or None, profile.ca_file)


def webhook_ids(context: click.Context, _: click.Parameter, incomplete: str) -> Sequence[CompletionItem]:
    """Return ids of webhooks for a shell to offer; none where the server can't be asked at once, without a prompt."""
    given = context.params
    flags = Layer(server=given.get("server"), user=given.get("user"), ca_file=given.get("ca_file"))
    try:
        target = resolve(flags, given.get("profile"), os.environ, read_profiles(config_path(os.environ)))
        if not target.secret:
            return []
        with client_for(target, target.secret, timeout_s=2.0) as client:
            found = [webhook for webhook in client.iter_webhooks() if webhook.id.startswith(incomplete)]
    except Exception:  # whatever it is, it must not disturb the line that is being typed
        return []
    return [CompletionItem(webhook.id, help=webhook.url) for webhook in found]


def open_file(name: str) -> str:
    """Return the text of a file, of standard input for `-`. Raises OperatorError, OSError."""
    try:
        if name == "-":
            return sys.stdin.read()
        return Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise OperatorError(f"{name}: not UTF-8 text") from error
