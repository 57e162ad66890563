"""Workers that are killed, asked to end, or given what nobody should give them: nothing is lost, little is repeated."""

import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest

from app.clock import now_ms
from app.models import Delivery, Webhook, database
from app.queue import DELIVER_ACTOR, DELIVERIES, Message, delivery_message
from app.schema import migrate
from app.services import Services, open_services
from config.settings import load_settings
from scripts import backends
from tests.conftest import SECRET_KEY
from tests.production import Production, production
from tests.receiver import Receiver, SlowReceiver
from tests.redis_server import client_of, redis_broker
from tests.server import eventually
from tests.test_production import batches
from tests.workers.conftest import Desk
from workers import consumer as consuming
from workers.actors import declare_actors
from workers.serve import worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

EVENTS = 2_000
REPOS = 4
MAX_IN_FLIGHT = 64
TAKEOVER_S = 25.0  # a silent consumer counts as dead after 15 s, and others look every 5 s


@pytest.fixture
def site(tmp_path: Path, postgres: backends.Running, redis: backends.Running) -> Iterator[Production]:
    """Released, with a web process; nobody delivers yet."""
    with production(tmp_path / "site", postgres.url, redis.url, MAX_IN_FLIGHT=str(MAX_IN_FLIGHT)) as made:
        made.release()
        made.start("web")
        yield made
        made.close()
        made.clear()


def publish(site: Production, receiver: Receiver, count: int) -> None:
    """Register a webhook for each of some repositories, and publish events for all of them by turns."""
    with site.client() as client:
        for repo in range(REPOS):
            client.create(
                url=receiver.url, triggers=["NODE_CREATED"], associationType="REPO", associationId=f"p:r{repo}"
            )
        for number, batch in enumerate(batches(count)):
            client.publish([{**event, "repoName": f"r{number % REPOS}"} for event in batch])


def arrivals(receiver: Receiver) -> Counter[str]:
    """Return how often each delivery has arrived."""
    return Counter(request.headers["webhook-id"] for request in receiver.received)


