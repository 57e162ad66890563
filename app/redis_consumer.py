"""Takes messages off a queue in Redis: it blocks for the first, and takes what is there then, all in one step.

Each consumer has an id of its own with Redis, so what it holds is known there. Two threads may use it: one fetches
and beats, another acknowledges. Only the first ever blocks, and on a connection of its own.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
from dramatiq.broker import MessageProxy
from redis.exceptions import NoScriptError

from app.errors import QueueUnavailable
from app.redis_client import SOCKET_TIMEOUT_S, connect, disconnect, unavailable
from app.redis_ledger import Ledger
from app.redis_scripts import CONSUMER_PREFIX, MAX_UNPACK, ConsumerScripts, consumer_keys
from app.redis_url import RedisUrl
from app.redis_wire import FetchedMessage, Undecodable, decode

log = logging.getLogger(__name__)

BEAT_S = 1.0
RECOVER_S = 5.0

# After so long without a sign of life a consumer of ours is dead, and another takes its messages.
DEAD_AFTER_MS = 15_000


Taken = tuple[list[bytes], list[bytes | None]]  # ids, encoded messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The queue that a consumer takes from. Times are milliseconds."""

    url: RedisUrl
    client: redis.Redis  # for what never blocks; may be shared
    namespace: str
    queue_name: str
    known_queues: Collection[str]
    others_dead_after_ms: int  # for plain workers of Dramatiq
    dead_letters_kept_ms: int


class RedisConsumer:
    """See app.queue.BatchConsumer."""

    def __init__(
        self, source: Source, timeout_ms: int, on_undecodable: Callable[[str, bytes], None] | None = None
    ) -> None:
        self.id = f"{CONSUMER_PREFIX}{uuid.uuid4()}"
        self._source = source
        self._timeout_s = timeout_ms / 1000
        self._on_undecodable = on_undecodable
        self._keys = consumer_keys(source.namespace, source.queue_name, self.id)
        self._client = connect(source.url, self._timeout_s + SOCKET_TIMEOUT_S)
        self._scripts = ConsumerScripts(source.client)
        self._ledger = Ledger(source.client, self._scripts, self._keys)
        self._fetching = threading.Lock()
        self._closed = False
        self._beat_at = 0.0
        self._recover_at = 0.0

    def fetch(self, limit: int) -> Sequence[FetchedMessage]:
        """See BatchConsumer. Raises QueueUnavailable, and what `on_undecodable` raises; then nothing was fetched."""
        with self._fetching:
            if self._closed or limit < 1:
                return []
            try:
                self._ledger.settle()
                ids, raws = self._take(limit)
                if not ids and self._timeout_s > 0:
                    ids, raws = self._wait_and_take(limit)
            except QueueUnavailable as error:
                self._ledger.found_away(error)
                raise
        try:
            return self._decode_all(ids, raws)
        except BaseException:
            self._ledger.give_back(ids)
            raise

    def ack_many(self, messages: Sequence[MessageProxy]) -> None:
        """See BatchConsumer. In an outage they are acknowledged later."""
        if messages:
            self._ledger.acknowledge(_ids(messages))

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """See BatchConsumer. They go to the head of the queue; in an outage, later."""
        ids = _ids(messages)
        if ids:
            self._ledger.give_back(ids)

    def nack(self, message: MessageProxy) -> None:
        """Move a message to the dead letters, as Dramatiq does. Raises QueueUnavailable."""
        self._ledger.bury(_ids([message]))

    def beat(self) -> None:
        """See BatchConsumer."""
        now = time.monotonic()
        recovers = now >= self._recover_at
        if now < self._beat_at and not recovers:
            return
        self._beat_at = now + BEAT_S
        try:
            self._ledger.settle()
            with unavailable():
                self._scripts.beat(keys=self._keys, args=[self.id])
                if recovers:
                    self._recover_at = now + RECOVER_S
                    self._recover()
        except QueueUnavailable as error:
            self._ledger.found_away(error)

    def close(self) -> None:
        """See BatchConsumer. It waits for a fetch under way, and puts back what is held and not acknowledged."""
        self._closed = True
        with self._fetching:
            disconnect(self._client)
        try:
            self._ledger.give_all_back()
            with unavailable():
                self._scripts.leave(keys=self._keys, args=[self.id])
        except QueueUnavailable as error:
            self._ledger.found_away(error)

    def _take(self, limit: int) -> Taken:
        """Take what is there."""
        return self._taken(lambda: self._scripts.fetch(self._keys, self._fetch_arguments(limit), self._client))

    def _wait_and_take(self, limit: int) -> Taken:
        """Wait for the queue to hold something, and take what is there then, in one round trip.

        Moving the head of the queue to where it is changes nothing, and loses nothing.
        """
        queue, fetch = self._keys[0], self._scripts.fetch.sha
        pipeline: Any = self._client.pipeline(transaction=False)  # redis-py gives no types for it
        pipeline.blmove(queue, queue, self._timeout_s, "LEFT", "LEFT")
        pipeline.execute_command("EVALSHA", fetch, len(self._keys), *self._keys, *self._fetch_arguments(limit))
        try:
            return self._taken(lambda: pipeline.execute()[1])
        except NoScriptError:  # Redis has been restarted since the last look
            return self._take(limit)

    def _fetch_arguments(self, limit: int) -> tuple[int, str]:
        return min(limit, MAX_UNPACK), self.id

    def _taken(self, ask: Callable[[], Any]) -> Taken:
        try:
            with unavailable():
                reply = ask()
        except BaseException:
            self._ledger.doubt()
            raise
        ids, raws = reply or ([], [])
        self._ledger.hold(ids)
        self._beat_at = time.monotonic() + BEAT_S
        return ids, raws

    def _decode_all(self, ids: Sequence[bytes], raws: Sequence[bytes | None]) -> list[FetchedMessage]:
        messages: list[FetchedMessage] = []
        missing: list[bytes] = []
        broken: list[tuple[bytes, bytes]] = []
        for redis_id, raw in zip(ids, raws, strict=True):
            if raw is None:
                missing.append(redis_id)
                continue
            try:
                messages.append(decode(raw, redis_id))
            except Undecodable as error:
                log.error("queue=%s id=%r is no message: %s", self._source.queue_name, redis_id, error)
                broken.append((redis_id, raw))
        if missing:
            self._ledger.acknowledge(missing)
        if broken:
            self._remove(broken)
        return messages

    def _remove(self, broken: Sequence[tuple[bytes, bytes]]) -> None:
        """Take what is no message out of the queue: to whoever asked for it, else to the dead letters."""
        ids = [redis_id for redis_id, _ in broken]
        if self._on_undecodable is None:
            self._ledger.bury(ids)
            return
        for redis_id, raw in broken:
            self._on_undecodable(redis_id.decode(errors="replace"), raw)
        self._ledger.acknowledge(ids)

    def _recover(self) -> None:
        """Put back what dead consumers held. Call it after a beat of one's own."""
        source = self._source
        names = (source.namespace, source.queue_name, CONSUMER_PREFIX)
        limits = (DEAD_AFTER_MS, source.others_dead_after_ms, source.dead_letters_kept_ms)
        count: Any = self._scripts.recover(self._keys, cast(Any, (*names, *limits, *sorted(source.known_queues))))
        if count:
            log.warning("queue=%s recovered=%d messages that dead consumers held", source.queue_name, count)


def _ids(messages: Iterable[MessageProxy]) -> list[bytes]:
    return [cast(FetchedMessage, message).redis_id for message in messages]
