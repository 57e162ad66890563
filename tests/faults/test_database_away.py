"""The database goes away and comes back: publishing says so, workers wait, nothing is lost or counted twice."""

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hookline_client import Client, ClientError

from app.database import unavailable, write_transaction
from app.errors import DatabaseUnavailable
from app.models import Event
from app.services import Services
from scripts import backends
from tests.production import SERVERS, Production, database_server, production
from tests.receiver import Answer, Received, Receiver
from tests.redis_server import client_of, redis_server
from tests.server import eventually
from tests.test_production import batches

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

OUTAGE_S = 3.0
EVENTS = 600
DELAY_S = 0.3
MAX_IN_FLIGHT = 100
PATIENCE_S = 40.0
PAUSE_S = 1.0  # enough for a worker that does not wait to send all the rest
CONNECTIONS = {
    "postgres": "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'hookline'",
    "mariadb": "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND user = 'hookline'",
}
IDLE = {"postgres": "state = 'idle'", "mariadb": "command = 'Sleep'"}
CLOSE = {"postgres": "SELECT pg_terminate_backend(?)", "mariadb": "KILL ?"}


class SlowReceiver(Receiver):
    """Takes its time, so that much is in flight at any moment."""

    def take(self, request: Received) -> Answer:
        super().take(request)
        return Answer(delay=DELAY_S)


@pytest.fixture
def slow() -> Iterator[SlowReceiver]:
    listening = SlowReceiver()
    yield listening
    listening.close()


@pytest.fixture(params=sorted(SERVERS), scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    """Which database; one that --db leaves out is not tested."""
    if request.param not in request.config.getoption("--db").split(","):
        pytest.skip("not asked for")
    return str(request.param)


@pytest.fixture
def server(kind: str) -> Iterator[backends.Running]:
    """A server of the test's own, which keeps what it has committed when it is killed."""
    with database_server(kind) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, server: backends.Running) -> Iterator[Production]:
    given = {"MAX_IN_FLIGHT": str(MAX_IN_FLIGHT), "MAX_IN_FLIGHT_PER_WEBHOOK": str(MAX_IN_FLIGHT)}
    with redis_server() as redis, production(tmp_path / "site", server.url, redis.url, **given) as made:
        made.release()
        yield made


def close_connections(site: Production, kind: str, condition: str = "1 = 1") -> int:
    """Have the server close connections that meet `condition`, and return how many."""
    found = site.query(f"{CONNECTIONS[kind]} AND {condition}")
    for (number,) in found:
        site.query(CLOSE[kind], number)
    return len(found)


def events_of(call: int) -> list[dict[str, Any]]:
    return [{**event, "eventId": f"call-{call}-{place}"} for place, event in enumerate(batches(10)[0])]


def refused(client: Client, call: int) -> bool:
    """Publish, and return whether that was answered with 503; nothing but 202 will do otherwise."""
    try:
        client.publish(events_of(call))
    except ClientError as error:
        if (error.status, error.code) != (503, 250102):
            raise
        return True
    return False


def test_publishing_is_refused_while_the_database_is_away_and_what_was_refused_is_not_there(
    site: Production, server: backends.Running, receiver: Receiver
) -> None:
    web, worker, scheduler = (site.start(name) for name in ("web", "worker", "scheduler"))
    calls: dict[int, bool] = {}  # whether each was refused
    with site.client() as client:
        client.create(url=receiver.url, triggers=["NODE_CREATED"], associationType="SYSTEM")
        calls[0] = refused(client, 0)
        receiver.wait_for(10)
        server.kill()
        until = time.monotonic() + OUTAGE_S
        while time.monotonic() < until:
            call = len(calls)
            calls[call] = refused(client, call)
            assert calls[call]
        assert not site.is_ready()
        server.start()
        for _ in range(20):
            call = len(calls)
            calls[call] = refused(client, call)
            assert not calls[call]  # at once: a dead connection is replaced
        assert site.is_ready()
    accepted = [call for call, is_refused in calls.items() if not is_refused]
    assert sorted(site.query("SELECT id FROM event")) == sorted(
        (event["eventId"],) for call in accepted for event in events_of(call)
    )
    eventually(lambda: site.owed() == 0, PATIENCE_S)
    assert len(receiver.received) == 10 * len(accepted)
    for role in web, worker, scheduler:
        assert role.process.poll() is None
        assert "Traceback" not in role.text(), role.text()


