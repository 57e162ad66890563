"""Arguments and options that several commands about a server have."""

import itertools
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from app.commands.calling import webhook_ids
from app.errors import OperatorError
from app.event_types import EVENT_TYPES

C = TypeVar("C", bound="Callable[..., Any] | click.Command")
T = TypeVar("T")

webhook_argument = click.argument("webhook", metavar="WEBHOOK", shell_complete=webhook_ids)
yes_option = click.option("--yes", "-y", is_flag=True, help="Don't ask.")


def event_types(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the event types for a shell to offer."""
    found = ((name, known.description) for name, known in EVENT_TYPES.items() if name.startswith(incomplete.upper()))
    return [CompletionItem(name, help=text) for name, text in found]


def range_options(command: C) -> C:
    """Give `command` the options --since and --until; `range_of` takes their values."""
    command = click.option("--until", metavar="TIME", help="Up to this time.")(command)
    text = "From a time on: 2026-01-31T08:00:00 in the server's time zone, or how long ago, such as 10m, 2h or 7d."
    return click.option("--since", metavar="TIME", help=text)(command)


def range_of(since: str | None, until: str | None) -> dict[str, str]:
    """Return the filters that --since and --until are for."""
    return given(start_date=since, end_date=until)


def given(**values: Any) -> dict[str, Any]:
    """Return those of the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def limit_option(default: int) -> Callable[[C], C]:
    """Return what gives a command the option --limit."""
    kind = click.IntRange(1, 1_000_000)
    return click.option("--limit", type=kind, default=default, show_default=True, help="So many at most.")


def take(rows: Iterable[T], limit: int) -> list[T]:
    """Return the first `limit` of `rows`."""
    return list(itertools.islice(rows, limit))


def confirm(question: str, yes: bool) -> None:
    """Ask before something that can't be undone. Raises OperatorError where there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise OperatorError("there is no terminal to ask whether you are sure; give --yes")
    click.confirm(question, abort=True, err=True)
