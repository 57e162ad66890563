"""What the next step of a job does, found by reading alone; and where deliveries that it makes due are put."""

from collections.abc import Callable
from typing import NamedTuple

from app.models import HELD, PENDING, Webhook
from app.registry import lock_webhooks


class Plan(NamedTuple):
    """A step of a job. `apply` makes deliveries due, in the transaction that moves the job's cursor, and returns how
    many; the rest of those `examined` are skipped."""

    cursor: str | None  # where the next step begins, None where this one is the last
    examined: int
    apply: Callable[[], int]


def place_of(webhook_id: str) -> str:
    """Return the state in which deliveries to a webhook are owed now, PENDING or HELD; call it in a transaction.

    The webhook's row stays locked to the end: app.feeder, which ends a backlog under that lock, comes before this or
    after.
    """
    mine = Webhook.id == webhook_id
    lock_webhooks([webhook_id])
    is_held = Webhook.select(Webhook.id).where(mine, Webhook.backlog | Webhook.circuit_until.is_null(False)).exists()
    return HELD if is_held else PENDING
