"""Deliveries that would wait for ever: none should be, and one that is is found within a minute.

A publish call that began before its webhook left the backlog may insert a HELD row after that. And a row may be left
WAITING by whoever removed the head of its key by other means than an attempt. One that began before its webhook was
deleted may insert rows after that, which nobody would send, nor cancel where they are HELD.
"""

from app import outbox
from app.database import marks, repeat_on_conflict, unavailable, write_transaction
from app.models import HELD, PENDING, WAITING, Delivery, Webhook, database
from app.registry import lock_webhooks, raise_version

BATCH = 1_000

# The subqueries are such that each is one look into an index: EXISTS has some databases read the table of deliveries.
_WITH = """
    SELECT w.id FROM webhook w WHERE w.deleted_at IS NULL AND {condition}
    AND (SELECT d.id FROM delivery d WHERE d.webhook_id = w.id AND d.state = '{state}' LIMIT 1) IS NOT NULL
"""
_DELETED = """
    SELECT w.id FROM webhook w WHERE w.deleted_at IS NOT NULL
    AND (SELECT d.id FROM delivery d WHERE d.webhook_id = w.id LIMIT 1) IS NOT NULL
"""
_HEADS = """
    SELECT d.id FROM delivery d WHERE d.webhook_id = {mark} AND d.state = '{state}' AND d.id = COALESCE(
        (SELECT f.id FROM delivery f WHERE f.order_key = d.order_key ORDER BY f.position LIMIT 1), d.id
    ) LIMIT {limit}
"""


def recover_strays(now: int) -> int:
    """Have held deliveries fed, waiting ones sent, and those of deleted webhooks cancelled, that nobody else would see
    to; return how many there were, or of how many webhooks.

    Raises DatabaseUnavailable.
    """
    with unavailable():
        deleted = [webhook_id for (webhook_id,) in database.execute_sql(_DELETED).fetchall()]
        unfed = _webhooks_with(HELD, "NOT w.backlog")
        waiting = _webhooks_with(WAITING, "1 = 1")
        heads = [each for webhook_id in waiting for each in _waiting_heads(webhook_id)]
    if unfed:
        _feed(unfed)
    for start in range(0, len(heads), BATCH):
        _send(heads[start : start + BATCH], now)
    for webhook_id in deleted:
        _cancel(webhook_id)
    return len(unfed) + len(heads) + len(deleted)


def _webhooks_with(state: str, condition: str) -> list[str]:
    found = database.execute_sql(_WITH.format(condition=condition, state=state))
    return [webhook_id for (webhook_id,) in found.fetchall()]


def _waiting_heads(webhook_id: str) -> list[str]:
    sql = _HEADS.format(mark=marks(1), state=WAITING, limit=BATCH)
    return [delivery_id for (delivery_id,) in database.execute_sql(sql, (webhook_id,)).fetchall()]


@repeat_on_conflict
def _cancel(webhook_id: str) -> None:
    with write_transaction():
        outbox.cancel_pending(webhook_id)


@repeat_on_conflict
def _feed(webhook_ids: list[str]) -> None:
    with write_transaction():
        lock_webhooks(webhook_ids)
        Webhook.update(backlog=True, version=raise_version()).where(Webhook.id.in_(webhook_ids)).execute()


@repeat_on_conflict
def _send(delivery_ids: list[str], now: int) -> None:
    with write_transaction():
        Delivery.update(state=PENDING, next_attempt_at=now, queued_at=None).where(
            Delivery.id.in_(delivery_ids), Delivery.state == WAITING
        ).execute()
