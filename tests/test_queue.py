"""The in-memory queue of hints."""

import threading
from typing import Any

import dramatiq
import pytest

from app.clock import now_ms
from app.errors import QueueUnavailable
from app.queue import (
    DELIVER_ACTOR,
    DELIVERIES,
    MEMORY_QUEUE_LIMIT,
    BatchConsumer,
    MemoryBroker,
    delivery_message,
    open_broker,
)

WAIT_MS = 20
LEASE_MS = 90_000


@pytest.fixture
def broker() -> MemoryBroker:
    made = MemoryBroker()
    made.declare_queue(DELIVERIES)
    return made


@pytest.fixture
def consumer(broker: MemoryBroker) -> BatchConsumer:
    return broker.batch_consumer(DELIVERIES, WAIT_MS)


def enqueue(broker: MemoryBroker, *ids: str) -> None:
    broker.enqueue_many([delivery_message(delivery_id) for delivery_id in ids])


def fetch(consumer: BatchConsumer, limit: int = 100) -> list[str]:
    return [message.args[0] for message in consumer.fetch(limit)]


def unfinished(broker: MemoryBroker) -> int:
    waiting: Any = broker.queues[DELIVERIES]
    return int(waiting.unfinished_tasks)


def test_a_message_names_a_delivery_and_no_more() -> None:
    message = delivery_message("d1")
    assert (message.queue_name, message.actor_name, message.args) == (DELIVERIES, DELIVER_ACTOR, ("d1",))
    assert (message.kwargs, message.options) == ({}, {})
    assert dramatiq.Message.decode(message.encode()) == message
    assert message.message_id != delivery_message("d1").message_id


def test_messages_come_in_order_and_no_more_than_asked_for(broker: MemoryBroker, consumer: BatchConsumer) -> None:
    enqueue(broker, "a", "b", "c")
    assert fetch(consumer, 2) == ["a", "b"]
    assert fetch(consumer, 2) == ["c"]
    assert fetch(consumer, 2) == []


def test_a_consumer_that_waits_is_woken_by_a_message(broker: MemoryBroker) -> None:
    patient = broker.batch_consumer(DELIVERIES, 10_000)
    got: list[str] = []
    waiting = threading.Thread(target=lambda: got.extend(fetch(patient)))
    waiting.start()
    enqueue(broker, "a")
    waiting.join(5)
    assert got == ["a"]


def test_two_consumers_share_the_messages(broker: MemoryBroker, consumer: BatchConsumer) -> None:
    other = broker.batch_consumer(DELIVERIES, WAIT_MS)
    enqueue(broker, "a", "b", "c")
    assert fetch(consumer, 1) + fetch(other) + fetch(consumer) == ["a", "b", "c"]


def test_what_is_acknowledged_is_finished(broker: MemoryBroker, consumer: BatchConsumer) -> None:
    enqueue(broker, "a", "b")
    messages = consumer.fetch(2)
    assert unfinished(broker) == 2
    consumer.ack_many(messages)
    assert unfinished(broker) == 0
    assert fetch(consumer) == []


def test_acknowledging_nothing_is_fine(broker: MemoryBroker, consumer: BatchConsumer) -> None:
    consumer.ack_many([])
    consumer.requeue([])
    broker.enqueue_many([])
    assert unfinished(broker) == 0


def test_what_is_requeued_comes_again(broker: MemoryBroker, consumer: BatchConsumer) -> None:
    enqueue(broker, "a", "b")
    consumer.requeue(consumer.fetch(2))
    assert unfinished(broker) == 2
    assert sorted(fetch(consumer)) == ["a", "b"]


def test_the_queue_has_a_bound_and_takes_all_of_a_batch_or_none(broker: MemoryBroker, consumer: BatchConsumer) -> None:
    message = delivery_message("d")
    broker.enqueue_many([message] * (MEMORY_QUEUE_LIMIT - 1))
    with pytest.raises(QueueUnavailable):
        broker.enqueue_many([message] * 2)
    broker.enqueue_many([message])
    with pytest.raises(QueueUnavailable):
        broker.enqueue(message)
    assert broker.queues[DELIVERIES].qsize() == MEMORY_QUEUE_LIMIT
    consumer.ack_many(consumer.fetch(10))
    broker.enqueue_many([message] * 10)


def test_it_holds_no_delayed_messages(broker: MemoryBroker) -> None:
    with pytest.raises(QueueUnavailable):
        broker.enqueue(delivery_message("d"), delay=1_000)
    assert broker.queues[DELIVERIES].qsize() == 0


def test_a_plain_consumer_of_dramatiq_works_too(broker: MemoryBroker) -> None:
    broker.enqueue(delivery_message("a"))
    broker.enqueue(delivery_message("b"))
    plain = broker.consume(DELIVERIES, timeout=WAIT_MS)
    first, second = next(plain), next(plain)
    assert first is not None
    assert second is not None
    assert (first.args, second.args, next(plain)) == (("a",), ("b",), None)
    plain.ack(first)
    plain.nack(second)
    assert unfinished(broker) == 0


def test_what_was_queued_before_this_process_is_lost() -> None:
    before = now_ms()
    broker = MemoryBroker()
    broker.declare_queue(DELIVERIES)
    after = now_ms()
    assert before <= broker.lost_before(DELIVERIES, after, LEASE_MS) <= after


def test_with_an_empty_queue_what_is_older_than_a_lease_is_lost(broker: MemoryBroker) -> None:
    later = now_ms() + 10 * LEASE_MS
    assert broker.lost_before(DELIVERIES, later, LEASE_MS) == later - LEASE_MS


def test_nothing_is_lost_that_is_younger_than_the_head_of_the_queue(broker: MemoryBroker) -> None:
    enqueued = now_ms()
    enqueue(broker, "a")
    assert broker.lost_before(DELIVERIES, enqueued + 100 * LEASE_MS, LEASE_MS) <= now_ms()


def test_opening_declares_the_queue_of_deliveries() -> None:
    broker = open_broker()
    assert isinstance(broker, MemoryBroker)
    assert DELIVERIES in broker.get_declared_queues()
    assert dramatiq.get_broker() is broker
    broker.close()
