"""The form that publishes an event: what stands in it, the event that it means, and what would become of that."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from app.api.body import MAX_EVENT, TooLarge
from app.errors import BadRequest
from app.event_examples import example_of
from app.event_types import Event
from app.intake import read_event
from app.json_reader import MALFORMED, read_value
from app.matching import Webhook, is_skipped
from app.payloads import PayloadError, build_payload
from app.services import Services
from app.shown_text import Shown, shown
from app.users import describe_users

PLACES: Final = ("projectId", "repoName", "userId")  # what stays as it is where another type is chosen
SHOWN: Final = 65_536  # characters of a payload
FIELDS: Final = ("type", *PLACES, "resourceKey", "data", "eventId")


class Preview(NamedTuple):
    """What publishing an event would do. `fault` says why its payload can't be built; then `payload` is None.
    `is_dropped` is whether SKIP_PROJECT_REPO drops it; then nothing matches."""

    payload: Shown | None
    fault: str | None
    webhooks: list[Webhook]
    is_dropped: bool


def template_of(event_type: str, given: Mapping[str, str], event_id: str) -> dict[str, str]:
    """Return the fields of the form with the example of a type, and `given` in the place of what that says. Pure."""
    example = example_of(event_type)
    data = json.dumps(example.pop("data"), indent=2, ensure_ascii=False)
    fields = {name: example.get(name) or "" for name in FIELDS}
    wanted = {name: given[name] for name in FIELDS if given.get(name)}
    if example["repoName"] is None:
        wanted.pop("repoName", None)  # what happens to a project happens in no repository
    return {**fields, "data": data, **wanted, "type": event_type, "eventId": event_id}


def event_of(form: Mapping[str, str], known: Collection[str]) -> Event:
    """Return the event that a form means, of one of the types `known`, checked as the API checks it. Pure.

    An empty field is one that is not given. Raises BadRequest naming the field.
    """
    value: dict[str, Any] = {name: form.get(name) or None for name in FIELDS}
    value |= {name: form.get(name, "").strip() or None for name in PLACES}
    value["data"] = _data(form["data"]) if form.get("data", "").strip() else None
    event = read_event(value, known)
    if len(msgspec.json.encode(value)) > MAX_EVENT:
        raise TooLarge(MALFORMED, "event_too_large", field="data", limit=MAX_EVENT)
    return event


def preview(services: Services, event: Event) -> Preview:
    """Return what publishing `event` would do. Raises DatabaseUnavailable."""
    user_id = event.user_id or ""
    user = describe_users([user_id], services.settings.timezone).get(user_id)
    payload, text, fault = None, None, None
    try:
        text = build_payload(event, user).decode()
        payload = shown(text, SHOWN)
    except PayloadError as error:
        fault = str(error)
    if is_skipped(event, services.settings.skip_project_repo):
        return Preview(payload, fault, [], is_dropped=True)
    index, _ = services.registry.refreshed()
    return Preview(payload, fault, index.match(event, text), is_dropped=False)


def _data(text: str) -> dict[str, Any]:
    value = read_value(text.encode(), "data")
    if not isinstance(value, dict):
        raise BadRequest(MALFORMED, "body_not_object", field="data")
    return value
