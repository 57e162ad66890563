"""The catalogue of event types: what each tells, what it asks of producers, and what its receivers get."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Final, TypedDict
from zoneinfo import ZoneInfo

from app.answer_examples import DELIVERY_ID, EVENT_ID, EVENT_TYPE, MOMENT, URL, WEBHOOK, WEBHOOK_ID
from app.event_examples import PROJECT, REPO, USER, example_of
from app.event_schemas import EXTRA, Json, schema_of
from app.event_types import EVENT_TYPES, WEBHOOK_TEST, EventType, event_from
from app.matching import Webhook
from app.operational import Detail, Disabled, Exhausted, Failing, GivenUp, Health, Recovered, operational_event
from app.payloads import build_payload, build_test_payload, made_user
from app.schema_hints import said

_GONE = "the receiver answered 410 Gone"
_FAILED = "the receiver answered 500"
_HEALTHY = Health(enabled=True, disabled_reason=None, failures=0, failing_since=None)
_FAILING = _HEALTHY._replace(failures=5, failing_since=MOMENT)
_GIVEN_UP = GivenUp(id=DELIVERY_ID, event_id=EVENT_ID, triggered_event=EVENT_TYPE, attempts=10, last_error_msg=_FAILED)
_TROUBLES: Final[Mapping[str, tuple[Health, Detail]]] = MappingProxyType(
    {
        detail.type: (health, detail)
        for health, detail in (
            (Health(enabled=False, disabled_reason=_GONE, failures=1, failing_since=MOMENT), Disabled(reason=_GONE)),
            (_FAILING, Failing(failures=5, last_error_msg=_FAILED, last_response_status=500)),
            (_HEALTHY, Recovered(failed_for=5_400_000)),
            (_FAILING._replace(failures=10), Exhausted(delivery=_GIVEN_UP)),
        )
    }
)
_WEBHOOK = Webhook(
    id=WEBHOOK_ID,
    url=URL,
    token=None,
    headers=None,
    secret="",
    triggers=frozenset({EVENT_TYPE}),
    association_type="REPO",
    association_id=f"{PROJECT}:{REPO}",
    resource_key_pattern=None,
    enabled=True,
)


class EventTypeRecord(TypedDict):
    """An event type."""

    type: str
    description: str
    publishable: Annotated[bool, said("Whether producers publish it; if not, the service makes it")]
    operational: Annotated[bool, said("Whether it is about webhooks; those of repositories may not have it as trigger")]
    requires: Annotated[list[str], said("The fields besides `type` without which an event is refused")]
    schema: Annotated[Json, said("The JSON Schema (2020-12) of the payload that receivers get")]
    example: Annotated[Json, said("Such a payload")]
    event: Annotated[Json | None, said("The event that it is made of, as a producer publishes it")]


def catalogue(extra_types: Iterable[str]) -> list[EventTypeRecord]:
    """Return all event types, in the order of the contract; then `extra_types`, those that the settings add."""
    return [_record(event_type) for event_type in (*EVENT_TYPES, *sorted(set(extra_types) - EVENT_TYPES.keys()))]


def payload_example(event_type: str) -> Json:
    """Return what receivers get for the example of a type."""
    if event_type == WEBHOOK_TEST:
        body: bytes | str = build_test_payload(WEBHOOK, made_user(USER))
    elif event_type in _TROUBLES:
        health, detail = _TROUBLES[event_type]
        zone = ZoneInfo("UTC")
        body = operational_event(_WEBHOOK, health, detail, event_id=EVENT_ID, zone=zone, now=MOMENT).payload
    else:
        body = build_payload(event_from(example_of(event_type), {event_type}), None)
    payload: Json = json.loads(body)
    return payload


@cache
def _record(event_type: str) -> EventTypeRecord:
    kind = EVENT_TYPES.get(event_type) or EventType(EXTRA, ())
    return {
        "type": event_type,
        "description": kind.description,
        "publishable": kind.publishable,
        "operational": kind.operational,
        "requires": list(kind.requires),
        "schema": schema_of(event_type),
        "example": payload_example(event_type),
        "event": example_of(event_type) if kind.publishable else None,
    }
