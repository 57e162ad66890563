"""`hookline publish`: send events from a file to a server."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from hookline_client import Client, ClientError, Published, Retry
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.commands.calling import client_options, open_client
from app.commands.event_file import Event, read_events
from app.commands.failures import describe
from app.errors import OperatorError

RETRY = Retry()


@click.command()
@click.argument("file")
@client_options
def publish(file: str, password_stdin: bool, **connection: Any) -> None:
    """Publish the events of FILE (- is standard input): a JSON object, an array of them, or NDJSON.

    Credentials: --user and --password-stdin, or HOOKLINE_USER and HOOKLINE_PASSWORD, or HOOKLINE_ACCESS_KEY and
    HOOKLINE_ACCESS_SECRET. An event without eventId is given one, so that a batch can be sent again after a failure
    and is accepted once.
    """
    if file == "-" and password_stdin:
        raise OperatorError("standard input can't hold both the password and the events")
    with open_client(password_stdin=password_stdin, **connection) as client:
        if file == "-":
            total = publish_all(client, read_events(sys.stdin, "standard input"))
        else:
            with Path(file).open(encoding="utf-8") as events:
                total = publish_all(client, read_events(events, file))
    click.echo(f"accepted {total.accepted}, duplicates {total.duplicates}, matched {total.matched}")


def publish_all(client: Client, events: Iterable[Event]) -> Published:
    """Publish `events` in batches, showing progress on a terminal, and return the sums, without ids."""
    total = Published()
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} events published"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("publish", total=None)
        try:
            for done in client.publish_all(events, retry=RETRY):
                total += replace(done, event_ids=(), raw={})
                progress.advance(task, done.accepted + done.duplicates)
        except ClientError as error:
            raise OperatorError(
                f"{total.accepted + total.duplicates} events were taken, then: {describe(error)}"
            ) from error
    return total
