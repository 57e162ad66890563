"""A receiver is down for a night: it is left in peace, others hear of it, and in the morning all of it arrives."""

import itertools
import json
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hookline_client import Client
from standardwebhooks import Webhook

from tests.receiver import Answer, Received, Receiver
from tests.server import Server, eventually, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

EVENTS = 3_000
BATCH = 250
MISSED = 400  # published while the webhook is disabled
MOST_AT_ONCE = 32
ATTEMPTS = 3  # a round of them, see RETRY_SCHEDULE
BURST = 4 * MOST_AT_ONCE  # attempts until the circuit is open, which takes ten failures on record
PROBES_APART_S = 0.4  # from the second probe on
PROBES = 4 / PROBES_APART_S
PATIENCE_S = 20.0
ENVIRON = {"RETRY_SCHEDULE": "200ms,400ms", "DISABLE_AFTER": "4s", "MAX_IN_FLIGHT_PER_WEBHOOK": str(MOST_AT_ONCE)}
TRIGGERS = ["WEBHOOK_FAILING", "WEBHOOK_DISABLED", "WEBHOOK_RECOVERED", "DELIVERY_EXHAUSTED"]


class Sick(Receiver):
    """Refuses all requests with 503 until it is `well`; what it took then is in `taken`."""

    def __init__(self, port: int) -> None:
        self.well = False
        self.taken: list[Received] = []
        super().__init__(port)

    def take(self, request: Received) -> Answer:
        answer = super().take(request)
        if not self.well:
            return Answer(503)
        if answer.status == 200:
            self.taken.append(request)
        return answer


@pytest.fixture
def port() -> Iterator[int]:
    """A port that refuses connections until somebody listens on it."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield int(kept.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data", **ENVIRON) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.client() as calling:
        yield calling


def register(client: Client, port: int) -> str:
    return client.create(
        url=f"http://127.0.0.1:{port}/hook",
        triggers=["NODE_CREATED"],
        associationType="REPO",
        associationId="p:r",
    )


def batches(first: int, count: int) -> Iterator[list[dict[str, Any]]]:
    """Yield `count` events in batches; each is known by its number, in its id and its path."""
    for start in range(first, first + count, BATCH):
        yield [
            {
                "type": "NODE_CREATED",
                "projectId": "p",
                "repoName": "r",
                "resourceKey": f"/{number}",
                "userId": "ann",
                "eventId": f"event-{number}",
            }
            for number in range(start, min(start + BATCH, first + count))
        ]


def publish(client: Client, first: int, count: int) -> int:
    """Publish events, and return how many deliveries were made."""
    return sum(client.publish(batch).matched for batch in batches(first, count))


class News:
    """What another receiver has heard of the webhook: operational events, each with a signature that verifies."""

    def __init__(self, receiver: Receiver, secret: str) -> None:
        self._receiver = receiver
        self._oracle = Webhook(secret)

    def of(self, event_type: str) -> list[Mapping[str, Any]]:
        """Return the payloads of this type that have arrived."""
        arrived = [each for each in self._receiver.received if each.headers["x-bkrepo-event"] == event_type]
        return [self._oracle.verify(each.body.decode(), dict(each.headers)) for each in arrived]

    def wait_for(self, event_type: str, count: int = 1) -> Mapping[str, Any]:
        """Return the last of the `count` payloads of this type, which is all there are."""
        eventually(lambda: len(self.of(event_type)) >= count, PATIENCE_S)
        found = self.of(event_type)
        assert len(found) == count
        assert found[-1]["eventType"] == event_type
        return found[-1]


@pytest.fixture
def news(client: Client, receiver: Receiver) -> News:
    webhook_id = client.create(url=receiver.url, triggers=TRIGGERS, associationType="SYSTEM")
    return News(receiver, client.secret(webhook_id))


def attempts(client: Client, webhook_id: str) -> int:
    return int(client.log_page(webhook_id)["totalRecords"])


def watched(client: Client, job: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a job at its end, which is to be a good one."""
    seen = [job]

    def has_ended() -> bool:
        seen.append(client.job(job["id"]))
        return seen[-1]["state"] not in ("PENDING", "RUNNING")

    eventually(has_ended, PATIENCE_S)
    progress = [each["done"] + each["skipped"] for each in seen]
    assert progress == sorted(progress)
    assert (seen[-1]["state"], seen[-1]["errorMsg"]) == ("SUCCEEDED", None)
    assert seen[-1]["total"] == progress[-1]
    return seen[-1]


def paths(requests: Sequence[Received]) -> Counter[str]:
    return Counter(json.loads(request.body)["node"]["fullPath"] for request in list(requests))


def every_path(count: int) -> set[str]:
    return {f"/{number}" for number in range(count)}


