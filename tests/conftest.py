"""What all tests share: settings and services on each database, the application, a receiver."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from app.api.context import EXTENSION, Context
from app.authentication import Authenticator
from app.database import connect
from app.models import TABLES, Counter, Lease, database
from app.redis_broker import RedisBroker
from app.schema import migrate
from app.services import Services, open_services
from app.web import create_app
from config.settings import Settings, load_settings
from scripts import backends
from tests.receiver import Receiver
from tests.redis_server import client_of, redis_broker, redis_server

DATABASES = ("sqlite", "postgres", "mariadb")
COUNTERS = ("webhooks", "logs_counted_until", "logs_measured_until")  # as migrations make them
SECRET_KEY = "dGhlIHRlc3RzIGtlZXAgbm8gc2VjcmV0cyBhdCBhbGw="


class Place(NamedTuple):
    """Where a test's database is: a file to copy for SQLite, a server's URL for the others."""

    kind: str
    template: Path | None
    url: str | None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--db", default=",".join(DATABASES), help="databases to test on, separated by commas")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that has to do with a database on every one that is asked for.

    `sqlite_only` leaves out the others, and the fixture `on_server` leaves out SQLite.
    """
    if "database_place" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--db").split(",")
        only = metafunc.definition.get_closest_marker("sqlite_only")
        needs_server = "on_server" in metafunc.fixturenames
        names = [name for name in DATABASES if name in asked and not (needs_server if name == "sqlite" else only)]
        metafunc.parametrize("database_place", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def database_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A migrated, empty database: migrating one for each test takes longer than most tests."""
    kind = request.param
    if kind == "sqlite":
        path = tmp_path_factory.mktemp("migrated") / "hookline.db"
        _prepare(f"sqlite:///{path}")
        yield Place(kind, path, None)
        return
    start = backends.postgres if kind == "postgres" else backends.mariadb
    try:
        server = start(durable=False)
        running = server.__enter__()
    except backends.BackendError as error:
        missing(error)
    try:
        _prepare(running.url)
        yield Place(kind, None, running.url)
    finally:
        server.__exit__(None, None, None)


def missing(error: backends.BackendError) -> None:
    """Fail where all services are required, skip the test otherwise."""
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(str(error))
    pytest.skip(str(error))


def _prepare(url: str) -> None:
    connect(url)
    migrate()
    database.close()


def _empty() -> None:
    for table in TABLES:
        table.delete().execute()
    Counter.insert_many([{"name": name} for name in COUNTERS]).execute()
    Lease.insert(name="scheduler").execute()


@pytest.fixture
def environ(tmp_path: Path, database_place: Place) -> dict[str, str]:
    """The variables of a process on the test's database."""
    made = {"HOOKLINE_DATA": str(tmp_path), "ALLOW_NETWORKS": "127.0.0.0/8,::1/128"}
    if database_place.template is not None:
        shutil.copy(database_place.template, tmp_path / "hookline.db")
        return made
    # For TLS, which the server does not speak, PyMySQL reads all certificates of the system, for each connection.
    options = "?ssl_disabled=true" if database_place.kind == "mariadb" else ""
    return {**made, "DATABASE_URL": f"{database_place.url}{options}", "HOOKLINE_SECRET_KEY": SECRET_KEY}


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return load_settings(environ)


@pytest.fixture
def services(settings: Settings, database_place: Place) -> Iterator[Services]:
    opened = open_services(settings)
    yield opened
    opened.close()
    if database_place.url is not None:
        with database.atomic():
            _empty()
    database.close()


@pytest.fixture(scope="session")
def authenticator() -> Authenticator:
    """One for all tests: what it has verified once it knows, so argon2 is paid for once a user, not once a test."""
    return Authenticator()


@pytest.fixture(scope="session")
def built() -> list[Flask]:
    """The application, once a test has needed it: to build its routes takes longer than most tests."""
    return []


@pytest.fixture
def app(services: Services, authenticator: Authenticator, built: list[Flask]) -> Flask:
    if not built:
        built.append(create_app(services, authenticator))
    built[0].extensions[EXTENSION] = Context(services, authenticator)
    return built[0]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    listening = Receiver()
    yield listening
    listening.close()


@pytest.fixture(scope="session")
def redis_here() -> Iterator[backends.Running]:
    """A real Redis. Who ends it brings it back."""
    with redis_server() as running:
        yield running


@pytest.fixture
def redis_client(redis_here: backends.Running) -> Iterator[redis.Redis]:
    """A client of redis-py's own, on an empty Redis that has counted nothing yet."""
    with client_of(redis_here.url) as made:
        made.flushall()
        made.config_resetstat()
        yield made


@pytest.fixture
def redis_queue(redis_here: backends.Running, redis_client: redis.Redis) -> Iterator[RedisBroker]:
    """Our broker on an empty Redis."""
    with redis_broker(redis_here.url) as made:
        yield made
