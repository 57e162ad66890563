"""The delivery pipeline of a worker process: load, send, record, all in batches of whatever is there now.

The consumer's thread waits for messages. The transport's thread sends, and decides: only there is touched what is held.
The work on the database is done at a desk (workers.desk), from where the result comes back to the transport's thread.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from dramatiq.broker import MessageProxy

from app import outbox
from app.attempts import Attempt, Due, judge, request_for
from app.clock import now_ms
from app.database import relax_durability
from app.delivery import policy, settle, triage
from app.errors import DatabaseUnavailable
from app.exchange import Outcome, Request
from app.fairness import Lanes
from app.matching import Webhook
from app.models import SUCCESS
from app.queue import DELIVERIES, BatchConsumer
from app.services import Services
from workers.desk import open_desk

log = logging.getLogger(__name__)

STALL_MS = 1_000
PUT_BACK_MS = 5_000
DATABASE_PAUSE_MS = 1_000


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


class DeliveryPipeline:
    """Delivers what messages point at: `room` tells how many it can take now, `accept` takes them.

    A delivery
    keeps its place in the process until its attempt is recorded. So a killed process leaves at most `max_in_flight`
    requests that were sent and not recorded, which is the bound of duplicates.
    """

    def __init__(self, services: Services, consumer: BatchConsumer) -> None:
        settings = services.settings
        self._services = services
        self._consumer = consumer
        self._limit = settings.max_in_flight
        self._transport = services.transport
        self._desk = open_desk(services)
        self._held: dict[str, _Held] = {}
        self._lanes = Lanes[_Held](settings.max_in_flight_per_webhook, STALL_MS)
        self._ended: list[_Ended] = []
        self._recording = False
        self._incoming = 0  # messages accepted and not yet looked at
        self._pause_until = 0  # while the database is away
        self._changed = threading.Condition()
        self._desk.run(relax_durability)

    def room(self, timeout_s: float) -> int:
        """Wait for a free place up to `timeout_s`, and return how many messages can be taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._free() > 0, timeout_s)
            return self._free()

    def accept(self, messages: Sequence[MessageProxy]) -> None:
        """Take `messages` over: each is acknowledged once its attempt is recorded, or put back."""
        with self._changed:
            self._incoming += len(messages)
        self._desk.run(partial(self._look_up, messages))

    def tick(self) -> None:
        """Let go of what can't be sent soon, and repeat what the database refused."""
        if self._lanes.waiting:
            self._transport.call_soon(self._put_back_stalled)
        if self._ended:
            self._transport.call_soon(self._record)

    def stop(self, timeout_s: float) -> None:
        """Finish what is in flight up to `timeout_s`; requeue what waits, and what is left. Call `accept` no more."""
        self._transport.call_soon(self._requeue_waiting)
        with self._changed:
            is_over = self._changed.wait_for(lambda: not self._held and not self._incoming, timeout_s)
        if not is_over:
            self._transport.stop()  # from here on nothing ends any more
            log.warning("in_flight=%d left unfinished; they are sent again", len(self._held))
            self._consumer.requeue([item.message for item in self._held.values()])
        self._desk.close()

    def _free(self) -> int:
        if self._pause_until > now_ms():
            return 0
        held = len(self._held) + self._incoming
        return min(self._limit - held + self._lanes.waiting, 2 * self._limit - held)

    # --- taking messages: at the desk, then in the transport's thread

    def _look_up(self, messages: Sequence[MessageProxy]) -> None:
        """Find the deliveries that `messages` point at, and settle those that need no request."""
        named = {_delivery_id(message): message for message in messages}
        try:
            found = triage(outbox.load(list(named)), self._services.registry.refresh(), now_ms())
            settle(found)
        except DatabaseUnavailable as error:
            log.error("queue=%s waits: %s", DELIVERIES, error)
            self._pause_until = now_ms() + DATABASE_PAUSE_MS
            self._consumer.requeue(messages)
            self._transport.call_soon(partial(self._arrived, len(messages)))
            return
        ready = [(named[due.id], due, webhook) for due, webhook in found.ready]
        self._transport.call_soon(partial(self._sort, messages, ready))

    def _sort(self, messages: Sequence[MessageProxy], ready: Sequence[tuple[MessageProxy, Due, Webhook]]) -> None:
        """Start the deliveries that are `ready`, or let them wait; what is not ours to hold is acknowledged."""
        now = now_ms()
        starting: list[_Held] = []
        refused: list[_Held] = []
        held: set[int] = set()
        for message, due, webhook in ready:
            if due.id in self._held:
                continue
            item = self._held[due.id] = _Held(message, due, webhook)
            held.add(id(message))
            verdict = self._lanes.arrive(webhook.id, item, now)
            if verdict != "wait":
                (starting if verdict == "start" else refused).append(item)
        if len(held) < len(messages):
            finished = [message for message in messages if id(message) not in held]
            self._desk.run(partial(self._consumer.ack_many, finished))
        self._start(starting, now)
        self._put_back(refused, now)
        self._arrived(len(messages))

    def _arrived(self, count: int) -> None:
        with self._changed:
            self._incoming -= count
            self._changed.notify_all()

    # --- sending, in the transport's thread

    def _start(self, items: Sequence[_Held], now: int) -> None:
        timeout_ms = self._services.settings.request_timeout_ms
        exchanges = []
        for item in items:
            credentials = self._services.registry.credentials(item.webhook)
            request = request_for(item.due, item.webhook, credentials, now, timeout_ms)
            exchanges.append((request, partial(self._end, item, request)))
        self._transport.submit(exchanges)

    def _end(self, item: _Held, request: Request, outcome: Outcome) -> None:
        if not self._ended:
            self._transport.call_soon(self._record)  # once for all that end in this turn of the loop
        self._ended.append(_Ended(item, request, outcome))

    # --- recording: what has ended goes to the desk, and comes back recorded

    def _record(self) -> None:
        """Have what has ended recorded, unless a batch is under way: then it goes with the next."""
        if not self._ended or self._recording or self._pause_until > now_ms():
            return
        batch, self._ended = self._ended, []
        self._recording = True
        self._desk.run(partial(self._write, batch))

    def _write(self, batch: Sequence[_Ended]) -> None:
        """Commit what has ended, and acknowledge it."""
        settings, now = self._services.settings, now_ms()
        attempts = [judge(item.due, request, outcome, policy(settings), now=now) for item, request, outcome in batch]
        try:
            outbox.record(attempts)
        except DatabaseUnavailable as error:
            log.error("attempts=%d wait to be recorded: %s", len(batch), error)
            self._pause_until = now_ms() + DATABASE_PAUSE_MS
            self._transport.call_soon(partial(self._keep, batch))
            return
        for attempt, ended in zip(attempts, batch, strict=True):
            _log_attempt(attempt, ended.outcome)
        self._transport.call_soon(partial(self._leave, batch))
        self._consumer.ack_many([ended.held.message for ended in batch])

    def _keep(self, batch: Sequence[_Ended]) -> None:
        self._recording = False
        self._ended[:0] = batch

    def _leave(self, batch: Sequence[_Ended]) -> None:
        """Start what waited for the places of `batch`."""
        now = now_ms()
        self._recording = False
        self._record()
        following = [self._lanes.leave(item.webhook.id, outcome.duration_ms, now) for item, _, outcome in batch]
        self._forget([item for item, _, _ in batch])
        self._start([item for item in following if item is not None], now)

    # --- letting go

    def _put_back_stalled(self) -> None:
        now = now_ms()
        self._put_back(self._lanes.take_stalled(now), now)

    def _put_back(self, items: Sequence[_Held], now: int) -> None:
        if items:
            self._forget(items)
            self._desk.run(partial(self._write_back, items, now + PUT_BACK_MS))

    def _write_back(self, items: Sequence[_Held], until: int) -> None:
        messages = [item.message for item in items]
        try:
            outbox.put_back([item.due.id for item in items], until)
        except DatabaseUnavailable as error:
            log.error("queue=%s waits: %s", DELIVERIES, error)
            self._consumer.requeue(messages)
        else:
            self._consumer.ack_many(messages)

    def _requeue_waiting(self) -> None:
        waiting = self._lanes.take_all()
        self._consumer.requeue([item.message for item in waiting])
        self._forget(waiting)

    def _forget(self, items: Sequence[_Held]) -> None:
        for item in items:
            del self._held[item.due.id]
        with self._changed:
            self._changed.notify_all()


def _delivery_id(message: MessageProxy) -> str:
    """Return what a message points at; "", which is no delivery, where a stranger put something else on the queue."""
    found = message.args[0] if message.args else ""
    return found if isinstance(found, str) else ""


def _log_attempt(attempt: Attempt, outcome: Outcome) -> None:
    """Write the one line of an attempt. Successes are for debugging: at full speed they are thousands a second."""
    level = logging.DEBUG if attempt.status == SUCCESS else logging.INFO
    if not log.isEnabledFor(level):
        return
    due = attempt.due
    log.log(
        level,
        "delivery=%s webhook=%s event=%s type=%s attempt=%d status=%s answer=%s durationMs=%d next=%s error=%r",
        *(due.id, due.webhook_id, due.event_id, due.type, due.attempt + 1, attempt.status),
        *(outcome.status, outcome.duration_ms, attempt.next_attempt_at, outcome.error),
    )
