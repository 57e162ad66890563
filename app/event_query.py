"""Finding accepted events: one by its id, and lists by filter, for those who may see them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypedDict
from zoneinfo import ZoneInfo

from peewee import fn

from app.accounts import PUBLISH_SCOPE
from app.authentication import Caller
from app.database import unavailable
from app.dates import to_iso
from app.errors import Forbidden, NotFound
from app.event_types import LIMITS
from app.fields import filled
from app.log_query import Frame
from app.models import Event, Grant
from app.permissions import FORBIDDEN
from app.query_fields import cursor_of, cursor_text, event_type_of, range_of
from app.retention import DAY_MS
from app.schema_hints import Date, EventId
from app.text_search import contains

NOT_FOUND = 250108
PARAMETERS = (
    *("type", "projectId", "repoName", "resourceKey", "userId", "startDate", "endDate"),
    *("pageSize", "cursor"),
)
SCAN = 20_000  # events that one page looks at where filters pass most of them over

_SHOWN = (
    *(Event.id, Event.type, Event.project_id, Event.repo_name, Event.resource_key, Event.user_id),
    *(Event.source, Event.error, Event.accepted_at),
)


class Position(NamedTuple):
    """Where a page ends: the next one begins with the event before that."""

    accepted_at: int
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events; None is for any. Times are milliseconds UTC, both ends belong to the range."""

    start: int
    end: int
    type: str | None = None
    project_id: str | None = None
    repo_name: str | None = None
    resource_key: str | None = None
    user_id: str | None = None
    key_part: str | None = None  # a part of the resource key, in capitals or not
    viewer: str | None = None  # a user: only what he may see as the holder of grants


class EventRecord(TypedDict):
    """An accepted event. `error` says why its payload could not be built."""

    id: EventId
    type: str
    projectId: str | None
    repoName: str | None
    resourceKey: str | None
    userId: str | None
    source: str | None
    acceptedDate: Date
    error: str | None


class EventPage(NamedTuple):
    """Events, newest first, and where the next page begins; None where there is none."""

    events: list[Event]
    following: Position | None


def filter_of(given: Mapping[str, str], frame: Frame) -> EventFilter:
    """Return the events asked for, by default those of the day before the end, which is now by default.

    Raises BadRequest naming the parameter.
    """

    def text(field: str) -> str | None:
        return filled(field, given[field], LIMITS[field]) if field in given else None

    start, end = range_of(given, frame.zone, frame.now)
    end = frame.now if end is None else end
    return EventFilter(
        start=end - DAY_MS if start is None else start,
        end=end,
        type=event_type_of(given, "type", frame.event_types),
        project_id=text("projectId"),
        repo_name=text("repoName"),
        resource_key=text("resourceKey"),
        user_id=text("userId"),
    )


def position_of(given: Mapping[str, str]) -> Position | None:
    """Return where the page begins, None for the newest event. Raises BadRequest."""
    parts = cursor_of(given, "[0-9]{1,15}", ".{0,128}")
    return None if parts is None else Position(int(parts[0]), parts[1])


def may_see(caller: Caller, project_id: str | None, repo_name: str | None) -> bool:
    """Return whether `caller` may see the events of a repository, or of a whole project where that is None.

    Whoever may publish may see what was published.
    """
    if caller.admin or PUBLISH_SCOPE in caller.scopes:
        return True
    if caller.user_id is None or project_id is None:
        return False
    held = Grant.select().where(
        Grant.user_id == caller.user_id, Grant.project_id == project_id, Grant.repo_name.in_({"", repo_name or ""})
    )
    return bool(held.exists())


def require_view(caller: Caller, wanted: EventFilter) -> None:
    """Raise Forbidden where `caller` may not see all that `wanted` describes."""
    if caller.admin:
        return
    if wanted.project_id is None:
        raise Forbidden(FORBIDDEN, "events_unscoped", field="projectId")
    if not may_see(caller, wanted.project_id, wanted.repo_name):
        place = ":".join(filter(None, (wanted.project_id, wanted.repo_name)))
        raise Forbidden(FORBIDDEN, "events_forbidden", value=place)


