"""The batch consumer between Dramatiq's worker and whatever handles a queue's messages."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import dramatiq
import pytest
from dramatiq.broker import MessageProxy

from app.errors import DatabaseUnavailable
from app.memory_broker import MemoryBroker
from app.queue import BatchConsumer
from tests.server import eventually
from workers.consumer import BatchConsumerMiddleware, Feed

QUEUE = "parcels"


class Collector:
    """A pipeline that keeps what it is given, in batches of `places` at most, and fails as told."""

    def __init__(self, consumer: BatchConsumer, places: int, failures: list[Exception]) -> None:
        self.batches: list[list[Any]] = []
        self.stopped = threading.Event()
        self._consumer = consumer
        self._places = places
        self._failures = failures

    def room(self, timeout_s: float) -> int:
        return self._places

    def accept(self, messages: Sequence[MessageProxy]) -> None:
        if self._failures:
            raise self._failures.pop()
        self.batches.append([message.args[0] for message in messages])
        self._consumer.ack_many(messages)

    def tick(self) -> None:
        """Nothing waits here."""

    def stop(self, timeout_s: float) -> None:
        self.stopped.set()

    @property
    def taken(self) -> list[Any]:
        """All that was taken, in order."""
        return [argument for batch in self.batches for argument in batch]


@pytest.fixture
def broker() -> Iterator[MemoryBroker]:
    made = MemoryBroker()
    made.declare_queue(QUEUE)
    yield made
    made.close()


def enqueue(broker: MemoryBroker, *arguments: Any) -> None:
    broker.enqueue_many([dramatiq.Message(QUEUE, "carry", (argument,), {}, {}) for argument in arguments])


@contextlib.contextmanager
def consuming(broker: MemoryBroker, *failures: Exception, places: int = 10) -> Iterator[Collector]:
    """Run a Dramatiq worker whose queue QUEUE goes to a Collector."""
    made: list[Collector] = []

    def pipeline(consumer: BatchConsumer) -> Collector:
        made.append(Collector(consumer, places, list(failures)))
        return made[0]

    broker.add_middleware(BatchConsumerMiddleware(broker, [Feed(QUEUE, pipeline)]))
    worker = dramatiq.Worker(broker, worker_threads=1)
    worker.start()
    try:
        eventually(lambda: made)
        yield made[0]
    finally:
        worker.stop()


def test_it_takes_what_is_there_in_batches_no_larger_than_there_is_room(broker: MemoryBroker) -> None:
    enqueue(broker, *range(25))
    with consuming(broker) as collector:
        eventually(lambda: len(collector.taken) == 25)
        enqueue(broker, "alone")
        eventually(lambda: len(collector.taken) == 26)
    assert collector.taken == [*range(25), "alone"]
    assert [len(batch) for batch in collector.batches] == [10, 10, 5, 1]
    assert broker.queues[QUEUE].unfinished_tasks == 0


def test_it_leaves_messages_in_the_queue_where_there_is_no_room(broker: MemoryBroker) -> None:
    enqueue(broker, *range(3))
    with consuming(broker, places=0) as collector:
        pass
    assert collector.batches == []
    assert broker.queues[QUEUE].qsize() == 3


@pytest.mark.parametrize("failure", [DatabaseUnavailable("away"), RuntimeError("a defect")])
def test_a_batch_that_is_not_taken_is_offered_again(
    broker: MemoryBroker, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    enqueue(broker, *range(3))
    with consuming(broker, failure) as collector:
        eventually(lambda: len(collector.taken) == 3)
    assert collector.taken == [0, 1, 2]
    assert broker.queues[QUEUE].unfinished_tasks == 0
    [line] = [record for record in caplog.records if record.name == "workers.consumer"]
    assert QUEUE in line.getMessage()
    assert (line.exc_info is None) == isinstance(failure, DatabaseUnavailable)  # no traceback for what is expected


def test_dramatiq_keeps_the_other_queues_and_none_of_this_one(broker: MemoryBroker) -> None:
    carried = []

    @dramatiq.actor(actor_name="other", queue_name="letters", broker=broker)
    def other(argument: str) -> None:
        carried.append(argument)

    with consuming(broker) as collector:
        other.send("a letter")
        enqueue(broker, "a parcel")
        eventually(lambda: carried and collector.taken)
    assert (carried, collector.taken) == (["a letter"], ["a parcel"])


def test_stopping_the_worker_stops_the_pipeline_and_fetches_no_more(broker: MemoryBroker) -> None:
    with consuming(broker) as collector:
        assert not collector.stopped.is_set()
    assert collector.stopped.is_set()
    enqueue(broker, "late")
    assert collector.taken == []
    assert broker.queues[QUEUE].qsize() == 1
