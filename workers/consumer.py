"""The batch consumer as a Dramatiq middleware.

Dramatiq's worker takes messages one at a time into threads. For the queue named here this middleware takes them
instead, in batches, and leaves to Dramatiq what it does well: processes, signals, reload.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from dramatiq import Broker as DramatiqBroker
from dramatiq import Worker
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Middleware

from app.errors import ServiceUnavailable
from app.queue import BatchConsumer, Broker

log = logging.getLogger(__name__)

FETCH_LIMIT = 500
IDLE_MS = 1_000
PAUSE_S = 1.0
DRAIN_S = 35.0  # longer than the longest request


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


class BatchConsumerMiddleware(Middleware):
    """Feeds a queue to a pipeline in batches of whatever is there, from the worker's boot to its shutdown."""

    def __init__(self, broker: Broker, queue_name: str, pipeline: Callable[[BatchConsumer], Pipeline]) -> None:
        self._broker = broker
        self._queue_name = queue_name
        self._make_pipeline = pipeline
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def before_worker_boot(self, broker: DramatiqBroker, worker: Worker) -> None:
        """Keep Dramatiq's own consumers off the queue."""
        others = (worker.consumer_whitelist or broker.get_declared_queues()) - {self._queue_name}
        worker.consumer_whitelist = others or {"-"}  # an empty set would mean every queue

    def after_worker_boot(self, broker: DramatiqBroker, worker: Worker) -> None:
        """Start consuming."""
        self._thread = threading.Thread(target=self._run, name=f"consumer({self._queue_name})", daemon=True)
        self._thread.start()

    def before_worker_shutdown(self, broker: DramatiqBroker, worker: Worker) -> None:
        """Stop fetching, drain, put back."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        consumer = self._broker.batch_consumer(self._queue_name, IDLE_MS)
        pipeline = self._make_pipeline(consumer)
        while not self._stopping.is_set():
            try:
                _turn(consumer, pipeline)
            except ServiceUnavailable as error:
                log.error("queue=%s waits: %s", self._queue_name, error)
                self._stopping.wait(PAUSE_S)
            except Exception:  # a defect of ours must not end all deliveries of the process
                log.exception("queue=%s a batch failed", self._queue_name)
                self._stopping.wait(PAUSE_S)
        pipeline.stop(DRAIN_S)
        consumer.close()


def _turn(consumer: BatchConsumer, pipeline: Pipeline) -> None:
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
