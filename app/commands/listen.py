"""`hookline listen`: a receiver that verifies and prints what arrives."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from queue import SimpleQueue

import click

from app.listener import Arrival, Listener


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), required=True, help="Port to listen on.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    required=True,
    envvar="HOOKLINE_SIGNING_SECRET",
    show_envvar=True,
    help="A webhook's signing secret, whsec_…, or public key, whpk_… . Repeatable.",
)
@click.option("--verbose", is_flag=True, help="Print the payload too.")
def listen(host: str, port: int, secrets: Sequence[str], verbose: bool) -> None:
    """Receive deliveries, verify their signatures and print a line for each, until Ctrl-C.

    A delivery is good when one of the secrets signed it and its timestamp is at most five minutes off. The answer is
    then 200, else 401.
    """
    arrivals: SimpleQueue[Arrival] = SimpleQueue()
    listener = Listener(secrets, arrivals.put)
    listener.start(host, port)
    click.echo(f"Listening on http://{host}:{listener.port}", err=True)
    try:
        while True:
            show(arrivals.get(), verbose)
    finally:
        listener.stop()


def show(arrival: Arrival, verbose: bool) -> None:
    """Print one arrival."""
    when = datetime.fromtimestamp(arrival.received_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    verdict = "REFUSED " + arrival.problem if arrival.problem else "verified"
    event_type = arrival.headers.get("x-bkrepo-event", "-")
    line = f"{when} {verdict} {event_type} {arrival.headers.get('webhook-id', '-')} {len(arrival.body)} bytes"
    click.echo(_printable(line))
    if verbose:
        click.echo(_payload(arrival.body))


def _printable(text: str) -> str:
    # Anyone who reaches the port chooses these headers; control characters would command the terminal.
    return "".join(character if character.isprintable() else "?" for character in text)


def _payload(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2)
    except (ValueError, RecursionError):
        return _printable(body.decode(errors="replace"))
