"""`hookline publish`: send events from a file to a server."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
import requests
from hookline_client import Client, ClientError, Published
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.commands.event_file import Event, read_events
from app.commands.failures import describe
from app.commands.options import client_options, open_client
from app.errors import OperatorError
from app.ids import new_id

BATCH_EVENTS = 500
BATCH_BYTES = 8 * 1024 * 1024  # half of what the server takes
TRIES = 5
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
TRY_AGAIN = frozenset({429, 502, 503, 504})


@click.command()
@click.argument("file")
@client_options
def publish(file: str, server: str | None, user: str | None, password_stdin: bool) -> None:
    """Publish the events of FILE (- is standard input): a JSON object, an array of them, or NDJSON.

    Credentials: --user and --password-stdin, or HOOKLINE_USER and HOOKLINE_PASSWORD, or HOOKLINE_ACCESS_KEY and
    HOOKLINE_ACCESS_SECRET. An event without eventId is given one, so that a batch can be sent again after a failure
    and is accepted once.
    """
    if file == "-" and password_stdin:
        raise OperatorError("standard input can't hold both the password and the events")
    with open_client(server, user, password_stdin) as client:
        if file == "-":
            total = publish_all(client, read_events(sys.stdin, "standard input"))
        else:
            with Path(file).open(encoding="utf-8") as events:
                total = publish_all(client, read_events(events, file))
    click.echo(f"accepted {total.accepted}, duplicates {total.duplicates}, matched {total.matched}")


def publish_all(client: Client, events: Iterable[Event]) -> Published:
    """Publish `events` in batches, showing progress on a terminal, and return the sums."""
    total = Published(0, 0, 0, [])
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} events published"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("publish", total=None)
        for batch in batches(events):
            try:
                done = publish_batch(client, batch)
            except (ClientError, requests.RequestException) as error:
                raise OperatorError(
                    f"{total.accepted + total.duplicates} events were taken, then: {describe(error)}"
                ) from error
            total = Published(
                total.accepted + done.accepted, total.duplicates + done.duplicates, total.matched + done.matched, []
            )
            progress.advance(task, len(batch))
    return total


def batches(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Split `events` into batches that the server takes, and give an eventId to each that has none."""
    batch: list[Event] = []
    size = 0
    for event in events:
        identified = event if event.get("eventId") else {**event, "eventId": new_id()}
        length = len(json.dumps(identified))
        if batch and (len(batch) == BATCH_EVENTS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(identified)
        size += length
    if batch:
        yield batch


def publish_batch(client: Client, batch: Sequence[Event], first_pause_s: float = FIRST_PAUSE_S) -> Published:
    """Publish one batch; where the server is away or busy, again up to four times with growing pauses.

    Raises what the last try raised.
    """
    for done in range(1, TRIES + 1):
        pause_s = first_pause_s * 2 ** (done - 1)
        try:
            return client.publish(batch)
        except ClientError as error:
            if error.status not in TRY_AGAIN or done == TRIES:
                raise
            pause_s = max(pause_s, error.retry_after_s or 0)
        except (requests.ConnectionError, requests.Timeout):
            if done == TRIES:
                raise
        time.sleep(min(pause_s, LONGEST_PAUSE_S))
    raise AssertionError("the last try returns or raises")
