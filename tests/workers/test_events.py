"""The pipeline of the queue `events`, fed from a real Redis: what it accepts, keeps, leaves and acknowledges."""

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker as PlainBroker

from app.clock import now_ms
from app.errors import DatabaseUnavailable
from app.models import Delivery, Event, RejectedEvent, User
from app.queue import EVENTS, EVENTS_ACTOR, Message
from app.redis_broker import RedisBroker
from app.redis_consumer import RedisConsumer
from app.services import Services
from scripts import backends
from tests.redis_server import client_of
from tests.server import eventually
from tests.workers.conftest import Desk
from workers.actors import consume_in_batches, declare_actors
from workers.events import MESSAGES, EventPipeline, keep_undecodable

GOOD = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a", "userId": "u"}
UNREADABLE = [b"", b"{}", b"\xff\x00", b"[1]", b'{"queue_name": "events"}', b"[" * 5_000]


@pytest.fixture
def consumer(redis_queue: RedisBroker) -> Iterator[RedisConsumer]:
    made = redis_queue.batch_consumer(EVENTS, 50, keep_undecodable)
    yield made
    made.close()


@pytest.fixture
def pipeline(services: Services, consumer: RedisConsumer) -> EventPipeline:
    return EventPipeline(services, consumer)


def send(redis_queue: RedisBroker, *arguments: object, message_id: str | None = None) -> Message:
    """Put a message on the queue, and return it."""
    message = Message(EVENTS, EVENTS_ACTOR, arguments, {}, {})
    if message_id is not None:
        message = Message(EVENTS, EVENTS_ACTOR, arguments, {}, {}, message_id=message_id)
    redis_queue.enqueue(message)
    return message


def left(redis_client: redis.Redis) -> int:
    """Return how many messages are in Redis, waiting or fetched."""
    return int(redis_client.hlen("dramatiq:events.msgs"))


def reasons() -> list[str]:
    return sorted(row.reason for row in RejectedEvent.select())


def test_events_are_accepted_and_their_messages_acknowledged(
    desk: Desk, redis_queue: RedisBroker, redis_client: redis.Redis, consumer: RedisConsumer, pipeline: EventPipeline
) -> None:
    webhook_id = desk.register("http://a.example/")
    send(redis_queue, [GOOD, {**GOOD, "eventId": "mine"}])
    send(redis_queue, GOOD)
    pipeline.accept(consumer.fetch(10))
    assert Event.select().count() == 3
    assert len(desk.owed(webhook_id)) == 3
    assert left(redis_client) == 0


