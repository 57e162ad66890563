"""The fields of a webhook as options of a command line, and from those as fields of the interface.

Secrets come from files, variables or standard input: every user of a machine can read command lines.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from app.commands.arguments import event_types
from app.commands.calling import open_file
from app.commands.places import association_of, place_options
from app.errors import OperatorError
from app.payload_formats import FORMATS

C = TypeVar("C", bound="Callable[..., Any] | click.Command")


_OPTIONS = (
    click.option("--url", help="Where deliveries go: http or https."),
    click.option(
        "--trigger", "triggers", metavar="TYPE", multiple=True, shell_complete=event_types,
        help="An event type to deliver. Repeatable; given at all, these are all.",
    ),
    click.option("--system", is_flag=True, help="For the events of all projects."),
    place_options,
    click.option("--pattern", metavar="RE2", help='Only resources whose whole key it matches; "" for every one.'),
    click.option("--filter", "filter_", metavar="JSON|@FILE", help="Conditions on the event; {} for none."),
    click.option("--header", "headers", metavar="NAME: VALUE", multiple=True,
                 help="Send this header too; others stay. Without a value: not any more. Repeatable."),
    click.option("--header-env", metavar="NAME=VARIABLE", multiple=True,
                 help="As --header, with the value of an environment variable. Repeatable."),
    click.option("--no-headers", is_flag=True, help="Leave out all headers but those given."),
    click.option("--token-stdin", is_flag=True, help="Read the token, sent as X-TOKEN, from standard input."),
    click.option("--token-env", metavar="VARIABLE", help="Take the token from an environment variable."),
    click.option("--no-token", is_flag=True, help="Send no token."),
    click.option("--timeout", type=float, metavar="SECONDS", help="For an attempt, 1 to 30; 0: the server's setting."),
    click.option("--retry-schedule", metavar="5s,5m,…",
                 help='Delays before each further attempt; "": the server\'s setting.'),
    click.option("--rate-limit", type=int, metavar="N", help="Requests a second; 0: no limit."),
    click.option("--rate-burst", type=int, metavar="N", help="How many of them at once; 0: a tenth of the limit."),
    click.option("--ordering", type=click.Choice(("none", "resource", "webhook")),
                 help="Keep the order of a resource's deliveries, or of all."),
    click.option("--signing", type=click.Choice(("v1", "v1a")),
                 help="Sign with a shared secret, or with a key pair. A change makes a new one."),
    click.option("--client-certificate", metavar="FILE", type=click.Path(),
                 help="PEM file with the certificate and key that receivers are shown."),
    click.option("--no-client-certificate", is_flag=True, help="Show no certificate."),
    click.option("--payload-format", type=click.Choice(FORMATS), help="What receivers are sent."),
    click.option("--payload-template", metavar="JINJA|@FILE", help='With the format "template".'),
)  # fmt: skip


def field_options(command: C) -> C:
    """Give `command` an option for each field of a webhook; `fields_of` takes their values."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def fields_of(options: Mapping[str, Any], present: Callable[[], Mapping[str, str]] = dict) -> dict[str, Any]:
    """Return the fields that the options give, as the client takes them; `present` reads the headers that there are.

    Raises UsageError for options that don't go together, OperatorError for what can't be read.
    """
    return dict(_fields(options, present))


def _fields(options: Mapping[str, Any], present: Callable[[], Mapping[str, str]]) -> Iterator[tuple[str, Any]]:
    plain = ("url", "timeout", "rate_limit", "rate_burst", "ordering", "signing", "payload_format")
    yield from ((name, options[name]) for name in plain if options[name] is not None)
    yield from association_of(options["system"], options["project"], options["repo"]).items()
    if options["triggers"]:
        yield "triggers", list(options["triggers"])
    if options["pattern"] is not None:
        yield "resource_key_pattern", options["pattern"]
    if options["filter_"] is not None:
        yield "filter", json_of("--filter", options["filter_"])
    if options["headers"] or options["header_env"] or options["no_headers"]:
        yield "headers", _headers({} if options["no_headers"] else present(), options)
    if options["retry_schedule"] is not None:
        yield "retry_schedule", [each.strip() for each in options["retry_schedule"].split(",") if each.strip()]
    if options["payload_template"] is not None:
        yield "payload_template", text_of(options["payload_template"])
    yield from _token(options)
    yield from _certificate(options)


def text_of(value: str) -> str:
    """Return the value of an option, or of the file that it names after an @."""
    return open_file(value[1:]) if value.startswith("@") else value


def json_of(option: str, value: str) -> Any:
    """Return the JSON that an option gives, itself or in a file after an @. Raises OperatorError."""
    try:
        return json.loads(text_of(value))
    except (ValueError, RecursionError) as error:
        raise OperatorError(f"{option} is not JSON: {error}") from error


def _headers(present: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers, masked as they are shown where they stay; the server knows a mask again."""
    headers = dict(present)
    for name, value in _given_headers(options["headers"], options["header_env"]):
        headers = {known: each for known, each in headers.items() if known.lower() != name.lower()}
        if value:
            headers[name] = value
    return headers


def _given_headers(plain: Sequence[str], of_environ: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in plain:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise click.UsageError(f"--header takes NAME: VALUE, not {text!r}.")
        yield name.strip(), value.strip()
    for text in of_environ:
        name, equals, variable = text.partition("=")
        if not equals or not name.strip():
            raise click.UsageError(f"--header-env takes NAME=VARIABLE, not {text!r}.")
        yield name.strip(), from_environ(variable)


def from_environ(variable: str) -> str:
    """Return the value of an environment variable. Raises OperatorError where it has none."""
    value = os.environ.get(variable)
    if not value:
        raise OperatorError(f"the environment variable {variable} is not set")
    return value


def _token(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    given = [name for name in ("token_stdin", "token_env", "no_token") if options[name]]
    if len(given) > 1:
        raise click.UsageError("Give one of --token-stdin, --token-env and --no-token.")
    if options["token_stdin"]:
        yield "token", first_line("a token")
    elif options["token_env"]:
        yield "token", from_environ(options["token_env"])
    elif options["no_token"]:
        yield "token", ""


def first_line(what: str) -> str:
    """Return the first line of standard input, a secret. Raises OperatorError where it is empty."""
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise OperatorError(f"standard input holds no line with {what}")
    return line


def _certificate(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if options["client_certificate"] and options["no_client_certificate"]:
        raise click.UsageError("--client-certificate and --no-client-certificate exclude each other.")
    if options["client_certificate"]:
        yield "client_certificate", Path(options["client_certificate"]).read_text(encoding="utf-8", errors="replace")
    elif options["no_client_certificate"]:
        yield "client_certificate", ""
