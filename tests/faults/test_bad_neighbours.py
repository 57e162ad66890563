"""A webhook with a great backlog whose receiver never answers: its neighbours notice nothing."""

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hookline_client import Client

from scripts import backends
from tests.production import Production, production
from tests.raw_receiver import RawServer, serving, silent
from tests.receiver import Receiver
from tests.server import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

BACKLOG = 20_000
PORTION = 500
NEIGHBOURS = 20
WORST_S = 1.5  # of 95 in a hundred; two processors are shared by all processes and the test
MOST_REQUESTS = 100  # to the one that never answers
PATIENCE_S = 30.0
SETTINGS = {"REQUEST_TIMEOUT": "1s", "RETRY_SCHEDULE": "5s"}


@pytest.fixture
def site(tmp_path: Path, postgres: backends.Running, redis: backends.Running) -> Iterator[Production]:
    with production(tmp_path / "site", postgres.url, redis.url, **SETTINGS) as made:
        made.release()
        for name in "web", "scheduler", "worker":
            made.start(name)
        yield made
        made.close()
        made.clear()


@pytest.fixture
def dead() -> Iterator[RawServer]:
    """A receiver that takes requests and never answers."""
    with serving(silent) as listening:
        yield listening


def register(client: Client, url: str, repo: str) -> str:
    return client.create(url=url, triggers=["NODE_CREATED"], associationType="REPO", associationId=f"p:{repo}")


def event(repo: str, number: int) -> dict[str, Any]:
    return {"type": "NODE_CREATED", "projectId": "p", "repoName": repo, "resourceKey": f"/{number}", "userId": "ann"}


def publish(client: Client, dead_id: str) -> list[float]:
    """Publish the backlog in portions, and to each neighbour an event after each, until its circuit is open.

    Return the moments at which those to the neighbours were published.
    """
    began: list[float] = []
    portions = range(0, BACKLOG, PORTION)
    for start in portions:
        assert client.publish([event("dead", number) for number in range(start, start + PORTION)]).matched == PORTION
        _publish_round(client, began)
    while client.get(dead_id)["circuit"] != "open":
        _publish_round(client, began)
        assert len(began) < 10 * len(portions) * NEIGHBOURS
    return began


def _publish_round(client: Client, began: list[float]) -> None:
    for number in range(NEIGHBOURS):
        began.append(time.monotonic())
        assert client.publish([event(f"r{number}", len(began) - 1)]).matched == 1


def latencies(receiver: Receiver, began: list[float]) -> list[float]:
    """Wait for all that was published, and return how many seconds each took from the call to its arrival, sorted."""
    arrived = {json.loads(each.body)["node"]["name"]: each.at for each in receiver.wait_for(len(began), PATIENCE_S)}
    assert len(arrived) == len(receiver.received) == len(began)
    return sorted(arrived[str(number)] - at for number, at in enumerate(began))


def states(site: Production, webhook_id: str) -> dict[str, int]:
    return dict(site.query("SELECT state, count(*) FROM delivery WHERE webhook_id = ? GROUP BY state", webhook_id))


def test_a_receiver_that_never_answers_and_its_backlog_delay_nobody_else(
    site: Production, receiver: Receiver, dead: RawServer
) -> None:
    with site.client() as client:
        dead_id = register(client, dead.url, "dead")
        for number in range(NEIGHBOURS):
            register(client, f"{receiver.url}/{number}", f"r{number}")
        began = publish(client, dead_id)
        seconds = latencies(receiver, began)
        told = f"of {len(seconds)}: median {statistics.median(seconds):.3f} s, worst {seconds[-1]:.3f} s"
        assert seconds[len(seconds) * 95 // 100] < WORST_S, told

        eventually(lambda: site.owed() == sum(states(site, dead_id).values()), PATIENCE_S)  # but for the dead one's
        assert site.owed() == BACKLOG
        eventually(lambda: states(site, dead_id).get("HELD", 0) >= BACKLOG - MOST_REQUESTS, PATIENCE_S)
        assert dead.connections <= MOST_REQUESTS
        shown = client.get(dead_id)
        assert (shown["enabled"], shown["circuit"], shown["backlog"]) == (True, "open", True)

        client.delete(dead_id)
        assert site.owed() == 0
    assert site.query("SELECT count(*) FROM webhook_log WHERE status = 'SUCCESS'") == [(len(began),)]
    assert "Traceback" not in site.text()
