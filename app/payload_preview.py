"""What a webhook's receiver would get of an event, before the webhook is saved. Pure."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypedDict

from app.attempts import Due
from app.errors import BadRequest
from app.event_catalogue import payload_example
from app.event_examples import example_of
from app.event_types import EVENT_TYPES, Event
from app.fields import INVALID, one_of
from app.filters import check_filter, compile_filter, document_of
from app.intake import read_event
from app.payload_fields import clean_payload, payload_columns
from app.payload_formats import DEFAULT, formatted
from app.payloads import PayloadError, build_payload
from app.schema_hints import said
from app.webhooks import trigger_types
from config.settings import Settings

EVENT_ID = "019565b2c5a07d3e8f1a2b3c4d5e6f71"  # where the event has none


class Preview(NamedTuple):
    """The body of the request and its Content-Type, and whether the event passes the filter, None without one."""

    content_type: str
    body: str
    matches: bool | None


class PreviewRecord(TypedDict):
    """What a receiver would get."""

    contentType: str
    body: str
    matches: Annotated[bool | None, said("Whether the event passes the filter; null without one")]


def preview(settings: Settings, raw: Mapping[str, Any], now: int) -> Preview:
    """Return what comes of an event in the format, with the template and by the filter that `raw` gives.

    The event is `event`, as it would be published, or the sample of `eventType`, NODE_CREATED by default. Raises
    BadRequest as saving the webhook would, or where the template fails.
    """
    chosen = payload_columns(clean_payload(raw))
    due = _due(settings, raw, now)
    try:
        body = formatted(due, chosen["payload_format"] or DEFAULT, chosen["payload_template"], settings.public_url)
    except PayloadError as error:
        raise BadRequest(INVALID, "payload_failed", field="payloadTemplate", detail=error) from error
    return Preview(body.content_type, body.content.decode(), _passes(raw.get("filter"), due))


def _passes(given: Any, due: Due) -> bool | None:
    stored = "" if given is None else check_filter("filter", given)
    if not stored:
        return None
    event = Event(
        type=due.type,
        project_id=due.project_id,
        repo_name=due.repo_name,
        resource_key=due.resource_key,
        user_id=due.user_id,
        source=due.source,
    )
    return compile_filter(stored).matches(document_of(event, due.payload))


def _due(settings: Settings, raw: Mapping[str, Any], now: int) -> Due:
    known = trigger_types(settings)
    if raw.get("event") is not None:
        return _of_event(read_event(raw["event"], known, "event"), now)
    event_type = raw.get("eventType")
    event_type = "NODE_CREATED" if event_type is None else one_of("eventType", event_type, known)
    kind = EVENT_TYPES.get(event_type)
    if kind is None or kind.publishable:
        return _of_event(read_event(example_of(event_type), known), now)
    return Due("", "", EVENT_ID, 0, event_type, json.dumps(payload_example(event_type)), None, accepted_at=now)


def _of_event(event: Event, now: int) -> Due:
    # Users are shown as they are made up from their ids: a preview tells nobody who there is.
    try:
        payload = build_payload(event, None).decode()
    except PayloadError as error:
        raise BadRequest(INVALID, "payload_failed", field="event", detail=error) from error
    return Due(
        id="",
        webhook_id="",
        event_id=event.event_id or EVENT_ID,
        attempt=0,
        type=event.type,
        payload=payload,
        error=None,
        accepted_at=now,
        project_id=event.project_id,
        repo_name=event.repo_name,
        resource_key=event.resource_key,
        user_id=event.user_id,
        source=event.source,
        traceparent=None,
    )


def preview_record(made: Preview) -> PreviewRecord:
    """Return a preview as answers show it."""
    return {"contentType": made.content_type, "body": made.body, "matches": made.matches}
