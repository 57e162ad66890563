"""What receivers get: the event's payload, or what the webhook's format or template makes of it (docs/formats.md)."""

import json
from typing import Any, Final, NamedTuple

from app.cloudevents import CONTENT_TYPE, Told, cloud_event, rfc3339
from app.event_facts import facts_of, title_of
from app.matching import Webhook
from app.payload_templates import render
from app.payloads import PayloadError
from app.ready_templates import TITLES, source_of

DEFAULT: Final = "default"
CLOUDEVENTS: Final = "cloudevents"
TEMPLATE: Final = "template"
FORMATS: Final = (DEFAULT, CLOUDEVENTS, TEMPLATE, *TITLES)


class Body(NamedTuple):
    """The body of a request, and its Content-Type."""

    content: bytes
    content_type: str = "application/json"


def body_for(event: Told, webhook: Webhook, base: str | None = None) -> Body:
    """Return what `webhook` is sent of `event`; `base` is the address of this service.

    Raises PayloadError where a template fails; the text says why.
    """
    if webhook.payload_format == DEFAULT:
        return Body(event.payload.encode())
    return formatted(event, webhook.payload_format, webhook.payload_template, base)


def formatted(event: Told, form: str, template: str | None, base: str | None) -> Body:
    """Return `event` in the format `form`; see `body_for`."""
    if form == DEFAULT:
        return Body(event.payload.encode())
    if form == CLOUDEVENTS:
        return Body(cloud_event(event, base or ""), CONTENT_TYPE)
    source = template if form == TEMPLATE else source_of(form) if form in TITLES else None
    if not source:
        raise PayloadError(f"there is no template for the format {form}")
    return Body(*render(source, _variables(event)))


def _variables(event: Told) -> dict[str, Any]:
    """Return what templates may use."""
    payload = json.loads(event.payload)
    about = {
        "type": event.type,
        "title": title_of(event.type),
        "id": event.event_id,
        "projectId": event.project_id,
        "repoName": event.repo_name,
        "resourceKey": event.resource_key,
        "userId": event.user_id,
        "source": event.source,
        "time": rfc3339(event.accepted_at),
    }
    return {"event": about, "payload": payload, "facts": facts_of(payload, event.project_id)}
