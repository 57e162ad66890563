"""`hookline event rejected`, `retry` and `discard`: events from the queue that could not be accepted."""

import json
from collections.abc import Sequence
from typing import Any

import click

from app.clock import now_ms
from app.commands.options import data_option, open_database
from app.commands.output import Columns, print_table
from app.dates import to_iso
from app.errors import OperatorError
from app.ingest import accept_rejected
from app.models import RejectedEvent
from app.services import open_services
from app.webhooks import trigger_types
from config.settings import Settings

SHOWN = 100
WIDTH = 120  # characters of an event in the table

LISTED: Columns = {
    "id": lambda row: row.id,
    "received": lambda row: row.received_at,
    "reason": lambda row: row.reason[:WIDTH],
    "event": lambda row: row.raw[:WIDTH],
}


@click.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=SHOWN, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with the whole event as it came.")
@data_option
@click.pass_obj
def rejected(settings: Settings, limit: int, as_json: bool) -> None:
    """Show the events that could not be accepted, and why."""
    with open_database(settings):
        rows, total = newest(limit)
    if as_json:
        for row in rows:
            click.echo(json.dumps(_shown(row, settings), ensure_ascii=False))
    elif rows:
        print_table(rows, {**LISTED, "received": lambda row: to_iso(row.received_at, settings.timezone)})
        click.echo(f"{len(rows)} of {total} shown. Mend and accept: hookline event retry ID", err=True)
    else:
        click.echo("No event was rejected.")


@click.command()
@click.argument("ids", nargs=-1, metavar="ID...")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@data_option
@click.pass_obj
def retry(settings: Settings, ids: Sequence[str], everything: bool) -> None:
    """Try to accept rejected events again, say after EXTRA_EVENT_TYPES has been extended."""
    with open_database(settings):
        rows = _chosen(ids, everything)
        publisher, types = open_services(settings).publisher, trigger_types(settings)
        accepted = sum(accept_rejected(publisher, row, types, now_ms()) for row in rows)
    click.echo(f"{accepted} of {len(rows)} accepted.")


@click.command()
@click.argument("ids", nargs=-1, metavar="ID...")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@data_option
@click.pass_obj
def discard(settings: Settings, ids: Sequence[str], everything: bool) -> None:
    """Delete rejected events for good."""
    with open_database(settings):
        rows = _chosen(ids, everything)
        for row in rows:
            row.delete_instance()
    click.echo(f"{len(rows)} deleted.")


def newest(limit: int) -> tuple[list[RejectedEvent], int]:
    """Return the newest rejected events, `limit` at most, and how many there are in all."""
    order = RejectedEvent.received_at.desc(), RejectedEvent.id.desc()
    return list(RejectedEvent.select().order_by(*order).limit(limit)), RejectedEvent.select().count()


def _chosen(ids: Sequence[str], everything: bool) -> list[RejectedEvent]:
    if bool(ids) == everything:
        raise OperatorError("give the ids of rejected events, or --all")
    query = RejectedEvent.select().order_by(RejectedEvent.received_at, RejectedEvent.id)
    rows = list(query if everything else query.where(RejectedEvent.id.in_(ids)))
    unknown = set(ids) - {row.id for row in rows}
    if unknown:
        raise OperatorError(f"there is no rejected event {', '.join(sorted(unknown))}")
    return rows


def _shown(row: RejectedEvent, settings: Settings) -> dict[str, Any]:
    return {
        "id": row.id,
        "receivedDate": to_iso(row.received_at, settings.timezone),
        "messageId": row.message_id,
        "place": row.place,
        "reason": row.reason,
        "event": row.raw,
    }
