"""`hookline event`."""

from typing import Any

import click
from hookline_client import Client, EventRecord

from app.commands.arguments import event_types, given, limit_option, range_of, range_options, take, webhook_argument
from app.commands.calling import calls_server
from app.commands.job import show_started, wait_options
from app.commands.lazy import Lazy, lazy_group
from app.commands.output import Columns, json_option, print_fields, print_json, print_table, show_list
from app.commands.places import place_of, place_options
from app.shown_text import shown

HERE = "app.commands.event:"
REJECTED = "app.commands.events:"
LIMIT = 20

event = lazy_group(
    "event",
    "Find events, see where they went, and replay them.\n\nrejected, retry and discard look after events that came by"
    " way of Redis, and work on the database itself.",
    {
        "discard": Lazy(REJECTED + "discard", "Delete rejected events for good."),
        "list": Lazy(HERE + "list_", "List events."),
        "rejected": Lazy(REJECTED + "rejected", "Show the events that could not be accepted, and why."),
        "replay": Lazy(HERE + "replay", "Have a webhook sent what it missed, as a job."),
        "retry": Lazy(REJECTED + "retry", "Try to accept rejected events again."),
        "show": Lazy(HERE + "show", "Show an event, and where it went."),
        "types": Lazy(HERE + "types", "List the types of events, with samples."),
    },
)

LISTED: Columns = {
    "id": lambda row: row.id,
    "accepted": lambda row: row.accepted_date,
    "type": lambda row: row.type,
    "place": lambda row: ":".join(filter(None, (row.project_id, row.repo_name))),
    "resource": lambda row: row.resource_key,
    "user": lambda row: row.user_id,
    "error": lambda row: row.error,
}
WENT_TO: Columns = {
    "delivery": lambda row: row.delivery_id,
    "state": lambda row: row.state,
    "attempts": lambda row: row.attempts,
    "answer": lambda row: row.last_response_status,
    "to": lambda row: row.webhook_url,
    "error": lambda row: row.last_error_msg or row.held_reason,
}
TYPES: Columns = {"type": lambda row: row.type, "description": lambda row: row.description}


@click.command()
@place_options
@click.option("--type", metavar="TYPE", shell_complete=event_types, help="Only of this type.")
@click.option("--resource-key", metavar="KEY", help="Only of this resource.")
@click.option("--by", "user_id", metavar="USER", help="Only of this user of the repository.")
@range_options
@limit_option(LIMIT)
@json_option
@calls_server
def list_(client: Client, limit: int, as_json: bool, **options: Any) -> None:
    """List events, newest first; of the last 24 hours, unless --since says otherwise.

    \b
    Examples:
      hookline event list --project shop --type NODE_CREATED --since 2h
    """
    place = place_of(options.pop("project"), options.pop("repo"))
    wanted = range_of(options.pop("since"), options.pop("until")) | given(**options)
    if place:
        wanted |= given(project_id=place.project, repo_name=place.repo)
    rows: list[EventRecord] = take(client.iter_events(**wanted, page_size=min(limit, 1_000)), limit)
    show_list(rows, LISTED, as_json, "There is no such event.")


@click.command()
@click.argument("event", metavar="EVENT")
@json_option
@calls_server
def show(client: Client, event: str, as_json: bool) -> None:
    """Show an event, its payload, and where it went."""
    row = client.event(event)
    if as_json:
        print_json(row.raw)
        return
    print_fields((name, value(row)) for name, value in LISTED.items())
    click.echo("\n" + shown(row.payload or "").text)
    show_deliveries(row)


def show_deliveries(row: EventRecord) -> None:
    """Print where an event went."""
    if row.deliveries:
        click.echo()
        print_table(row.deliveries, WENT_TO)
    else:
        click.echo("\nIt went to no webhook that you may manage.")


@click.command()
@click.argument("type", required=False, shell_complete=event_types)
@json_option
@calls_server
def types(client: Client, type: str | None, as_json: bool) -> None:
    """List the types of events. With a TYPE, and with --json: the JSON Schema of the payload, and an example."""
    rows = [row for row in client.event_types() if type in {None, row.type}]
    if type and not rows:
        raise click.UsageError(f"The server knows no event type {type}.")
    if type:
        print_json(rows[0].raw)
    else:
        show_list(rows, TYPES, as_json, "There is none.")


@click.command()
@webhook_argument
@click.option("--type", metavar="TYPE", shell_complete=event_types, help="Only of this type.")
@range_options
@wait_options
@json_option
@calls_server
def replay(
    client: Client, webhook: str, type: str | None, since: str | None, until: str | None, **options: Any
) -> None:
    """Have a webhook sent the events since a time that match it and never went there. That is a job.

    \b
    Examples:
      hookline event replay WEBHOOK --since 2026-01-31T08:00:00 --wait
    """
    if since is None:
        raise click.UsageError("Missing --since.")
    filters = given(type=type, end_date=until)
    show_started(client, client.replay(webhook, since, options["key"], **filters), options)
