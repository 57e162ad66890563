"""Pruning: old logs, events that nothing refers to, and what is left of deleted webhooks, in bounded batches."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from peewee import Model, fn

from app import log_counts, log_stats
from app.database import repeat_on_conflict, unavailable, write_transaction
from app.ids import first_id_at
from app.log_steps import HOUR_MS
from app.models import Delivery, Event, Job, Webhook, WebhookLog

DAY_MS = 86_400_000
BATCH = 1_000
# Between two batches others get the database: pruning yields, deliveries don't.
PAUSE_S = 0.02


class Pruned(NamedTuple):
    """How many rows went."""

    logs: int
    events: int
    webhooks: int


def prune(retention_days: int, now: int, pause: Callable[[float], None] = time.sleep) -> Pruned:
    """Remove logs older than `retention_days`, then events as old that no log and no delivery refers to.

    Each batch is a transaction of its own, so it may be stopped and repeated at any time. Raises DatabaseUnavailable.
    """
    before = (now - retention_days * DAY_MS) // HOUR_MS * HOUR_MS  # whole hours, as they are counted
    logs = _prune_logs(before, pause)
    log_counts.forget_before(before)
    log_stats.forget_before(before)
    _prune_jobs(before)
    return Pruned(logs, _prune_events(before, pause), _prune_tombstones(before))


def _prune_logs(before: int, pause: Callable[[float], None]) -> int:
    """Walk over old logs by id, never back: an index is slow where it begins with many rows that are just gone."""
    total, begin, limit = 0, "", first_id_at(before)
    while begin < limit:
        old = WebhookLog.select(WebhookLog.id).where(WebhookLog.id >= begin, WebhookLog.id < limit)
        with unavailable():
            end = old.order_by(WebhookLog.id).limit(1).offset(BATCH).scalar() or limit
        total += _delete(WebhookLog, (WebhookLog.id >= begin) & (WebhookLog.id < end))
        begin = end
        pause(PAUSE_S)
    return total


def _prune_events(before: int, pause: Callable[[float], None]) -> int:
    """Walk over old events by time, so that those still referred to are passed over once, not again and again."""
    total, position = 0, (0, "")
    owed = _owed(before)
    while True:
        page = _page(position, before)
        if not page:
            return total
        position = page[-1]
        total += _delete_events(_unlogged({event_id for _, event_id in page} - owed))
        pause(PAUSE_S)


def _page(position: tuple[int, str], before: int) -> list[tuple[int, str]]:
    accepted_at, event_id = position
    beyond = (Event.accepted_at > accepted_at) | ((Event.accepted_at == accepted_at) & (Event.id > event_id))
    query = (
        Event.select(Event.accepted_at, Event.id)
        .where(Event.accepted_at >= accepted_at, beyond, Event.accepted_at < before)
        .order_by(Event.accepted_at, Event.id)
        .limit(BATCH)
    )
    with unavailable():
        return [(at, found) for at, found in query.tuples()]


def _owed(before: int) -> set[str]:
    """Return the old events still owed to a webhook. Read once: a delivery is made together with its event."""
    query = Delivery.select(Delivery.event_id).where(Delivery.created_at < before)
    with unavailable():
        return set(_ids(query.tuples()))


def _unlogged(event_ids: set[str]) -> list[str]:
    query = WebhookLog.select(WebhookLog.event_id).where(WebhookLog.event_id.in_(list(event_ids)))
    with unavailable():
        return list(event_ids.difference(_ids(query.tuples())))


@repeat_on_conflict
def _prune_jobs(before: int) -> None:
    """Remove bulk actions that were asked for long ago and have ended."""
    with write_transaction():
        Job.delete().where(Job.id < first_id_at(before), Job.finished_at.is_null(is_null=False)).execute()


@repeat_on_conflict
def _prune_tombstones(before: int) -> int:
    """Remove deleted webhooks whose logs are all gone; every process has long seen the deletion."""
    logged = WebhookLog.select(WebhookLog.id).where(WebhookLog.webhook_id == Webhook.id)
    gone = (Webhook.deleted_at < before) & ~fn.EXISTS(logged)
    with write_transaction():
        return int(Webhook.delete().where(gone).execute())


def _delete_events(ids: list[str]) -> int:
    return _delete(Event, Event.id.in_(ids)) if ids else 0


@repeat_on_conflict
def _delete(model: type[Model], condition: Any) -> int:
    with write_transaction():
        return int(model.delete().where(condition).execute())


def _ids(rows: Iterable[tuple[str]]) -> list[str]:
    return [row[0] for row in rows]
