"""Ordered delivery while workers are killed, the queue is wiped and the receiver refuses: each key keeps its order."""

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from hookline_client import Client

from scripts import backends
from tests.production import Production, Role, production
from tests.receiver import Answer, Received, Receiver
from tests.redis_server import client_of, redis_server
from tests.server import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

KEYS = 40
EVENTS = 30  # of each key
TYPES = ("NODE_CREATED", "NODE_MOVED", "NODE_DELETED")
PUBLISHERS = 2
MAX_IN_FLIGHT = 64  # of a process
DELAY_S = 0.1
RETRIES = 3
PATIENCE_S = 45.0  # 20 for the silence of a dead worker, well below the lease of 90
SETTINGS = {
    "MAX_IN_FLIGHT": str(MAX_IN_FLIGHT),
    "MAX_IN_FLIGHT_PER_WEBHOOK": str(MAX_IN_FLIGHT),
    "RETRY_SCHEDULE": ",".join(["300ms"] * RETRIES),
}


class Step(NamedTuple):
    """An event: the `number`th of its key."""

    key: str
    number: int

    @property
    def event(self) -> dict[str, Any]:
        """Return the event. The number is in the user's id, which every payload shows."""
        moved = {"dstProjectId": "p", "dstRepoName": "r", "dstFullPath": f"{self.key}.moved"}
        event_type = TYPES[self.number % len(TYPES)]
        return {
            "type": event_type,
            "projectId": "p",
            "repoName": "r",
            "resourceKey": self.key,
            "userId": str(self.number),
            "data": moved if event_type == "NODE_MOVED" else {},
        }

    @classmethod
    def of(cls, request: Received) -> "Step":
        """Return the event that a request tells of."""
        payload = json.loads(request.body)
        key = payload["node"]["fullPath"] if payload["eventType"] == "NODE_CREATED" else ""
        key = key or payload.get("srcFullPath") or payload["fullPath"]
        return cls(key, int(payload["user"]["userId"]))


class Serving(NamedTuple):
    """A request while it is being served, and after that; times are monotonic seconds."""

    step: Step
    delivery_id: str
    began: float
    is_repeat: bool  # of a delivery that was taken before, or is being served just now
    others: int  # deliveries of the same key, but for repeats, that were being served when it came
    missing: int  # events of the same key before this one that had not been taken then


class Orderly(Receiver):
    """Notes what it serves at once, and refuses about one delivery in ten at its first request."""

    def __init__(self) -> None:
        self.served: list[Serving] = []
        self.failing: Counter[str] = Counter()  # keys whose first event is refused so many times
        self.refuses = False
        self.delay = DELAY_S
        self.taken: defaultdict[str, dict[int, float]] = defaultdict(dict)  # numbers of each key, and when
        self._now: list[Serving] = []
        self._tries: Counter[str] = Counter()
        self._lock = threading.Lock()
        super().__init__()

    def take(self, request: Received) -> Answer:
        if len(request.body) < int(request.headers["content-length"]):
            return Answer(400)  # its sender was killed
        with self._lock:
            serving = self._begin(Step.of(request), request.headers["webhook-id"], request.at)
            is_refused = self._is_refused(serving)
        super().take(request)
        time.sleep(self.delay)
        with self._lock:
            self._now.remove(serving)
            if not is_refused:
                self.taken[serving.step.key].setdefault(serving.step.number, time.monotonic())
        return Answer(500 if is_refused else 200)

    def _begin(self, step: Step, delivery_id: str, began: float) -> Serving:
        at_once = [each for each in self._now if each.step.key == step.key]
        taken = self.taken[step.key]
        serving = Serving(
            step,
            delivery_id,
            began,
            is_repeat=step.number in taken or any(each.delivery_id == delivery_id for each in at_once),
            others=len([each for each in at_once if each.delivery_id != delivery_id and not each.is_repeat]),
            missing=step.number - len([number for number in taken if number < step.number]),
        )
        self._now.append(serving)
        self.served.append(serving)
        return serving

    def _is_refused(self, serving: Serving) -> bool:
        self._tries[serving.delivery_id] += 1
        if serving.step.number == 0 and serving.step.key in self.failing:
            return self._tries[serving.delivery_id] <= self.failing[serving.step.key]
        return self.refuses and int(serving.delivery_id, 16) % 10 == 0 and self._tries[serving.delivery_id] == 1


@pytest.fixture
def orderly() -> Iterator[Orderly]:
    listening = Orderly()
    yield listening
    listening.close()


