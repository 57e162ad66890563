"""The event types of contract §6, and the check of an event that comes in (contract §5). Pure."""

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from app.errors import HooklineError

WEBHOOK_TEST: Final = "WEBHOOK_TEST"
WEBHOOK_DISABLED: Final = "WEBHOOK_DISABLED"
WEBHOOK_FAILING: Final = "WEBHOOK_FAILING"
WEBHOOK_RECOVERED: Final = "WEBHOOK_RECOVERED"
DELIVERY_EXHAUSTED: Final = "DELIVERY_EXHAUSTED"

# Characters, as long as the columns that hold them.
LIMITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "type": 64,
        "projectId": 128,
        "repoName": 128,
        "resourceKey": 4096,
        "userId": 128,
        "source": 255,
        "eventId": 128,
    }
)

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# NUL is refused by PostgreSQL's text columns; a lone surrogate can't be written as UTF-8 at all.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REFUSED: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {name: _CONTROL if name in {"type", "projectId", "repoName", "eventId"} else _UNSTORABLE for name in LIMITS}
)


class EventType(NamedTuple):
    """What is known of a type. `requires` names the fields, besides `type`, without which an event is refused.

    Events of an `operational` type are about webhooks; the service makes them itself (app.operational).
    """

    description: str
    requires: tuple[str, ...]
    publishable: bool = True
    operational: bool = False


def _about_webhooks(description: str) -> EventType:
    return EventType(description, (), publishable=False, operational=True)


_PROJECT = ("projectId",)
_REPO = ("projectId", "repoName")
_NODE = ("projectId", "repoName", "resourceKey")

EVENT_TYPES: Final[Mapping[str, EventType]] = MappingProxyType(
    {
        "PROJECT_CREATED": EventType("A project was created", _PROJECT),
        "REPO_CREATED": EventType("A repository was created", _REPO),
        "REPO_UPDATED": EventType("The settings of a repository were changed", _REPO),
        "REPO_DELETED": EventType("A repository was deleted", _REPO),
        "NODE_CREATED": EventType("A file or folder was uploaded or created", _NODE),
        "NODE_RENAMED": EventType("A file or folder was renamed within its repository", _NODE),
        "NODE_MOVED": EventType("A file or folder was moved", _NODE),
        "NODE_COPIED": EventType("A file or folder was copied", _NODE),
        "NODE_DELETED": EventType("A file or folder was deleted", _NODE),
        "NODE_DOWNLOADED": EventType("A file was downloaded", _NODE),
        "METADATA_SAVED": EventType("Metadata of a file or folder were set", _NODE),
        "METADATA_DELETED": EventType("Metadata of a file or folder were removed", _NODE),
        "VERSION_CREATED": EventType("A version of a package was published", _REPO),
        "VERSION_UPDATED": EventType("A version of a package was published again", _REPO),
        "VERSION_DELETED": EventType("A version of a package was deleted", _REPO),
        "SCAN_TRIGGERED": EventType("A scan of artifacts was started", _PROJECT),
        "SCAN_FINISHED": EventType("A scan of artifacts has ended", _PROJECT),
        WEBHOOK_TEST: EventType("A webhook was tested by hand", (), publishable=False),
        WEBHOOK_DISABLED: _about_webhooks("A webhook was disabled"),
        WEBHOOK_FAILING: _about_webhooks("Five attempts at a webhook failed in a row"),
        WEBHOOK_RECOVERED: _about_webhooks("A webhook that had been failing took a delivery"),
        DELIVERY_EXHAUSTED: _about_webhooks("A delivery was given up after its last attempt"),
    }
)

PUBLISHABLE_TYPES: Final = frozenset(name for name, kind in EVENT_TYPES.items() if kind.publishable)


