"""`hookline listen --forward`: a server's deliveries, handed on to an address of this machine."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from app.commands.calling import CONNECTION, open_client
from app.commands.output import cell, print_json_line, say
from app.commands.places import association_of
from app.commands.relay import Answer, LocalReceiver
from app.commands.stream import Delivery, deliveries
from app.shown_text import shown


def forward(options: dict[str, Any]) -> None:
    """Hand a server's deliveries on until Ctrl-C, or print their secret; `options` are those of `hookline listen`."""
    wanted = _wanted(options)
    url = options["forward"]
    receiver = url and LocalReceiver(url, options["timeout"], verify=not options["skip_verify"], say=say)
    with open_client(**{name: options[name] for name in CONNECTION}) as client:
        secret = client.secret(options["webhook"]) if options["webhook"] else client.stream_secret()
        if options["print_secret"]:
            click.echo(secret)
            return
        say(f"Deliveries of {_subject(wanted)} go to {url}. Ctrl-C ends it.")
        say(f"Verify them with {secret}")
        for delivery in deliveries(client, wanted, say):
            answer = Answer(None, 0, _fault(delivery)) if "error" in delivery else receiver.send(delivery)
            _show(delivery, answer, options)


def _wanted(options: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of the stream. Raises UsageError."""
    since = {"since": options["since"]} if options["since"] else {}
    if options["webhook"]:
        refuse(options, ("project", "repo", "triggers", "pattern", "filter_", "form"), "--webhook")
        return {"webhook_id": options["webhook"], **since}
    place = association_of(False, options["project"], options["repo"]) or {"association_type": "SYSTEM"}
    chosen = {
        "triggers": ",".join(options["triggers"]),
        "resource_key_pattern": options["pattern"],
        "filter": options["filter_"],
        "payload_format": options["form"],
    }
    return {**place, **{name: value for name, value in chosen.items() if value}, **since}


def refuse(options: dict[str, Any], names: Sequence[str], with_: str) -> None:
    """Raise UsageError where one of the options `names` is given, which makes no sense along with `with_`."""
    for name in names:
        if options[name]:
            written = {"triggers": "trigger", "filter_": "filter", "form": "format"}.get(name, name).replace("_", "-")
            raise click.UsageError(f"--{written} does not go with {with_}.")


def _subject(wanted: dict[str, Any]) -> str:
    if "webhook_id" in wanted:
        return f"webhook {wanted['webhook_id']}"
    return str(wanted.get("association_id", "all projects"))


def _fault(delivery: Delivery) -> str:
    return f"not sent: the payload could not be built: {delivery['error']}"


def _show(delivery: Delivery, answer: Answer, options: dict[str, Any]) -> None:
    if options["as_json"]:
        print_json_line(_record(delivery, answer))
        return
    click.echo(_line(delivery, answer))
    if options["verbose"] and "body" in delivery:
        click.echo(shown(delivery["body"]).text)


def _line(delivery: Delivery, answer: Answer) -> str:
    place = ":".join(filter(None, (delivery["projectId"], delivery["repoName"])))
    resource = " ".join(filter(None, (place, delivery["resourceKey"])))
    outcome = answer.error if answer.status is None else f"{answer.status}  {answer.duration_ms} ms"
    return cell(f"{datetime.now():%H:%M:%S}  {delivery['type']}  {resource or '-'}  → {outcome}")


def _record(delivery: Delivery, answer: Answer) -> dict[str, Any]:
    about = {name: delivery[name] for name in ("id", "eventId", "type", "projectId", "repoName", "resourceKey")}
    outcome = {"status": answer.status, "durationMs": answer.duration_ms, "error": answer.error}
    return {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **about, **outcome}
