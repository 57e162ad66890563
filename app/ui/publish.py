"""Publishing an event by hand, from a template for its type: the way of the API, in a form."""

import logging
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from app.api.context import caller, services
from app.api.tracing import origin
from app.clock import now_ms
from app.errors import BadRequest
from app.event_groups import group_types
from app.event_types import EVENT_TYPES, PUBLISHABLE_TYPES
from app.ids import new_id
from app.intake import may_publish, require_publisher
from app.matching import is_skipped
from app.ui.pages import page
from app.ui.publish_form import FIELDS, event_of, preview, template_of
from app.ui.section import section
from app.ui.texts import error_text
from app.webhooks import trigger_types

log = logging.getLogger(__name__)

FIRST = "NODE_CREATED"

publish = section("publish", __name__, "/publish")


@publish.get("")
def form() -> Response:
    """Show the form with the template of a type, or why the viewer has no use for it."""
    if not may_publish(caller()):
        return page("publish/not_allowed.html")
    chosen = request.args.get("type", FIRST)
    return _page(template_of(chosen if chosen in _types() else FIRST, request.args, new_id()))


@publish.post("")
def send() -> Response:
    """Check what stands in the form, or publish it.

    The event's id comes with the form, so that one that is sent twice publishes one event.
    """
    require_publisher(caller())
    given = {name: request.form.get(name, "") for name in FIELDS}
    try:
        event = event_of(given, trigger_types(services().settings))
        if request.form.get("action") != "publish":
            return _page(given, checked=preview(services(), event))
        published = services().publisher.publish([event], now_ms(), origin("page"))
    except BadRequest as error:
        return _page(given, status=error.status, error=error)
    log.info("event=%s published by user=%s, by hand", published.event_ids[0], caller().user_id)
    dropped = is_skipped(event, services().settings.skip_project_repo)
    return _page({**given, "eventId": new_id()}, published=published, is_dropped=dropped)


def _types() -> frozenset[str]:
    return PUBLISHABLE_TYPES | services().settings.extra_event_types


def _page(fields: dict[str, str], *, status: int = 200, error: BadRequest | None = None, **result: Any) -> Response:
    """Return the form with the fields as they are, and what has come of them."""
    wrong = {} if error is None else {_field_of(error): error_text(error)}
    return page(
        "publish/form.html",
        status=status,
        fields=fields,
        errors=wrong,
        groups=group_types(_types(), EVENT_TYPES),
        descriptions={name: kind.description for name, kind in EVENT_TYPES.items()},
        required=EVENT_TYPES[fields["type"]].requires if fields["type"] in EVENT_TYPES else (),
        **{"checked": None, "published": None, "is_dropped": False} | result,
    )


def _field_of(error: BadRequest) -> str:
    """Return the field that is wrong, "" where it is none that the form shows."""
    field = str(error.params.get("field", ""))
    return field if field in FIELDS and field != "eventId" else ""