def find_event(caller: Caller, event_id: str) -> Event:
    """Return an event that `caller` may see. Raises NotFound where there is none, whatever the reason."""
    row: Event | None = None
    if len(event_id) <= LIMITS["eventId"] and event_id.isprintable():
        with unavailable():
            row = Event.get_or_none(Event.id == event_id)
    if row is None or not may_see(caller, row.project_id, row.repo_name):
        raise NotFound(NOT_FOUND, "event_not_found")
    return row


def page_of_events(wanted: EventFilter, size: int, position: Position | None = None) -> EventPage:
    """Return up to `size` events before `position`, newest first. Raises DatabaseUnavailable.

    It looks at some 20,000 events at most: then it returns what it has found, and where to go on.
    """
    within = [Event.accepted_at >= wanted.start, Event.accepted_at <= wanted.end]
    if position is not None:
        at, event_id = position
        within += [Event.accepted_at <= at, (Event.accepted_at < at) | (Event.id < event_id)]
    filters = _filters(wanted)
    horizon = _horizon(within) if filters else None
    if horizon is not None:
        within.append(Event.accepted_at >= horizon)
    newest = Event.select(*_SHOWN).where(*within, *filters).order_by(Event.accepted_at.desc(), Event.id.desc())
    with unavailable():
        found = list(newest.limit(size + 1))
    if len(found) > size:
        last = found[size - 1]
        return EventPage(found[:size], Position(last.accepted_at, last.id))
    return EventPage(found, None if horizon is None else Position(horizon, ""))


def search(caller: Caller, text: str, wanted: EventFilter) -> Event | EventFilter:
    """Return the event whose id is `text`, where `caller` may see it. Else narrow `wanted` to events of the resource
    key `text` where the first page has one, and where not to those whose resource key holds it.

    Raises DatabaseUnavailable.
    """
    with suppress(NotFound):
        return find_event(caller, text)
    exact = replace(wanted, resource_key=text)
    return exact if page_of_events(exact, 1).events else replace(wanted, key_part=text)


def following_text(page: EventPage) -> str | None:
    """Return the cursor of the page after `page`."""
    return None if page.following is None else cursor_text(str(page.following.accepted_at), page.following.event_id)


def event_record(row: Event, zone: ZoneInfo) -> EventRecord:
    """Return an event as answers show it, without its payload."""
    return {
        "id": row.id,
        "type": row.type,
        "projectId": row.project_id,
        "repoName": row.repo_name,
        "resourceKey": row.resource_key,
        "userId": row.user_id,
        "source": row.source,
        "acceptedDate": to_iso(row.accepted_at, zone),
        "error": row.error,
    }


def _filters(wanted: EventFilter) -> list[Any]:
    meant = (
        (Event.type, wanted.type),
        (Event.project_id, wanted.project_id),
        (Event.repo_name, wanted.repo_name),
        (Event.resource_key, wanted.resource_key),
        (Event.user_id, wanted.user_id),
    )
    filters = [column == value for column, value in meant if value is not None]
    if wanted.key_part is not None:
        filters.append(contains(Event.resource_key, wanted.key_part))
    return filters if wanted.viewer is None else [*filters, _granted(wanted.viewer)]


def _granted(user_id: str) -> Any:
    """Return the condition that a user holds a grant on the event's project or its repository."""
    covers = (Grant.repo_name == "") | (Grant.repo_name == Event.repo_name)
    held = Grant.select(Grant.user_id).where(Grant.user_id == user_id, Grant.project_id == Event.project_id, covers)
    return fn.EXISTS(held)


def _horizon(within: list[Any]) -> int | None:
    """Return the time of the event up to which one page looks, None where that is the end of the range."""
    times = Event.select(Event.accepted_at).where(*within).order_by(Event.accepted_at.desc())
    with unavailable():
        found = times.limit(1).offset(SCAN).scalar()
    return None if found is None else int(found)
