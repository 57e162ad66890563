"""The sweeper: what is due and what was lost comes back into the queue, and nothing comes twice."""

from typing import Any

from app.clock import now_ms
from app.database import insert_rows, write_transaction
from app.ids import new_id
from app.memory_broker import MEMORY_QUEUE_LIMIT, MemoryBroker
from app.models import DEAD, PENDING, Delivery
from app.queue import DELIVERIES, delivery_message
from app.services import Services
from app.sweep import BATCH, LEASE_MS, MAX_BATCHES, sweep
from tests.test_outbox import make_delivery, state


def queued(services: Services) -> list[str]:
    """Take the ids out of the queue that its messages name."""
    messages = services.broker.batch_consumer(DELIVERIES, 10).fetch(MEMORY_QUEUE_LIMIT)
    return [message.args[0] for message in messages]


def make_many(count: int, queued_at: int | None, now: int) -> list[str]:
    rows: list[tuple[Any, ...]] = [
        (new_id(), "w", "e", PENDING, 0, now, queued_at, now, 0, None, None) for _ in range(count)
    ]
    with write_transaction():
        insert_rows(Delivery, rows)
    return [row[0] for row in rows]


def test_what_is_due_is_enqueued_once(services: Services) -> None:
    now = now_ms()
    due = make_delivery(queued_at=None, next_attempt_at=now, attempt=2)
    make_delivery(queued_at=None, next_attempt_at=now + 1_000)
    make_delivery(queued_at=None, next_attempt_at=None)
    make_delivery(queued_at=None, next_attempt_at=None, state=DEAD)
    assert sweep(services.broker, now) == 1
    assert queued(services) == [due]
    assert state(due) == (PENDING, 2, now, now)
    assert sweep(services.broker, now) == 0
    assert queued(services) == []


def test_what_comes_due_later_is_enqueued_later(services: Services) -> None:
    now = now_ms()
    later = make_delivery(queued_at=None, next_attempt_at=now + 1_000)
    assert sweep(services.broker, now + 999) == 0
    assert sweep(services.broker, now + 1_000) == 1
    assert queued(services) == [later]


def test_after_a_restart_what_was_in_memory_is_enqueued_again(services: Services) -> None:
    before = now_ms() - 1
    lost = make_many(3, before, before)
    broker = MemoryBroker()  # that of the new process; its memory is empty
    broker.declare_queue(DELIVERIES)
    assert sweep(broker, now_ms()) == 3
    messages = broker.batch_consumer(DELIVERIES, 10).fetch(10)
    assert sorted(message.args[0] for message in messages) == sorted(lost)
    assert sweep(broker, now_ms()) == 0


def test_a_message_in_a_workers_hands_is_not_lost_before_its_lease_is_over(services: Services) -> None:
    now = now_ms() + 1_000
    held = make_delivery(queued_at=now, next_attempt_at=now)
    assert sweep(services.broker, now + LEASE_MS) == 0
    assert sweep(services.broker, now + LEASE_MS + 1) == 1
    assert queued(services) == [held]


def test_a_backlog_that_is_still_in_the_queue_is_not_enqueued_twice(services: Services) -> None:
    now = now_ms()
    backlog = make_many(500, now, now)
    services.broker.enqueue_many([delivery_message(delivery_id) for delivery_id in backlog])
    assert sweep(services.broker, now + 100 * LEASE_MS) == 0
    assert sorted(queued(services)) == sorted(backlog)


def test_rows_that_a_full_queue_does_not_take_stay_for_the_next_sweep(services: Services) -> None:
    now = now_ms()
    due = make_many(10, None, now)
    filling = [delivery_message("x")] * (MEMORY_QUEUE_LIMIT - 5)
    services.broker.enqueue_many(filling)
    assert sweep(services.broker, now) == 0
    assert {state(each) for each in due} == {(PENDING, 0, now, None)}
    assert set(queued(services)) == {"x"}
    assert sweep(services.broker, now + 1_000) == 10
    assert sorted(queued(services)) == sorted(due)


def test_more_than_a_batch_is_swept_at_once_and_no_more_than_so_many_batches(services: Services) -> None:
    now = now_ms()
    extra = 7
    count = MAX_BATCHES * BATCH + extra
    due = make_many(count, None, now)
    assert sweep(services.broker, now) == count - extra
    assert sweep(services.broker, now) == extra
    assert sorted(queued(services)) == sorted(due)


def test_due_and_lost_are_swept_together(services: Services) -> None:
    now = now_ms() + 10
    due = make_many(BATCH + 1, None, now)
    lost = make_many(BATCH + 1, now, now)
    assert sweep(services.broker, now + LEASE_MS + 1) == 2 * BATCH + 2
    assert sorted(queued(services)) == sorted(due + lost)
