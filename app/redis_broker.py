"""Dramatiq's Redis broker with batches, a consumer that blocks instead of polling, and an exact age of the queue.

On the wire it is Dramatiq 2.2: plain Dramatiq producers and workers can share its queues.
"""

from collections.abc import Callable, Sequence
from typing import Any

from dramatiq.brokers.redis import RedisBroker as DramatiqRedisBroker
from dramatiq.middleware import Middleware
from redis.exceptions import ConnectionError, OutOfMemoryError, RedisError, TimeoutError

from app.clock import now_ms
from app.errors import OperatorError
from app.queue import Message
from app.redis_client import Outage, cause, connect, disconnect
from app.redis_consumer import RedisConsumer, Source
from app.redis_scripts import BrokerScripts, queue_keys, since_key
from app.redis_url import RedisUrl
from app.redis_wire import encode_many, first_timestamp

# The consumers wait with BLMOVE, and look their messages up with SMISMEMBER.
OLDEST_VERSION = (6, 2)

CHUNK = 1_000
HEADS = 10


class RedisBroker(DramatiqRedisBroker):
    """See app.queue.Broker."""

    def __init__(self, url: RedisUrl, *, namespace: str = "dramatiq", middleware: Sequence[Middleware] = ()) -> None:
        begin: Any = super().__init__  # Dramatiq gives no types for it
        begin(client=connect(url), namespace=namespace, middleware=list(middleware))
        self.url = url
        self._outage = Outage()
        self._scripts = BrokerScripts(self.client)

    def open(self) -> None:
        """Connect for the first time. Raises OperatorError where that fails, or the server is too old."""
        try:
            version = str(self.client.info("server")["redis_version"])
            self._remember_since(now_ms())
        except (RedisError, OSError) as error:
            raise OperatorError(f"REDIS_URL: {self.url.shown} can't be used: {cause(error)}") from error
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
            raise OperatorError(f"REDIS_URL: {self.url.shown} is Redis {version}; it must be 6.2 or later")

    def _remember_since(self, now: int) -> None:
        try:
            self.client.set(since_key(self.namespace), now, nx=True)
        except OutOfMemoryError:
            return  # a full Redis still has what it was given; `lost_before` makes up for this

    def enqueue(self, message: Message, *, delay: int | None = None) -> Message:
        """See dramatiq.Broker. Raises QueueUnavailable."""
        with self._outage.watch():
            return super().enqueue(message, delay=delay)

    def enqueue_many(self, messages: Sequence[Message]) -> None:
        """See app.queue.Broker. A batch goes in by the thousand, each thousand all or not at all."""
        by_queue: dict[str, list[Message]] = {}
        for message in messages:
            by_queue.setdefault(message.queue_name, []).append(message)
        for name, batch in by_queue.items():
            for start in range(0, len(batch), CHUNK):
                self._enqueue_chunk(name, batch[start : start + CHUNK])

    def _enqueue_chunk(self, queue_name: str, messages: Sequence[Message]) -> None:
        if self.middleware:
            for message in messages:
                self.emit_before("enqueue", message, None)
        with self._outage.watch():
            self._scripts.enqueue(keys=queue_keys(self.namespace, queue_name), args=encode_many(messages))
        if self.middleware:
            for message in messages:
                self.emit_after("enqueue", message, None)

    def batch_consumer(
        self, queue_name: str, timeout_ms: int, on_undecodable: Callable[[str, bytes], None] | None = None
    ) -> RedisConsumer:
        """See app.queue.Broker."""
        source = Source(
            url=self.url,
            client=self.client,
            namespace=self.namespace,
            queue_name=queue_name,
            known_queues=self.get_declared_queues() | {queue_name},
            others_dead_after_ms=self.heartbeat_timeout,
            dead_letters_kept_ms=self.dead_message_ttl,
        )
        return RedisConsumer(source, timeout_ms, on_undecodable)

    def lost_before(self, queue_name: str, now: int, lease_ms: int) -> int:
        """See app.queue.Broker. Raises QueueUnavailable.

        A Redis without our mark was wiped or has begun anew, so whatever was enqueued before `now` is lost. Otherwise
        the queue is first in, first out: what is older than its head has been fetched, and a lease ago.
        """
        keys = [*queue_keys(self.namespace, queue_name), since_key(self.namespace)]
        with self._outage.watch():
            since, heads = self._scripts.head(keys=keys, args=[now, HEADS])
        oldest = first_timestamp(heads)
        return max(int(since), min(now, now if oldest is None else oldest) - lease_ms)

    def waiting(self, queue_name: str) -> int:
        """See app.queue.Broker. Raises QueueUnavailable."""
        with self._outage.watch():
            length: Any = self.client.llen(queue_keys(self.namespace, queue_name)[0])
        return int(length)

    def product(self) -> str:
        """See app.queue.Broker. Raises QueueUnavailable."""
        with self._outage.watch():
            about: Any = self.client.info("server")
        fork = about.get("valkey_version")
        return f"Valkey {fork}" if fork else f"Redis {about['redis_version']}"

    def close(self) -> None:
        """See app.queue.Broker."""
        disconnect(self.client)

    def _dispatch(self, command: str) -> Callable[..., Any]:
        """Have silence count as a lost connection: Dramatiq's consumers wait out the one, and trip over the other."""
        make: Any = super()._dispatch  # Dramatiq gives no types for it
        dispatch = make(command)

        def watched(queue_name: str, *arguments: Any) -> Any:
            try:
                return dispatch(queue_name, *arguments)
            except TimeoutError as error:
                raise ConnectionError(cause(error)) from error

        return watched
