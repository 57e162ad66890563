"""What every broker of the service does, in memory and in Redis."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dramatiq
import pytest

from app.clock import now_ms
from app.memory_broker import MemoryBroker
from app.queue import DELIVER_ACTOR, DELIVERIES, EVENTS, EVENTS_ACTOR, BatchConsumer, Message, delivery_message
from scripts import backends
from tests.redis_server import client_of, redis_broker, redis_server
from tests.server import eventually

WAIT_MS = 20
LEASE_MS = 90_000


@pytest.fixture(scope="module")
def server() -> Iterator[backends.Running]:
    with redis_server() as running:
        yield running


@pytest.fixture(params=["memory", "redis"])
def broker(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        made = MemoryBroker()
        made.declare_queue(DELIVERIES)
        made.declare_queue(EVENTS)
        yield made
        return
    running = request.getfixturevalue("server")
    with client_of(running.url) as client:
        client.flushall()
    with redis_broker(running.url) as opened:
        yield opened


@pytest.fixture
def consumer(broker: Any) -> Iterator[BatchConsumer]:
    made = broker.batch_consumer(DELIVERIES, WAIT_MS)
    yield made
    made.close()


def enqueue(broker: Any, *ids: str) -> None:
    broker.enqueue_many([delivery_message(delivery_id) for delivery_id in ids])


def fetch(consumer: BatchConsumer, limit: int = 100) -> list[str]:
    return [message.args[0] for message in consumer.fetch(limit)]


def unfinished(broker: Any) -> int:
    if isinstance(broker, MemoryBroker):
        waiting: Any = broker.queues[DELIVERIES]
        return int(waiting.unfinished_tasks)
    return int(broker.client.hlen(f"{broker.namespace}:{DELIVERIES}.msgs"))


def test_a_message_names_a_delivery_and_no_more() -> None:
    message = delivery_message("d1")
    assert (message.queue_name, message.actor_name, message.args) == (DELIVERIES, DELIVER_ACTOR, ("d1",))
    assert (message.kwargs, message.options) == ({}, {})
    assert dramatiq.Message.decode(message.encode()) == message
    assert message.message_id != delivery_message("d1").message_id


def test_messages_come_in_order_and_no_more_than_asked_for(broker: Any, consumer: BatchConsumer) -> None:
    enqueue(broker, "a", "b", "c")
    assert fetch(consumer, 2) == ["a", "b"]
    assert fetch(consumer, 2) == ["c"]
    assert fetch(consumer, 2) == []


def test_asking_for_nothing_gives_nothing(broker: Any, consumer: BatchConsumer) -> None:
    enqueue(broker, "a")
    assert fetch(consumer, 0) == []
    assert fetch(consumer) == ["a"]


def test_a_message_comes_as_it_was_sent(broker: Any) -> None:
    events = [{"type": "NODE_CREATED", "resourceKey": "/ü/☃", "n": [1, 2.5, None, True, 2**70]}]
    sent: Message = Message(EVENTS, EVENTS_ACTOR, (events,), {"k": "ü"}, {"own": 1}, message_timestamp=5)
    broker.enqueue_many([sent])
    events_consumer = broker.batch_consumer(EVENTS, WAIT_MS)
    (got,) = events_consumer.fetch(10)
    options = {name: value for name, value in got.options.items() if name != "redis_message_id"}
    assert replace(got._message, options=options) == sent
    events_consumer.ack_many([got])
    events_consumer.close()


def test_a_batch_may_be_for_several_queues(broker: Any, consumer: BatchConsumer) -> None:
    event: Message = Message(EVENTS, EVENTS_ACTOR, ([],), {}, {})
    broker.enqueue_many([delivery_message("a"), event, delivery_message("b")])
    assert (broker.waiting(DELIVERIES), broker.waiting(EVENTS)) == (2, 1)
    assert fetch(consumer) == ["a", "b"]


def test_a_large_batch_keeps_its_order(broker: Any, consumer: BatchConsumer) -> None:
    ids = [str(number) for number in range(2_500)]
    enqueue(broker, *ids)
    got: list[str] = []
    while len(got) < len(ids):
        messages = consumer.fetch(10_000)
        got += [message.args[0] for message in messages]
        consumer.ack_many(messages)
    assert got == ids


def test_a_consumer_that_waits_is_woken_by_a_message(broker: Any) -> None:
    patient = broker.batch_consumer(DELIVERIES, 10_000)
    got: list[str] = []
    waiting = threading.Thread(target=lambda: got.extend(fetch(patient)))
    waiting.start()
    enqueue(broker, "a")
    waiting.join(5)
    assert got == ["a"]
    patient.close()


def test_two_consumers_share_the_messages(broker: Any, consumer: BatchConsumer) -> None:
    other = broker.batch_consumer(DELIVERIES, WAIT_MS)
    enqueue(broker, "a", "b", "c")
    assert fetch(consumer, 1) + fetch(other) + fetch(consumer) == ["a", "b", "c"]
    other.close()


def test_consumers_and_producers_at_once_lose_and_double_nothing(broker: Any) -> None:
    sent = [f"{producer}-{number}" for producer in range(3) for number in range(300)]
    got: list[str] = []

    def consume() -> None:
        mine = broker.batch_consumer(DELIVERIES, 200)
        while messages := mine.fetch(7):
            got.extend(message.args[0] for message in messages)
            mine.ack_many(messages)
        mine.close()

    def produce(producer: int) -> None:
        for number in range(0, 300, 3):
            enqueue(broker, *(f"{producer}-{number + i}" for i in range(3)))

    threads = [threading.Thread(target=consume) for _ in range(3)]
    threads += [threading.Thread(target=produce, args=(producer,)) for producer in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    rest = broker.batch_consumer(DELIVERIES, WAIT_MS)
    got += fetch(rest, 1_000)
    assert sorted(got) == sorted(sent)
    rest.close()


def test_what_is_acknowledged_is_finished(broker: Any, consumer: BatchConsumer) -> None:
    enqueue(broker, "a", "b")
    messages = consumer.fetch(2)
    assert unfinished(broker) == 2
    consumer.ack_many(messages)
    assert unfinished(broker) == 0
    assert fetch(consumer) == []


def test_acknowledging_nothing_is_fine(broker: Any, consumer: BatchConsumer) -> None:
    consumer.ack_many([])
    consumer.requeue([])
    broker.enqueue_many([])
    assert broker.waiting(DELIVERIES) == 0


def test_what_is_requeued_comes_again(broker: Any, consumer: BatchConsumer) -> None:
    enqueue(broker, "a", "b")
    consumer.requeue(consumer.fetch(2))
    assert broker.waiting(DELIVERIES) == 2
    assert fetch(consumer) == ["a", "b"]


def test_a_beat_changes_nothing(broker: Any, consumer: BatchConsumer) -> None:
    enqueue(broker, "a", "b")
    messages = consumer.fetch(1)
    consumer.beat()
    consumer.beat()
    assert fetch(consumer) == ["b"]
    consumer.ack_many(messages)


def test_waiting_counts_what_nobody_has_fetched(broker: Any, consumer: BatchConsumer) -> None:
    enqueue(broker, "a", "b", "c")
    consumer.fetch(1)
    assert broker.waiting(DELIVERIES) == 2


def test_one_message_may_be_enqueued_alone(broker: Any, consumer: BatchConsumer) -> None:
    broker.enqueue(delivery_message("a"))
    assert fetch(consumer) == ["a"]


def test_what_was_queued_before_the_queue_began_is_lost(broker: Any) -> None:
    now = now_ms()
    assert now - 60_000 <= broker.lost_before(DELIVERIES, now, LEASE_MS) <= now


def test_with_an_empty_queue_what_is_older_than_a_lease_is_lost(broker: Any) -> None:
    later = now_ms() + 10 * LEASE_MS
    assert broker.lost_before(DELIVERIES, later, LEASE_MS) == later - LEASE_MS


def test_nothing_is_lost_that_is_younger_than_the_head_of_the_queue(broker: Any) -> None:
    enqueued = now_ms()
    enqueue(broker, "a")
    assert broker.lost_before(DELIVERIES, enqueued + 100 * LEASE_MS, LEASE_MS) <= now_ms()


def test_the_age_of_the_queue_is_that_of_its_head(broker: Any) -> None:
    later = now_ms() + 10 * LEASE_MS
    enqueue(broker, "a")
    broker.enqueue_many([replace(delivery_message("b"), message_timestamp=later)])
    consumer = broker.batch_consumer(DELIVERIES, WAIT_MS)
    consumer.ack_many(consumer.fetch(1))
    assert broker.lost_before(DELIVERIES, later + 5_000, 4_000) == later - 4_000
    eventually(lambda: broker.waiting(DELIVERIES) == 1)
    consumer.close()
