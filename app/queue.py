"""The queue of hints: which deliveries to look at. Dramatiq's brokers, with batches.

A message names a delivery; the row says what is to be done. So a message may be lost or doubled without harm.
"""

import queue
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import dramatiq
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.stub import StubBroker

from app.clock import now_ms
from app.errors import QueueUnavailable

DELIVERIES = "deliveries"
DELIVER_ACTOR = "deliver"

# A message takes about 700 bytes. Past this many the rows wait for the sweeper, so memory has a bound.
MEMORY_QUEUE_LIMIT = 50_000


class BatchConsumer(Protocol):
    """A Dramatiq consumer that also works in batches."""

    def fetch(self, limit: int) -> Sequence[MessageProxy]:
        """Wait for a message up to the consumer's time-out, then return what is there now, `limit` at most."""

    def ack_many(self, messages: Iterable[MessageProxy]) -> None:
        """Acknowledge `messages` in one go."""

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Put unacknowledged `messages` back."""

    def close(self) -> None:
        """Give up the consumer's connection."""


class Broker(Protocol):
    """What the service asks of a broker beside Dramatiq's own interface."""

    def enqueue_many(self, messages: Sequence[dramatiq.Message[Any]]) -> None:
        """Enqueue `messages` in one go. Raises QueueUnavailable; then none, some or all are in the queue."""

    def batch_consumer(self, queue_name: str, timeout_ms: int) -> BatchConsumer:
        """Return a consumer of `queue_name` that waits `timeout_ms` for a first message."""

    def lost_before(self, queue_name: str, now: int, lease_ms: int) -> int:
        """Return the time before which an enqueued message that is still unfinished must have been lost."""

    def close(self) -> None:
        """Close connections."""


class MemoryBroker(StubBroker):
    """Dramatiq's in-memory broker with batches and a bound. It keeps messages as they are: nothing to encode."""

    def __init__(self) -> None:
        super().__init__(middleware=[])
        self._started_at = now_ms()

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        """Enqueue one message. Raises QueueUnavailable at the bound, and for delays: retries are rows here."""
        if delay is not None:
            raise QueueUnavailable("the in-memory queue holds no delayed messages")
        self.enqueue_many([message])
        return message

    def enqueue_many(self, messages: Sequence[dramatiq.Message[Any]]) -> None:
        """See Broker."""
        for message in messages:
            waiting = self.queues.get(message.queue_name)
            if waiting is None:
                raise KeyError(message.queue_name)
            if waiting.qsize() >= MEMORY_QUEUE_LIMIT:
                raise QueueUnavailable(f"{MEMORY_QUEUE_LIMIT} messages wait in memory")
            waiting.put(message)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 100) -> "MemoryConsumer":
        """See dramatiq.Broker."""
        if queue_name not in self.queues:
            raise KeyError(queue_name)
        return MemoryConsumer(self.queues[queue_name], timeout)

    def batch_consumer(self, queue_name: str, timeout_ms: int) -> BatchConsumer:
        """See Broker."""
        return self.consume(queue_name, timeout=timeout_ms)

    def lost_before(self, queue_name: str, now: int, lease_ms: int) -> int:
        """See Broker. What was enqueued before this process started is gone with the memory of the one before."""
        waiting = self.queues[queue_name]
        with waiting.mutex:
            head = waiting.queue[0].message_timestamp if waiting.queue else now
        return max(self._started_at, head - lease_ms)


class MemoryConsumer(Consumer):
    """Takes messages off a `queue.Queue`."""

    def __init__(self, waiting: "queue.Queue[dramatiq.Message[Any]]", timeout_ms: int) -> None:
        self._waiting = waiting
        self._timeout_s = timeout_ms / 1000

    def __next__(self) -> MessageProxy | None:
        """Return the next message, or None where none comes in time."""
        return next(iter(self.fetch(1)), None)

    def fetch(self, limit: int) -> Sequence[MessageProxy]:
        """See BatchConsumer."""
        found: list[MessageProxy] = []
        try:
            found.append(MessageProxy(self._waiting.get(timeout=self._timeout_s)))
            while len(found) < limit:
                found.append(MessageProxy(self._waiting.get_nowait()))
        except queue.Empty:
            pass
        return found

    def ack(self, message: MessageProxy) -> None:
        """See dramatiq.Consumer."""
        self._waiting.task_done()

    def nack(self, message: MessageProxy) -> None:
        """See dramatiq.Consumer. The row is still there, so the sweeper brings the delivery back."""
        self._waiting.task_done()

    def ack_many(self, messages: Iterable[MessageProxy]) -> None:
        """See BatchConsumer."""
        for message in messages:
            self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """See dramatiq.Consumer."""
        for message in messages:
            self._waiting.put(message._message)
            self._waiting.task_done()


def delivery_message(delivery_id: str) -> dramatiq.Message[Any]:
    """Return the message that points at a delivery."""
    return dramatiq.Message(DELIVERIES, DELIVER_ACTOR, (delivery_id,), {}, {})


def open_broker() -> Broker:
    """Return the broker of the settings, with the queues declared."""
    broker = MemoryBroker()
    broker.declare_queue(DELIVERIES)
    dramatiq.set_broker(broker)
    return broker