def test_workers_wait_for_the_database_and_count_each_attempt_once(
    site: Production, server: backends.Running, slow: SlowReceiver
) -> None:
    site.start("web")
    worker, scheduler = site.start("worker"), site.start("scheduler")
    with site.client() as client:
        client.create(url=slow.url, triggers=["NODE_CREATED"], associationType="SYSTEM")
        for batch in batches(EVENTS):
            client.publish(batch)
    slow.wait_for(EVENTS // 4)
    server.kill()
    worker.wait_for("wait to be recorded")
    scheduler.wait_for("waits:")
    sent = len(slow.received)
    time.sleep(PAUSE_S)
    assert len(slow.received) - sent <= MAX_IN_FLIGHT
    server.start()
    eventually(lambda: site.owed() == 0, PATIENCE_S)
    seen = Counter(request.headers["webhook-id"] for request in slow.received)
    assert len(seen) == EVENTS
    assert len({json.loads(request.body)["node"]["fullPath"] for request in slow.received}) == EVENTS
    assert set(seen.values()) == {1}, "what was sent and not recorded was sent again, though the worker lived"
    logs = Counter(site.query("SELECT delivery_id, attempt, status FROM webhook_log"))
    assert logs == Counter((delivery_id, 1, "SUCCESS") for delivery_id in seen)
    for role in worker, scheduler:
        assert role.process.poll() is None
        assert "Traceback" not in role.text(), role.text()
    with client_of(site.environ["REDIS_URL"]) as redis:
        eventually(lambda: not redis.keys("dramatiq:__acks__*"))


def test_a_worker_that_is_to_end_meanwhile_records_what_it_can_once_the_database_is_back(
    site: Production, server: backends.Running, slow: SlowReceiver
) -> None:
    site.start("web")
    worker, scheduler = site.start("worker"), site.start("scheduler")
    with site.client() as client:
        client.create(url=slow.url, triggers=["NODE_CREATED"], associationType="SYSTEM")
        client.publish(batches(50)[0])
    slow.wait_for(50)
    server.kill()
    worker.wait_for("wait to be recorded")
    worker.send_all(signal.SIGTERM)
    assert scheduler.stop() == 0
    assert "Traceback" not in scheduler.text()
    server.start()
    assert worker.process.wait(30.0) == 0
    assert site.owed() == 0
    assert site.query("SELECT status, attempt, count(*) FROM webhook_log GROUP BY 1, 2") == [("SUCCESS", 1, 50)]
    assert len(slow.received) == 50


def test_connections_that_the_server_has_closed_are_replaced_without_an_error(
    site: Production, kind: str, receiver: Receiver
) -> None:
    for name in "web", "worker", "scheduler":
        site.start(name)
    with site.client() as client:
        client.create(url=receiver.url, triggers=["NODE_CREATED"], associationType="SYSTEM")
        for call in range(10):
            eventually(lambda: site.owed() == 0)
            assert close_connections(site, kind, IDLE[kind]) > 0
            assert not refused(client, call)
            assert client.list("SYSTEM")
    eventually(lambda: site.owed() == 0)
    assert len(receiver.received) == 100
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 100
    assert " ERROR " not in site.text()
    assert "[ERROR]" not in site.text()


def test_a_connection_that_is_lost_within_a_transaction_is_an_error_and_leaves_nothing(
    services: Services, site: Production, kind: str
) -> None:
    row = {"type": "NODE_CREATED", "payload": "{}", "accepted_at": 1}

    def insert_two() -> None:
        with write_transaction():
            Event.insert(id="a", **row).execute()
            assert close_connections(site, kind) > 0
            Event.insert(id="b", **row).execute()

    with pytest.raises(DatabaseUnavailable):
        insert_two()
    with unavailable():
        assert Event.select().count() == 0
    with write_transaction():
        Event.insert(id="c", **row).execute()
    assert site.query("SELECT id FROM event") == [("c",)]
