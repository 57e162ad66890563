"""Parameters that several endpoints take, and those of paths."""

from typing import Annotated, Any

from msgspec import Meta

from app.answer_examples import CURSOR, DATE, DELIVERY_ID, EVENT_ID, EVENT_TYPE, JOB_ID, LOG_ID, WEBHOOK_ID
from app.api.openapi.endpoint import Parameter
from app.api.openapi.requests import DateOrAge, WebhookId
from app.event_types import LIMITS
from app.job_request import KEY_HEADER, MAX_KEY
from app.query_fields import DEFAULT_PAGE_SIZE, MAX_CURSOR, MAX_PAGE_SIZE
from app.schema_hints import EventId, Id

# Events whose ids mean something else in an address; they are found by lists.
SHADOWED = ("list", "publish", "stream", "stream/secret", "types")
_EventId = Annotated[EventId, Meta(min_length=1, extra_json_schema={"not": {"enum": list(SHADOWED)}})]

PATHS = {
    name: Parameter(name, type_, description, example, required=True, place="path")
    for name, type_, description, example in (
        ("webhookId", Id, "The id of a webhook", WEBHOOK_ID),
        ("logId", Id, "The id of a log", LOG_ID),
        ("deliveryId", Id, "The id of a delivery, which is the receiver's webhook-id", DELIVERY_ID),
        ("jobId", Id, "The id of a job", JOB_ID),
        ("eventId", _EventId, "The id of an event; a slash in it is written %2F", EVENT_ID),
    )
}

WEBHOOK = Parameter("webHookId", WebhookId, "The id of the webhook; it may be deleted", WEBHOOK_ID, required=True)
START = Parameter("startDate", DateOrAge, "The first moment of the range", DATE)
END = Parameter("endDate", DateOrAge, "The last moment of the range; by default now", "10m")
RANGE = (START, END)
PAGE_SIZE = Parameter(
    "pageSize",
    Annotated[int, Meta(ge=1, le=MAX_PAGE_SIZE)],
    f"How many records a page has, {DEFAULT_PAGE_SIZE} by default",
    DEFAULT_PAGE_SIZE,
)
CURSOR_PAGE = (
    PAGE_SIZE,
    Parameter(
        "cursor",
        Annotated[str, Meta(min_length=1, max_length=MAX_CURSOR)],
        "The nextCursor of the page before, with the same filters",
        CURSOR,
    ),
)
KEY = Parameter(
    KEY_HEADER,
    Annotated[str, Meta(pattern=f"^[!-~]{{1,{MAX_KEY}}}$")],
    "Makes the call repeatable: the same key for the same webhook answers the same job",
    "nightly-2025-03-03",
    place="header",
)


def event_type(name: str, description: str = "A type of event") -> Parameter:
    """Return a parameter that is an event type."""
    return Parameter(name, Annotated[str, Meta(min_length=1, max_length=64)], description, EVENT_TYPE)


def of_event(name: str, description: str, example: Any) -> Parameter:
    """Return a parameter that is a field of events."""
    return Parameter(name, Annotated[str, Meta(min_length=1, max_length=LIMITS[name])], description, example)
