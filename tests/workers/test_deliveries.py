"""Deliveries in a worker: the batch consumer's, and the same work on a plain Dramatiq worker."""

import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import dramatiq
import pytest

from app.clock import now_ms
from app.feeder import Feeder
from app.health import OPEN_AFTER
from app.models import Delivery, Webhook
from app.queue import DELIVERIES, delivery_message
from app.services import Services
from app.sweep import sweep
from tests.receiver import Answer, Receiver
from tests.server import eventually
from tests.workers.conftest import PER_WEBHOOK, Desk
from workers.actors import declare_actors
from workers.serve import worker

Running = Callable[[Services], AbstractContextManager[None]]


@contextlib.contextmanager
def plain_worker(services: Services) -> Iterator[None]:
    """Run a Dramatiq worker that knows the actor, and nothing of batches."""
    broker: Any = services.broker
    declare_actors(services)
    running = dramatiq.Worker(broker, worker_threads=4)
    running.start()
    try:
        yield
    finally:
        running.stop()


@pytest.fixture
def hanging() -> Iterator[socket.socket]:
    """A receiver that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening


def url_of(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}/"


either = pytest.mark.parametrize("running", [worker, plain_worker], ids=["batches", "one by one"])


@either
def test_every_outcome_leaves_the_same_rows(desk: Desk, running: Running) -> None:
    """One test for both workers: what is expected of one is expected of the other."""
    with contextlib.ExitStack() as stack:
        webhooks: dict[str, str] = {}
        for repo, status in {
            "taken": 200,
            "failed": 500,
            "gone": 410,
            "raw": 200,
            "disabled": 200,
            "deleted": 200,
        }.items():
            listening = Receiver()
            stack.callback(listening.close)
            listening.answer(status)
            webhooks[repo] = desk.register(listening.url, repo)
            desk.publish(repo=repo, event_type="NODE_MOVED" if repo == "raw" else "NODE_CREATED")
        desk.update(webhooks["disabled"], enabled=False)
        desk.delete(webhooks["deleted"])
        with running(desk.services):
            eventually(lambda: desk.queued() == 0)

    names = {webhook_id: repo for repo, webhook_id in webhooks.items()}
    assert {
        (names[log.webhook_id], log.status, log.response_status, log.attempt, log.next_attempt_at is not None)
        for log in desk.logs()
    } == {
        ("taken", "SUCCESS", 200, 1, False),
        ("failed", "FAIL", 500, 1, True),
        ("gone", "FAIL", 410, 1, True),
        ("raw", "ERROR", None, 1, False),
    }
    assert {
        (names[row.webhook_id], row.state, row.attempt, row.queued_at, row.next_attempt_at is not None)
        for row in Delivery.select()
    } == {
        ("failed", "PENDING", 1, None, True),
        ("gone", "PENDING", 1, None, True),
        ("raw", "DEAD", 1, None, False),
        ("disabled", "HELD", 0, None, False),
    }
    enabled = {names[row.id] for row in Webhook.select().where(Webhook.enabled, Webhook.deleted_at.is_null())}
    assert enabled == {"taken", "failed", "raw"}


def test_a_delivery_with_several_messages_is_sent_once(desk: Desk, receiver: Receiver) -> None:
    desk.register(receiver.url)
    owed = desk.publish(20)
    desk.services.broker.enqueue_many([delivery_message(delivery_id) for delivery_id in owed * 2])
    with worker(desk.services):
        eventually(lambda: desk.queued() == 0)
        # Messages that come when it is all over change nothing.
        desk.services.broker.enqueue_many([delivery_message(delivery_id) for delivery_id in owed])
        eventually(lambda: desk.queued() == 0)
    assert sorted(request.headers["webhook-id"] for request in receiver.received) == sorted(owed)
    assert [(log.status, log.attempt) for log in desk.logs()] == [("SUCCESS", 1)] * len(owed)
    assert desk.owed() == []


def test_threads_that_meet_at_one_delivery_count_one_attempt(desk: Desk, receiver: Receiver) -> None:
    desk.register(receiver.url)
    receiver.script.extend([Answer(500, delay=0.2)] * 4)
    [delivery_id] = desk.publish()
    desk.services.broker.enqueue_many([delivery_message(delivery_id)] * 3)
    with plain_worker(desk.services):
        eventually(lambda: desk.queued() == 0)
    assert {request.headers["webhook-id"] for request in receiver.received} == {delivery_id}
    assert {log.attempt for log in desk.logs()} == {1}
    assert [row.attempt for row in Delivery.select()] == [1]


@either
def test_a_message_does_not_bring_a_later_attempt_forward(desk: Desk, receiver: Receiver, running: Running) -> None:
    desk.register(receiver.url)
    receiver.answer(500)
    [delivery_id] = desk.publish()
    with running(desk.services):
        eventually(lambda: desk.queued() == 0)
        desk.services.broker.enqueue_many([delivery_message(delivery_id)])
        eventually(lambda: desk.queued() == 0)
    assert len(receiver.received) == len(desk.logs()) == 1
    assert [(row.state, row.attempt, row.queued_at) for row in Delivery.select()] == [("PENDING", 1, None)]


def test_a_message_that_points_nowhere_is_dropped(desk: Desk, receiver: Receiver) -> None:
    desk.register(receiver.url)
    desk.services.broker.enqueue_many([delivery_message("0" * 32), delivery_message("日本")])
    desk.publish()
    with worker(desk.services):
        receiver.wait_for(1)
        eventually(lambda: desk.queued() == 0)
    assert (len(desk.logs()), desk.owed()) == (1, [])


def test_a_receiver_that_hangs_does_not_hold_up_the_others(
    desk: Desk, receiver: Receiver, hanging: socket.socket
) -> None:
    stuck = desk.register(url_of(hanging), "stuck")
    lively = desk.register(receiver.url, "lively")
    desk.publish(40, "stuck")  # more than all places of the process
    desk.publish(20, "lively")
    with worker(desk.services):
        receiver.wait_for(20)
        eventually(lambda: len(desk.logs(lively)) == 20)
        eventually(lambda: desk.queued() == PER_WEBHOOK)  # what is in flight
        waiting = Delivery.select().where(Delivery.webhook_id == stuck, Delivery.queued_at.is_null())
        assert {(row.state, row.attempt, row.next_attempt_at) for row in waiting} == {("HELD", 0, None)}
        assert len(waiting) == 40 - PER_WEBHOOK
        assert desk.logs(stuck) == []
        hanging.close()
    assert {(log.status, log.attempt) for log in desk.logs(stuck)} == {("FAIL", 1)}
    assert len(desk.owed(stuck)) == 40


def test_what_stands_in_line_is_held_once_the_circuit_has_opened(desk: Desk, receiver: Receiver) -> None:
    receiver.answer(*[500] * 30)
    desk.register(receiver.url)
    desk.publish(30)  # fewer than a process takes in hand
    with worker(desk.services):
        eventually(lambda: desk.queued() == 0)
    states = Counter((row.state, row.attempt) for row in Delivery.select())
    assert states.keys() == {("PENDING", 1), ("HELD", 0)}
    assert OPEN_AFTER <= len(receiver.received) == states["PENDING", 1] <= OPEN_AFTER + 2 * PER_WEBHOOK


def test_stopping_finishes_what_is_in_flight_and_keeps_the_rest(desk: Desk, receiver: Receiver) -> None:
    desk.register(receiver.url)
    receiver.script.extend([Answer(delay=0.4)] * 60)
    owed = desk.publish(60)
    with worker(desk.services):
        receiver.wait_for(PER_WEBHOOK)
    sent = [request.headers["webhook-id"] for request in receiver.received]
    assert len(set(sent)) == len(sent) < 60
    assert {log.delivery_id for log in desk.logs()} == set(sent)
    assert {log.status for log in desk.logs()} == {"SUCCESS"}
    assert set(desk.owed()) == set(owed) - set(sent)
    assert desk.queued() == len(desk.owed())


def test_what_is_owed_to_a_disabled_webhook_waits_until_it_is_enabled(desk: Desk, receiver: Receiver) -> None:
    webhook_id = desk.register(receiver.url)
    owed = desk.publish(10)
    desk.update(webhook_id, enabled=False)
    with worker(desk.services):
        eventually(lambda: desk.queued() == 0)
        assert {(row.state, row.queued_at, row.next_attempt_at) for row in Delivery.select()} == {("HELD", None, None)}
        assert (sweep(desk.services.broker, now_ms()), Feeder().feed(desk.services.broker, now_ms())) == (0, 0)
        assert receiver.received == []
        desk.update(webhook_id, enabled=True)
        assert Feeder().feed(desk.services.broker, now_ms()) == 10
        eventually(lambda: desk.owed() == [])
    assert sorted(request.headers["webhook-id"] for request in receiver.received) == sorted(owed)
    assert [log.attempt for log in desk.logs()] == [1] * 10


def test_what_was_matched_while_its_webhook_was_being_deleted_is_cancelled(desk: Desk, receiver: Receiver) -> None:
    webhook_id = desk.register(receiver.url)
    desk.publish()
    row = Delivery.get()
    desk.delete(webhook_id)
    assert desk.owed() == []
    row.save(force_insert=True)  # as a publisher does that had matched it just before
    with worker(desk.services):
        eventually(lambda: desk.queued() == 0)
    assert (desk.owed(), desk.logs(), receiver.received) == ([], [], [])


@pytest.mark.usefixtures("impatient")
@pytest.mark.sqlite_only
def test_an_attempt_is_recorded_once_the_database_can_be_written_again(
    desk: Desk, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    desk.register(receiver.url)
    receiver.script.extend([Answer(delay=0.6)] * 3)
    desk.publish(3)
    with worker(desk.services):
        receiver.wait_for(3)
        with desk.database_locked():
            eventually(lambda: "wait to be recorded" in caplog.text)
            assert desk.logs() == []
            assert desk.queued() == 3
        eventually(lambda: desk.owed() == [])
    assert [(log.status, log.attempt) for log in desk.logs()] == [("SUCCESS", 1)] * 3
    assert len(receiver.received) == 3


@pytest.mark.usefixtures("impatient")
@pytest.mark.sqlite_only
def test_messages_are_kept_while_the_database_cannot_be_written(
    desk: Desk, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    desk.register(receiver.url)
    desk.publish(2, event_type="NODE_MOVED")  # needs no request, only a write
    with contextlib.ExitStack() as lock:
        lock.enter_context(desk.database_locked())
        with worker(desk.services):
            eventually(lambda: "waits: database is locked" in caplog.text)
            assert (desk.queued(), desk.logs()) == (2, [])
            lock.close()
            eventually(lambda: desk.queued() == 0)
    assert [log.status for log in desk.logs()] == ["ERROR"] * 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.sqlite_only
def test_messages_that_cannot_be_looked_up_hold_up_no_attempt_that_is_to_be_recorded(
    desk: Desk, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    desk.register(receiver.url)
    late = desk.publish(2, event_type="NODE_MOVED")  # needs a write as soon as it is looked up
    assert len(desk.services.broker.batch_consumer(DELIVERIES, 0).fetch(2)) == 2
    desk.publish(3)
    receiver.script.extend([Answer(delay=0.2)] * 3)
    with worker(desk.services):
        receiver.wait_for(3)
        with desk.database_locked():
            desk.services.broker.enqueue_many([delivery_message(delivery_id) for delivery_id in late])
            eventually(lambda: caplog.text.count("queue=deliveries waits") > 2)
            eventually(lambda: "wait to be recorded" in caplog.text, 3.0)
        eventually(lambda: len(desk.logs()) == 5)
    assert len(receiver.received) == 3
