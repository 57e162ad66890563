"""Replaying what is missing: accepted events that match a webhook as it is now, and never went to it."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from msgspec import structs
from peewee import fn

from app import models
from app.database import unavailable
from app.delivery_query import STATES, Number
from app.delivery_status import AFTER_MS, BEFORE_MS
from app.event_types import EVENT_TYPES, Event
from app.ids import first_id_at, id_at
from app.job_plan import Plan, place_of
from app.job_request import JobFilters, filters_from
from app.log_steps import HOUR_MS
from app.matching import Webhook, WebhookIndex
from app.models import HELD, Delivery, Job, WebhookLog
from app.owing import Owing, Subject
from app.retention import DAY_MS
from app.stored_events import passing

SCAN = 1_000  # events that one step looks at
MOST_COUNTED = 20_000


class Seen(NamedTuple):
    """What matching needs of an accepted event."""

    id: str
    accepted_at: int
    type: str
    project_id: str | None
    repo_name: str | None
    resource_key: str | None


def is_replayable(event_type: str) -> bool:
    """Return whether events of this type are replayed. Those that the service makes are not: they are about a webhook's
    moment."""
    kind = EVENT_TYPES.get(event_type)
    return kind is None or kind.publishable


def oldest_replayed(retention_days: int, now: int) -> int:
    """Return the time of acceptance before which events are left alone: pruning may remove them at any moment."""
    return now - retention_days * DAY_MS + HOUR_MS


def plan_replay(job: Job, webhook: Webhook, limit: int, *, retention_days: int, now: int) -> Plan:
    """Return the next step of a job: up to `limit` missing deliveries, of 1,000 events at most.

    Events that pruning may remove at any moment are left alone. Raises DatabaseUnavailable.
    """
    filters = filters_from(job.filters)
    position = _position(job.cursor) if job.cursor else (filters.start or 0, "")
    start = max(position[0], oldest_replayed(retention_days, now))
    events = _events(start, position, job.created_at if filters.end is None else filters.end)
    fitting = matching(webhook, events, filters.event_type)
    passed = passing(webhook.filter, [event.id for _, event in fitting])
    fitting = [(place, event) for place, event in fitting if event.id in passed]
    there = _there(webhook.id, [event for _, event in fitting])
    missing = [(place, event) for place, event in fitting if event.id not in there]
    if len(missing) > limit:
        missing = missing[:limit]
        last = missing[-1][0]
    else:
        last = len(events) - 1
    goes_on = last + 1 < len(events) or len(events) == SCAN
    return Plan(
        cursor=f"{events[last].accepted_at}:{events[last].id}" if goes_on else None,
        examined=sum(place <= last for place, _ in fitting),
        apply=partial(owe, webhook, [event for _, event in missing], now),
    )


def preview_replay(filters: JobFilters, retention_days: int, now: int) -> Number:
    """Return how many events a job made `now` would look at. Raises DatabaseUnavailable."""
    event = models.Event
    start = max(filters.start or 0, oldest_replayed(retention_days, now))
    within = event.accepted_at >= start, event.accepted_at <= (now if filters.end is None else filters.end)
    with unavailable():
        number = int(event.select(event.accepted_at).where(*within).limit(MOST_COUNTED + 1).count())
    return Number(min(number, MOST_COUNTED), is_cut=number > MOST_COUNTED)


def owe(webhook: Webhook, events: Sequence[Seen], now: int) -> int:
    """Insert a delivery of each event that has not gone to the webhook meanwhile, and return how many; call it in a
    transaction.

    Their ids and ages are the events', by which they are found and by which pruning knows that the events are owed.
    """
    if not events:
        return 0
    # Asked in this transaction, with the webhook locked: two that replay the same event come one after the other, and
    # there are no hints that would be looked at.
    webhook = structs.replace(webhook, backlog=place_of(webhook.id) == HELD)
    there = _there(webhook.id, events)
    owing = Owing(now, hinted=False)
    missing = [event for event in events if event.id not in there]
    for event in missing:
        subject = Subject(event.id, event.project_id, event.repo_name, event.resource_key)
        owing.add(webhook, subject, id_at(event.accepted_at + 1), event.accepted_at)
    owing.insert()
    return len(missing)


def matching(webhook: Webhook, events: Sequence[Seen], event_type: str | None = None) -> list[tuple[int, Seen]]:
    """Return the events, of one type where that is given, that are replayed to `webhook` if its filter lets them pass,
    each with its place. Pure."""
    index = WebhookIndex()
    index.put(webhook)
    found = []
    for place, seen in enumerate(events):
        if not is_replayable(seen.type) or event_type not in {None, seen.type}:
            continue
        event = Event(
            type=seen.type, project_id=seen.project_id, repo_name=seen.repo_name, resource_key=seen.resource_key
        )
        if index.candidates(event):
            found.append((place, seen))
    return found


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
