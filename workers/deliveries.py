"""The delivery pipeline of a worker process: load, send, record, all in batches of whatever is there now.

The consumer's thread waits for messages. The transport's thread sends, and decides: only there is touched what is held.
The work on the database is done at a desk (workers.desk), from where the result comes back to the transport's thread.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

from dramatiq.broker import MessageProxy

from app.attempts import Due
from app.clock import now_ms
from app.database import relax_durability
from app.delivery import look_up, record
from app.errors import DatabaseUnavailable
from app.exchange import Outcome, Request
from app.fairness import Lanes
from app.matching import Webhook
from app.queue import DELIVERIES, BatchConsumer
from app.services import Services
from workers.desk import open_desk
from workers.in_hand import Departures, Ended, Held, apart, delivery_id, log_attempt, put_back, requests_for

log = logging.getLogger(__name__)

STALL_MS = 1_000
PUT_BACK_MS = 5_000
DATABASE_PAUSE_MS = 1_000
TICK_S = 1.0
ROOM_S = 0.005


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
        self._worthwhile = self._limit // 8
        self._transport = services.transport
        self._desk = open_desk(services)
        self._held: dict[str, Held] = {}
        self._departures = Departures()
        self._lanes = Lanes[Held](settings.max_in_flight_per_webhook, STALL_MS)
        self._ended: list[Ended] = []
        self._finished: deque[MessageProxy] = deque()  # to be acknowledged
        self._recording = False
        self._incoming = 0  # messages accepted and not yet looked at
        self._pause_until = 0  # while the database is away
        self._abandoned = False
        self._changed = threading.Condition()
        self._desk.run(relax_durability)

    def room(self, timeout_s: float) -> int:
        """Wait for a free place up to `timeout_s`, and return how many messages can be taken."""
        with self._changed:
            if self._changed.wait_for(lambda: self._free() > 0, timeout_s):
                # Nearly full, places come one by one; for a few at a time the round trips would cost most.
                self._changed.wait_for(lambda: self._free() >= self._worthwhile, ROOM_S)
            return self._free()

    def accept(self, messages: Sequence[MessageProxy]) -> None:
        """Take `messages` over: each is acknowledged once its attempt is recorded, or put back."""
        with self._changed:
            self._incoming += len(messages)
        self._desk.ahead(partial(self._look_up, messages, self._departures.now))

    def tick(self) -> None:
        """Acknowledge what is done with, let go of what can't be sent soon, repeat what the database refused."""
        self._acknowledge()
        if self._lanes.waiting:
            self._transport.call_soon(self._put_back_stalled)
        if self._ended:
            self._transport.call_soon(self._record)

    def stop(self, timeout_s: float) -> None:
        """Finish what is in flight up to `timeout_s`; requeue what waits, and what is left. Call `accept` no more."""
        if not self._drains(timeout_s):
            self._abandoned = True
            left = list(self._held.values())
            log.warning("in_flight=%d left unfinished; they are sent again", len(left))
            self._consumer.requeue([item.message for item in left])
        self._desk.close()
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Acknowledge what is done with. From time to time is enough: the rows say that it is done."""
        finished = [self._finished.popleft() for _ in range(len(self._finished))]
        if finished:
            self._consumer.ack_many(finished)

    def _drains(self, timeout_s: float) -> bool:
        """Wait for what is in flight, and go on with all that comes from time to time: silence would mean death."""
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0:
            self._transport.call_soon(self._requeue_waiting)
            with self._changed:
                if self._changed.wait_for(lambda: not self._held and not self._incoming, min(left, TICK_S)):
                    return True
            self._consumer.beat()
            self.tick()
        return False

    def _free(self) -> int:
        # After an outage what has been sent comes first: messages that fail to be looked up must not hold that up.
        if self._pause_until > now_ms() or (self._pause_until and self._ended):
            return 0
        held = len(self._held) + self._incoming
        return min(self._limit - held + self._lanes.waiting, 2 * self._limit - held)

    def _look_up(self, messages: Sequence[MessageProxy], since: int) -> None:
        """Find the deliveries that `messages` point at, and settle those that need no request."""
        named = {delivery_id(message): message for message in messages}
        try:
            found = look_up(self._services, list(named), now_ms())
        except DatabaseUnavailable as error:
            log.error("queue=%s waits: %s", DELIVERIES, error)
            self._pause_until = now_ms() + DATABASE_PAUSE_MS
            self._consumer.requeue(messages)
            self._transport.call_soon(partial(self._arrived, len(messages)))
            return
        except Exception:
            log.exception("messages=%d could not be looked up", len(messages))
            if not apart(lambda few: self._look_up(few, since), messages):
                self._consumer.ack_many(messages)
                self._transport.call_soon(partial(self._arrived, 1))
            return
        self._pause_until = 0
        ready = [(named[due.id], due, webhook) for due, webhook in found]
        self._transport.call_soon(partial(self._sort, messages, ready, since))

    def _sort(
        self, messages: Sequence[MessageProxy], ready: Sequence[tuple[MessageProxy, Due, Webhook]], since: int
    ) -> None:
        """Start the deliveries that are `ready`, or let them wait; what is not ours to hold is acknowledged."""
        now = now_ms()
        starting: list[Held] = []
        refused: list[Held] = []
        held: set[int] = set()
        for message, due, webhook in ready:
            if due.id in self._held or self._departures.has_left(due.id, since):
                continue
            item = self._held[due.id] = Held(message, due, webhook)
            held.add(id(message))
            verdict = self._lanes.arrive(webhook.id, item, now)
            if verdict != "wait":
                (starting if verdict == "start" else refused).append(item)
        if len(held) < len(messages):
            self._finished.extend([message for message in messages if id(message) not in held])
        self._departures.forget(since)
        self._start(starting, now)
        self._put_back(refused, now)
        self._arrived(len(messages))

    def _arrived(self, count: int) -> None:
        with self._changed:
            self._incoming -= count
            self._changed.notify_all()

    def _start(self, items: Sequence[Held], now: int) -> None:
        sendable, unreadable = requests_for(self._services, items, now)
        self._transport.submit([(request, partial(self._end, item, request)) for item, request in sendable])
        if unreadable:
            following = [self._lanes.leave(item.webhook.id, 0, now) for item in unreadable]
            self._put_back(unreadable, now)
            self._start([item for item in following if item is not None], now)

    def _end(self, item: Held, request: Request, outcome: Outcome) -> None:
        if self._abandoned:
            return
        if not self._ended:
            self._transport.call_soon(self._record)  # once for all that end in this turn of the loop
        self._ended.append(Ended(item, request, outcome))

    def _record(self) -> None:
        """Have what has ended recorded, unless a batch is under way: then it goes with the next."""
        if not self._ended or self._recording or self._pause_until > now_ms():
            return
        batch, self._ended = self._ended, []
        self._recording = True
        self._desk.run(partial(self._write, batch))

    def _write(self, batch: Sequence[Ended]) -> None:
        """Commit what has ended, and acknowledge it."""
        made = [(item.due, request, outcome) for item, request, outcome in batch]
        try:
            attempts = record(self._services.settings, made, now_ms())
        except DatabaseUnavailable as error:
            log.error("attempts=%d wait to be recorded: %s", len(batch), error)
            self._pause_until = now_ms() + DATABASE_PAUSE_MS
            self._transport.call_soon(partial(self._keep, batch))
            return
        except Exception:
            log.exception("attempts=%d could not be recorded", len(batch))
            if not apart(self._write, batch):
                self._transport.call_soon(partial(self._leave, batch))
                self._consumer.ack_many([ended.held.message for ended in batch])
            return
        self._pause_until = 0
        for attempt, ended in zip(attempts, batch, strict=True):
            log_attempt(attempt, ended.outcome)
        self._transport.call_soon(partial(self._leave, batch))
        self._finished.extend([ended.held.message for ended in batch])

    def _keep(self, batch: Sequence[Ended]) -> None:
        self._recording = False
        self._ended[:0] = batch

    def _leave(self, batch: Sequence[Ended]) -> None:
        """Start what waited for the places of `batch`."""
        now = now_ms()
        self._recording = False
        self._record()
        following = [self._lanes.leave(item.webhook.id, outcome.duration_ms, now) for item, _, outcome in batch]
        self._forget([item for item, _, _ in batch])
        self._start([item for item in following if item is not None], now)

    def _put_back_stalled(self) -> None:
        now = now_ms()
        self._put_back(self._lanes.take_stalled(now), now)

    def _put_back(self, items: Sequence[Held], now: int) -> None:
        if items:
            self._forget(items)
            self._desk.run(partial(put_back, self._consumer, items, now + PUT_BACK_MS))

    def _requeue_waiting(self) -> None:
        waiting = self._lanes.take_all()
        self._consumer.requeue([item.message for item in waiting])
        self._forget(waiting)

    def _forget(self, items: Sequence[Held]) -> None:
        for item in items:
            del self._held[item.due.id]
        self._departures.note([item.due.id for item in items])
        with self._changed:
            self._changed.notify_all()
