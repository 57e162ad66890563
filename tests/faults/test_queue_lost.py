"""Redis is wiped, away or silent, or has a great backlog: what is in the database comes back into it, and only that."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.clock import now_ms
from app.database import insert_rows, write_transaction
from app.ids import new_id
from app.models import PENDING, Delivery
from app.queue import DELIVERIES, delivery_message
from app.services import Services
from app.sweep import LEASE_MS, sweep
from scripts import backends
from tests.production import Production, production
from tests.receiver import Receiver
from tests.redis_server import client_of
from tests.server import eventually
from tests.test_production import batches

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BACKLOG = 200_000
OUTSTANDING = 10_000
OUTAGE_S = 3.0
HOUR_MS = 3_600_000
PATIENCE_S = 60.0
MAX_IN_FLIGHT = 512


@pytest.fixture
def site(tmp_path: Path, postgres: backends.Running, redis: backends.Running) -> Iterator[Production]:
    with production(tmp_path / "site", postgres.url, redis.url, MAX_IN_FLIGHT=str(MAX_IN_FLIGHT)) as made:
        made.release()
        yield made
        made.close()
        made.clear()


def insert_backlog(count: int) -> list[str]:
    """Insert deliveries as `publish` does, and return their ids."""
    now = now_ms()
    rows: list[tuple[Any, ...]] = [(new_id(), "w", "e", PENDING, 0, now, now, now, 0, None, None) for _ in range(count)]
    with write_transaction():
        insert_rows(Delivery, rows)
    return [row[0] for row in rows]


def arrivals(receiver: Receiver) -> tuple[Counter[str], set[str]]:
    """Return how often each delivery has arrived, and the paths of all events that have."""
    requests = list(receiver.received)
    seen = Counter(request.headers["webhook-id"] for request in requests)
    return seen, {json.loads(request.body)["node"]["fullPath"] for request in requests}


def register(site: Production, receiver: Receiver) -> None:
    with site.client() as client:
        client.create(url=receiver.url, triggers=["NODE_CREATED"], associationType="SYSTEM")


def publish(site: Production, count: int) -> None:
    with site.client() as client:
        events = [event for batch in batches(count) for event in batch]
        for start in range(0, count, 1_000):
            client.publish(events[start : start + 1_000])


def test_a_great_backlog_is_not_enqueued_twice_however_old_it_is(services: Services) -> None:
    ids = insert_backlog(BACKLOG)
    services.broker.enqueue_many([delivery_message(delivery_id) for delivery_id in ids])
    assert services.broker.waiting(DELIVERIES) == BACKLOG
    for age in 0, LEASE_MS + 1, HOUR_MS, 100 * HOUR_MS:
        assert sweep(services.broker, now_ms() + age) == 0
    assert services.broker.waiting(DELIVERIES) == BACKLOG

    # Of what was fetched and never finished, that comes back whose time is up.
    consumer = services.broker.batch_consumer(DELIVERIES, 0)
    fetched = [message.args[0] for message in consumer.fetch(500)]
    assert fetched == ids[:500]
    assert sweep(services.broker, now_ms()) == 0
    with write_transaction():
        Delivery.update(queued_at=Delivery.queued_at - LEASE_MS - HOUR_MS).where(Delivery.id.in_(fetched)).execute()
    assert sweep(services.broker, now_ms()) == 500
    assert sorted(last_in_queue(services, 500)) == fetched
    assert services.broker.waiting(DELIVERIES) == BACKLOG
    consumer.close()


def last_in_queue(services: Services, count: int) -> list[str]:
    """Return what the messages at the end of the queue point at."""
    broker: Any = services.broker
    ids = broker.client.lrange(f"dramatiq:{DELIVERIES}", -count, -1)
    return [json.loads(raw)["args"][0] for raw in broker.client.hmget(f"dramatiq:{DELIVERIES}.msgs", ids)]


def test_a_wiped_redis_is_filled_again_by_one_sweep_and_everything_arrives(
    site: Production, services: Services, receiver: Receiver
) -> None:
    site.start("web")
    register(site, receiver)
    publish(site, OUTSTANDING)
    assert services.broker.waiting(DELIVERIES) == OUTSTANDING
    with client_of(site.environ["REDIS_URL"]) as client:
        client.flushall()
    assert sweep(services.broker, now_ms()) == OUTSTANDING
    assert services.broker.waiting(DELIVERIES) == OUTSTANDING
    assert sweep(services.broker, now_ms()) == 0
    site.start("worker")
    eventually(lambda: site.owed() == 0, PATIENCE_S)
    seen, paths = arrivals(receiver)
    assert (len(seen), seen.total(), len(paths)) == (OUTSTANDING, OUTSTANDING, OUTSTANDING)


def test_a_redis_that_is_wiped_while_everything_works_loses_nothing(site: Production, receiver: Receiver) -> None:
    for name in "web", "worker", "scheduler":
        site.start(name)
    register(site, receiver)
    publish(site, OUTSTANDING // 2)
    receiver.wait_for(500)
    with client_of(site.environ["REDIS_URL"]) as client:
        client.flushall()
    publish(site, 100)
    eventually(lambda: site.owed() == 0, PATIENCE_S)
    seen, paths = arrivals(receiver)
    assert len(seen) == OUTSTANDING // 2 + 100
    assert len(paths) == OUTSTANDING // 2
    assert seen.total() - len(seen) <= MAX_IN_FLIGHT
    assert site.query("SELECT count(*) FROM webhook_log WHERE status = 'SUCCESS'")[0][0] >= len(seen)
    assert "Traceback" not in site.text()


@pytest.mark.parametrize("silent", [False, True], ids=["gone", "silent"])
def test_publishing_goes_on_while_redis_is_away_and_everything_arrives_after(
    site: Production, redis: backends.Running, receiver: Receiver, silent: bool
) -> None:
    for name in "web", "worker", "scheduler":
        site.start(name)
    register(site, receiver)
    publish(site, 100)
    receiver.wait_for(100)
    if silent:
        os.kill(redis.pid, signal.SIGSTOP)
    else:
        redis.kill()
    taken_s, until = [], time.monotonic() + OUTAGE_S
    with site.client() as client:
        while time.monotonic() < until or len(taken_s) < 10:
            begin = time.monotonic()
            published = client.publish(batches(2)[0])  # 202, or this raises
            taken_s.append(time.monotonic() - begin)
            assert (published.accepted, published.matched) == (2, 2)
    assert site.owed() == 2 * len(taken_s)
    # The first may wait until it knows that nobody answers; the others ask no more than once a second.
    assert sorted(taken_s)[len(taken_s) // 2] < 0.5
    assert max(taken_s) < (8.0 if silent else 2.0)
    if silent:
        os.kill(redis.pid, signal.SIGCONT)
    else:
        redis.start()  # and it is empty
    eventually(lambda: site.owed() == 0, PATIENCE_S)
    seen, _ = arrivals(receiver)
    assert len(seen) == 100 + 2 * len(taken_s)
    assert "Traceback" not in site.text()
