"""What receivers get, as OpenAPI describes webhooks: a call for each type of event."""

from typing import Any

from app.answer_examples import LOG
from app.event_catalogue import payload_example
from app.event_schemas import schema_parts
from app.event_types import EVENT_TYPES

Json = dict[str, Any]

_HEADERS = {
    "X-BKREPO-EVENT": "The type of the event",
    "webhook-id": "The id of the delivery, the same at each attempt: by it receivers know repeats",
    "webhook-timestamp": "Seconds since the epoch, of this attempt",
    "webhook-signature": "Signatures of `id.timestamp.body` by Standard Webhooks, with spaces between them",
}
_ANSWERS = {
    "2XX": {"description": "Taken; anything else is tried again"},
    "410": {"description": "Gone: the webhook is disabled"},
    "429": {"description": "Tried again after Retry-After"},
    "503": {"description": "Tried again after Retry-After"},
}


def webhook_calls(ref_template: str) -> tuple[Json, Json]:
    """Return the calls by event type, and the schemas that they refer to."""
    calls: Json = {}
    schemas: Json = {}
    headers = [
        {
            "name": name,
            "in": "header",
            "required": True,
            "description": text,
            "schema": {"type": "string"},
            "example": LOG["requestHeaders"][name],
        }
        for name, text in _HEADERS.items()
    ]
    for event_type, kind in EVENT_TYPES.items():
        schema, definitions = schema_parts(event_type, ref_template)
        schemas |= definitions
        content = {
            "application/json": {"schema": schema, "examples": {"payload": {"value": payload_example(event_type)}}}
        }
        calls[event_type] = {
            "post": {
                "operationId": f"receive_{event_type}",
                "summary": kind.description,
                "security": [],
                "parameters": headers,
                "requestBody": {"required": True, "content": content},
                "responses": _ANSWERS,
            }
        }
    return calls, schemas