class Event(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """An event as producers publish it, in bk-repo's shape (contract §5). Unknown keys, such as `topic`, are ignored.

    `event_id` makes the publishing idempotent; where it is None or empty, the service makes an id. `traceparent` (W3C
    Trace Context) says which trace the event belongs to, if not to that of the call; what is no such thing is ignored.
    """

    type: Annotated[str, msgspec.Meta(max_length=LIMITS["type"])]
    project_id: Annotated[str, msgspec.Meta(max_length=LIMITS["projectId"])] | None = None
    repo_name: Annotated[str, msgspec.Meta(max_length=LIMITS["repoName"])] | None = None
    resource_key: Annotated[str, msgspec.Meta(max_length=LIMITS["resourceKey"])] | None = None
    user_id: Annotated[str, msgspec.Meta(max_length=LIMITS["userId"])] | None = None
    data: dict[str, Any] | None = None
    source: Annotated[str, msgspec.Meta(max_length=LIMITS["source"])] | None = None
    event_id: Annotated[str, msgspec.Meta(max_length=LIMITS["eventId"])] | None = None
    traceparent: Any = None


_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType(
    {field.encode_name: field.name for field in msgspec.structs.fields(Event)}
)


class InvalidEvent(HooklineError):
    """An event that is refused. `field` is the JSON name of what is wrong, "" where the event is no object at all.

    `reason` is "missing", "empty", "invalid", "unknown_type" or "too_long"; the last comes with its `limit`, in
    characters.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason
        self.limit = LIMITS.get(field) if reason == "too_long" else None

    def __str__(self) -> str:
        """Return both in one line, for logs."""
        return f"{self.field or 'event'}: {self.reason}"


def event_from(value: object, allowed_types: Collection[str]) -> Event:
    """Return `value`, a decoded JSON value, as an Event (contract §5, §6).

    `allowed_types` are EVENT_TYPES and those of EXTRA_EVENT_TYPES; the latter require nothing but the type. An event of
    the former gets "" for a `userId` or `resourceKey` that it does not need and does not have. What is inside `data` is
    not checked: that is up to the payload. Raises InvalidEvent.
    """
    try:
        event = msgspec.convert(value, Event)
    except msgspec.ValidationError as error:
        raise _refusal(value) from error
    kind = EVENT_TYPES.get(event.type)
    if kind is not None and not kind.publishable:
        raise InvalidEvent("type", "invalid")
    if event.type not in allowed_types:
        raise InvalidEvent("type", "unknown_type" if event.type else "empty")
    # One test for the many good events: a printable text holds neither control characters nor surrogates.
    texts = f"{event.project_id}{event.repo_name}{event.resource_key}{event.user_id}{event.source}{event.event_id}"
    if not texts.isprintable():
        _check_characters(event)
    return event if kind is None else _completed(event, kind)


def _completed(event: Event, kind: EventType) -> Event:
    for name in kind.requires:
        text = getattr(event, _ATTRIBUTES[name])
        if not text:
            raise InvalidEvent(name, "missing" if text is None else "empty")
    if event.resource_key is None or event.user_id is None:
        return msgspec.structs.replace(event, resource_key=event.resource_key or "", user_id=event.user_id or "")
    return event


def _check_characters(event: Event) -> None:
    for name, refused in _REFUSED.items():
        text = getattr(event, _ATTRIBUTES[name])
        if text is not None and refused.search(text):
            raise InvalidEvent(name, "invalid")


def _refusal(value: object) -> InvalidEvent:
    """Return what is wrong with a value that does not have the form of an Event."""
    if not isinstance(value, Mapping):
        return InvalidEvent("", "invalid")
    if value.get("type") is None:
        return InvalidEvent("type", "missing")
    for name, limit in LIMITS.items():
        text = value.get(name)
        if isinstance(text, str) and len(text) > limit:
            return InvalidEvent(name, "too_long")
        if text is not None and not isinstance(text, str):
            return InvalidEvent(name, "invalid")
    return InvalidEvent("data" if value.get("data") is not None else "", "invalid")
