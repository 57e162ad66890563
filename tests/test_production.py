"""The whole service as separate processes, on each database and a real Redis: what is published arrives, once."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.conftest import Place
from tests.production import Production, database_server, fresh_database, production
from tests.receiver import Answer, Received, Receiver
from tests.redis_server import client_of, redis_server
from tests.server import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

EVENTS = 500
BATCH = 50


class FlakyReceiver(Receiver):
    """Refuses about every third delivery once, and a third of those twice: too few in a row to open the circuit."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        super().__init__()

    def take(self, request: Received) -> Answer:
        super().take(request)
        webhook_id = request.headers["webhook-id"]
        self._seen[webhook_id] += 1
        return Answer(500 if self._seen[webhook_id] <= self.refusals(webhook_id) else 200)

    def refusals(self, webhook_id: str) -> int:
        """Return how often a delivery is refused."""
        number = int(webhook_id, 16)
        return 2 if number % 9 == 0 else int(number % 3 == 0)


@pytest.fixture
def flaky() -> Iterator[FlakyReceiver]:
    listening = FlakyReceiver()
    yield listening
    listening.close()


@pytest.fixture
def site(database_place: Place, tmp_path: Path) -> Iterator[Production]:
    """Production on an empty database and an empty Redis; no process runs yet."""
    with (
        redis_server() as redis,
        fresh_database(database_place, tmp_path) as url,
        production(tmp_path / "site", url, redis.url) as made,
    ):
        yield made


@pytest.fixture
def postgres_site(tmp_path: Path) -> Iterator[Production]:
    """The same on PostgreSQL alone, for what has little to do with the database."""
    with (
        redis_server() as redis,
        database_server("postgres", durable=False) as database,
        production(tmp_path / "site", database.url, redis.url) as made,
    ):
        yield made


def batches(count: int, repo: str = "r") -> list[list[dict[str, Any]]]:
    events = [
        {"type": "NODE_CREATED", "projectId": "p", "repoName": repo, "resourceKey": f"/{number}", "userId": "ann"}
        for number in range(count)
    ]
    return [events[start : start + BATCH] for start in range(0, count, BATCH)]


def paths(requests: Sequence[Received]) -> Counter[str]:
    return Counter(json.loads(request.body)["node"]["fullPath"] for request in requests)


def test_all_processes_together_deliver_everything_and_record_every_attempt(
    site: Production, flaky: FlakyReceiver
) -> None:
    assert site.release().startswith("Applied 0001")
    assert site.release() == "The database is up to date.\n"
    for name in "web", "worker", "scheduler":
        site.start(name)
    with site.client() as client:
        webhook_id = client.create(
            url=flaky.url, triggers=["NODE_CREATED"], associationType="PROJECT", associationId="p"
        )
        secret = client.secret(webhook_id)
        for batch in batches(EVENTS):
            published = client.publish(batch)
            assert (published.accepted, published.matched) == (BATCH, BATCH)
    eventually(lambda: site.owed() == 0, 40.0)

    deliveries = {request.headers["webhook-id"] for request in flaky.received}
    refusals = {delivery_id: flaky.refusals(delivery_id) for delivery_id in deliveries}
    assert set(refusals.values()) == {0, 1, 2}
    assert set(paths(flaky.received)) == {f"/{number}" for number in range(EVENTS)}
    assert sorted(paths(flaky.received).values()) == sorted(number + 1 for number in refusals.values())
    for request in flaky.received:
        Webhook(secret).verify(request.body.decode(), dict(request.headers))

    logs = site.query("SELECT delivery_id, attempt, status, response_status FROM webhook_log")
    assert Counter(logs) == Counter(
        (delivery_id, attempt, *(("FAIL", 500) if attempt <= number else ("SUCCESS", 200)))
        for delivery_id, number in refusals.items()
        for attempt in range(1, number + 2)
    )
    with site.client() as client:
        assert client.log_page(webhook_id)["totalRecords"] == len(logs)
    assert site.stop() == [0, 0, 0]
    assert "Traceback" not in site.text()
    with client_of(site.environ["REDIS_URL"]) as redis:
        left = set(redis.keys())
    assert left <= {b"dramatiq:hookline:since", b"dramatiq:__heartbeats__"}  # nothing waits, nobody holds anything


def test_several_of_each_share_the_work_and_repeat_nothing(postgres_site: Production, receiver: Receiver) -> None:
    site = postgres_site
    site.release()
    site.start("web", WEB_CONCURRENCY="2")
    site.start("worker", "--processes", "2")
    site.start("worker")
    schedulers = [site.start("scheduler"), site.start("scheduler")]
    with site.client() as client:
        client.create(url=receiver.url, triggers=["NODE_CREATED"], associationType="SYSTEM")
        for batch in batches(2 * EVENTS):
            client.publish(batch)
    eventually(lambda: site.owed() == 0, 40.0)
    assert len(receiver.received) == len(paths(receiver.received)) == 2 * EVENTS
    assert site.query("SELECT status, attempt, count(*) FROM webhook_log GROUP BY status, attempt") == [
        ("SUCCESS", 1, 2 * EVENTS)
    ]
    assert [scheduler.text().count("taken") for scheduler in schedulers] == [1, 0]
    assert site.stop() == [0] * 5
    assert "Traceback" not in site.text()


def test_a_change_of_a_webhook_holds_in_every_process_once_it_is_answered(
    postgres_site: Production, receiver: Receiver
) -> None:
    site = postgres_site
    site.release()
    site.start("web", WEB_CONCURRENCY="2")
    site.start("worker", "--processes", "2")
    with site.client() as client:
        webhook_id = client.create(url=receiver.url, triggers=["NODE_CREATED"], associationType="SYSTEM")
        for number in range(10):
            client.update(webhook_id, url=f"{receiver.url}/{number}")
            [event_id] = client.publish(batches(1)[0]).event_ids
            eventually(lambda: site.owed() == 0)
            assert receiver.received[-1].path == f"/hook/{number}", event_id
    assert len(receiver.received) == 10
