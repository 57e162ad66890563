"""The table of deliveries as an outbox: every change of a delivery's state, each by a conditional statement."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from peewee import fn

from app.attempts import Attempt, Due
from app.database import (
    execute_many,
    insert_rows,
    marks,
    repeat_on_conflict,
    unavailable,
    write_together,
    write_transaction,
)
from app.errors import QueueUnavailable
from app.models import DEAD, PENDING, SUCCESS, Delivery, Webhook, WebhookLog, database
from app.queue import Broker, delivery_message
from app.registry import VERSION_SQL, raise_version

log = logging.getLogger(__name__)

GONE_REASON = "the receiver answered 410 Gone"

_ENABLED = Webhook.select(Webhook.id).where(Webhook.enabled, Webhook.deleted_at.is_null())

# Plain SQL where a statement runs for every delivery: building it with the query builder costs more than running it.
# COALESCE keeps a database from going through the index of all that is queued, where the ids lead to the rows.
_LOAD = """
    SELECT d.id, d.webhook_id, d.event_id, d.attempt, e.type, e.payload, e.error,
        d.earlier_attempts, d.order_key, d.position, ({version})
    FROM delivery d JOIN event e ON e.id = d.event_id
    WHERE d.id IN ({marks}) AND d.state = {mark} AND COALESCE(d.queued_at, 0) > 0
"""
_REMOVE = "DELETE FROM delivery WHERE attempt = {mark} AND id IN ({marks})"
_RESCHEDULE = """
    UPDATE delivery SET state = ?, attempt = attempt + 1, next_attempt_at = ?, queued_at = NULL
    WHERE id = ? AND attempt = ?
"""
_UNMARK = "UPDATE delivery SET queued_at = NULL WHERE id = ? AND state = ?"
_PUT_BACK = "UPDATE delivery SET queued_at = NULL, next_attempt_at = ? WHERE id = ? AND state = ?"


class Loaded(NamedTuple):
    """Deliveries to send, and the version of the webhooks when they were read; None where there are none."""

    dues: list[Due]
    version: int | None


def load(delivery_ids: Sequence[str]) -> Loaded:
    """Return those of the deliveries that are to be sent now: pending, and in the queue by their own account.

    One that has been delivered, given up, put back or rescheduled meanwhile is not returned, so a doubled message is
    harmless. Raises DatabaseUnavailable.
    """
    if not delivery_ids:
        return Loaded([], None)
    sql = _LOAD.format(version=VERSION_SQL, marks=marks(len(delivery_ids)), mark=marks(1))
    with unavailable():
        rows = database.execute_sql(sql, (*delivery_ids, PENDING)).fetchall()
    return Loaded([Due(*row[:-1]) for row in rows], rows[0][-1] if rows else None)


@repeat_on_conflict
def record(attempts: Sequence[Attempt]) -> None:
    """Make `attempts` durable in one transaction: a log row each, and the delivery removed or rescheduled.

    A delivery changes only if it still counts the attempts that it counted when this one began, so an attempt that
    was made twice counts once, and a finished delivery stays finished. Raises DatabaseUnavailable; then nothing was
    recorded and the call can be repeated.
    """
    done: dict[int, list[str]] = {}
    for a in attempts:
        if a.status == SUCCESS:
            done.setdefault(a.due.attempt, []).append(a.due.id)
    failed = [(a.state, a.next_attempt_at, a.due.id, a.due.attempt) for a in attempts if a.status != SUCCESS]
    gone = {a.due.webhook_id for a in attempts if a.webhook_gone}
    logs = [a.log_row for a in attempts]
    removals = [
        (_REMOVE.format(mark=marks(1), marks=marks(len(ids))), (attempt, *ids)) for attempt, ids in done.items()
    ]
    if not failed:
        write_together([(WebhookLog, logs)], *removals)
        return
    with write_transaction():
        insert_rows(WebhookLog, logs)
        for removal in removals:
            database.execute_sql(*removal)
        execute_many(_RESCHEDULE, failed)
        if gone:
            _disable(gone)


def enqueue(broker: Broker, delivery_ids: Sequence[str]) -> bool:
    """Enqueue hints at deliveries that are marked as queued, and return whether the queue took them.

    Where it did not, the mark is taken back, so that the sweeper enqueues them later.
    """
    try:
        broker.enqueue_many([delivery_message(delivery_id) for delivery_id in delivery_ids])
    except QueueUnavailable as error:
        log.warning("deliveries=%d wait for the sweeper: %s", len(delivery_ids), error)
        _unmark(delivery_ids)
        return False
    return True


@repeat_on_conflict
def put_back(delivery_ids: Sequence[str], until: int) -> None:
    """Take deliveries out of the queue's account: the sweeper enqueues them from `until` on. Counts no attempt."""
    with write_transaction():
        execute_many(_PUT_BACK, [(until, delivery_id, PENDING) for delivery_id in delivery_ids])


