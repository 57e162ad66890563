"""The queue of hints: which deliveries to look at; and what the service asks of a broker beside Dramatiq's interface.

A message names a delivery; the row says what is to be done. So a message may be lost or doubled without harm.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import dramatiq
from dramatiq.broker import MessageProxy

from app.ids import new_id

Message = dramatiq.Message[Any]

DELIVERIES = "deliveries"
DELIVER_ACTOR = "deliver"

# Where producers put events (contract §5). These messages are the truth until their events are in the database.
EVENTS = "events"
EVENTS_ACTOR = "publish_events"


class BatchConsumer(Protocol):
    """A Dramatiq consumer that also works in batches. One thread fetches and beats; any may do the rest."""

    def fetch(self, limit: int) -> Sequence[MessageProxy]:
        """Wait for a message up to the consumer's time-out, then return what is there now, `limit` at most.

        Raises QueueUnavailable; then nothing was fetched.
        """

    def ack_many(self, messages: Sequence[MessageProxy]) -> None:
        """Acknowledge `messages` in one go. Raises nothing: where the queue is away, they are acknowledged later."""

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Put unacknowledged `messages` back. Raises nothing: where the queue is away, they are put back later."""

    def beat(self) -> None:
        """Give a sign of life where one is due. Call it at least once a second; it raises nothing, and costs little."""

    def close(self) -> None:
        """Give up the consumer's connection, and what it still holds. It waits for a fetch under way."""


class Broker(Protocol):
    """What the service asks of a broker beside Dramatiq's own interface."""

    def enqueue_many(self, messages: Sequence[Message]) -> None:
        """Enqueue `messages` in one go. Raises QueueUnavailable; then none, some or all are in the queue."""

    def batch_consumer(
        self, queue_name: str, timeout_ms: int, on_undecodable: Callable[[str, bytes], None] | None = None
    ) -> BatchConsumer:
        """Return a consumer of `queue_name` that waits `timeout_ms` for a first message.

        What is no message of Dramatiq's goes to `on_undecodable` (its id, its bytes) before it is removed; without
        that, to the dead letters. Where `on_undecodable` raises, the batch goes back and `fetch` raises the same.
        """

    def lost_before(self, queue_name: str, now: int, lease_ms: int) -> int:
        """Return the time before which an enqueued message that is still unfinished must have been lost.

        Raises QueueUnavailable where that can't be told.
        """

    def waiting(self, queue_name: str) -> int:
        """Return how many messages nobody has fetched yet. Raises QueueUnavailable."""

    def product(self) -> str | None:
        """Return the name and version of the server that has the queue, None where this process has it.

        Raises QueueUnavailable.
        """

    def close(self) -> None:
        """Close connections."""


def delivery_message(delivery_id: str) -> Message:
    """Return the message that points at a delivery."""
    # Not Message(…): making one by way of a generic alias takes three times as long.
    return dramatiq.Message(DELIVERIES, DELIVER_ACTOR, (delivery_id,), {}, {}, message_id=new_id())
