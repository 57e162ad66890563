"""Metrics of real processes: those of a machine share their figures, which outlast each of them."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import Place
from tests.metrics import scraped
from tests.production import Production, fresh_database, production
from tests.receiver import Receiver
from tests.redis_server import redis_server
from tests.server import eventually, free_port

pytestmark = [pytest.mark.slow, pytest.mark.sqlite_only, pytest.mark.timeout(120)]

SUCCESS = 'hookline_attempts_total{reason="answered_2xx",status="SUCCESS"}'
WEBHOOK = {"triggers": ["NODE_CREATED"], "association_type": "SYSTEM"}


@pytest.fixture
def site(database_place: Place, tmp_path: Path) -> Iterator[Production]:
    with (
        redis_server() as redis,
        fresh_database(database_place, tmp_path) as url,
        production(tmp_path / "site", url, redis.url, METRICS_PORT=str(free_port())) as made,
    ):
        yield made


def metrics_of(port: int | str) -> dict[str, float]:
    answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    assert answer.status_code == 200, answer.text
    return scraped(answer.text)


def publish(site: Production, name: str, count: int = 5) -> None:
    event = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a", "userId": "u"}
    with site.client() as client:
        client.publish([{**event, "eventId": f"{name}-{number}"} for number in range(count)])


def test_web_worker_and_scheduler_count_together_and_go_on_when_one_is_killed(
    site: Production, receiver: Receiver
) -> None:
    site.release()
    port = site.environ["METRICS_PORT"]
    web = site.start("web", WEB_CONCURRENCY="2")
    worker = site.start("worker", "--processes", "2")
    site.start("scheduler")
    with site.client() as client:
        client.create(url=receiver.url, **WEBHOOK)
    publish(site, "first")
    eventually(lambda: metrics_of(site.port)[SUCCESS] == 5)
    found = metrics_of(site.port)
    assert found['hookline_events_total{result="accepted"}'] == found["hookline_matched_deliveries_total"] == 5
    assert found["hookline_first_attempt_delay_seconds_count"] == 5
    assert found["hookline_requests_in_flight"] == 0
    eventually(lambda: metrics_of(site.port)["hookline_scheduler_leader"] == 1, 15)  # figures are 5 s old at most
    running = {role: metrics_of(site.port)[f'hookline_processes{{role="{role}",state="alive"}}'] for role in ROLES}
    assert running == {"web": 2, "worker": 2, "scheduler": 1}
    assert metrics_of(port)[SUCCESS] == 5  # a worker or the scheduler answers for all
    assert site.run("health", "--role", "worker").returncode == 0

    worker.kill()
    again = site.start("worker")
    publish(site, "second")
    eventually(lambda: metrics_of(port)[SUCCESS] == 10)
    assert again.stop() == 0
    site.roles[2].stop()
    web.send(signal.SIGTERM)
    assert "Traceback" not in site.text()
    places = {path.name for path in (Path(site.environ["HOOKLINE_DATA"]) / "metrics").glob("*.lock")}
    assert places == {
        "directory.lock",
        "scheduler-0.lock",
        *(f"{role}-{n}.lock" for role in ("web", "worker") for n in (0, 1)),
    }


ROLES = ("web", "worker", "scheduler")
