"""What answers hold that no module but the views puts together."""

from typing import Annotated, NotRequired, TypedDict

from app.delivery_status import DeliveryRecord
from app.event_query import EventRecord
from app.schema_hints import Date, EventId, Id, choice, said


class ErrorAnswer(TypedDict):
    """What a call answers that failed."""

    code: Annotated[int, said("A number of the table of errors")]
    message: Annotated[str, said("Names the field and the reason, in English or Chinese by Accept-Language")]
    data: None
    traceId: Annotated[str, said("Also in the header X-Trace-Id and in the server's log")]


class Published(TypedDict):
    """What became of the events of a call."""

    accepted: int
    duplicates: Annotated[int, said("Events whose ids were known already")]
    matched: Annotated[int, said("Deliveries that were made")]
    eventIds: Annotated[list[EventId], said("In the order of the events")]


class EventDetail(EventRecord):
    """An accepted event with its payload, and where it went as far as the caller may know."""

    payload: Annotated[str, said("What receivers get; where it could not be built, the raw event")]
    deliveries: list[DeliveryRecord]


class StreamSecret(TypedDict):
    """What signs the requests of webhooks that the caller makes up."""

    secret: str


class StreamedEvent(TypedDict):
    """The data of the messages `delivery` (headers and body) and `unbuildable` (error)."""

    id: Annotated[Id, said("The webhook-id of the request, the same each time")]
    eventId: EventId
    type: str
    projectId: str | None
    repoName: str | None
    resourceKey: str | None
    acceptedDate: Date
    headers: NotRequired[dict[str, str]]
    body: NotRequired[str]
    error: NotRequired[str]


class Alive(TypedDict):
    """The process runs."""

    status: Annotated[str, choice("ok")]


class Check(TypedDict):
    """A check, and what is wrong."""

    status: Annotated[str, choice("ok", "failed")]
    reason: NotRequired[str]


class Role(TypedDict, total=False):
    """The processes of a role."""

    alive: int
    silent: int
    lastSeenSeconds: float | None


class Readiness(TypedDict):
    """Whether the process can work."""

    status: Annotated[str, choice("ok", "unavailable")]
    checks: Annotated[dict[str, Check], said("By name: database, migrations, redis")]
    processes: NotRequired[Annotated[dict[str, Role] | None, said("By role, where `verbose` is given")]]
