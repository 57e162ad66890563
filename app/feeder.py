"""The feeder: brings deliveries that were held for their webhook into the queue, as fast as that takes them.

A webhook is in `backlog` while some of its deliveries may be HELD. One whose circuit is open gets a single delivery,
the probe, when that is due. Any other gets a few at a time, and twice as many each time that all were taken; where some
came back it gets fewer. So a backlog of any length has no more than a helping in the queue, and others' deliveries are
never behind it.
"""

import logging
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app import outbox
from app.database import repeat_on_conflict, unavailable, write_transaction
from app.models import DEAD, HELD, PENDING, Delivery, Webhook
from app.ordering import head_of
from app.queue import Broker
from app.registry import lock_webhooks, raise_version

log = logging.getLogger(__name__)

FEED_MS = 500  # how often
FIRST_HELPING = 16
LARGEST_HELPING = 4_000
SMALLEST_HELPING = 8
# Longer than an attempt can take: a probe that is heard of no more was lost with its worker.
PROBE_MS = 60_000
WEBHOOKS_AT_ONCE = 1_000


class Backlogged(NamedTuple):
    """A webhook in backlog that can be fed now."""

    id: str
    rate_limit: int | None
    circuit_until: int | None


@dataclass(slots=True)
class _Plate:
    """What a webhook has been given."""

    helping: int = FIRST_HELPING
    given: set[str] = field(default_factory=set)


class Feeder:
    """Call `feed` from time to time, in one process at a time; what it remembers it can do without."""

    def __init__(self) -> None:
        self._plates: dict[str, _Plate] = {}

    def feed(self, broker: Broker, now: int) -> int:
        """Enqueue held deliveries of the webhooks that can take some, and return how many.

        Raises DatabaseUnavailable.
        """
        with unavailable():
            hungry = _hungry(now)
        self._plates = {webhook.id: self._plates.get(webhook.id) or _Plate() for webhook in hungry}
        return sum(self._feed_one(broker, webhook, now) for webhook in hungry)

    def _feed_one(self, broker: Broker, webhook: Backlogged, now: int) -> int:
        is_closed = webhook.circuit_until is None
        ids = self._help(webhook, now) if is_closed else _take_probe(webhook, now)
        outbox.enqueue(broker, ids)
        return len(ids)

    def _help(self, webhook: Backlogged, now: int) -> list[str]:
        plate = self._plates[webhook.id]
        with unavailable():
            queued, returned = _left_of(plate.given)
        plate.helping = next_helping(plate.helping, len(plate.given), len(queued), returned)
        if webhook.rate_limit is not None:
            plate.helping = min(plate.helping, max(1, webhook.rate_limit * FEED_MS // 1000 * 2))
        plate.given = queued
        room = plate.helping - len(queued)
        ids = _take(webhook.id, room, now) if room > 0 else []
        plate.given.update(ids)
        if not ids and room > 0:
            _leave_backlog(webhook.id)
        return ids


def next_helping(helping: int, given: int, queued: int, returned: int) -> int:
    """Return how much to give next, after `given`, of which some are still `queued` and some came back. Pure."""
    if returned:
        return max(SMALLEST_HELPING, helping // 2)
    if given >= helping and not queued:
        return min(2 * helping, LARGEST_HELPING)
    return helping


def _hungry(now: int) -> list[Backlogged]:
    """Return the webhooks in backlog that may be sent to, those with an open circuit once their probe is due."""
    is_due = Webhook.circuit_until.is_null() | (Webhook.circuit_until <= now)
    found = (
        Webhook.select(Webhook.id, Webhook.rate_limit, Webhook.circuit_until)
        # Compared, because SQLite takes the bare column for no condition that an index serves.
        .where(Webhook.backlog == 1, Webhook.enabled, Webhook.deleted_at.is_null(), is_due)
        .limit(WEBHOOKS_AT_ONCE)
    )
    return [Backlogged(*row) for row in found.tuples()]


def _left_of(given: set[str]) -> tuple[set[str], int]:
    """Return which of the deliveries are still queued, and how many are held again."""
    if not given:
        return set(), 0
    found = Delivery.select(Delivery.id, Delivery.state, Delivery.queued_at).where(Delivery.id.in_(sorted(given)))
    rows = list(found.tuples())
    queued = {delivery_id for delivery_id, state, queued_at in rows if state == PENDING and queued_at is not None}
    return queued, sum(state == HELD for _, state, _ in rows)


def _held(webhook_id: str, limit: int) -> list[str]:
    """Return held deliveries, the oldest first."""
    found = Delivery.select(Delivery.id).where(*_are_held(webhook_id))
    return [delivery_id for (delivery_id,) in found.order_by(Delivery.id).limit(limit).tuples()]


def _are_held(webhook_id: str) -> tuple[Any, ...]:
    return Delivery.webhook_id == webhook_id, Delivery.state == HELD


@repeat_on_conflict
def _take(webhook_id: str, limit: int, now: int) -> list[str]:
    with write_transaction():
        return _queue(_held(webhook_id, limit), now)


@repeat_on_conflict
def _take_probe(webhook: Backlogged, now: int) -> list[str]:
    """Choose the probe of an open circuit, and return it to be enqueued; where nothing is held, its time is to come."""
    with write_transaction():
        lock_webhooks([webhook.id])
        probe = _probe_of(webhook.id)
        if probe is None:
            return []
        is_as_read = (Webhook.id == webhook.id) & (Webhook.circuit_until == webhook.circuit_until)
        changes: dict[str, Any] = {"probe": probe, "circuit_until": now + PROBE_MS, "version": raise_version()}
        if not Webhook.update(**changes).where(is_as_read).execute():
            return []
        idle = (Delivery.id == probe) & Delivery.queued_at.is_null() & (Delivery.state != DEAD)
        return [probe] if Delivery.update(**_queued(now)).where(idle).execute() else []


def _probe_of(webhook_id: str) -> str | None:
    """Return the oldest held delivery. Where another of its key comes before it that one, though it may be due later:
    nothing else could be sent."""
    held = Delivery.select(Delivery.id, Delivery.order_key).where(*_are_held(webhook_id)).order_by(Delivery.id)
    oldest = held.limit(1).tuples().first()
    if oldest is None:
        return None
    delivery_id, key = oldest
    return delivery_id if key is None else head_of(key) or delivery_id


def _queue(ids: list[str], now: int) -> list[str]:
    if ids:
        Delivery.update(**_queued(now)).where(Delivery.id.in_(ids), Delivery.state == HELD).execute()
    return ids


def _queued(now: int) -> dict[str, Any]:
    return {"state": PENDING, "next_attempt_at": now, "queued_at": now}


@repeat_on_conflict
def _leave_backlog(webhook_id: str) -> None:
    """Let a webhook's deliveries go straight to the queue again, unless some are held.

    The webhook's row is locked before it is looked for them: whoever holds one locks it too (app.outbox.hold).
    """
    with write_transaction():
        lock_webhooks([webhook_id])
        if not _held(webhook_id, 1):
            Webhook.update(backlog=False, version=raise_version()).where(Webhook.id == webhook_id).execute()
    log.debug("webhook=%s is fed up", webhook_id)
