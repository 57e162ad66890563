"""What tests of faults share: a slow receiver, and servers of their own."""

from collections.abc import Iterator

import pytest

from app.models import database
from app.schema import migrate
from app.services import Services, open_services
from config.settings import load_settings
from scripts import backends
from tests.production import Production, database_server
from tests.receiver import SlowReceiver
from tests.redis_server import redis_server


@pytest.fixture
def slow() -> Iterator[SlowReceiver]:
    listening = SlowReceiver()
    yield listening
    listening.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[backends.Running]:
    with database_server("postgres", durable=False) as running:
        yield running


@pytest.fixture
def redis() -> Iterator[backends.Running]:
    with redis_server() as running:
        yield running


@pytest.fixture
def services(site: Production) -> Iterator[Services]:
    """This process on the same database and Redis as the others."""
    opened = open_services(load_settings(site.environ))
    migrate()
    yield opened
    opened.close()
    database.close()