@repeat_on_conflict
def park(delivery_ids: Sequence[str]) -> None:
    """Keep deliveries of a disabled webhook, not to be sent before `release_parked`."""
    with write_transaction():
        Delivery.update(queued_at=None, next_attempt_at=None).where(
            Delivery.id.in_(delivery_ids), Delivery.state == PENDING, Delivery.webhook_id.not_in(_ENABLED)
        ).execute()


def release_parked(webhook_id: str, now: int) -> int:
    """Make the parked deliveries of a webhook due at `now`, and return how many.

    Call it in the transaction that enables the webhook: a delivery parked after that sees it enabled.
    """
    return int(
        Delivery.update(next_attempt_at=now)
        .where(
            Delivery.webhook_id == webhook_id,
            Delivery.state == PENDING,
            Delivery.next_attempt_at.is_null(),
            Delivery.queued_at.is_null(),
        )
        .execute()
    )


def cancel_pending(webhook_id: str) -> int:
    """Remove what is still owed to a deleted webhook, and return how many; call it in that transaction."""
    return int(Delivery.delete().where(Delivery.webhook_id == webhook_id).execute())


@repeat_on_conflict
def cancel(delivery_ids: Sequence[str]) -> None:
    """Remove deliveries whose webhook was deleted after they had been matched."""
    with write_transaction():
        Delivery.delete().where(Delivery.id.in_(delivery_ids)).execute()


def claim_due(now: int, limit: int) -> list[str]:
    """Mark deliveries that are due and not in the queue as queued at `now`, and return their ids."""
    due = Delivery.queued_at.is_null() & (Delivery.next_attempt_at <= now)
    return _claim(due, (fn.COALESCE(Delivery.queued_at, 0) == 0) & (Delivery.next_attempt_at <= now), now, limit)


def claim_lost(before: int, now: int, limit: int) -> list[str]:
    """Mark deliveries whose message was enqueued before `before`, and so is lost, as queued at `now`."""
    return _claim(Delivery.queued_at < before, fn.COALESCE(Delivery.queued_at, now) < before, now, limit)


def finish_dead(delivery_id: str) -> None:
    """Remove a delivery that was given up and has now been sent by hand; call it in a transaction."""
    Delivery.delete().where(Delivery.id == delivery_id, Delivery.state == DEAD).execute()


@repeat_on_conflict
def _unmark(delivery_ids: Sequence[str]) -> None:
    with write_transaction():
        execute_many(_UNMARK, [(delivery_id, PENDING) for delivery_id in delivery_ids])


@repeat_on_conflict
def _claim(condition: Any, still: Any, now: int, limit: int) -> list[str]:
    """Mark up to `limit` deliveries for which `condition` holds, the longest due first, where it holds `still`."""
    found = Delivery.select(Delivery.id).where(condition).order_by(Delivery.queued_at, Delivery.next_attempt_at)
    with unavailable():
        ids = [delivery_id for (delivery_id,) in found.limit(limit).tuples()]
    if ids:
        with write_transaction():
            Delivery.update(queued_at=now).where(Delivery.id.in_(ids), still).execute()
    return ids


def _disable(webhook_ids: Iterable[str]) -> None:
    gone = Webhook.id.in_(list(webhook_ids)) & Webhook.enabled
    Webhook.update(enabled=False, disabled_reason=GONE_REASON, version=raise_version()).where(gone).execute()
