"""Replaying what is missing: accepted events that match a webhook as it is now, and never went to it."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from msgspec import structs
from peewee import fn

from app import models
from app.database import unavailable
from app.delivery_query import STATES
from app.delivery_status import AFTER_MS, BEFORE_MS
from app.event_types import EVENT_TYPES, Event
from app.ids import first_id_at, id_at
from app.job_plan import Plan, place_of
from app.job_request import filters_from
from app.log_counts import HOUR_MS
from app.matching import Webhook, WebhookIndex
from app.models import HELD, Delivery, Job, WebhookLog
from app.owing import Owing, Subject
from app.retention import DAY_MS

SCAN = 1_000  # events that one step looks at
_MADE_HERE = frozenset(name for name, kind in EVENT_TYPES.items() if not kind.publishable)


class Seen(NamedTuple):
    """What matching needs of an accepted event."""

    id: str
    accepted_at: int
    type: str
    project_id: str | None
    repo_name: str | None
    resource_key: str | None


def plan_replay(job: Job, webhook: Webhook, limit: int, *, retention_days: int, now: int) -> Plan:
    """Return the next step of a job: up to `limit` missing deliveries, of 1,000 events at most.

    Events that pruning may remove at any moment are left alone. Raises DatabaseUnavailable.
    """
    filters = filters_from(job.filters)
    position = _position(job.cursor) if job.cursor else (filters.start or 0, "")
    start = max(position[0], now - retention_days * DAY_MS + HOUR_MS)
    events = _events(start, position, job.created_at if filters.end is None else filters.end)
    matching = _matching(webhook, events, filters.event_type)
    there = _there(webhook.id, [event for _, event in matching])
    missing = [(place, event) for place, event in matching if event.id not in there]
    if len(missing) > limit:
        missing = missing[:limit]
        last = missing[-1][0]
    else:
        last = len(events) - 1
    goes_on = last + 1 < len(events) or len(events) == SCAN
    return Plan(
        cursor=f"{events[last].accepted_at}:{events[last].id}" if goes_on else None,
        examined=sum(place <= last for place, _ in matching),
        apply=partial(_insert, webhook, [event for _, event in missing], now),
    )


def _insert(webhook: Webhook, events: Sequence[Seen], now: int) -> int:
    """Insert the deliveries; call it in a transaction.

    Their ids and ages are the events', by which they are found and by which pruning knows that the events are owed.
    """
    if not events:
        return 0
    # Whether they are held is asked in this transaction: there are no hints that would be looked at.
    webhook = structs.replace(webhook, backlog=place_of(webhook.id) == HELD)
    owing = Owing(now, hinted=False)
    for event in events:
        subject = Subject(event.id, event.project_id, event.repo_name, event.resource_key)
        owing.add(webhook, subject, id_at(event.accepted_at + 1), event.accepted_at)
    owing.insert()
    return len(events)


def _events(start: int, position: tuple[int, str], end: int) -> list[Seen]:
    """Return the events after `position`, oldest first."""
    at, event_id = position
    event = models.Event
    query = (
        event.select(event.id, event.accepted_at, event.type, event.project_id, event.repo_name, event.resource_key)
        .where(
            event.accepted_at >= start,
            event.accepted_at <= end,
            (event.accepted_at > at) | (event.id > event_id),
        )
        .order_by(event.accepted_at, event.id)
        .limit(SCAN)
    )
    with unavailable():
        return [Seen(*row) for row in query.tuples()]


def _matching(webhook: Webhook, events: Sequence[Seen], event_type: str | None) -> list[tuple[int, Seen]]:
    """Return the events that go to `webhook`, each with its place. Those that the service itself makes are never
    replayed: they are about a webhook's moment."""
    index = WebhookIndex()
    index.put(webhook)
    found = []
    for place, seen in enumerate(events):
        if seen.type in _MADE_HERE or (event_type is not None and seen.type != event_type):
            continue
        event = Event(
            type=seen.type, project_id=seen.project_id, repo_name=seen.repo_name, resource_key=seen.resource_key
        )
        if index.match(event):
            found.append((place, seen))
    return found


def _there(webhook_id: str, events: Sequence[Seen]) -> set[str]:
    """Return those of the events that went to the webhook already."""
    if not events:
        return set()
    ids = [event.id for event in events]
    first = first_id_at(events[0].accepted_at - BEFORE_MS)
    last = first_id_at(events[-1].accepted_at + AFTER_MS)
    owed = Delivery.select(Delivery.event_id).where(
        Delivery.webhook_id == webhook_id,
        Delivery.state.in_(STATES),
        Delivery.id >= first,
        Delivery.id < last,
        Delivery.event_id.in_(ids),
    )
    # COALESCE: the events lead to the logs, not the index of all logs of the webhook.
    mine = fn.COALESCE(WebhookLog.webhook_id, "") == webhook_id
    made = WebhookLog.select(WebhookLog.event_id).where(WebhookLog.event_id.in_(ids), mine)
    with unavailable():
        # The outbox first: a delivery that leaves it meanwhile leaves a log.
        return {event_id for query in (owed, made) for (event_id,) in query.tuples()}


def _position(cursor: str) -> tuple[int, str]:
    at, _, event_id = cursor.partition(":")
    return int(at), event_id
