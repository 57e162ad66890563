"""The delivery pipeline of a worker process: load, send, record, all in batches of whatever is there now.

Three threads: the consumer's fetches messages and starts requests, the transport's sends, and the recorder commits
whatever has ended since its last commit, acknowledges, and starts what waited for a place.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple, cast

import dramatiq
from dramatiq.broker import MessageProxy

from app import outbox
from app.attempts import Attempt, Due, judge, request_for
from app.clock import now_ms
from app.delivery import deliver, policy, settle, triage
from app.errors import DatabaseUnavailable
from app.exchange import Outcome, Request
from app.fairness import Lanes
from app.matching import Webhook
from app.queue import DELIVER_ACTOR, DELIVERIES, BatchConsumer
from app.services import Services

log = logging.getLogger(__name__)

STALL_MS = 1_000
PUT_BACK_MS = 5_000
DATABASE_PAUSE_S = 1.0


@dataclass(slots=True)
class _Held:
    """A delivery in this process's hands, from its message until that is acknowledged."""

    message: MessageProxy
    due: Due
    webhook: Webhook


class _Ended(NamedTuple):
    """An exchange that is over and not yet recorded."""

    held: _Held
    request: Request
    outcome: Outcome


def declare_actors(services: Services) -> None:
    """Declare the actor `deliver`, with which a plain Dramatiq worker gives the same result one by one."""

    broker = cast(dramatiq.Broker, services.broker)

    @dramatiq.actor(actor_name=DELIVER_ACTOR, queue_name=DELIVERIES, broker=broker)
    def deliver_now(delivery_id: str) -> None:
        deliver(services, delivery_id, now_ms())


class DeliveryPipeline:
    """Delivers what messages point at: `room` tells how many it can take now, `accept` takes them.

    A delivery keeps its place in the process until its attempt is recorded. So a killed process leaves at most
    `max_in_flight` requests that were sent and not recorded, which is the bound of duplicates.
    """

    def __init__(self, services: Services, consumer: BatchConsumer) -> None:
        settings = services.settings
        self._services = services
        self._consumer = consumer
        self._limit = settings.max_in_flight
        self._held: dict[str, _Held] = {}
        self._lanes = Lanes[_Held](settings.max_in_flight_per_webhook, STALL_MS)
        self._changed = threading.Condition()  # guards the two above; notified when a place gets free
        self._ended: SimpleQueue[_Ended | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._recorder = threading.Thread(target=self._record_ended, name="recorder", daemon=True)
        self._recorder.start()

    def room(self, timeout_s: float) -> int:
        """Wait for a free place up to `timeout_s`, and return how many messages can be taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._free() > 0, timeout_s)
            return self._free()

    def accept(self, messages: Sequence[MessageProxy]) -> None:
        """Start the deliveries that `messages` point at, or say in the database why not.

        Raises DatabaseUnavailable; then nothing was started and the messages are the caller's again.
        """
        now = now_ms()
        fresh = {message.args[0]: message for message in messages if message.args[0] not in self._held}
        found = triage(outbox.load(list(fresh)), self._services.registry.refresh(), now)
        settle(found)
        held = [_Held(fresh[due.id], due, webhook) for due, webhook in found.ready]
        kept = {item.message.message_id for item in held}
        self._place(held, now)
        self._consumer.ack_many([message for message in messages if message.message_id not in kept])

    def put_back_stalled(self) -> None:
        """Put back what waits for webhooks that answer nothing, so that it holds no place here."""
        now = now_ms()
        with self._changed:
            stalled = self._lanes.take_stalled(now)
        if stalled:
            self._put_back(stalled, now + PUT_BACK_MS)

    def stop(self, timeout_s: float) -> None:
        """Finish what is in flight up to `timeout_s`; put back the rest. Call `accept` no more."""
        with self._changed:
            waiting = self._lanes.take_all()
        self._consumer.requeue([item.message for item in waiting])
        self._forget(waiting)
        with self._changed:
            self._changed.wait_for(lambda: not self._held, timeout_s)
            left = len(self._held)
        if left:
            log.warning("in_flight=%d left unfinished; they are sent again", left)
        self._stopping.set()
        self._ended.put(None)
        self._recorder.join(timeout_s)

    def _free(self) -> int:
        in_flight = len(self._held) - self._lanes.waiting
        return min(self._limit - in_flight, 2 * self._limit - len(self._held))

    def _place(self, items: Sequence[_Held], now: int) -> None:
        starting: list[_Held] = []
        refused: list[_Held] = []
        with self._changed:
            for item in items:
                self._held[item.due.id] = item
                verdict = self._lanes.arrive(item.webhook.id, item, now)
                if verdict != "wait":
                    (starting if verdict == "start" else refused).append(item)
        self._start(starting, now)
        if refused:
            self._put_back(refused, now + PUT_BACK_MS)

    def _start(self, items: Sequence[_Held], now: int) -> None:
        timeout_ms = self._services.settings.request_timeout_ms
        exchanges = []
        for item in items:
            credentials = self._services.registry.credentials(item.webhook)
            request = request_for(item.due, item.webhook, credentials, now, timeout_ms)
            exchanges.append((request, partial(self._end, item, request)))
        self._services.transport.submit(exchanges)

    def _end(self, item: _Held, request: Request, outcome: Outcome) -> None:
        self._ended.put(_Ended(item, request, outcome))

    def _record_ended(self) -> None:
        while True:
            batch = _drain(self._ended)
            if batch:
                self._record(batch)
            elif self._stopping.is_set():
                return

    def _record(self, batch: Sequence[_Ended]) -> None:
        settings = self._services.settings
        attempts = [judge(item.due, request, outcome, policy(settings)) for item, request, outcome in batch]
        while not self._is_recorded(attempts):
            if self._stopping.wait(DATABASE_PAUSE_S):
                return
        self._consumer.ack_many([ended.held.message for ended in batch])
        self._leave(batch)

    def _is_recorded(self, attempts: Sequence[Attempt]) -> bool:
        try:
            outbox.record(attempts)
        except DatabaseUnavailable as error:
            log.error("attempts=%d wait to be recorded: %s", len(attempts), error)
            return False
        return True

    def _leave(self, batch: Sequence[_Ended]) -> None:
        now = now_ms()
        starting: list[_Held] = []
        with self._changed:
            for item, _, outcome in batch:
                del self._held[item.due.id]
                following = self._lanes.leave(item.webhook.id, outcome.duration_ms, now)
                if following is not None:
                    starting.append(following)
            self._changed.notify_all()
        self._start(starting, now)

    def _put_back(self, items: Sequence[_Held], until: int) -> None:
        outbox.put_back([item.due.id for item in items], until)
        self._consumer.ack_many([item.message for item in items])
        self._forget(items)

    def _forget(self, items: Sequence[_Held]) -> None:
        with self._changed:
            for item in items:
                del self._held[item.due.id]
            self._changed.notify_all()


def _drain(ended: "SimpleQueue[_Ended | None]") -> list[_Ended]:
    """Wait for one, and return all that are there now; an empty list where only the call to stop was there."""
    batch = [ended.get()]
    while not ended.empty():
        batch.append(ended.get())
    return [item for item in batch if item is not None]
