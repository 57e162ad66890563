"""Workers keep webhooks apart: order, rate limits, circuits, and a backlog that hurts nobody else."""

import contextlib
import dataclasses
import json
import random
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

from app.address_guard import AddressGuard
from app.clock import now_ms
from app.event_types import Event
from app.feeder import Feeder
from app.models import HELD, Delivery, Webhook, database
from app.queue import DELIVERIES
from app.recording import Recorder
from app.registry import Registry
from app.services import Services
from app.sweep import sweep
from app.transport import Transport
from tests import rows
from tests.receiver import Answer, Received, Receiver
from tests.server import eventually
from tests.workers.conftest import PER_WEBHOOK, Desk
from tests.workers.test_deliveries import Running, either, hanging, url_of
from workers.deliveries import DeliveryPipeline
from workers.serve import worker

__all__ = ["hanging"]  # a fixture


class KeyedReceiver(Receiver):
    """Fails some attempts, and notes for each resource what arrives, and whether ever two at once."""

    def __init__(self, failing: float) -> None:
        self.arrived: dict[str, list[str]] = defaultdict(list)  # deliveries, each once for attempts in a row
        self.most_at_once = 0
        self._failing = failing
        self._running: dict[str, int] = defaultdict(int)
        self._chance = random.Random(6)
        self._lock = threading.Lock()
        super().__init__()

    def take(self, request: Received) -> Answer:
        """See Receiver."""
        key, name = json.loads(request.body)["node"]["fullPath"], request.headers["webhook-id"]
        with self._lock:
            self._running[key] += 1
            self.most_at_once = max(self.most_at_once, self._running[key])
            if self.arrived[key][-1:] != [name]:
                self.arrived[key].append(name)
            fails = self._chance.random() < self._failing
        time.sleep(0.001)
        with self._lock:
            self._running[key] -= 1
        return Answer(500 if fails else 200)


@pytest.fixture
def keyed() -> Iterator[KeyedReceiver]:
    listening = KeyedReceiver(0.15)
    yield listening
    listening.close()


