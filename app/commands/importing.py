"""`hookline import`: webhooks from an export of bk-repo."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
from hookline_client import Client, NotSupported, Refused

from app.bk_repo_export import Wanted, key_of, wanted_from
from app.commands.calling import calls_server
from app.commands.event_file import Event, read_events
from app.commands.output import Columns, json_option, print_json, print_table, say
from app.event_types import EVENT_TYPES

MADE, WOULD_BE_MADE, THERE, REFUSED = "made", "would be made", "there already", "refused"


class Outcome(NamedTuple):
    """What became of a webhook of the export."""

    wanted: Wanted
    result: str
    webhook_id: str | None
    reason: str | None

    def record(self) -> dict[str, Any]:
        """Return it for programs, without the token and the headers."""
        shown = {name: value for name, value in self.wanted.fields.items() if name not in {"token", "headers"}}
        ids = {"sourceId": self.wanted.source_id, "id": self.webhook_id}
        return {**ids, "result": self.result, "reason": self.reason, "webhook": shown}


LISTED: Columns = {
    "export's id": lambda row: row.wanted.source_id,
    "result": lambda row: row.result,
    "id": lambda row: row.webhook_id,
    "url": lambda row: row.wanted.fields.get("url"),
    "reason": lambda row: row.reason,
}


@click.command("import")
@click.argument("file")
@click.option("--dry-run", is_flag=True, help="Show what would be made and what can't be, and make nothing.")
@click.option("--disabled", is_flag=True, help="Make them disabled; enable each when its receiver is ready.")
@click.option(
    "--skip-unknown-triggers",
    is_flag=True,
    help="Leave out triggers that the server does not know, where others remain.",
)
@json_option
@calls_server
def import_(
    client: Client, file: str, dry_run: bool, disabled: bool, skip_unknown_triggers: bool, as_json: bool
) -> None:
    """Make webhooks from FILE, an export of bk-repo's collection `webhook` by mongoexport, as lines or an array.

    What is there already, with the same address, association, triggers and pattern, is passed over; so it can be run
    again. What can't be made is shown with the reason, and the exit status is then 1. The ids are new, and the creator
    is the caller.

    \b
    Examples:
      mongoexport --db bkrepo --collection webhook --out webhooks.json
      hookline import webhooks.json --dry-run
      hookline import webhooks.json --disabled
    """
    known = _known_types(client)
    with Path(file).open(encoding="utf-8") if file != "-" else sys.stdin as lines:
        documents: list[Event] = list(read_events(lines, "standard input" if file == "-" else file))
    wanted = [wanted_from(each, known, skip_unknown=skip_unknown_triggers) for each in documents]
    outcomes = list(_import(client, wanted, dry_run=dry_run, disabled=disabled))
    if as_json:
        print_json([outcome.record() for outcome in outcomes])
    elif outcomes:
        print_table(outcomes, LISTED)
    say(_summary(outcomes))
    if any(outcome.result == REFUSED for outcome in outcomes):
        sys.exit(1)


def _known_types(client: Client) -> set[str]:
    """Return the event types of the server; of one that does not tell, those of this version."""
    try:
        return {each.type for each in client.event_types()}
    except NotSupported:
        return set(EVENT_TYPES)


def _import(client: Client, wanted: list[Wanted], *, dry_run: bool, disabled: bool) -> Iterator[Outcome]:
    there = {key_of(row.raw): row.id for row in client.iter_webhooks()}
    for each in wanted:
        left_out = f"without {', '.join(each.unknown)}" if each.unknown else None
        if each.problem is not None:
            yield Outcome(each, REFUSED, None, each.problem)
        elif each.key in there:
            yield Outcome(each, THERE, there[each.key], left_out)
        elif dry_run:
            there[each.key] = ""
            yield Outcome(each, WOULD_BE_MADE, None, left_out)
        else:
            outcome = _make(client, each, disabled, left_out)
            if outcome.webhook_id:
                there[each.key] = outcome.webhook_id
            yield outcome


def _make(client: Client, wanted: Wanted, disabled: bool, note: str | None) -> Outcome:
    try:
        fields: dict[str, Any] = wanted.fields | ({"enabled": False} if disabled else {})
        return Outcome(wanted, MADE, client.create(**fields), note)
    except Refused as error:
        if error.status not in {400, 403, 404}:
            raise
        return Outcome(wanted, REFUSED, None, error.message)


def _summary(outcomes: list[Outcome]) -> str:
    results = [outcome.result for outcome in outcomes]
    counts = ((results.count(each), each) for each in (MADE, WOULD_BE_MADE, THERE, REFUSED))
    return f"{len(outcomes)} webhooks: " + (", ".join(f"{count} {each}" for count, each in counts if count) or "none")
