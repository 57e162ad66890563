"""A real Redis for tests, and a look at what is in it."""

import contextlib
import os
from collections.abc import Iterator

import pytest
import redis

from app.queue import DELIVERIES, EVENTS
from app.redis_broker import RedisBroker
from app.redis_url import parse_redis_url
from scripts import backends


@contextlib.contextmanager
def redis_server(*options: str, url: str = "redis://127.0.0.1:{port}/0") -> Iterator[backends.Running]:
    """Give a Redis. Where there is none to start, skip the test; with REQUIRE_SERVICES=1, fail."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(backends.redis(*options, url=url))
        except backends.BackendError as error:
            (pytest.fail if os.environ.get("REQUIRE_SERVICES") == "1" else pytest.skip)(str(error))
        yield running


@contextlib.contextmanager
def redis_broker(url: str, namespace: str = "dramatiq") -> Iterator[RedisBroker]:
    """Give an open broker with our queues."""
    broker = RedisBroker(parse_redis_url(url), namespace=namespace)
    broker.open()
    broker.declare_queue(DELIVERIES)
    broker.declare_queue(EVENTS)
    yield broker
    broker.close()


@contextlib.contextmanager
def client_of(url: str) -> Iterator[redis.Redis]:
    """Give a client of redis-py's own."""
    client = redis.Redis.from_url(url)
    yield client
    client.close()