def test_a_killed_worker_loses_nothing_and_holds_nobody_up(site: Production, slow: SlowReceiver) -> None:
    publish(site, slow, EVENTS)
    doomed, survivor = site.start("worker"), site.start("worker")
    slow.wait_for(EVENTS // 5)
    doomed.kill()
    before = len(slow.received)
    slow.wait_for(before + 200, 5.0)  # the other goes on at once
    eventually(lambda: site.owed() == 0, TAKEOVER_S)
    seen = arrivals(slow)
    assert len(seen) == EVENTS
    assert seen.total() - len(seen) <= MAX_IN_FLIGHT
    assert site.query("SELECT count(DISTINCT event_id) FROM webhook_log WHERE status = 'SUCCESS'") == [(EVENTS,)]
    assert "recovered=" in survivor.text()
    with client_of(site.environ["REDIS_URL"]) as client:
        eventually(lambda: not client.keys("dramatiq:__acks__*"))
        assert client.hlen(f"dramatiq:{DELIVERIES}.msgs") == 0


def test_a_worker_asked_to_end_finishes_what_is_in_flight_and_puts_the_rest_back(
    site: Production, slow: SlowReceiver
) -> None:
    slow.delay = 0.8
    publish(site, slow, EVENTS)
    with redis_broker(site.environ["REDIS_URL"]) as broker:
        assert broker.waiting(DELIVERIES) == EVENTS
    ending = site.start("worker")
    slow.wait_for(MAX_IN_FLIGHT)
    assert ending.stop() == 0
    sent = arrivals(slow)
    assert 0 < len(sent) == sent.total() < EVENTS
    assert site.query("SELECT status, attempt, count(*) FROM webhook_log GROUP BY 1, 2") == [("SUCCESS", 1, len(sent))]
    assert site.owed() == EVENTS - len(sent)
    assert "Traceback" not in ending.text()
    with client_of(site.environ["REDIS_URL"]) as client:
        assert client.keys("dramatiq:__acks__*") == []
        waiting = client.lrange(f"dramatiq:{DELIVERIES}", 0, -1)
        assert len(waiting) == client.hlen(f"dramatiq:{DELIVERIES}.msgs") == EVENTS - len(sent)
        assert waiting == sorted(waiting)  # what comes back goes to the head, so the order is that of publishing

    slow.delay = 0.0
    site.start("worker")
    eventually(lambda: site.owed() == 0, TAKEOVER_S)
    assert len(arrivals(slow)) == arrivals(slow).total() == EVENTS


def stray(*arguments: Any) -> Message:
    return Message(DELIVERIES, DELIVER_ACTOR, arguments, {}, {}, message_id=secrets.token_hex(16))


def test_strange_messages_among_the_others_harm_nobody(site: Production, slow: SlowReceiver) -> None:
    publish(site, slow, 50)
    [(known,)] = site.query("SELECT id FROM delivery ORDER BY id LIMIT 1")
    with redis_broker(site.environ["REDIS_URL"]) as broker, client_of(site.environ["REDIS_URL"]) as client:
        broker.enqueue_many(
            [
                *(stray(), stray(7), stray(None), stray([known]), stray({"id": known}), stray(known, "more")),
                *(
                    stray(""),
                    stray("x" * 100_000),
                    stray("a\0b"),
                    stray("' OR 1=1"),
                    stray(known.upper()),
                    stray("日本"),
                ),
            ]
        )
        client.hset(f"dramatiq:{DELIVERIES}.msgs", "raw", b"no message")
        client.rpush(f"dramatiq:{DELIVERIES}", "raw", "without a message")
        publishing = site.start("worker")
        slow.wait_for(50)
        eventually(lambda: site.owed() == 0)
        eventually(lambda: client.hlen(f"dramatiq:{DELIVERIES}.msgs") == 0)
        eventually(lambda: not client.keys("dramatiq:__acks__*"))
        assert client.zrange(f"dramatiq:{DELIVERIES}.XQ", 0, -1) == [b"raw"]
    assert set(arrivals(slow).values()) == {1}
    assert "Traceback" not in publishing.text()


def test_what_the_database_refuses_for_a_while_ends_no_other_work(site: Production, slow: SlowReceiver) -> None:
    """A role without its rights, a read-only replica after a failover: the database is there, and says no."""
    worker = site.start("worker")
    slow.delay = 0.5
    publish(site, slow, 50)
    slow.wait_for(50)
    site.query("ALTER TABLE webhook_log RENAME TO elsewhere")
    worker.wait_for("could not be recorded")
    site.query("ALTER TABLE event RENAME TO elsewhere_too")
    with redis_broker(site.environ["REDIS_URL"]) as broker:
        broker.enqueue_many([delivery_message(secrets.token_hex(16)) for _ in range(20)])
    worker.wait_for("could not be looked up")
    with client_of(site.environ["REDIS_URL"]) as client:
        eventually(lambda: not client.keys("dramatiq:__acks__*"))  # nothing is in flight any more
    site.query("ALTER TABLE elsewhere_too RENAME TO event")
    site.query("ALTER TABLE elsewhere RENAME TO webhook_log")
    before = site.owed()
    with site.client() as client:
        client.publish([{**event, "repoName": "r0"} for event in batches(40)[0]])
    eventually(lambda: site.owed() == before)
    assert 0 < before <= 50  # the sweeper comes back to these once their time is up
    assert site.query("SELECT count(*) FROM webhook_log WHERE status = 'SUCCESS'") == [(50 - before + 40,)]


@pytest.fixture
def services(tmp_path: Path, redis: backends.Running) -> Iterator[Services]:
    """This process on SQLite and Redis."""
    given = {
        "HOOKLINE_DATA": str(tmp_path),
        "HOOKLINE_SECRET_KEY": SECRET_KEY,
        "REDIS_URL": redis.url,
        "ALLOW_NETWORKS": "127.0.0.0/8",
        "MAX_IN_FLIGHT": "8",
        "MAX_IN_FLIGHT_PER_WEBHOOK": "4",
        "RETRY_SCHEDULE": "1h",
        "REQUEST_TIMEOUT": "30s",
    }
    opened = open_services(load_settings(given))
    migrate()
    yield opened
    opened.close()
    database.close()


@pytest.fixture
def desk(services: Services, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(consuming, "IDLE_MS", 50)
    return Desk(services)


@pytest.fixture
def hanging() -> Iterator[socket.socket]:
    """A receiver that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening


def url_of(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}/"


def keys(services: Services) -> dict[str, int]:
    """Return how many messages each consumer holds."""
    broker: Any = services.broker
    return {key.decode(): broker.client.scard(key) for key in broker.client.keys("dramatiq:__acks__*")}


def test_a_receiver_that_never_answers_delays_the_end_no_longer_than_the_bound(
    desk: Desk, hanging: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "DRAIN_S", 1.0)
    desk.register(url_of(hanging))
    owed = desk.publish(20)
    with worker(desk.services):
        eventually(lambda: sum(keys(desk.services).values()) >= 4)
        began = time.monotonic()
    assert 1.0 <= time.monotonic() - began < 5.0
    assert desk.services.broker.waiting(DELIVERIES) + Delivery.select().where(
        Delivery.queued_at.is_null()
    ).count() == len(owed)
    assert keys(desk.services) == {}
    assert (desk.logs(), sorted(desk.owed())) == ([], sorted(owed))


def test_a_long_drain_is_no_death_to_other_workers(
    desk: Desk, slow: SlowReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.redis_consumer.DEAD_AFTER_MS", 1_500)
    monkeypatch.setattr("app.redis_consumer.RECOVER_S", 0.2)
    slow.delay = 4.0
    desk.register(slow.url)
    desk.publish(4)
    with redis_broker(str(desk.services.settings.redis_url)) as broker:
        other = broker.batch_consumer(DELIVERIES, 0)
        stolen: list[Any] = []
        done = threading.Event()

        def look_for_the_dead() -> None:
            while not done.is_set():
                other.beat()
                stolen.extend(other.fetch(10))
                done.wait(0.1)

        with worker(desk.services):
            slow.wait_for(4)
            thread = threading.Thread(target=look_for_the_dead)
            thread.start()
        done.set()
        thread.join()
        other.close()
    assert stolen == []
    assert [(log.status, log.attempt) for log in desk.logs()] == [("SUCCESS", 1)] * 4
    assert desk.owed() == []


def test_a_plain_worker_of_dramatiq_leaves_the_same_rows(desk: Desk, receiver: Receiver) -> None:
    gone, raw = Receiver(), Receiver()
    gone.answer(410)
    receiver.answer(500)
    ids = {desk.register(url, repo): repo for url, repo in ((receiver.url, "r"), (gone.url, "g"), (raw.url, "raw"))}
    desk.publish(1, "g")
    desk.publish(1, "raw", "NODE_MOVED")
    desk.publish(10)
    broker: Any = desk.services.broker
    broker.enqueue_many([delivery_message(delivery_id) for delivery_id in desk.owed()])  # each is there twice
    declare_actors(desk.services)
    running = dramatiq.Worker(broker, worker_threads=4, worker_timeout=100)
    running.start()
    try:
        eventually(lambda: broker.client.hlen(f"dramatiq:{DELIVERIES}.msgs") == 0)
    finally:
        running.stop()
        gone.close()
        raw.close()
    assert Counter((ids[log.webhook_id], log.status, log.response_status, log.attempt) for log in desk.logs()) == {
        ("r", "FAIL", 500, 1): 1,
        ("r", "SUCCESS", 200, 1): 9,
        ("g", "FAIL", 410, 1): 1,
        ("raw", "ERROR", None, 1): 1,
    }
    assert {(ids[row.webhook_id], row.state, row.attempt, row.queued_at) for row in Delivery.select()} == {
        ("r", "PENDING", 1, None),
        ("g", "PENDING", 1, None),
        ("raw", "DEAD", 1, None),
    }


def test_a_webhook_whose_secrets_cannot_be_read_holds_up_no_other(desk: Desk, receiver: Receiver) -> None:
    spoilt = desk.register(receiver.url, "spoilt")
    desk.register(receiver.url)
    Webhook.update(secret="sealed with a key that nobody has any more").where(Webhook.id == spoilt).execute()
    for _ in range(5):
        desk.publish(1, "spoilt")
        desk.publish(4)
    with worker(desk.services):
        receiver.wait_for(20)
        eventually(lambda: len(desk.owed()) == 5)
        eventually(lambda: not keys(desk.services))
    assert {(row.webhook_id, row.state, row.attempt) for row in Delivery.select()} == {(spoilt, "PENDING", 0)}
    assert all(row.queued_at is None and row.next_attempt_at > now_ms() for row in Delivery.select())
