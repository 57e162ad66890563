"""The table of deliveries as an outbox: every change of a delivery's state, each by a conditional statement."""

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from peewee import fn

from app.attempts import Attempt, Due
from app.database import (
    execute_many,
    marks,
    repeat_on_conflict,
    unavailable,
    write_transaction,
)
from app.errors import QueueUnavailable
from app.health import free_probes
from app.models import DEAD, HELD, PENDING, SUCCESS, WAITING, Delivery, Webhook, database
from app.ordering import TURN_MS
from app.queue import Broker, delivery_message
from app.registry import VERSION_SQL, lock_webhooks, raise_version

log = logging.getLogger(__name__)

# Plain SQL where a statement runs for every delivery: building it with the query builder costs more than running it.
# COALESCE keeps a database from going through the index of all that is queued, where the ids lead to the rows.
_DUE = """
        d.id, d.webhook_id, d.event_id, d.attempt, e.type, e.payload, e.error,
        d.earlier_attempts, d.order_key, d.position,
        e.accepted_at, e.project_id, e.repo_name, e.resource_key, e.user_id, e.source, e.traceparent"""
_LOAD = """
    SELECT {due}, ({version})
    FROM delivery d JOIN event e ON e.id = d.event_id
    WHERE d.id IN ({marks}) AND d.state = {mark} AND COALESCE(d.queued_at, 0) >= {least}
"""
_LOAD_BEHIND = """
    SELECT {due}
    FROM delivery d JOIN event e ON e.id = d.event_id
    WHERE d.order_key = {mark} AND d.position > {mark} ORDER BY d.position LIMIT {limit}
"""
_REMOVE = "DELETE FROM delivery WHERE attempt = {mark} AND id IN ({marks})"
_RESCHEDULE = """
    UPDATE delivery SET state = 'PENDING', attempt = attempt + 1, next_attempt_at = ?, queued_at = NULL
    WHERE id = ? AND attempt = ?
"""
_GIVE_UP = """
    UPDATE delivery
    SET state = 'DEAD', attempt = attempt + 1, next_attempt_at = NULL, queued_at = NULL, order_key = NULL
    WHERE id = ? AND attempt = ?
"""
_HOLD = """
    UPDATE delivery SET state = 'HELD', next_attempt_at = NULL, queued_at = NULL
    WHERE id IN ({marks}) AND state = {mark}
"""
_UNMARK = "UPDATE delivery SET queued_at = NULL WHERE id = ? AND state = ?"
_PUT_BACK = "UPDATE delivery SET queued_at = NULL, next_attempt_at = ? WHERE id = ? AND state = ?"


class Loaded(NamedTuple):
    """Deliveries to send, and the version of the webhooks when they were read; None where there are none."""

    dues: list[Due]
    version: int | None


def load(delivery_ids: Sequence[str], *, by_turn: bool = False) -> Loaded:
    """Return those of the deliveries that are to be sent now, by their ids: pending, and queued by their own account.

    One that has been delivered, given up, put back or rescheduled meanwhile is not returned, so a doubled message is
    harmless. `by_turn` says that they are not in the queue: their turn has been passed on to the caller. Raises
    DatabaseUnavailable.
    """
    if not delivery_ids:
        return Loaded([], None)
    least = 0 if by_turn else 1
    sql = _LOAD.format(due=_DUE, version=VERSION_SQL, marks=marks(len(delivery_ids)), mark=marks(1), least=least)
    with unavailable():
        rows = database.execute_sql(sql, (*delivery_ids, PENDING)).fetchall()
    return Loaded(sorted(Due(*row[:-1]) for row in rows), rows[0][-1] if rows else None)


def load_behind(due: Due, limit: int) -> list[Due]:
    """Return the deliveries that come after an ordered one, in their order. Raises DatabaseUnavailable."""
    with unavailable():
        sql = _LOAD_BEHIND.format(due=_DUE, mark=marks(1), limit=limit)
        return [Due(*row) for row in database.execute_sql(sql, (due.order_key, due.position)).fetchall()]


