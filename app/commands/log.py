"""`hookline log`."""

import sys
from collections.abc import Sequence
from functools import partial
from heapq import merge
from typing import Any

import click
from hookline_client import Client, Log

from app.commands.arguments import event_types, given, limit_option, range_of, range_options, take
from app.commands.calling import calls_server, webhook_ids
from app.commands.lazy import Lazy, lazy_group
from app.commands.log_follow import Feed, follow
from app.commands.output import (
    Columns,
    cell,
    json_option,
    print_fields,
    print_json,
    print_json_line,
    show_list,
    styled_line,
)
from app.shown_text import shown

LIMIT = 20
PAGE = 100

log = lazy_group(
    "log",
    "See the attempts that were made, and make one again.",
    {
        "list": Lazy("app.commands.log:list_", "Show the newest attempts, and with --follow those to come."),
        "retry": Lazy("app.commands.log:retry", "Send the payload of a log again, now, and show the new log."),
        "show": Lazy("app.commands.log:show", "Show an attempt: what was sent and what was answered."),
    },
)

LISTED: Columns = {
    "id": lambda row: row.id,
    "time": lambda row: f"{row.request_time:%m-%d %H:%M:%S}",
    "status": lambda row: row.status,
    "http": lambda row: row.response_status,
    "type": lambda row: row.triggered_event,
    "ms": lambda row: row.request_duration,
    "try": lambda row: row.attempt or "by hand",
    "to, or error": lambda row: row.error_msg or row.webhook_url,
}
ONE: Columns = {
    "id": lambda row: row.id,
    "time": lambda row: row.request_time,
    "status": lambda row: row.status,
    "answer": lambda row: row.response_status,
    "duration": lambda row: f"{row.request_duration} ms",
    "error": lambda row: row.error_msg,
    "attempt": lambda row: row.attempt or "by hand",
    "next attempt": lambda row: row.next_attempt_time,
    "type": lambda row: row.triggered_event,
    "url": lambda row: row.webhook_url,
    "webhook": lambda row: row.webhook_id,
    "event": lambda row: row.event_id,
    "delivery": lambda row: row.delivery_id,
}


@click.command()
@click.argument("webhook", metavar="WEBHOOK", required=False, shell_complete=webhook_ids)
@click.option("--all", "everything", is_flag=True, help="Of all webhooks that you may manage.")
@click.option("--status", type=click.Choice(("SUCCESS", "FAIL", "ERROR"), case_sensitive=False), help="Only these.")
@click.option("--type", "triggered_event", metavar="TYPE", shell_complete=event_types, help="Only of this event type.")
@click.option("--event", "event_id", metavar="ID", help="Only of this event.")
@click.option("--text", "q", help="Only those with this text in the payload or the answer.")
@range_options
@limit_option(LIMIT)
@click.option("--follow", "-f", "is_followed", is_flag=True, help="Go on with those to come, until Ctrl-C.")
@json_option
@calls_server
def list_(
    client: Client,
    webhook: str | None,
    everything: bool,
    limit: int,
    is_followed: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """Show the newest attempts, newest first. With --follow the oldest comes first, and those to come follow.

    --follow prints each log once, also when the server is restarted meanwhile. With --json it prints an object a line.

    \b
    Examples:
      hookline logs WEBHOOK --status FAIL --since 1h
      hookline logs --all --follow
      hookline logs --all --follow --json | jq -c '{status, webHookUrl, errorMsg}'
    """
    if everything == bool(webhook):
        raise click.UsageError("Give a WEBHOOK, or --all.")
    ids = partial(_ids, client, webhook)
    since, until = filters.pop("since"), filters.pop("until")
    wanted: Any = given(**filters)
    if is_followed:
        if since or until:
            raise click.UsageError(
                "--follow begins with the newest --limit logs; it takes neither --since nor --until."
            )
        _follow(partial(Feed, client, filters=wanted), ids, limit, as_json)
    size = min(limit, PAGE)
    found = [client.iter_logs(each, **wanted, **range_of(since, until), page_size=size) for each in ids()]
    newest: list[Log] = take(merge(*found, key=lambda row: row.id, reverse=True), limit)
    show_list(newest, LISTED, as_json, "There is no such log.")


def _ids(client: Client, webhook: str | None) -> Sequence[str]:
    return [webhook] if webhook else [each.id for each in client.iter_webhooks()]


def _follow(open_feed: Any, ids: Any, last: int, as_json: bool) -> None:
    for row in follow(open_feed, ids, last):
        if as_json:
            print_json_line(row.raw)
        else:
            click.echo(styled_line(_parts(row)))
        sys.stdout.flush()


def _parts(row: Log) -> list[str]:
    """Return what a line says of a log, in columns as wide as what they usually hold."""
    return [
        row.id,
        cell(row.request_time),
        row.status,
        f"{cell(row.response_status) or '-':>3}",
        f"{row.request_duration:>5} ms",
        f"{row.triggered_event:<15}",
        row.error_msg or row.webhook_url,
    ]


@click.command()
@click.argument("log", metavar="LOG")
@json_option
@calls_server
def show(client: Client, log: str, as_json: bool) -> None:
    """Show an attempt: what was sent and what was answered."""
    show_log(client.log(log), as_json)


@click.command()
@click.argument("log", metavar="LOG")
@json_option
@calls_server
def retry(client: Client, log: str, as_json: bool) -> None:
    """Send the payload of a log again, now, and show the new log. The exit status is 1 where it failed."""
    show_log(client.retry(log), as_json, must_succeed=True)


def show_log(row: Log, as_json: bool, *, must_succeed: bool = False) -> None:
    """Print a log; with `must_succeed` end with status 1 where the attempt failed."""
    if as_json:
        print_json(row.raw)
    else:
        print_fields((name, value(row)) for name, value in ONE.items())
        _show_part("request", row.request_headers, row.request_payload)
        _show_part("answer", row.response_headers, row.response_body)
    if must_succeed and row.status != "SUCCESS":
        sys.exit(1)


def _show_part(name: str, headers: Any, body: str | None) -> None:
    if headers is None and not body:
        return
    click.echo(f"\n--- {name}")
    for header, value in (headers or {}).items():
        click.echo(f"{cell(header)}: {cell(value)}")
    if body:
        click.echo("\n" + shown(body).text)
