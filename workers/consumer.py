"""The batch consumer as a Dramatiq middleware.

Dramatiq's worker takes messages one at a time into threads. For the queue named here this middleware takes them
instead, in batches, and leaves to Dramatiq what it does well: processes, signals, reload.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dramatiq import Broker as DramatiqBroker
from dramatiq import Worker
from dramatiq.broker import MessageProxy
from dramatiq.common import dq_name
from dramatiq.middleware import Middleware

from app.errors import ServiceUnavailable
from app.progress import Loop
from app.queue import BatchConsumer, Broker

log = logging.getLogger(__name__)

FETCH_LIMIT = 500
IDLE_MS = 1_000
PAUSE_S = 1.0
DRAIN_S = 25.0  # platforms kill what has not ended 30 s after SIGTERM; what is left goes back to the queue


class Pipeline(Protocol):
    """What handles a queue's messages."""

    def room(self, timeout_s: float) -> int:
        """Wait for room up to `timeout_s`, and return how many messages can be taken."""

    def accept(self, messages: Sequence[MessageProxy]) -> None:
        """Take `messages` over: acknowledge or requeue each. An exception says that none was taken."""

    def tick(self) -> None:
        """Do what is to be done from time to time; it comes before each batch, and once a second when idle."""

    def stop(self, timeout_s: float) -> None:
        """Finish what is under way up to `timeout_s`, and let go of the rest."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A queue, what makes its pipeline, and what is told of messages that are none of Dramatiq's."""

    queue_name: str
    pipeline: Callable[[BatchConsumer], Pipeline]
    on_undecodable: Callable[[str, bytes], None] | None = None


class BatchConsumerMiddleware(Middleware):
    """Feeds queues to pipelines in batches of whatever is there, from the worker's boot to its shutdown.

    Each queue has a thread of its own, so that none waits for another.
    """

    def __init__(self, broker: Broker, feeds: Sequence[Feed]) -> None:
        self._broker = broker
        self._feeds = feeds
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def before_worker_boot(self, broker: DramatiqBroker, worker: Worker) -> None:
        """Keep Dramatiq's own consumers off the queues."""
        others = (worker.consumer_whitelist or broker.get_declared_queues()) - {feed.queue_name for feed in self._feeds}
        worker.consumer_whitelist = others or {"-"}  # an empty set would mean every queue

    def after_worker_boot(self, broker: DramatiqBroker, worker: Worker) -> None:
        """Start consuming. What a producer delayed is Dramatiq's to bring into the queue when it is due."""
        whitelist, worker.consumer_whitelist = worker.consumer_whitelist, None
        for name in broker.get_declared_delay_queues() & {dq_name(feed.queue_name) for feed in self._feeds}:
            worker._add_consumer(name, delay=True)
        worker.consumer_whitelist = whitelist
        for feed in self._feeds:
            name = f"consumer({feed.queue_name})"
            self._threads.append(threading.Thread(target=self._run, args=(feed,), name=name, daemon=True))
            self._threads[-1].start()

    def before_worker_shutdown(self, broker: DramatiqBroker, worker: Worker) -> None:
        """Stop fetching, drain, put back."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, feed: Feed) -> None:
        consumer = self._broker.batch_consumer(feed.queue_name, IDLE_MS, feed.on_undecodable)
        pipeline = feed.pipeline(consumer)
        loop = Loop(threading.current_thread().name)
        while not self._stopping.is_set():
            loop.moved()
            try:
                _turn(consumer, pipeline)
            except ServiceUnavailable as error:
                log.error("queue=%s waits: %s", feed.queue_name, error)
                self._stopping.wait(PAUSE_S)
            except Exception:  # a defect of ours must not end all work of the process
                log.exception("queue=%s a batch failed", feed.queue_name)
                self._stopping.wait(PAUSE_S)
        loop.end()
        pipeline.stop(DRAIN_S)
        consumer.close()


def _turn(consumer: BatchConsumer, pipeline: Pipeline) -> None:
    consumer.beat()
    pipeline.tick()
    room = pipeline.room(IDLE_MS / 1000)
    messages = consumer.fetch(min(room, FETCH_LIMIT)) if room > 0 else ()
    if not messages:
        return
    try:
        pipeline.accept(messages)
    except BaseException:
        consumer.requeue(messages)
        raise
