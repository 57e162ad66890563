"""What all tests share: settings and services on a fresh directory, the application, a receiver."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.context import EXTENSION, Context
from app.authentication import Authenticator
from app.database import connect, migrate
from app.models import database
from app.services import Services, open_services
from app.web import create_app
from config.settings import Settings, load_settings
from tests.receiver import Receiver


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database, which each test gets a copy of: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "hookline.db"
    connect(f"sqlite:///{path}")
    migrate()
    database.close()
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"HOOKLINE_DATA": str(tmp_path), "ALLOW_NETWORKS": "127.0.0.0/8,::1/128"})


@pytest.fixture
def services(settings: Settings, migrated: Path) -> Iterator[Services]:
    shutil.copy(migrated, settings.data_dir / "hookline.db")
    opened = open_services(settings)
    yield opened
    opened.close()
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