@contextlib.contextmanager
def two_workers(services: Services) -> Iterator[None]:
    """Run two pipelines on one queue, each with what a process has for itself."""
    stopping = threading.Event()

    def run(mine: Services) -> None:
        consumer = mine.broker.batch_consumer(DELIVERIES, 20)
        pipeline = DeliveryPipeline(mine, consumer)
        while not stopping.is_set():
            pipeline.tick()
            room = pipeline.room(0.02)
            messages = consumer.fetch(min(room, 3)) if room > 0 else ()
            if messages:
                pipeline.accept(messages)
        pipeline.stop(10.0)
        consumer.close()
        database.close()

    registry = Registry(services.vault)
    other = dataclasses.replace(
        services,
        registry=registry,
        recorder=Recorder(registry, services.settings),
        transport=Transport(AddressGuard(services.settings.allow_networks), capacity=services.settings.max_in_flight),
    )
    threads = [threading.Thread(target=run, args=(each,)) for each in (services, other)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
        other.transport.stop()


any_worker = pytest.mark.parametrize("running", [worker, two_workers], ids=["one worker", "two workers"])


@pytest.fixture
def done(desk: Desk) -> Callable[[], bool]:
    """Do the scheduler's work, and tell whether nothing is owed any more."""
    feeder = Feeder()

    def is_done() -> bool:
        sweep(desk.services.broker, now_ms())
        feeder.feed(desk.services.broker, now_ms())
        return not Delivery.select().exists()

    return is_done


def publish(desk: Desk, keys: list[str], repo: str = "r") -> None:
    events = [Event(type="NODE_CREATED", project_id="p", repo_name=repo, resource_key=key, user_id="u") for key in keys]
    desk.services.publisher.publish(events, now_ms())


def accepted(webhook_id: str) -> dict[str, list[str]]:
    """Return the deliveries of each key, in the order of their acceptance."""
    found: dict[str, list[str]] = defaultdict(list)
    for delivery in Delivery.select().where(Delivery.webhook_id == webhook_id).order_by(Delivery.position):
        found[delivery.order_key].append(delivery.id)
    return found


@any_worker
def test_deliveries_of_a_resource_arrive_one_at_a_time_in_their_order_over_retries(
    desk: Desk, keyed: KeyedReceiver, done: Callable[[], bool], running: Running
) -> None:
    hook = desk.register(keyed.url)
    rows.change(hook, ordering="resource", retry_schedule=json.dumps([1] * 30))
    for _ in range(8):
        publish(desk, [f"/{number}" for number in range(5)] * 2)
    expected = accepted(hook)
    assert len(expected) == 5
    with running(desk.services):
        eventually(done)
    assert sorted(keyed.arrived.values()) == sorted(expected.values())
    assert keyed.most_at_once == 1
    assert {log.status for log in desk.logs()} == {"SUCCESS", "FAIL"}


@any_worker
def test_what_is_published_while_it_is_being_delivered_arrives_in_order_too(
    desk: Desk, keyed: KeyedReceiver, done: Callable[[], bool], running: Running
) -> None:
    hook = desk.register(keyed.url)
    rows.change(hook, ordering="webhook", retry_schedule=json.dumps([1] * 30))
    with running(desk.services):
        for _ in range(60):
            publish(desk, ["/a"])
        eventually(done)
    arrived = keyed.arrived["/a"]
    assert len(arrived) == 60
    assert arrived == sorted(arrived)  # one publisher's ids rise
    assert keyed.most_at_once == 1


@either
def test_one_that_is_given_up_lets_the_next_go(desk: Desk, receiver: Receiver, running: Running) -> None:
    hook = desk.register(receiver.url)
    rows.change(hook, ordering="webhook")
    receiver.answer(500, 200, 500, 200)
    publish(desk, list("abcd"))
    Delivery.update(attempt=1).execute()  # the next failure is the last
    [expected] = accepted(hook).values()
    with running(desk.services):
        receiver.wait_for(4)
        eventually(lambda: len(desk.logs()) == 4)
    assert [request.headers["webhook-id"] for request in receiver.received] == expected
    assert {row.state for row in Delivery.select()} == {"DEAD"}


def test_a_rate_limit_holds_in_every_second(desk: Desk, receiver: Receiver, done: Callable[[], bool]) -> None:
    rate, burst, count = 40, 4, 64
    hook = desk.register(receiver.url)
    rows.change(hook, rate_limit=rate, rate_burst=burst)
    desk.publish(count)
    with worker(desk.services):
        eventually(done)
    times = sorted(request.at for request in receiver.received)
    assert len(times) == len({request.headers["webhook-id"] for request in receiver.received}) == count
    most = max(sum(begin <= each < begin + 1.0 for each in times) for begin in times)
    assert most <= rate + burst + 2  # one may be a moment late, and the next one punctual
    assert times[-1] - times[0] < 2.5 * (count - burst) / rate  # and it is made use of
    assert {log.attempt for log in desk.logs()} == {1}


def test_a_circuit_opens_probes_and_closes(desk: Desk, receiver: Receiver, done: Callable[[], bool]) -> None:
    hook = desk.register(receiver.url)
    receiver.answer(*[500] * 40)
    desk.publish(40)
    with worker(desk.services):
        eventually(lambda: Webhook.get_by_id(hook).circuit_until is not None)
        eventually(lambda: desk.queued() == 0)
        tried = len(receiver.received)
        assert 10 <= tried < 40
        assert Delivery.select().where(Delivery.state == HELD).count() == 40 - tried
        done()
        assert desk.queued() == 0  # it is not time for a probe

        rows.change(hook, circuit_until=now_ms())
        done()
        receiver.wait_for(tried + 1)
        eventually(lambda: Webhook.get_by_id(hook).failed_probes == 1)
        eventually(lambda: desk.queued() == 0)
        assert len(receiver.received) == tried + 1

        receiver.script.clear()
        rows.change(hook, circuit_until=now_ms())
        eventually(lambda: not done() and Webhook.get_by_id(hook).circuit_until is None)
        eventually(lambda: not done() and not Webhook.get_by_id(hook).backlog)
        eventually(lambda: len(receiver.received) == 40)
    assert {log.attempt for log in desk.logs()} == {1}
    assert Delivery.select().count() == tried + 1  # those that failed wait for their retry


def test_thousands_for_a_dead_webhook_hold_up_no_other(
    desk: Desk, receiver: Receiver, hanging: socket.socket, done: Callable[[], bool]
) -> None:
    stuck = desk.register(url_of(hanging), "stuck")
    lively = desk.register(receiver.url, "lively")
    publish(desk, [f"/{number}" for number in range(2_000)], "stuck")
    with worker(desk.services):
        eventually(lambda: desk.queued() <= PER_WEBHOOK, 20.0)
        latencies: list[float] = []
        for number in range(1, 21):
            done()
            began = time.monotonic()
            desk.publish(repo="lively")
            latencies.append(receiver.wait_for(number)[-1].at - began)
        assert sorted(latencies)[10] < 0.5
        assert max(latencies) < 3.0
        eventually(lambda: len(desk.logs(lively)) == 20)
        hanging.close()
    assert len(desk.owed(stuck)) == 2_000


@pytest.mark.parametrize("number", range(3))
def test_stopping_hands_the_turn_to_another_process(desk: Desk, receiver: Receiver, number: int) -> None:
    hook = desk.register(receiver.url)
    rows.change(hook, ordering="webhook")
    receiver.script.append(Answer(delay=0.1))
    publish(desk, list("abc"))
    [ids] = accepted(hook).values()
    with worker(desk.services):
        receiver.wait_for(1)
    assert [request.headers["webhook-id"] for request in receiver.received] == ids[:1]
    assert [row.state for row in Delivery.select().order_by(Delivery.position)] == ["PENDING", "WAITING"]
    consumer = desk.services.broker.batch_consumer(DELIVERIES, 10)
    assert [message.args[0] for message in consumer.fetch(10)] == ids[1:2]


@pytest.mark.usefixtures("impatient")
@pytest.mark.sqlite_only
def test_a_turn_that_comes_while_the_database_is_away_is_taken_after(
    desk: Desk, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    hook = desk.register(receiver.url)
    rows.change(hook, ordering="webhook")
    receiver.script.append(Answer(delay=0.2))
    publish(desk, ["/a"] * 40)
    [ids] = accepted(hook).values()
    with worker(desk.services):
        receiver.wait_for(1)
        with desk.database_locked():
            eventually(lambda: "wait to be recorded" in caplog.text)
        eventually(lambda: not desk.owed())
    assert [request.headers["webhook-id"] for request in receiver.received] == ids
    assert [log.attempt for log in desk.logs()] == [1] * 40
