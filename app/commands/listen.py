"""`hookline listen`: deliveries on this machine, received at a port or handed on from a server."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any

import click

from app.commands.calling import client_options, webhook_ids
from app.commands.forward import forward, refuse
from app.commands.places import place_options
from app.listener import Arrival, Listener

FORWARDING = (
    "forward",
    "webhook",
    "project",
    "repo",
    "triggers",
    "pattern",
    "filter_",
    "form",
    "since",
    "print_secret",
)


@click.command()
@click.option("--forward", metavar="URL", help="Hand a server's deliveries on to this address.")
@click.option(
    "--webhook", metavar="ID", shell_complete=webhook_ids, help="Those of this webhook, signed with its secret."
)
@place_options
@click.option("--trigger", "triggers", metavar="TYPE", multiple=True, help="Those of this event type. Repeatable.")
@click.option("--pattern", metavar="RE2", help="Those whose whole resource key it matches.")
@click.option("--filter", "filter_", metavar="JSON", help="Those on which these conditions hold.")
@click.option("--format", "form", metavar="NAME", help="In this payload format, cloudevents for example.")
@click.option("--since", metavar="TIME", help="From a time on, 2026-01-31T08:00:00 or 10m ago. Default: now.")
@click.option("--timeout", type=click.IntRange(1, 3600), default=30, show_default=True, help="Seconds for an answer.")
@click.option("--skip-verify", is_flag=True, help="Take any certificate of the address.")
@click.option("--print-secret", is_flag=True, help="Print what verifies the signatures, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line for each delivery.")
@client_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on, with --port.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Receive deliveries at this port.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    envvar="HOOKLINE_SIGNING_SECRET",
    show_envvar=True,
    help="A webhook's signing secret, whsec_…, or public key, whpk_…, with --port. Repeatable.",
)
@click.option("--verbose", is_flag=True, help="Print the payload too.")
def listen(port: int | None, host: str, secrets: Sequence[str], verbose: bool, **options: Any) -> None:
    """Hand the deliveries of a server on to an address of this machine (--forward), or receive them here (--port).

    --forward needs no public address: it asks the server for what a webhook gets, or without --webhook for all events,
    or those of a project or repository, and sends it on, signed as always. It prints a line a delivery, with the
    answer's status; a receiver that is down is waited for some seconds, then passed over. When the server restarts it
    goes on where it was. Ctrl-C ends it.

    --port verifies what arrives and prints a line for each. A delivery is good when one of the secrets signed it and
    its timestamp is at most five minutes off. The answer is then 200, else 401.
    """
    if port is not None:
        refuse(options, FORWARDING, "--port")
        if not secrets:
            raise click.UsageError("--port needs --secret.")
        _receive(host, port, secrets, verbose)
    elif options["forward"] or options["print_secret"]:
        forward({**options, "verbose": verbose})
    else:
        raise click.UsageError("Give --forward URL, or --port.")


def _receive(host: str, port: int, secrets: Sequence[str], verbose: bool) -> None:
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