def removals(attempts: Iterable[Attempt]) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the statements that remove the deliveries which have succeeded.

    A delivery changes only if it still counts the attempts that it counted when this one began, so an attempt that
    was made twice counts once, and a finished delivery stays finished.
    """
    done: dict[int, list[str]] = {}
    for attempt in attempts:
        if attempt.status == SUCCESS:
            done.setdefault(attempt.due.attempt, []).append(attempt.due.id)
    return [(_REMOVE.format(mark=marks(1), marks=marks(len(ids))), (count, *ids)) for count, ids in done.items()]


def reschedule(attempts: Iterable[Attempt]) -> None:
    """Give deliveries that have failed their next time, or give them up, under the condition of `removals`.

    Call it in a transaction. What is given up has left the order of its key.
    """
    failed = [attempt for attempt in attempts if attempt.status != SUCCESS]
    later = [(a.next_attempt_at, a.due.id, a.due.attempt) for a in failed if a.next_attempt_at is not None]
    execute_many(_RESCHEDULE, later)
    execute_many(_GIVE_UP, [(a.due.id, a.due.attempt) for a in failed if a.next_attempt_at is None])


def enqueue(broker: Broker, delivery_ids: Sequence[str]) -> bool:
    """Enqueue hints at deliveries that are marked as queued, and return whether the queue took them (none is fine).

    Where it did not, the mark is taken back, so that the sweeper enqueues them later.
    """
    if not delivery_ids:
        return True
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
def keep_turns(delivery_ids: Sequence[str], now: int) -> None:
    """Have deliveries whose turn someone has in hand be due later, as app.ordering.pass_on does."""
    with write_transaction():
        Delivery.update(next_attempt_at=now + TURN_MS).where(*_turns(delivery_ids)).execute()


def enqueue_turns(broker: Broker, delivery_ids: Sequence[str], now: int) -> None:
    """Leave deliveries whose turn has come to whoever gets their messages. Raises DatabaseUnavailable."""
    if delivery_ids:
        _mark_turns(delivery_ids, now)
        enqueue(broker, delivery_ids)


@repeat_on_conflict
def _mark_turns(delivery_ids: Sequence[str], now: int) -> None:
    with write_transaction():
        Delivery.update(queued_at=now, next_attempt_at=now).where(*_turns(delivery_ids)).execute()


def _turns(delivery_ids: Sequence[str]) -> tuple[Any, ...]:
    # COALESCE: the ids lead to the rows, not the index of all that is queued.
    is_idle = fn.COALESCE(Delivery.queued_at, 0) == 0
    return Delivery.id.in_(delivery_ids), Delivery.state == PENDING, is_idle


@repeat_on_conflict
def hold(delivery_ids: Sequence[str], webhook_ids: Collection[str], now: int) -> None:
    """Keep deliveries to these webhooks out of the queue until app.feeder feeds them. Counts no attempt.

    The webhooks are locked first: the feeder, which takes a webhook without held deliveries out of its list, comes
    before this or after.
    """
    webhooks = Webhook.id.in_(sorted(webhook_ids))
    with write_transaction():
        lock_webhooks(webhook_ids)
        free_probes(delivery_ids, webhook_ids, now)
        fresh = [row.id for row in Webhook.select(Webhook.id).where(webhooks, ~Webhook.backlog)]
        if fresh:
            Webhook.update(backlog=True, version=raise_version()).where(Webhook.id.in_(fresh)).execute()
        database.execute_sql(_HOLD.format(marks=marks(len(delivery_ids)), mark=marks(1)), (*delivery_ids, PENDING))


def drop_held(webhook_id: str) -> int:
    """Remove what is held for a webhook, and return how many; call it in the transaction that enables it.

    Ordered ones that wait for their turn go with it: those before them are what is held.
    """
    held = Delivery.state.in_((HELD, WAITING))
    return int(Delivery.delete().where(Delivery.webhook_id == webhook_id, held).execute())


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
    still = (fn.COALESCE(Delivery.queued_at, 0) == 0) & (fn.COALESCE(Delivery.next_attempt_at, now + 1) <= now)
    return _claim(due, still, now, limit)


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
