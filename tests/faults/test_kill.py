"""The server ends in the middle of its work, and nothing that it had accepted is lost."""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hookline_client import Client, ConnectError

from tests.receiver import Receiver, SlowReceiver
from tests.server import Server, eventually, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

EVENTS = 5_000
BATCH = 100
REPOS = 16  # a webhook each: together they may fill every place that a process has for requests in flight
MAX_IN_FLIGHT = 512
PATIENCE_S = 40.0


@pytest.fixture
def server(tmp_path: Path, slow: SlowReceiver) -> Iterator[Server]:
    """A server with a webhook for each repository."""
    with serving(tmp_path / "data", MAX_IN_FLIGHT=str(MAX_IN_FLIGHT), LOG_LEVEL="WARNING") as running:
        with running.client() as client:
            for number in range(REPOS):
                client.create(
                    url=slow.url, triggers=["NODE_CREATED"], associationType="REPO", associationId=f"p:r{number}"
                )
        yield running


def batches(count: int) -> list[list[dict[str, Any]]]:
    """Return `count` events in batches; each is known by its id and by the path in its payload."""
    events = [
        {
            "type": "NODE_CREATED",
            "projectId": "p",
            "repoName": f"r{number % REPOS}",
            "resourceKey": f"/{number}",
            "eventId": f"event-{number}",
        }
        for number in range(count)
    ]
    return [events[start : start + BATCH] for start in range(0, count, BATCH)]


class Producer(threading.Thread):
    """Publishes batches one after the other until the server goes away, and counts those that were answered."""

    def __init__(self, client: Client, batches: Sequence[list[dict[str, Any]]]) -> None:
        super().__init__(name="producer")
        self.answered = 0
        self._client = client
        self._batches = batches

    def run(self) -> None:
        for batch in self._batches:
            try:
                assert self._client.publish(batch).accepted == len(batch)
            except ConnectError:
                return
            self.answered += 1


def arrivals(receiver: Receiver) -> tuple[Counter[str], Counter[str]]:
    """Return how often each delivery and each event has arrived."""
    deliveries = Counter(request.headers["webhook-id"] for request in receiver.received)
    events = Counter(json.loads(request.body)["node"]["fullPath"] for request in receiver.received)
    return deliveries, events


def paths(batches: Sequence[list[dict[str, Any]]]) -> set[str]:
    return {event["resourceKey"] for batch in batches for event in batch}


def test_a_killed_server_loses_no_event_and_repeats_no_more_than_was_in_flight(
    server: Server, slow: SlowReceiver, tmp_path: Path
) -> None:
    every = batches(EVENTS)
    with server.client() as client:
        producer = Producer(client, every)
        producer.start()
        slow.wait_for(300)
        server.kill()
        producer.join()
    assert producer.answered > 0
    left = shutil.copytree(server.data, tmp_path / "left")  # to look at a database that was not closed changes it
    assert Server(left).owed() > 0, "the run was over before the server was killed"

    server.start()
    eventually(lambda: server.owed() == 0, PATIENCE_S)
    assert arrivals(slow)[1].keys() >= paths(every[: producer.answered])

    # What was not answered can be published again: its ids tell what had been accepted all the same.
    with server.client() as client:
        for batch in every[producer.answered :]:
            published = client.publish(batch)
            assert published.accepted + published.duplicates == len(batch)
    eventually(lambda: server.owed() == 0, PATIENCE_S)
    deliveries, events = arrivals(slow)
    assert events.keys() == paths(every)
    assert len(deliveries) == EVENTS
    assert deliveries.total() - len(deliveries) <= MAX_IN_FLIGHT
    assert server.query("PRAGMA integrity_check") == [("ok",)]
    logged = server.query("SELECT count(DISTINCT event_id), count(*) FROM webhook_log WHERE status = 'SUCCESS'")
    assert logged[0][0] == EVENTS
    assert logged[0][1] >= EVENTS


def test_a_server_asked_to_end_finishes_what_is_in_flight_and_leaves_the_rest_to_the_next(
    server: Server, slow: SlowReceiver
) -> None:
    slow.delay = 0.8  # at most 640 a second: ending takes the web server two, and deliveries go on meanwhile
    every = batches(EVENTS)
    with server.client() as client:
        producer = Producer(client, every)
        producer.start()
        producer.join()
    assert producer.answered == len(every)
    assert server.stop() == 0
    sent = len(slow.received)
    assert 0 < sent < EVENTS, "the run was over before the server was asked to end"
    assert server.query("SELECT count(*) FROM webhook_log WHERE status = 'SUCCESS'") == [(sent,)]
    assert server.owed() == EVENTS - sent
    assert "Traceback" not in server.text()

    slow.delay = 0.0
    server.start()
    eventually(lambda: server.owed() == 0, PATIENCE_S)
    deliveries, events = arrivals(slow)
    assert events.keys() == paths(every)
    assert len(deliveries) == deliveries.total() == EVENTS
