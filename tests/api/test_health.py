"""GET /healthz and /readyz: open to all, true, and answered in time whatever hangs."""

import os
import signal
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import readiness
from app.api.context import EXTENSION, Context
from app.engines import PostgresEngine
from app.errors import QueueUnavailable
from app.memory_broker import MemoryBroker
from app.models import database
from app.presence import WORKER, present
from app.services import Services
from tests.redis_server import redis_broker, redis_server
from tests.server import eventually

OK = {"status": "ok"}


class Away(MemoryBroker):
    """A queue that does not answer."""

    def waiting(self, queue_name: str) -> int:
        raise QueueUnavailable("connection refused to 10.1.2.3")


@pytest.fixture
def with_redis(client: FlaskClient, services: Services) -> Any:
    """Have the application use another broker, as one that uses Redis does."""

    def use(broker: Any) -> None:
        settings = replace(services.settings, redis_url="redis://10.1.2.3")
        context: Context = client.application.extensions[EXTENSION]
        client.application.extensions[EXTENSION] = replace(
            context, services=replace(services, settings=settings, broker=broker)
        )

    return use


def test_the_process_is_alive(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, OK)


def test_it_is_ready_once_the_database_is_migrated(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok", "checks": {"database": OK, "migrations": OK}}


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("DELETE FROM schema_migration WHERE name = '0001_initial'", "missing: 1 (run hookline migrate)"),
        ("UPDATE schema_migration SET name = '9' || name", "the database is of a newer version"),
    ],
)
def test_it_is_not_ready_on_tables_of_another_version(client: FlaskClient, change: str, reason: str) -> None:
    database.execute_sql(change)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    failed = {"status": "failed", "reason": reason}
    assert answer.json == {"status": "unavailable", "checks": {"database": OK, "migrations": failed}}


@pytest.mark.sqlite_only
def test_a_redis_that_is_away_is_named_without_its_address_and_can_be_left_out(
    client: FlaskClient, with_redis: Any
) -> None:
    with_redis(Away())
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["checks"]["redis"]) == (
        503,
        {"status": "failed", "reason": "it does not answer"},
    )
    assert "10.1.2.3" not in answer.text
    without = client.get("/readyz?exclude=redis")
    assert (without.status_code, set(without.json["checks"])) == (200, {"database", "migrations"})


@pytest.mark.sqlite_only
def test_a_database_that_hangs_is_not_waited_for_longer_than_two_seconds(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.2)
    working = database.obj
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database.initialize(PostgresEngine(database="d", host="127.0.0.1", port=silent.getsockname()[1], user="u"))
        begun = time.monotonic()
        answer = client.get("/readyz?verbose")
        assert time.monotonic() - begun < 5.0
    late = {"status": "failed", "reason": "no answer within 0.2 s"}
    assert (answer.status_code, answer.json["checks"]) == (503, {"database": late, "migrations": late})
    assert answer.json["processes"] is None
    names = {"ready-database", "ready-processes"}
    eventually(lambda: names.isdisjoint(thread.name for thread in threading.enumerate()))
    database.initialize(working)


@pytest.mark.sqlite_only
def test_a_redis_that_hangs_is_not_waited_for_longer_than_two_seconds(
    client: FlaskClient, with_redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.3)
    with redis_server() as running, redis_broker(running.url) as broker:
        with_redis(broker)
        assert client.get("/readyz").status_code == 200
        os.kill(running.pid, signal.SIGSTOP)
        begun = time.monotonic()
        answers = [client.get("/readyz") for _ in range(2)]
        assert time.monotonic() - begun < 1.5
        os.kill(running.pid, signal.SIGCONT)
        eventually(lambda: client.get("/readyz").status_code == 200)
    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].json["checks"]["database"] == OK
    assert answers[0].json["checks"]["redis"]["reason"].startswith("no answer within")


def test_asked_for_more_it_tells_of_the_signs_of_life_by_role(client: FlaskClient) -> None:
    with present(WORKER):
        eventually(lambda: client.get("/readyz?verbose").json["processes"]["worker"]["alive"] == 1)
        worker = client.get("/readyz?verbose").json["processes"]["worker"]
    assert worker["silent"] == 0
    assert 0 <= worker["lastSeenSeconds"] < 10
    assert client.get("/readyz?verbose").json["processes"]["scheduler"] == {
        "alive": 0,
        "silent": 0,
        "lastSeenSeconds": None,
    }
