"""`hookline webhook`."""

from typing import Any

import click
from hookline_client import Client, Secrets, Webhook

from app.commands.arguments import confirm, webhook_argument, yes_option
from app.commands.calling import calls_server
from app.commands.lazy import Lazy, lazy_group
from app.commands.log import show_log
from app.commands.output import Columns, json_option, print_fields, print_json, say, show_list
from app.commands.places import association_of, place_options
from app.commands.webhook_fields import first_line
from app.errors import OperatorError
from app.shown_text import shown

HERE = "app.commands.webhook:"

webhook = lazy_group(
    "webhook",
    "Register webhooks, change, test and delete them.",
    {
        "create": Lazy("app.commands.webhook_edit:create", "Register a webhook, and print its id."),
        "delete": Lazy(HERE + "delete", "Delete a webhook; what is still owed to it is cancelled."),
        "disable": Lazy(HERE + "disable", "Make no more deliveries to a webhook; what is owed to it is held."),
        "enable": Lazy(HERE + "enable", "Enable a webhook again, also after the service has disabled it."),
        "list": Lazy(HERE + "list_", "List webhooks."),
        "preview": Lazy("app.commands.webhook_edit:preview", "Show what a webhook with such settings would send."),
        "rotate-secret": Lazy(HERE + "rotate_secret", "Give a webhook a new secret, and print it."),
        "secret": Lazy(HERE + "secret", "Print what a receiver verifies by: the secret, or the public key."),
        "show": Lazy(HERE + "show", "Show a webhook, its settings and its health."),
        "templates": Lazy(HERE + "templates", "List the ready payload templates."),
        "test": Lazy(HERE + "test", "Send a WEBHOOK_TEST now, and show the log of it."),
        "update": Lazy("app.commands.webhook_edit:update", "Change fields of a webhook; the rest stays."),
    },
)


def state_of(row: Webhook) -> str:
    """Return how a webhook fares, in a word or two."""
    if not row.enabled:
        return "disabled"
    if row.circuit == "open":
        return "circuit open"
    return "failing" if row.failures else "enabled"


LISTED: Columns = {
    "id": lambda row: row.id,
    "state": state_of,
    "for": lambda row: row.association_id or row.association_type,
    "triggers": lambda row: row.triggers[0] if len(row.triggers) == 1 else f"{len(row.triggers)} types",
    "url": lambda row: row.url,
}
TEMPLATES: Columns = {"name": lambda row: row.name, "title": lambda row: row.title}


@click.command()
@click.option("--system", is_flag=True, help="Those of the system.")
@place_options
@click.option("--disabled", is_flag=True, help="Those that are disabled.")
@click.option("--failing", is_flag=True, help="Those whose last attempt failed.")
@json_option
@calls_server
def list_(client: Client, as_json: bool, disabled: bool, failing: bool, **place: Any) -> None:
    """List webhooks, newest first: all that you may manage, or those of a project or repository.

    \b
    Examples:
      hookline webhook list
      hookline webhook list --project shop --json | jq -r '.[].url'
    """
    asked = association_of(**place)
    found = client.list(asked["association_type"], asked["association_id"] or None) if asked else client.iter_webhooks()
    rows = [row for row in found if (not disabled or not row.enabled) and (not failing or row.failures)]
    show_list(rows, LISTED, as_json, "There is no such webhook." if disabled or failing else "There is no webhook.")


@click.command()
@webhook_argument
@json_option
@calls_server
def show(client: Client, webhook: str, as_json: bool) -> None:
    """Show a webhook, its settings and its health. Secrets are masked."""
    row = client.get(webhook)
    if as_json:
        print_json(row.raw)
    else:
        print_fields(
            [("state", state_of(row)), *((name, value) for name, value in row.raw.items() if value is not False)]
        )


@click.command()
@webhook_argument
@yes_option
@calls_server
def delete(client: Client, webhook: str, yes: bool) -> None:
    """Delete a webhook; what is still owed to it is cancelled. Its logs stay until they are pruned."""
    confirm(f"Delete webhook {webhook}, which delivers to {client.get(webhook).url}?", yes)
    client.delete(webhook)
    say(f"Webhook {webhook} is deleted.")


@click.command()
@webhook_argument
@click.option("--drop-pending", is_flag=True, help="Remove what was held meanwhile, in place of sending it.")
@calls_server
def enable(client: Client, webhook: str, drop_pending: bool) -> None:
    """Enable a webhook again, also after the service has disabled it."""
    client.update(webhook, enabled=True, pending="drop" if drop_pending else None)
    say(f"Webhook {webhook} is enabled.")


@click.command()
@webhook_argument
@calls_server
def disable(client: Client, webhook: str) -> None:
    """Make no more deliveries to a webhook; what is owed to it is held."""
    client.update(webhook, enabled=False)
    say(f"Webhook {webhook} is disabled.")


@click.command()
@webhook_argument
@json_option
@calls_server
def test(client: Client, webhook: str, as_json: bool) -> None:
    """Send a WEBHOOK_TEST now, and show the log of it. The exit status is 1 where it failed."""
    show_log(client.test(webhook), as_json, must_succeed=True)


@click.command()
@webhook_argument
@json_option
@calls_server
def secret(client: Client, webhook: str, as_json: bool) -> None:
    """Print what a receiver verifies by: the secret, or the public key. After a rotation the one before follows."""
    _show_secrets(client.secrets(webhook), as_json)


@click.command("rotate-secret")
@webhook_argument
@click.option(
    "--overlap-hours",
    type=click.IntRange(0, 168),
    default=24,
    show_default=True,
    help="How long the old one signs too.",
)
@click.option("--secret-stdin", is_flag=True, help="Read the new secret, whsec_…, from standard input.")
@json_option
@calls_server
def rotate_secret(client: Client, webhook: str, overlap_hours: int, secret_stdin: bool, as_json: bool) -> None:
    """Give a webhook a new secret, and print it. The old one signs too for a while, so that no receiver fails."""
    given = first_line("a secret") if secret_stdin else None
    _show_secrets(client.rotate_secret(webhook, overlap_hours=overlap_hours, secret=given), as_json)


def _show_secrets(found: Secrets, as_json: bool) -> None:
    if as_json:
        print_json(found.raw)
        return
    for each in found.keys:
        click.echo(each)
    if found.previous is not None and found.previous.valid_until is not None:
        say(f"The second one signs too until {found.previous.valid_until}.")


@click.command()
@click.option("--source", metavar="NAME", help="Print the source of this template alone.")
@json_option
@calls_server
def templates(client: Client, source: str | None, as_json: bool) -> None:
    """List the ready payload templates. Copy one and change it: hookline webhook templates --source slack > card.j2"""
    found = [each for each in client.templates() if source in {None, each.name}]
    if source and not as_json:
        if not found:
            raise OperatorError(f"there is no template {source}")
        click.echo(shown(found[0].template).text)
        return
    show_list(found, TEMPLATES, as_json, "There is none.")
