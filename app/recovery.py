"""Sending deliveries again: one by its id, or a step of a bulk action."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from peewee import IntegrityError, fn

from app import models
from app.authentication import Caller
from app.database import insert_rows, repeat_on_conflict, unavailable, write_transaction
from app.delivery_query import NOT_FOUND, DeliveryFilter, Number, count, count_some, find_delivery, stretch
from app.delivery_status import Tracked
from app.errors import BadRequest, NotFound
from app.feeder import PROBE_MS
from app.fields import INVALID
from app.job_plan import Plan, place_of
from app.job_request import FAILED, JobFilters, filters_from
from app.models import DEAD, HELD, PENDING, WAITING, Delivery, Job, Webhook
from app.registry import lock_webhooks, raise_version
from app.webhooks import WEBHOOK_NOT_FOUND

_PHASES = {DEAD: (DEAD,), FAILED: (PENDING, HELD)}


def resend(caller: Caller, delivery_id: str, now: int) -> None:
    """Have a delivery sent again, from `now` on.

    One that was given up begins a new round of attempts; one that waits for a retry, or is held, is due now, past an
    open circuit too. One that has left the outbox goes in again with the same id, by which receivers know it. Nothing
    changes for one that is in the queue already, or WAITING for its turn. Raises NotFound, and BadRequest where the
    webhook is disabled.
    """
    found, webhook = find_delivery(caller, delivery_id)
    require_sendable(webhook, field="id")
    if found.row is not None:
        _send_again(found.row, webhook, now)
        return
    with suppress(IntegrityError):  # someone else has just done the same
        _restore(found, webhook, now)


def require_sendable(webhook: Webhook, field: str) -> None:
    """Raise NotFound where `webhook` is deleted, and BadRequest naming `field` where it is disabled."""
    if webhook.deleted_at is not None:
        raise NotFound(WEBHOOK_NOT_FOUND, "webhook_deleted")
    if not webhook.enabled:
        raise BadRequest(INVALID, "webhook_disabled", field=field)


def again(delivery_ids: Sequence[str], state: str, now: int, place: str = PENDING) -> int:
    """Have those of the deliveries that are still in `state` sent from `now` on, and return how many; call it in a
    transaction.

    In `place` HELD they are left to app.feeder; those that are held already, in the queue or due are left alone.
    """
    due = {"state": place, "next_attempt_at": None if place == HELD else now}
    still = [Delivery.id.in_(list(delivery_ids)), Delivery.state == state]
    if state == DEAD:
        due["earlier_attempts"] = Delivery.attempt
    elif state == PENDING:
        # COALESCE: the ids lead to the rows, not the index of all that is queued.
        still += [fn.COALESCE(Delivery.queued_at, 0) == 0, fn.COALESCE(Delivery.next_attempt_at, now) > now]
    is_left_alone = state == WAITING or state == place == HELD or not delivery_ids
    return 0 if is_left_alone else int(Delivery.update(**due).where(*still).execute())


def plan_resend(job: Job, limit: int, now: int) -> Plan:
    """Return the next step of a job: up to `limit` deliveries to send again. Raises DatabaseUnavailable."""
    filters = filters_from(job.filters)
    phases = _phases(filters)
    state, _, after = (job.cursor or f"{phases[0]}:").partition(":")
    found = stretch(_wanted(job, filters, state), state, limit, after)
    cursor = f"{state}:{found.end}"
    if found.end is None:
        following = phases[phases.index(state) + 1 :]
        cursor = f"{following[0]}:" if following else ""
    ids = [row.id for row in found.rows]
    return Plan(cursor or None, len(ids), partial(_apply, job.webhook_id, ids, state, now))


def count_resend(job: Job) -> int | None:
    """Return how many deliveries a job will look at, None where only a walk could tell. Raises DatabaseUnavailable."""
    filters = filters_from(job.filters)
    if filters.event_type is not None:
        return None
    return sum(count(_wanted(job, filters, state), state) for state in _phases(filters))


def preview_resend(webhook_id: str, filters: JobFilters, now: int) -> Number:
    """Return how many deliveries a job made `now` would send again. Raises DatabaseUnavailable."""
    job = Job(webhook_id=webhook_id, created_at=now)
    parts = [count_some(_wanted(job, filters, state), state) for state in _phases(filters)]
    return Number(sum(part.value for part in parts), any(part.is_cut for part in parts))


def _phases(filters: JobFilters) -> list[str]:
    return [state for meant in filters.states for state in _PHASES[meant]]


def _wanted(job: Job, filters: JobFilters, state: str) -> DeliveryFilter:
    return DeliveryFilter(
        webhook_id=job.webhook_id,
        start=filters.start,
        end=job.created_at if filters.end is None else filters.end,
        triggered_event=filters.event_type,
        attempted=state != DEAD,
    )


def _apply(webhook_id: str, delivery_ids: Sequence[str], state: str, now: int) -> int:
    return again(delivery_ids, state, now, place_of(webhook_id)) if delivery_ids else 0


@repeat_on_conflict
def _send_again(row: Delivery, webhook: Webhook, now: int) -> None:
    with write_transaction():
        lock_webhooks([webhook.id])
        if again([row.id], row.state, now):
            _let_through(row.id, webhook, now)


@repeat_on_conflict
def _restore(found: Tracked, webhook: Webhook, now: int) -> None:
    """Put a delivery that has left the outbox into it again."""
    with unavailable():
        event = models.Event.get_or_none(models.Event.id == found.event_id)
    if event is None:
        raise NotFound(NOT_FOUND, "delivery_not_found")
    made = found.attempts
    # Its age is the event's, by which pruning knows that the event is still owed.
    row = found.id, found.webhook_id, found.event_id, PENDING, made, now, None, event.accepted_at, made, None, None
    with write_transaction():
        lock_webhooks([webhook.id])
        insert_rows(Delivery, [row])
        _let_through(found.id, webhook, now)


def _let_through(delivery_id: str, webhook: Webhook, now: int) -> None:
    """Make a delivery the probe of its webhook's circuit, where that is open: nothing else is sent then."""
    if webhook.circuit_until is not None:
        changes = {"probe": delivery_id, "circuit_until": now + PROBE_MS, "version": raise_version()}
        still_open = (Webhook.id == webhook.id) & Webhook.circuit_until.is_null(False)
        Webhook.update(**changes).where(still_open).execute()
