"""Which broker a process gets, and what is said where it can't have it."""

from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest

from app.brokers import open_broker
from app.errors import OperatorError
from app.memory_broker import MemoryBroker
from app.queue import DELIVERIES, EVENTS
from app.redis_broker import RedisBroker
from config.settings import Settings, load_settings
from scripts import backends
from tests.redis_server import redis_server


@pytest.fixture(scope="module")
def server() -> Iterator[backends.Running]:
    with redis_server() as running:
        yield running


def settings(**environ: str) -> Settings:
    return load_settings({"HOOKLINE_DATA": str(Path("var")), **environ})


def test_without_redis_the_queue_is_in_memory() -> None:
    broker = open_broker(settings())
    assert isinstance(broker, MemoryBroker)
    assert broker.get_declared_queues() == {DELIVERIES, EVENTS}
    assert dramatiq.get_broker() is broker
    broker.close()


def test_redis_is_what_the_settings_name(server: backends.Running) -> None:
    broker = open_broker(settings(REDIS_URL=server.url, REDIS_NAMESPACE="own"))
    assert isinstance(broker, RedisBroker)
    assert (broker.namespace, broker.middleware) == ("own", [])
    assert broker.get_declared_queues() == {DELIVERIES, EVENTS}
    assert dramatiq.get_broker() is broker
    assert broker.client.exists("own:hookline:since")
    broker.close()


@pytest.mark.parametrize("url", ["localhost:6379", "redis://:hid@den@localhost", "redis://127.0.0.1:1/0"])
def test_what_cant_be_used_is_one_line_that_names_the_variable(url: str) -> None:
    with pytest.raises(OperatorError, match="REDIS_URL") as raised:
        open_broker(settings(REDIS_URL=url))
    assert "\n" not in str(raised.value)
    assert "hid" not in str(raised.value)
