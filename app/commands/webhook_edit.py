"""`hookline webhook create` and `update`, and what they have in common with `preview`."""

from typing import Any

import click
from hookline_client import Client

from app.commands.arguments import event_types, webhook_argument
from app.commands.calling import calls_server
from app.commands.output import json_option, print_json, say
from app.commands.webhook_fields import field_options, fields_of, json_of, text_of
from app.payload_formats import FORMATS
from app.shown_text import shown


@click.command()
@field_options
@click.option("--disabled", is_flag=True, help="Make no deliveries yet.")
@json_option
@calls_server
def create(client: Client, as_json: bool, disabled: bool, **options: Any) -> None:
    """Register a webhook, and print its id.

    --url, --trigger and one of --system, --project and --repo are needed. What receivers verify by is shown by
    hookline webhook secret ID.

    \b
    Examples:
      hookline webhook create --system --trigger NODE_CREATED --url https://ci.example.com/hook
      hookline webhook create --repo shop:android --pattern '/release/.*\\.apk' \\
          --trigger NODE_CREATED --trigger NODE_DELETED --url https://ci.example.com/hook \\
          --header-env Authorization=CI_AUTH --retry-schedule 5s,5m,1h
    """
    fields = fields_of(options)
    missing = [name for name, field in (("--url", "url"), ("--trigger", "triggers")) if field not in fields]
    if "association_type" not in fields:
        missing.append("one of --system, --project and --repo")
    if missing:
        raise click.UsageError(f"Missing {', '.join(missing)}.")
    webhook_id = client.create(**fields, enabled=not disabled)
    if as_json:
        print_json(client.get(webhook_id).raw)
    else:
        click.echo(webhook_id)


@click.command()
@webhook_argument
@field_options
@json_option
@calls_server
def update(client: Client, webhook: str, as_json: bool, **options: Any) -> None:
    """Change the fields of a webhook that are given; the rest stays.

    \b
    Examples:
      hookline webhook update ID --url https://ci.example.com/new --timeout 5
      hookline webhook update ID --header 'X-Team: build' --header 'X-Old:' --pattern ''
    """
    fields = fields_of(options, lambda: client.get(webhook).headers)
    if not fields:
        raise click.UsageError("Give at least one field to change.")
    client.update(webhook, **fields)
    if as_json:
        print_json(client.get(webhook).raw)
    else:
        say(f"Webhook {webhook} is changed.")


@click.command()
@click.option("--event-type", metavar="TYPE", shell_complete=event_types, help="Take the sample of this type.")
@click.option("--event", metavar="JSON|@FILE", help="Take this event, as a producer gives it.")
@click.option("--filter", "filter_", metavar="JSON|@FILE", help="Conditions to try.")
@click.option("--payload-format", type=click.Choice(FORMATS), help="The format to try.")
@click.option("--payload-template", metavar="JINJA|@FILE", help="The template to try.")
@json_option
@calls_server
def preview(client: Client, as_json: bool, **options: Any) -> None:
    """Show what a webhook with such settings would send. Nothing is kept or sent.

    \b
    Examples:
      hookline webhook preview --event-type NODE_CREATED --payload-format slack
      hookline webhook preview --event-type NODE_CREATED --payload-format template --payload-template @card.json.j2
    """
    wanted: dict[str, Any] = {"payload_format": options["payload_format"]}
    if options["event"]:
        wanted["event"] = json_of("--event", options["event"])
    else:
        wanted["event_type"] = options["event_type"] or "NODE_CREATED"
    if options["filter_"]:
        wanted["filter"] = json_of("--filter", options["filter_"])
    if options["payload_template"]:
        wanted["payload_template"] = text_of(options["payload_template"])
    found = client.preview(**{name: value for name, value in wanted.items() if value is not None})
    if as_json:
        print_json(found.raw)
        return
    say(f"Content-Type: {found.content_type}")
    if found.matches is not None:
        say("The filter matches." if found.matches else "The filter does not match.")
    click.echo(shown(found.body).text)
