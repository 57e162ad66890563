"""The broker in memory: what only it does."""

from typing import Any

import pytest

from app.clock import now_ms
from app.errors import QueueUnavailable
from app.memory_broker import MEMORY_QUEUE_LIMIT, MemoryBroker
from app.queue import DELIVERIES, BatchConsumer, delivery_message

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


def unfinished(broker: MemoryBroker) -> int:
    waiting: Any = broker.queues[DELIVERIES]
    return int(waiting.unfinished_tasks)


def test_it_counts_what_is_unfinished(broker: MemoryBroker, consumer: BatchConsumer) -> None:
    broker.enqueue_many([delivery_message("a"), delivery_message("b")])
    messages = consumer.fetch(2)
    assert unfinished(broker) == 2
    consumer.requeue(messages[:1])
    assert unfinished(broker) == 2
    consumer.ack_many([*messages[1:], *consumer.fetch(1)])
    assert unfinished(broker) == 0


def test_the_queue_has_a_bound_and_takes_all_of_a_batch_or_none(broker: MemoryBroker, consumer: BatchConsumer) -> None:
    message = delivery_message("d")
    broker.enqueue_many([message] * (MEMORY_QUEUE_LIMIT - 1))
    with pytest.raises(QueueUnavailable):
        broker.enqueue_many([message] * 2)
    broker.enqueue_many([message])
    with pytest.raises(QueueUnavailable):
        broker.enqueue(message)
    assert broker.waiting(DELIVERIES) == MEMORY_QUEUE_LIMIT
    consumer.ack_many(consumer.fetch(10))
    broker.enqueue_many([message] * 10)


def test_it_holds_no_delayed_messages(broker: MemoryBroker) -> None:
    with pytest.raises(QueueUnavailable):
        broker.enqueue(delivery_message("d"), delay=1_000)
    assert broker.waiting(DELIVERIES) == 0


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