@pytest.fixture(scope="module")
def site(postgres: backends.Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """All processes, two workers among them."""
    directory = tmp_path_factory.mktemp("order") / "site"
    with redis_server() as redis, production(directory, postgres.url, redis.url, **SETTINGS) as made:
        made.release()
        for name in "web", "scheduler", "worker", "worker":
            made.start(name)
        yield made
        made.close()
        made.clear()


@contextmanager
def ordered_webhook(site: Production, receiver: Receiver) -> Iterator[Client]:
    """Give a client to the block, and register a webhook for it."""
    with site.client() as client:
        webhook_id = client.create(
            url=receiver.url, triggers=list(TYPES), associationType="PROJECT", associationId="p", ordering="resource"
        )
        yield client
        client.delete(webhook_id)


class Publisher(threading.Thread):
    """Publishes all events of its keys one by one, those of a key in the order of their numbers."""

    def __init__(self, site: Production, keys: list[str]) -> None:
        super().__init__(name="publisher")
        self.matched = 0
        self._site = site
        self._keys = keys

    def run(self) -> None:
        with self._site.client() as client:
            for number in range(EVENTS):
                for key in self._keys:
                    self.matched += client.publish([Step(key, number).event]).matched


def kill_and_restart(site: Production, worker: Role) -> Role:
    worker.kill()
    return site.start("worker")


def first_arrivals(orderly: Orderly) -> dict[str, list[int]]:
    """Return the numbers of each key in the order in which they arrived for the first time."""
    found: dict[str, list[int]] = {}
    for serving in orderly.served:
        numbers = found.setdefault(serving.step.key, [])
        if serving.step.number not in numbers:
            numbers.append(serving.step.number)
    return found


def test_later_deliveries_of_a_key_wait_for_its_head_and_other_keys_do_not(site: Production, orderly: Orderly) -> None:
    orderly.failing.update({"/recovers": 2, "/given-up": RETRIES + 1})
    others = [f"/other-{number}" for number in range(20)]
    keys = [*orderly.failing, *others]
    with ordered_webhook(site, orderly) as client:
        published = client.publish([Step(key, number).event for number in range(5) for key in keys])
        [of_given_up] = client.event(published.event_ids[1])["deliveries"]
        [behind] = client.event(published.event_ids[1 + len(keys)])["deliveries"]
        assert behind["state"] == "WAITING"
        eventually(lambda: site.owed() == 1, PATIENCE_S)
        assert client.delivery(of_given_up["deliveryId"])["state"] == "DEAD"

    tried = {key: [each for each in orderly.served if each.step.key == key] for key in keys}
    assert [each.step.number for each in tried["/recovers"]] == [0, 0, 0, 1, 2, 3, 4]
    assert [each.step.number for each in tried["/given-up"]] == [0, 0, 0, 0, 1, 2, 3, 4]
    for key in others:
        assert [each.step.number for each in tried[key]] == [0, 1, 2, 3, 4]
        assert tried[key][-1].began < tried["/given-up"][RETRIES].began
    assert max(each.others for each in orderly.served) == 0


def test_order_holds_while_workers_are_killed_and_the_queue_is_wiped(site: Production, orderly: Orderly) -> None:
    orderly.refuses = True
    keys = [f"/key-{number}" for number in range(KEYS)]
    first, second = (role for role in site.roles if role.name == "worker")
    with ordered_webhook(site, orderly):
        publishers = [Publisher(site, keys[number::PUBLISHERS]) for number in range(PUBLISHERS)]
        for publisher in publishers:
            publisher.start()
        orderly.wait_for(100)
        third = kill_and_restart(site, first)
        with client_of(site.environ["REDIS_URL"]) as client:
            client.flushall()
        orderly.wait_for(300, PATIENCE_S)
        # What these have in hand comes back by their silence, turns that came without a message too.
        for worker in second, third:
            kill_and_restart(site, worker)
        assert site.owed() > 0
        for publisher in publishers:
            publisher.join()
        eventually(lambda: site.owed() == 0, PATIENCE_S)

    assert sum(publisher.matched for publisher in publishers) == KEYS * EVENTS
    assert first_arrivals(orderly) == {key: list(range(EVENTS)) for key in keys}
    assert all(sorted(orderly.taken[key]) == list(range(EVENTS)) for key in keys)
    assert len({(each.step, each.delivery_id) for each in orderly.served}) == KEYS * EVENTS
    assert [each for each in orderly.served if each.missing] == []
    assert [each for each in orderly.served if each.others and not each.is_repeat] == []
    # Of each of the three that were killed, and of both when the queue was wiped, what was in flight.
    repeats = [each for each in orderly.served if each.is_repeat]
    assert len(repeats) <= 5 * MAX_IN_FLIGHT
    refused = len(orderly.served) - len(repeats) - KEYS * EVENTS
    assert 0 < refused < KEYS * EVENTS // 5
    assert "Traceback" not in site.text()
