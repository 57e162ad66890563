"""`hookline trigger`: a realistic event, published."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import click
from hookline_client import Client, EventRecord

from app.commands.arguments import event_types, given
from app.commands.calling import calls_server
from app.commands.event import show_deliveries
from app.commands.output import json_option, print_json, say
from app.commands.patience import patiently
from app.commands.places import Place, place_of, place_options
from app.event_examples import PROJECT, REPO, example_of
from app.ids import new_id

LOOK_S = 0.1
UNFINISHED = ("PENDING", "WAITING")


@click.command()
@click.argument("type", shell_complete=event_types)
@place_options
@click.option("--resource-key", metavar="KEY", help="The resource that it is about.")
@click.option("--by", "user_id", metavar="USER", help="The user of the repository who did it.")
@click.option(
    "--data",
    "data",
    metavar="KEY=VALUE",
    multiple=True,
    help="Set a part of its data, node.size=5 for example; the value is JSON, or else text. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Print the event, and publish nothing.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 3600),
    metavar="SECONDS",
    is_flag=False,
    flag_value=30,
    help="Wait so long, or 30, until each delivery was tried. The exit status is 1 where one failed.",
)
@json_option
@calls_server
def trigger(
    client: Client,
    type: str,
    data: Sequence[str],
    dry_run: bool,
    wait_s: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Publish a realistic event of a type, and see where it goes.

    \b
    Examples:
      hookline trigger NODE_CREATED --wait
      hookline trigger NODE_CREATED --repo shop:android --resource-key /a.apk --data node.size=5
      hookline trigger REPO_UPDATED --dry-run | hookline publish -
    """
    place = place_of(options["project"], options["repo"])
    made = sample(type.upper(), place, given(resourceKey=options["resource_key"], userId=options["user_id"]))
    for text in data:
        set_part(made["data"], text)
    if dry_run:
        print_json(made)
        return
    made["eventId"] = new_id()
    published = client.publish([made])
    say(f"Event {made['eventId']} is accepted; deliveries: {published.matched}.")
    found = await_event(client, made["eventId"], wait_s or 0)
    if as_json:
        print_json(found.raw)
    else:
        show_deliveries(found)
    if wait_s and any(each.state != "SUCCESS" for each in found.deliveries):
        sys.exit(1)


def sample(event_type: str, place: Place | None, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the example of a type for another place, and with other `fields`. Pure."""
    made = example_of(event_type)
    names = {made["resourceKey"]: fields.get("resourceKey", made["resourceKey"])}
    names |= {made["userId"]: fields.get("userId", made["userId"])}
    if place:
        names |= {PROJECT: place.project, REPO: place.repo or REPO}
    renamed: dict[str, Any] = _renamed(made, names)
    return renamed | dict(fields)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return `value` with each text in it that is one of `names` replaced."""
    if isinstance(value, dict):
        return {key: _renamed(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    return names.get(value, value) if isinstance(value, str) else value


def set_part(data: dict[str, Any], text: str) -> None:
    """Set what `a.b=value` names in `data`. Raises UsageError."""
    path, equals, value = text.partition("=")
    *parents, last = path.split(".")
    if not equals or not all((*parents, last)):
        raise click.UsageError(f"--data takes KEY=VALUE, not {text!r}.")
    for name in parents:
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            raise click.UsageError(f"--data {path}: {name} is no object.")
    try:
        data[last] = json.loads(value)
    except ValueError:
        data[last] = value


def await_event(client: Client, event_id: str, wait_s: float) -> EventRecord:
    """Return an event, once each delivery was tried or is held, or `wait_s` seconds are over."""
    deadline = time.monotonic() + wait_s
    while True:
        found = patiently(partial(client.event, event_id))
        owed = [each for each in found.deliveries if each.state in UNFINISHED and not each.attempts]
        if not owed or time.monotonic() >= deadline:
            return found
        time.sleep(LOOK_S)
