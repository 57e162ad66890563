"""A scripted server, and a client of it that is quick to try again; and the service itself, on Redis."""

from collections.abc import Iterator

import pytest
from hookline_client import Client, Retry

from scripts import backends
from tests import server as real
from tests.client.scripted import Server, serving
from tests.redis_server import redis_server

QUICK = Retry(first_pause_s=0.001)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url + "/", user="amy", password="pass:word", retry=QUICK) as client:
        yield client


@pytest.fixture(scope="session")
def queue() -> Iterator[backends.Running]:
    """A Redis of the service's own: it takes whatever is put there."""
    with redis_server() as running:
        yield running


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, queue: backends.Running) -> Iterator[real.Server]:
    """`hookline serve`, which takes events from Redis too."""
    with real.serving(tmp_path_factory.mktemp("service") / "data", REDIS_URL=queue.url) as running:
        yield running


@pytest.fixture
def caller(service: real.Server) -> Iterator[Client]:
    """A client of the service, as its administrator."""
    with service.client() as client:
        yield client