def test_invalid_ones_are_kept_and_acknowledged(
    services: Services,
    redis_queue: RedisBroker,
    redis_client: redis.Redis,
    consumer: RedisConsumer,
    pipeline: EventPipeline,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = send(redis_queue, [{**GOOD, "type": "NOTHING"}, GOOD])
    send(redis_queue, "no list")
    with caplog.at_level(logging.WARNING):
        pipeline.accept(consumer.fetch(10))
    assert Event.select().count() == 1
    assert reasons() == ["the message's arguments are not one list of events", "type: unknown_type"]
    assert RejectedEvent.get(RejectedEvent.place == 0).message_id == first.message_id
    assert left(redis_client) == 0
    assert caplog.messages == ["rejected=2 events kept: see hookline event rejected"]


def test_a_message_that_is_handled_twice_is_accepted_once(
    desk: Desk, redis_queue: RedisBroker, consumer: RedisConsumer, pipeline: EventPipeline
) -> None:
    desk.register("http://a.example/")
    send(redis_queue, [GOOD, {}], message_id="m")
    messages = consumer.fetch(10)
    pipeline.accept(messages)
    pipeline.accept(messages)  # the acknowledgement was lost, say
    send(redis_queue, [GOOD, {}], message_id="m")
    pipeline.accept(consumer.fetch(10))
    assert (Event.select().count(), Delivery.select().count(), RejectedEvent.select().count()) == (1, 1, 1)


@pytest.mark.parametrize("raw", UNREADABLE)
def test_what_is_no_message_is_kept_and_the_others_are_accepted(
    services: Services,
    redis_queue: RedisBroker,
    redis_client: redis.Redis,
    consumer: RedisConsumer,
    pipeline: EventPipeline,
    raw: bytes,
) -> None:
    redis_client.hset("dramatiq:events.msgs", "odd", raw)
    redis_client.rpush("dramatiq:events", "odd")
    send(redis_queue, [GOOD])
    pipeline.accept(consumer.fetch(10))
    [row] = RejectedEvent.select()
    assert (row.message_id, row.place, row.reason) == ("odd", -1, "not a Dramatiq message")
    assert row.raw == raw.decode("utf-8", "backslashreplace").replace("\0", "\ufffd")
    assert (Event.select().count(), left(redis_client)) == (1, 0)
    assert not redis_client.exists("dramatiq:events.XQ")


@pytest.mark.sqlite_only
def test_a_database_that_is_away_leaves_every_message(
    desk: Desk,
    impatient: None,
    redis_queue: RedisBroker,
    redis_client: redis.Redis,
    consumer: RedisConsumer,
    pipeline: EventPipeline,
) -> None:
    send(redis_queue, [GOOD, {}])
    send(redis_queue, [GOOD])
    messages = consumer.fetch(10)
    with desk.database_locked(), pytest.raises(DatabaseUnavailable):
        pipeline.accept(messages)
    assert (Event.select().count(), RejectedEvent.select().count(), left(redis_client)) == (0, 0, 2)
    consumer.requeue(messages)
    pipeline.accept(consumer.fetch(10))
    assert (Event.select().count(), RejectedEvent.select().count(), left(redis_client)) == (2, 1, 0)


@pytest.mark.sqlite_only
def test_what_is_no_message_waits_for_the_database_too(
    desk: Desk, impatient: None, redis_queue: RedisBroker, redis_client: redis.Redis, consumer: RedisConsumer
) -> None:
    redis_client.hset("dramatiq:events.msgs", "odd", b"odd")
    redis_client.rpush("dramatiq:events", "odd")
    with desk.database_locked(), pytest.raises(DatabaseUnavailable):
        consumer.fetch(10)
    assert left(redis_client) == 1
    assert consumer.fetch(10) == []
    assert (reasons(), left(redis_client)) == (["not a Dramatiq message"], 0)


def defect() -> dict[str, Any]:
    """Return an event that looks valid and can't be published: the user's date is beyond the calendar."""
    User.insert(id="broken", password_hash="x", created_at=10**17).execute()
    return {**GOOD, "userId": "broken"}


def test_a_defect_keeps_its_message_and_lets_the_others_through(
    desk: Desk,
    redis_queue: RedisBroker,
    redis_client: redis.Redis,
    consumer: RedisConsumer,
    pipeline: EventPipeline,
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk.register("http://a.example/")
    bad = defect()
    for number in range(3):
        send(redis_queue, [{**GOOD, "eventId": f"e{number}"}])
    send(redis_queue, [bad, GOOD], message_id="poison")
    send(redis_queue, [{}])
    with caplog.at_level(logging.CRITICAL):
        pipeline.accept(consumer.fetch(10))
    assert sorted(event.id for event in Event.select()) == ["e0", "e1", "e2"]
    assert Delivery.select().count() == 3
    row = RejectedEvent.get(RejectedEvent.message_id == "poison")
    assert (row.place, json.loads(row.raw)) == (-1, [[bad, GOOD]])
    assert "year" in row.reason
    assert reasons() == [row.reason, "type: missing"]
    assert left(redis_client) == 0


def test_a_defect_that_is_mended_lets_the_message_through_later(
    services: Services,
    redis_queue: RedisBroker,
    consumer: RedisConsumer,
    pipeline: EventPipeline,
    caplog: pytest.LogCaptureFixture,
) -> None:
    send(redis_queue, [defect()], message_id="poison")
    with caplog.at_level(logging.CRITICAL):
        pipeline.accept(consumer.fetch(10))
    User.delete().execute()
    send(redis_queue, [{**GOOD, "userId": "broken"}], message_id="poison")  # the same once more
    pipeline.accept(consumer.fetch(10))
    assert Event.select().count() == 1


def test_it_takes_a_bounded_number_of_messages_and_never_waits(pipeline: EventPipeline) -> None:
    assert pipeline.room(0.0) == MESSAGES
    pipeline.tick()
    pipeline.stop(0.0)
    assert pipeline.room(0.0) == MESSAGES


def test_a_worker_takes_both_queues_in_batches(
    services: Services, desk: Desk, redis_queue: RedisBroker, redis_client: redis.Redis
) -> None:
    desk.register("http://a.example/")
    with working(replace(services, broker=redis_queue), in_batches=True):
        for number in range(60):
            send(redis_queue, [{**GOOD, "eventId": f"e{number}"}, {}])
        eventually(lambda: left(redis_client) == 0, 20)
    assert (Event.select().count(), RejectedEvent.select().count()) == (60, 60)


def test_a_plain_worker_gives_the_same_result(
    services: Services, desk: Desk, redis_queue: RedisBroker, redis_client: redis.Redis
) -> None:
    desk.register("http://a.example/")
    with working(replace(services, broker=redis_queue), in_batches=False):
        send(redis_queue, [GOOD, {}])
        send(redis_queue, GOOD, GOOD)
        eventually(lambda: left(redis_client) == 0, 20)
    assert Event.select().count() == 1
    assert reasons() == ["the message's arguments are not one list of events", "type: missing"]


def test_an_event_that_its_producer_delayed_comes_when_it_is_due(
    services: Services, redis_here: backends.Running, redis_queue: RedisBroker, redis_client: redis.Redis
) -> None:
    with client_of(redis_here.url) as own:
        plain = PlainBroker(client=own, middleware=[])

        @dramatiq.actor(actor_name=EVENTS_ACTOR, queue_name=EVENTS, broker=plain)
        def publish_events(events: list[Any]) -> None:
            """Only its name counts here."""

        due = now_ms() + 300
        publish_events.send_with_options(args=([GOOD],), delay=300)
    assert (redis_client.llen("dramatiq:events"), redis_client.llen("dramatiq:events.DQ")) == (0, 1)
    with working(replace(services, broker=redis_queue), in_batches=True):
        eventually(lambda: Event.select().count())
    assert Event.get().accepted_at >= due


@contextlib.contextmanager
def working(services: Services, *, in_batches: bool) -> Iterator[None]:
    """Run a Dramatiq worker on the broker of `services`."""
    declare_actors(services)
    if in_batches:
        consume_in_batches(services)
    worker = dramatiq.Worker(services.broker, worker_threads=2)
    worker.start()
    try:
        yield
    finally:
        worker.stop()


def test_the_events_may_come_by_the_name_of_the_argument(
    services: Services, pipeline: EventPipeline, consumer: RedisConsumer, redis_queue: RedisBroker
) -> None:
    redis_queue.enqueue_many([dramatiq.Message(EVENTS, EVENTS_ACTOR, (), {"events": [GOOD]}, {})])
    pipeline.accept(consumer.fetch(10))
    assert Event.select().count() == 1
    assert RejectedEvent.select().count() == 0


def test_arguments_of_other_names_are_kept_with_what_they_hold(
    services: Services, pipeline: EventPipeline, consumer: RedisConsumer, redis_queue: RedisBroker
) -> None:
    redis_queue.enqueue_many([dramatiq.Message(EVENTS, EVENTS_ACTOR, (), {"event": GOOD}, {})])
    pipeline.accept(consumer.fetch(10))
    assert Event.select().count() == 0
    assert "NODE_CREATED" in RejectedEvent.get().raw
