"""Where deliveries are in trouble: the webhooks to which some were given up, are held, or wait for a retry."""

from typing import Any, NamedTuple

from peewee import SQL, fn

from app.database import unavailable
from app.delivery_query import SCAN, Number
from app.models import DEAD, HELD, Delivery, Webhook
from app.statistics import Scope

MOST = 100  # webhooks that are shown
RETRIES = 5_000  # that are looked at
MOST_COUNTED = 1_000  # deliveries of a webhook in a state, where few webhooks are in trouble

_COLUMNS = (
    *(Webhook.id, Webhook.url, Webhook.association_type, Webhook.association_id, Webhook.enabled),
    *(Webhook.disabled_reason, Webhook.failures, Webhook.failing_since, Webhook.circuit_until, Webhook.backlog),
)


class Troubled(NamedTuple):
    """A webhook, and how many of its deliveries were given up, are held, and wait for a retry."""

    webhook: Webhook
    dead: Number
    held: Number
    retrying: Number


class Trouble(NamedTuple):
    """The webhooks in trouble, those first to which most was given up, and whether there may be more."""

    webhooks: list[Troubled]
    is_cut: bool


def trouble(scope: Scope) -> Trouble:
    """Return the webhooks of `scope` in trouble, 100 at most of the newest 20,000. Raises DatabaseUnavailable."""
    retrying = _retrying(scope)
    rows, is_cut = _troubled(scope, list(retrying))
    most = max(min(SCAN // (2 * len(rows) or 1), MOST_COUNTED), MOST)
    found = [
        Troubled(row, _number(row.id, DEAD, most), _number(row.id, HELD, most), retrying.get(row.id, Number(0)))
        for row in rows
    ]
    return Trouble(sorted(found, key=_rank, reverse=True), is_cut or scope.is_cut)


def _rank(each: Troubled) -> tuple[int, int, int, str]:
    return each.dead.value, each.held.value, each.retrying.value, str(each.webhook.id)


def _retrying(scope: Scope) -> dict[str, Number]:
    """Return how many deliveries of each webhook wait for a retry, of any 5,000 that are due at some time."""
    columns = Delivery.webhook_id, Delivery.attempt, Delivery.earlier_attempts
    waiting = (
        Delivery.select(*columns)
        .where(Delivery.queued_at.is_null(), Delivery.next_attempt_at > 0)
        .limit(RETRIES)
        .alias("waiting")
    )
    query = (
        Delivery.select(waiting.c.webhook_id, fn.COUNT(SQL("1")))
        .from_(waiting)
        .where(waiting.c.attempt > waiting.c.earlier_attempts, *scope.holds(waiting.c.webhook_id))
        .group_by(waiting.c.webhook_id)
        .order_by(fn.COUNT(SQL("1")).desc())
        .limit(MOST)
    )
    with unavailable():
        return {webhook_id: Number(number) for webhook_id, number in query.tuples()}


def _troubled(scope: Scope, retrying: list[str]) -> tuple[list[Webhook], bool]:
    within: list[Any] = [Webhook.deleted_at.is_null(), *scope.holds(Webhook.id)]
    last = Webhook.select(Webhook.id).order_by(Webhook.id.desc()).limit(1).offset(SCAN - 1)
    query = Webhook.select(*_COLUMNS).order_by(Webhook.id.desc()).limit(MOST + 1)
    with unavailable():
        horizon = last.scalar() if scope.ids is None else None
        if horizon is not None:
            within.append(Webhook.id >= horizon)
        rows = list(query.where(*within, _has(DEAD) | _has(HELD) | Webhook.id.in_(retrying)))
    return rows[:MOST], horizon is not None or len(rows) > MOST


def _has(state: str) -> Any:
    # Not EXISTS: some databases would gather the webhooks of all deliveries in that state first.
    owed = Delivery.select(SQL("1")).where(Delivery.webhook_id == Webhook.id, Delivery.state == state).limit(1)
    return fn.COALESCE(owed, 0) == 1


def _number(webhook_id: str, state: str, most: int) -> Number:
    query = Delivery.select(Delivery.id).where(Delivery.webhook_id == webhook_id, Delivery.state == state)
    with unavailable():
        number = int(query.limit(most + 1).count())
    return Number(min(number, most), is_cut=number > most)
