"""`hookline delivery`."""

from typing import Any

import click
from hookline_client import Client, Delivery

from app.commands.arguments import event_types, given, limit_option, range_of, range_options, take, webhook_argument
from app.commands.calling import calls_server
from app.commands.job import show_started, wait_options
from app.commands.lazy import Lazy, lazy_group
from app.commands.output import Columns, json_option, print_fields, print_json, show_list

HERE = "app.commands.delivery:"
LIMIT = 20

delivery = lazy_group(
    "delivery",
    "See where deliveries are, and have them sent again.",
    {
        "list": Lazy(HERE + "list_", "List what is owed to a webhook or was given up."),
        "resend": Lazy(HERE + "resend", "Have a delivery sent again."),
        "resend-failed": Lazy(HERE + "resend_failed", "Have all that failed sent again, as a job."),
        "show": Lazy(HERE + "show", "Show a delivery."),
    },
)

LISTED: Columns = {
    "id": lambda row: row.delivery_id,
    "state": lambda row: row.state,
    "why": lambda row: row.held_reason,
    "attempts": lambda row: row.attempts,
    "next": lambda row: row.next_attempt_time,
    "type": lambda row: row.triggered_event,
    "event": lambda row: row.event_id,
}


@click.command()
@webhook_argument
@click.option(
    "--state", type=click.Choice(("PENDING", "HELD", "WAITING", "DEAD"), case_sensitive=False), help="Only these."
)
@click.option("--type", "triggered_event", metavar="TYPE", shell_complete=event_types, help="Only of this event type.")
@range_options
@limit_option(LIMIT)
@json_option
@calls_server
def list_(
    client: Client, webhook: str, limit: int, since: str | None, until: str | None, as_json: bool, **filters: Any
) -> None:
    """List what is owed to a webhook or was given up, oldest first. What has been delivered is in its logs."""
    wanted = {**given(**filters), **range_of(since, until)}
    rows: list[Delivery] = take(client.iter_deliveries(webhook, **wanted, page_size=min(limit, 1_000)), limit)
    show_list(rows, LISTED, as_json, "Nothing is owed.")


@click.command()
@click.argument("delivery", metavar="DELIVERY")
@json_option
@calls_server
def show(client: Client, delivery: str, as_json: bool) -> None:
    """Show a delivery: its state, its last attempt, the ids of its logs. Its id is the receiver's webhook-id."""
    show_delivery(client.delivery(delivery), as_json)


@click.command()
@click.argument("delivery", metavar="DELIVERY")
@json_option
@calls_server
def resend(client: Client, delivery: str, as_json: bool) -> None:
    """Have a delivery sent again: at once where it waits for a retry, from the start where it was given up."""
    show_delivery(client.resend(delivery), as_json)


def show_delivery(row: Delivery, as_json: bool) -> None:
    """Print a delivery."""
    if as_json:
        print_json(row.raw)
    else:
        print_fields((name, value) for name, value in row.raw.items() if value is not False)


@click.command("resend-failed")
@webhook_argument
@click.option(
    "--state",
    "states",
    type=click.Choice(("DEAD", "FAILED"), case_sensitive=False),
    multiple=True,
    help="Only those given up, or only those that wait for a retry.",
)
@click.option("--type", "triggered_event", metavar="TYPE", shell_complete=event_types, help="Only of this event type.")
@range_options
@wait_options
@json_option
@calls_server
def resend_failed(
    client: Client, webhook: str, states: tuple[str, ...], since: str | None, until: str | None, **options: Any
) -> None:
    """Have all deliveries to a webhook that failed sent again. That is a job; --wait shows how it gets on.

    \b
    Examples:
      hookline delivery resend-failed WEBHOOK --since 6h --wait
      hookline delivery resend-failed WEBHOOK --state DEAD --json | jq -r .id
    """
    filters = given(triggered_event=options["triggered_event"], state=list(states) or None)
    job = client.resend_failed(webhook, options["key"], **filters, **range_of(since, until))
    show_started(client, job, options)
