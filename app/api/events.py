"""Events come in (contract §5)."""

import logging

from flask import Blueprint, Response

from app.accounts import PUBLISH_SCOPE
from app.api.body import read_batch
from app.api.context import authenticate, caller, services
from app.api.envelope import ok
from app.clock import now_ms
from app.errors import BadRequest, Forbidden
from app.event_types import Event, InvalidEvent, event_from
from app.fields import EMPTY, INVALID, MISSING
from app.messages import shown
from app.permissions import FORBIDDEN
from app.webhooks import trigger_types

log = logging.getLogger(__name__)

_REASONS = {
    "missing": (MISSING, "missing"),
    "empty": (EMPTY, "empty"),
    "invalid": (INVALID, "invalid"),
    "too_long": (INVALID, "too_long"),
}

events = Blueprint("events", __name__, url_prefix="/webhook/api/event")
events.before_request(authenticate)


@events.post("/publish")
def publish() -> Response:
    """Accept one event or a batch, all or none."""
    _require_publisher()
    published = services().publisher.publish(_read_events(), now_ms())
    log.debug("accepted=%d duplicates=%d matched=%d", published.accepted, published.duplicates, published.matched)
    data = {
        "accepted": published.accepted,
        "duplicates": published.duplicates,
        "matched": published.matched,
        "eventIds": published.event_ids,
    }
    return ok(data, 202)


def _require_publisher() -> None:
    if not caller().admin and PUBLISH_SCOPE not in caller().scopes:
        raise Forbidden(FORBIDDEN, "publish_forbidden")


def _read_events() -> list[Event]:
    values, is_list = read_batch()
    known = trigger_types(services().settings)
    read: list[Event] = []
    for index, value in enumerate(values):
        try:
            read.append(event_from(value, known))
        except InvalidEvent as error:
            raise _invalid(error, value, f"[{index}]" if is_list else "") from error
    return read


def _invalid(error: InvalidEvent, value: object, where: str) -> BadRequest:
    """Return the refusal that names the event by `where` and the field in it."""
    field = f"{where}.{error.field}".strip(".") or "body"
    if isinstance(value, dict) and error.reason == "unknown_type":
        return BadRequest(INVALID, "trigger_unknown", field=field, value=shown(value["type"]))
    code, reason = _REASONS[error.reason]
    return BadRequest(code, reason, field=field, limit=error.limit)