def fall_ill(client: Client, webhook_id: str, news: News) -> None:
    """Publish to a receiver that is not there, until its circuit is open, and then all the rest."""
    assert publish(client, 0, BATCH) == BATCH
    told = news.wait_for("WEBHOOK_FAILING")
    assert told["webHook"]["id"] == webhook_id
    assert told["lastErrorMsg"].startswith("connection refused")
    eventually(lambda: client.get(webhook_id)["circuit"] == "open")
    assert publish(client, BATCH, EVENTS - BATCH) == EVENTS - BATCH
    shown = client.get(webhook_id)
    assert (shown["enabled"], shown["circuit"], shown["backlog"]) == (True, "open", True)
    assert shown["circuitProbeTime"] is not None
    assert shown["failures"] >= 10


def stay_ill(client: Client, webhook_id: str, news: News, sick: Sick) -> None:
    """See that a receiver which answers 503 gets a probe now and then, until the webhook is disabled."""
    told = news.wait_for("WEBHOOK_DISABLED")
    shown = client.get(webhook_id)
    assert (shown["enabled"], shown["disabledReason"]) == (False, told["reason"])
    assert told["webHook"]["id"] == webhook_id
    gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(sick.received)]
    assert 1 <= len(gaps) < PROBES
    assert min(gaps) > PROBES_APART_S - 0.1
    assert len(news.of("WEBHOOK_FAILING")) == 1
    assert attempts(client, webhook_id) <= BURST + 2 * PROBES
    assert client.deliveries(webhook_id, state="HELD", pageSize=1)["records"][0]["heldReason"] == "disabled"


def recover(client: Client, webhook_id: str, news: News, sick: Sick) -> None:
    """Enable the webhook; what was held goes by itself, what was given up is sent again by a job."""
    given_up = [each["delivery"] for each in news.of("DELIVERY_EXHAUSTED")]
    dead = client.deliveries(webhook_id, state="DEAD", pageSize=1_000)["records"]
    assert {each["deliveryId"] for each in dead} == {each["id"] for each in given_up}
    assert dead
    sick.well = True
    client.update(webhook_id, enabled=True)
    job = watched(client, client.resend_failed(webhook_id, "the-morning-after"))
    assert job["done"] >= len(dead)
    eventually(lambda: len(sick.taken) >= EVENTS, PATIENCE_S)
    assert client.resend_failed(webhook_id, "the-morning-after")["id"] == job["id"]


def replay(client: Client, webhook_id: str, sick: Sick) -> None:
    """Bring what was published while the webhook was disabled, and only that."""
    job = watched(client, client.replay(webhook_id, client.event("event-0")["acceptedDate"]))
    assert (job["done"], job["skipped"]) == (MISSED, EVENTS)
    eventually(lambda: len(sick.taken) >= EVENTS + MISSED, PATIENCE_S)


def relapse(client: Client, webhook_id: str, news: News, sick: Sick) -> None:
    """Fail a little, and recover by the next attempts: no circuit, no help needed."""
    sick.answer(*[503] * 8)
    assert publish(client, EVENTS + MISSED, 8) == 8
    assert news.wait_for("WEBHOOK_FAILING", 2)["lastErrorMsg"] == "the receiver answered 503"
    told = news.wait_for("WEBHOOK_RECOVERED")
    assert (told["webHook"]["id"], told["webHook"]["failures"]) == (webhook_id, 0)
    assert told["failedFor"] >= 200
    eventually(lambda: len(sick.taken) >= EVENTS + MISSED + 8, PATIENCE_S)


def whereabouts(client: Client, event_id: str) -> tuple[str, int]:
    """Return the state of an event's only delivery, and its attempts."""
    [delivery] = client.event(event_id)["deliveries"]
    return delivery["state"], delivery["attempts"]


def test_a_receiver_that_was_down_for_a_night_misses_nothing(
    server: Server, client: Client, news: News, port: int
) -> None:
    webhook_id = register(client, port)
    fall_ill(client, webhook_id, news)
    sick = Sick(port)
    try:
        stay_ill(client, webhook_id, news, sick)
        assert publish(client, EVENTS, MISSED) == 0
        exhausted = [each["delivery"]["eventId"] for each in news.of("DELIVERY_EXHAUSTED")]
        recover(client, webhook_id, news, sick)
        replay(client, webhook_id, sick)
        relapse(client, webhook_id, news, sick)
    finally:
        sick.close()
    assert paths(sick.taken) == dict.fromkeys(every_path(EVENTS + MISSED + 8), 1)
    eventually(lambda: server.owed() == 0)
    assert {whereabouts(client, event_id) for event_id in exhausted} == {("SUCCESS", ATTEMPTS + 1)}
    assert whereabouts(client, f"event-{EVENTS - 1}") == ("SUCCESS", 1)
    assert whereabouts(client, f"event-{EVENTS}") == ("SUCCESS", 1)
    assert whereabouts(client, f"event-{EVENTS + MISSED}") == ("SUCCESS", 2)
    assert "Traceback" not in server.text()
