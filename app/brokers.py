"""Which broker a process works with."""

import dramatiq

from app.errors import OperatorError
from app.memory_broker import MemoryBroker
from app.queue import DELIVERIES, EVENTS, Broker
from app.redis_broker import RedisBroker
from app.redis_url import parse_redis_url
from config.settings import Settings


def open_broker(settings: Settings) -> Broker:
    """Return the broker of `settings`, connected, with the queues declared; it is Dramatiq's broker from now on.

    Raises OperatorError, naming REDIS_URL, where it can't be used.
    """
    broker = MemoryBroker() if settings.redis_url is None else _redis(settings.redis_url, settings.redis_namespace)
    for queue_name in (DELIVERIES, EVENTS):
        broker.declare_queue(queue_name)
    dramatiq.set_broker(broker)
    return broker


def _redis(raw: str, namespace: str) -> RedisBroker:
    try:
        url = parse_redis_url(raw)
    except ValueError as error:
        raise OperatorError(f"REDIS_URL can't be used: {error}") from error
    broker = RedisBroker(url, namespace=namespace)
    broker.open()
    return broker
