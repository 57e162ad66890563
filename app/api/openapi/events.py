"""The endpoints of events."""

from typing import Annotated, Any, Final, TypeVar

from msgspec import Meta

from app import answer_examples as shown
from app.api.body import MAX_EVENTS
from app.api.openapi.answers import EventDetail, Published, StreamedEvent, StreamSecret
from app.api.openapi.endpoint import JSON, Answer, Body, Content, Endpoint, Parameter, data, json_body
from app.api.openapi.failures import MISSING_FIELD, NO_LENGTH, NO_WEBHOOK, NOT_ALLOWED, NOWHERE
from app.api.openapi.parameters import CURSOR_PAGE, KEY, RANGE, event_type, of_event
from app.api.openapi.requests import AssociationId, AssociationType, CloudEvent, DateOrAge, Replay, WebhookId
from app.event_catalogue import EventTypeRecord, catalogue
from app.event_examples import PROJECT, REPO, example_of
from app.event_query import EventRecord
from app.event_types import Event
from app.job_control import JobRecord
from app.payload_formats import FORMATS
from app.payload_templates import MAX_SOURCE
from app.schema_hints import CursorPage, choice
from app.webhook_fields import MAX_PATTERN

TAG = "Events"
NDJSON = "application/x-ndjson"
CLOUD = "application/cloudevents+json"
CLOUD_BATCH = "application/cloudevents-batch+json"

Each = TypeVar("Each")
_Source = Annotated[str, Meta(max_length=MAX_SOURCE)]
_Several = Annotated[list[Each], Meta(min_length=1, max_length=MAX_EVENTS)]

_ONE: dict[str, Any] = example_of(shown.EVENT_TYPE)
_TWO = [{**_ONE, "eventId": "build-1042-1"}, {**example_of("VERSION_CREATED"), "eventId": "build-1042-2"}]
_LINES = '{"type": "PROJECT_CREATED", "projectId": "shop"}\n{"type": "PROJECT_CREATED", "projectId": "games"}\n'
_CLOUD: CloudEvent = {
    "specversion": "1.0",
    "id": "build-1042-1",
    "source": "/pipelines/nightly",
    "type": "NODE_DELETED",
    "subject": "/release/1.4.0/shop.apk",
    "projectid": PROJECT,
    "reponame": REPO,
    "userid": "ci-bot",
    "data": {},
}
_PUBLISHED: Published = {"accepted": 1, "duplicates": 0, "matched": 3, "eventIds": [shown.EVENT_ID]}
_REPLAY: Replay = {"webHookId": shown.WEBHOOK_ID, "startDate": "2h", "type": shown.EVENT_TYPE}
_STREAMED: StreamedEvent = {
    "id": shown.DELIVERY_ID,
    "eventId": shown.EVENT_ID,
    "type": shown.EVENT_TYPE,
    "projectId": PROJECT,
    "repoName": REPO,
    "resourceKey": shown.EVENT["resourceKey"],
    "acceptedDate": shown.DATE,
    "headers": shown.LOG["requestHeaders"],
    "body": shown.PAYLOAD,
}
_STREAM = "retry: 1000\n\nid: 1740988800000-1740988800000\nevent: ready\ndata: {}\n\n"

EVENTS: Final = {
    "events.publish": Endpoint(
        operation="publishEvents",
        tag=TAG,
        body=Body(
            {
                JSON: Content(Event | _Several[Event], {"one": _ONE, "several": _TWO}),
                NDJSON: Content(str, {"lines": _LINES}),
                CLOUD: Content(CloudEvent, {"one": _CLOUD}),
                CLOUD_BATCH: Content(_Several[CloudEvent], {"batch": [_CLOUD]}),
            },
        ),
        answers=data(Published, _PUBLISHED, "All is durable", 202),
        failures=(NOT_ALLOWED, NO_LENGTH),
        note="One invalid event refuses the whole batch; the message names its index. A known eventId is a duplicate. "
        "Limits: 1 MiB an event, 16 MiB a call. CloudEvents come in binary mode too, with `ce-` headers.",
    ),
    "events.list_": Endpoint(
        operation="listEvents",
        tag=TAG,
        parameters=(
            event_type("type"),
            of_event("projectId", "Required of who is no administrator", PROJECT),
            of_event("repoName", "The name of a repository", REPO),
            of_event("resourceKey", "The whole key", shown.EVENT["resourceKey"]),
            of_event("userId", "Who did it", shown.EVENT["userId"]),
            *RANGE,
            *CURSOR_PAGE,
        ),
        answers=data(CursorPage[EventRecord], {"records": [shown.EVENT], "nextCursor": shown.CURSOR}, "Newest first"),
        failures=(NOT_ALLOWED,),
        note="By default those of the last 24 hours. A page may hold few records or none, and still have a nextCursor.",
    ),
    "events.types": Endpoint(
        operation="listEventTypes",
        tag=TAG,
        answers=data(
            list[EventTypeRecord],
            [record for record in catalogue(()) if record["type"] == "NODE_DELETED"],
            "All types, those of EXTRA_EVENT_TYPES last",
        ),
    ),
    "events.get": Endpoint(
        operation="getEvent",
        tag=TAG,
        answers=data(
            EventDetail, {**shown.EVENT, "payload": shown.PAYLOAD, "deliveries": [shown.DELIVERY]}, "The event"
        ),
        failures=(NOWHERE,),
    ),
    "events.replay": Endpoint(
        operation="replayEvents",
        tag=TAG,
        parameters=(KEY,),
        body=json_body(Replay, replay=_REPLAY),
        answers=data(JobRecord, shown.REPLAY, "The job that does it", 202),
        failures=(NO_WEBHOOK,),
    ),
    "event_stream.stream": Endpoint(
        operation="streamEvents",
        tag=TAG,
        parameters=(
            Parameter("webHookId", WebhookId, "A webhook that there is; without it one is made up", shown.WEBHOOK_ID),
            Parameter("associationType", AssociationType, "Of the one that is made up; required of it", "REPO"),
            Parameter("associationId", AssociationId, "Of the one that is made up", "shop:android"),
            Parameter("triggers", str, "Event types, with commas between them; by default all", shown.EVENT_TYPE),
            Parameter(
                "resourceKeyPattern", Annotated[str, Meta(max_length=MAX_PATTERN)], "As of a webhook", r".*\.apk"
            ),
            Parameter("filter", str, "As of a webhook, as JSON", '{"type": "NODE_CREATED"}'),
            Parameter("payloadFormat", Annotated[str, choice(*FORMATS)], "As of a webhook", "cloudevents"),
            Parameter(
                "payloadTemplate", Annotated[str, Meta(max_length=MAX_SOURCE)], "As of a webhook", "{{ payload }}"
            ),
            Parameter("since", DateOrAge, "From when on; by default now", "10m"),
            Parameter("Last-Event-ID", str, "Where a stream that broke off goes on", "1-2", place="header"),
        ),
        answers=(
            Answer(str, {"stream": _STREAM}, "Server-sent events", is_enveloped=False, media_type="text/event-stream"),
        ),
        failures=(MISSING_FIELD, NOT_ALLOWED, NO_WEBHOOK),
        note="Messages are `ready`, `delivery` and `unbuildable` (their data is a StreamedEvent) and `beat`.",
    ),
    "event_stream.secret": Endpoint(
        operation="getStreamSecret",
        tag=TAG,
        answers=data(StreamSecret, {"secret": shown.SECRET}, "What signs made-up webhooks"),
        failures=(NOT_ALLOWED,),
    ),
}
