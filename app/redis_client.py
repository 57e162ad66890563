"""Connections to Redis, and what becomes of an outage."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, NoScriptError, ResponseError, TimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from app.errors import QueueUnavailable
from app.redis_url import RedisUrl

CONNECT_TIMEOUT_S = 2.0
SOCKET_TIMEOUT_S = 5.0
PAUSE_S = 1.0

_CAUSE_LENGTH = 200


def connect(url: RedisUrl, socket_timeout_s: float = SOCKET_TIMEOUT_S) -> redis.Redis:
    """Return a client of the server that `url` names. It connects at its first command, and repeats no command."""
    common: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    options = {**common, "socket_timeout": socket_timeout_s, **url.options}
    if not url.service:
        return redis.Redis(**options)
    asking = {**common, "socket_timeout": CONNECT_TIMEOUT_S, **url.sentinel_options}
    make: Any = Sentinel  # redis-py gives no types for it
    client: redis.Redis = make(url.sentinels, sentinel_kwargs=asking).master_for(url.service, **options)
    return client


def disconnect(client: redis.Redis) -> None:
    """Close the connections of a client that `connect` made, those to Sentinels too."""
    pool = client.connection_pool
    pool.disconnect()
    if isinstance(pool, SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            sentinel.connection_pool.disconnect()


def cause(error: Exception) -> str:
    """Return what went wrong in one short line."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:_CAUSE_LENGTH]


@contextlib.contextmanager
def unavailable() -> Iterator[None]:
    """Turn a refusal by Redis, or of the way to it, into QueueUnavailable. A script that is not there is none."""
    try:
        yield
    except NoScriptError:
        raise
    except (ConnectionError, TimeoutError, ResponseError) as error:
        raise QueueUnavailable(f"Redis: {cause(error)}") from error


class Outage:
    """Keeps callers from waiting for a server that has just been found away: one of them tries, once a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._retry_at: float | None = None

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Run a block of Redis commands. Raises QueueUnavailable, at once where Redis was away a moment ago."""
        self._admit()
        try:
            with unavailable():
                yield
        except QueueUnavailable as error:
            # What a server refuses it refuses at once; only silence is worth sparing the next caller.
            if not isinstance(error.__cause__, ResponseError):
                self._retry_at = time.monotonic() + PAUSE_S
            raise
        self._retry_at = None

    def _admit(self) -> None:
        if self._retry_at is None:
            return
        with self._lock:
            if self._retry_at is None:
                return
            now = time.monotonic()
            if now < self._retry_at:
                raise QueueUnavailable("Redis: it was away a moment ago")
            self._retry_at = now + CONNECT_TIMEOUT_S + PAUSE_S  # the others fail at once while this one tries
