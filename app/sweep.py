"""The sweeper: brings deliveries that are due, or whose message was lost, back into the queue."""

from collections.abc import Callable

from app import outbox
from app.queue import DELIVERIES, Broker

# Longer than the longest attempt (30 s) and its wait for a slot, so that a message in a worker's hands is not lost.
LEASE_MS = 90_000
BATCH = 1_000
MAX_BATCHES = 20


def sweep(broker: Broker, now: int) -> int:
    """Enqueue what is due and what was lost, in bounded batches, and return how many deliveries that was.

    Raises DatabaseUnavailable. A queue that takes no more ends the sweep; the rest waits for the next one.
    """
    before = broker.lost_before(DELIVERIES, now, LEASE_MS)
    due = _drain(broker, lambda: outbox.claim_due(now, BATCH))
    return due + _drain(broker, lambda: outbox.claim_lost(before, now, BATCH))


def _drain(broker: Broker, claim: Callable[[], list[str]]) -> int:
    swept = 0
    for _ in range(MAX_BATCHES):
        ids = claim()
        if not ids or not outbox.enqueue(broker, ids):
            break
        swept += len(ids)
    return swept
