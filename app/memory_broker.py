"""Dramatiq's in-memory broker with batches and a bound, for a service that is one process."""

import queue
from collections.abc import Callable, Iterable, Sequence

from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.stub import StubBroker

from app.clock import now_ms
from app.errors import QueueUnavailable
from app.queue import Message

# A message takes about 700 bytes. Past this many the rows wait for the sweeper, so memory has a bound.
MEMORY_QUEUE_LIMIT = 50_000


class BatchQueue(queue.Queue[Message]):
    """A queue that takes and gives many messages under one lock, with one wake-up."""

    def put_many(self, messages: Sequence[Message]) -> None:
        """Add `messages`, without a bound."""
        with self.mutex:
            self.queue.extend(messages)
            self.unfinished_tasks += len(messages)
            self.not_empty.notify()

    def get_many(self, limit: int, timeout_s: float) -> list[Message]:
        """Wait up to `timeout_s` for a message, and return what is there then, `limit` at most."""
        with self.not_empty:
            self.not_empty.wait_for(self.queue.__len__, timeout_s)
            return [self.queue.popleft() for _ in range(min(limit, len(self.queue)))]

    def many_done(self, count: int) -> None:
        """Count `count` messages as finished."""
        with self.all_tasks_done:
            self.unfinished_tasks -= count
            if not self.unfinished_tasks:
                self.all_tasks_done.notify_all()


class MemoryBroker(StubBroker):
    """See app.queue.Broker. It keeps messages as they are, so there is nothing to encode, and none it can't decode."""

    def __init__(self) -> None:
        super().__init__(middleware=[])
        self._started_at = now_ms()

    def declare_queue(self, queue_name: str) -> None:
        """See dramatiq.Broker. There are no delay queues: retries are rows here."""
        if queue_name not in self.queues:
            self.queues[queue_name] = BatchQueue()
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message, *, delay: int | None = None) -> Message:
        """Enqueue one message. Raises QueueUnavailable at the bound, and for delays: retries are rows here."""
        if delay is not None:
            raise QueueUnavailable("the in-memory queue holds no delayed messages")
        self.enqueue_many([message])
        return message

    def enqueue_many(self, messages: Sequence[Message]) -> None:
        """See Broker."""
        by_queue: dict[str, list[Message]] = {}
        for message in messages:
            by_queue.setdefault(message.queue_name, []).append(message)
        for name, batch in by_queue.items():
            if self.queues[name].qsize() + len(batch) > MEMORY_QUEUE_LIMIT:
                raise QueueUnavailable(f"{MEMORY_QUEUE_LIMIT} messages wait in memory")
            self.queues[name].put_many(batch)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 100) -> "MemoryConsumer":
        """See dramatiq.Broker."""
        return MemoryConsumer(self.queues[queue_name], timeout)

    def batch_consumer(
        self, queue_name: str, timeout_ms: int, on_undecodable: Callable[[str, bytes], None] | None = None
    ) -> "MemoryConsumer":
        """See Broker."""
        return self.consume(queue_name, timeout=timeout_ms)

    def lost_before(self, queue_name: str, now: int, lease_ms: int) -> int:
        """See Broker. What was enqueued before this process started is gone with the memory of the one before."""
        waiting = self.queues[queue_name]
        with waiting.mutex:
            head = waiting.queue[0].message_timestamp if waiting.queue else now
        return max(self._started_at, head - lease_ms)

    def waiting(self, queue_name: str) -> int:
        """See Broker."""
        return int(self.queues[queue_name].qsize())

    def product(self) -> None:
        """See Broker. There is no server."""


class MemoryConsumer(Consumer):
    """Takes messages off a `queue.Queue`."""

    def __init__(self, waiting: BatchQueue, timeout_ms: int) -> None:
        self._waiting = waiting
        self._timeout_s = timeout_ms / 1000

    def __next__(self) -> MessageProxy | None:
        """Return the next message, or None where none comes in time."""
        return next(iter(self.fetch(1)), None)

    def fetch(self, limit: int) -> Sequence[MessageProxy]:
        """See BatchConsumer."""
        return [MessageProxy(message) for message in self._waiting.get_many(limit, self._timeout_s)]

    def ack(self, message: MessageProxy) -> None:
        """See dramatiq.Consumer."""
        self._waiting.task_done()

    def nack(self, message: MessageProxy) -> None:
        """See dramatiq.Consumer. The row is still there, so the sweeper brings the delivery back."""
        self._waiting.task_done()

    def ack_many(self, messages: Sequence[MessageProxy]) -> None:
        """See BatchConsumer."""
        self._waiting.many_done(len(messages))

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """See dramatiq.Consumer."""
        returned = [message._message for message in messages]
        self._waiting.put_many(returned)
        self._waiting.many_done(len(returned))

    def beat(self) -> None:
        """See BatchConsumer. Nobody else could take over what this one holds."""
