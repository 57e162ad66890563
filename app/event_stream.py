"""The requests of a webhook as they would be sent now, for someone who hands them on himself.

They are read from the accepted events; nothing is delivered, recorded or changed by it.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from app import models
from app.attempts import Due, request_for
from app.clock import now_ms
from app.database import unavailable
from app.dates import to_iso
from app.errors import BadRequest, ServiceUnavailable
from app.event_backlog import Backlog, Place
from app.event_types import WEBHOOK_TEST
from app.matching import WebhookIndex
from app.operational import is_operational
from app.payloads import PayloadError
from app.stored_events import subject_of
from app.stream_target import Target
from config.settings import Settings

READY = "ready"
BEAT = "beat"
DELIVERY = "delivery"
UNBUILDABLE = "unbuildable"

INTERVAL_S = 0.5
BEAT_MS = 3_000  # of a reader who is gone, the server knows when it has sent him something
RECHECK_MS = 30_000
LIFE_MS = 300_000

_SUBJECT = (
    *(models.Event.id, models.Event.type, models.Event.project_id, models.Event.repo_name),
    *(models.Event.resource_key, models.Event.user_id, models.Event.source),
)
_ORIGIN = ("accepted_at", "project_id", "repo_name", "resource_key", "user_id", "source", "traceparent")


class Message(NamedTuple):
    """Something to tell, and where to read on once it is told."""

    name: str
    data: dict[str, Any] | None
    following: Place


def follow(
    backlog: Backlog, target: Callable[[], Target], wait: Callable[[float], bool], settings: Settings
) -> Iterator[Message]:
    """Yield the requests that the webhook of `target` gets, looking twice a second, and a beat where there was nothing
    for 3 seconds.

    It ends after five minutes, where the database is away, where `wait`, which waits so many seconds, returns true, and
    where `target`, which is asked at each look and every 30 seconds, raises BadRequest.
    """
    begun = told = now_ms()
    try:
        while now_ms() - begun < LIFE_MS:
            now = now_ms()
            meant = target()
            found = backlog.look(meant.webhook, now)
            for row in _matching(found.ids, meant):
                told = now_ms()
                if told - now >= RECHECK_MS:
                    now, meant = told, target()
                following = backlog.resume_from(Place(row.accepted_at, row.id))
                yield Message(*_request(row, meant, told, settings), following)
            if now_ms() - told >= BEAT_MS:
                told = now_ms()
                yield Message(BEAT, None, backlog.resume_from())
            if wait(0 if found.is_behind else INTERVAL_S):
                return
    except (BadRequest, ServiceUnavailable):
        return


def message_id(name: str, row: models.Event) -> str:
    """Return the id of an event's request to the target of that name: the same however often it is made. Pure."""
    digest = hashlib.sha256(f"{name}\n{row.id}".encode()).hexdigest()
    return f"{row.accepted_at:012x}{digest[:20]}"


def _matching(event_ids: list[str], target: Target) -> Iterator[models.Event]:
    """Yield those of the events that go to the webhook, with their payloads: one at a time, for they may be large."""
    event = models.Event
    with unavailable():
        found = {row.id: row for row in event.select(*_SUBJECT).where(event.id.in_(event_ids))} if event_ids else {}
    index = WebhookIndex()
    index.put(target.webhook)
    for event_id in event_ids:
        # What is gone has been pruned meanwhile.
        if event_id not in found or not _is_candidate(found[event_id], target, index):
            continue
        with unavailable():
            row = event.get_or_none(event.id == event_id)
        if row is not None and index.match(subject_of(row), None if row.error else row.payload):
            yield row


def _is_candidate(row: models.Event, target: Target, index: WebhookIndex) -> bool:
    about_itself = is_operational(row.type) and row.resource_key == target.webhook.id
    return row.type != WEBHOOK_TEST and not about_itself and bool(index.candidates(subject_of(row)))


def _request(row: models.Event, target: Target, now: int, settings: Settings) -> tuple[str, dict[str, Any]]:
    made_id = message_id(target.name, row)
    about = {
        "id": made_id,
        "eventId": row.id,
        "type": row.type,
        "projectId": row.project_id,
        "repoName": row.repo_name,
        "resourceKey": row.resource_key,
        "acceptedDate": to_iso(row.accepted_at, settings.timezone),
    }
    origin = {name: getattr(row, name) for name in _ORIGIN}
    due = Due(made_id, target.webhook.id, row.id, 0, row.type, row.payload, row.error, **origin)
    try:
        if row.error is not None:
            raise PayloadError(row.error)
        request = request_for(due, target.webhook, target.credentials, now, 0, base=settings.public_url)
    except PayloadError as error:
        return UNBUILDABLE, about | {"error": str(error)}
    return DELIVERY, about | {"headers": request.headers, "body": request.body.decode()}
