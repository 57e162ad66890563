"""The delivery pipeline of a worker process: load, send, record, all in batches of whatever is there now.

The consumer's thread waits for messages. The transport's thread sends, and decides: only there is touched what is held.
The work on the database is done at a desk (workers.desk), from where the result comes back to the transport's thread.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

from dramatiq.broker import MessageProxy

from app.attempts import status_of
from app.clock import now_ms
from app.database import relax_durability
from app.delivery import Ready
from app.exchange import Outcome, Request
from app.fairness import Lanes
from app.models import SUCCESS
from app.queue import BatchConsumer
from app.services import Services
from workers.desk import open_desk
from workers.in_hand import (
    Ended,
    Held,
    Named,
    Pause,
    enqueue_turns,
    give_back,
    keep_turns,
    may_be_sent,
    messages_of,
    pace_of,
    put_aside,
    requests_for,
)
from workers.lookups import LookUps, Told
from workers.places import Places
from workers.records import Records

log = logging.getLogger(__name__)

STALL_MS = 1_000
DATABASE_PAUSE_MS = 1_000
TICK_S = 1.0


class DeliveryPipeline:
    """Delivers what messages point at: `room` tells how many it can take now, `accept` takes them.

    A delivery keeps its place in the process until its attempt is recorded. So a killed process leaves at most
    `max_in_flight` requests that were sent and not recorded, which is the bound of duplicates.
    """

    def __init__(self, services: Services, consumer: BatchConsumer) -> None:
        settings = services.settings
        self._services = services
        self._consumer = consumer
        self._transport = services.transport
        self._desk = open_desk(services)
        self._lanes = Lanes[Held](settings.max_in_flight_per_webhook, settings.max_in_flight, STALL_MS)
        self._later: dict[str, Held] = {}  # what the rate limit of its webhook has wait for its time
        self._finished: deque[MessageProxy] = deque()  # to be acknowledged
        self._places = Places(
            settings.max_in_flight,
            waiting=lambda: self._lanes.waiting + len(self._later),
            is_open=lambda: not self._is_shut(),
        )
        self._pause = Pause(DATABASE_PAUSE_MS)
        self._lookups = LookUps(
            services,
            consumer,
            self._desk,
            pause=self._pause,
            told=Told(self._sort, self._places.note_behind),
        )
        self._records = Records(services, self._desk, self._pause, self._leave)
        self._looks_at = 0.0
        self._is_stopping = False
        self._abandoned = False
        self.room = self._places.room
        self._desk.run(relax_durability)

    def accept(self, messages: Sequence[MessageProxy]) -> None:
        """Take `messages` over: each is acknowledged once its attempt is recorded, or put back."""
        self._places.expect(len(messages))
        doubled = self._lookups.by_message(messages, self._places.departures.ask())
        self._places.expect(-len(doubled))
        self._finished.extend(doubled)

    def tick(self) -> None:
        """Acknowledge what is done with, let go of what can't be sent soon, repeat what the database refused."""
        self._acknowledge()
        if time.monotonic() >= self._looks_at:
            self._looks_at = time.monotonic() + TICK_S
            self._transport.call_soon(self._look_round)

    def stop(self, timeout_s: float) -> None:
        """Finish what is in flight up to `timeout_s`; requeue what waits, and what is left. Call `accept` no more."""
        self._is_stopping = True
        if not self._drains(timeout_s):
            self._abandoned = True
            left = list(self._places.held.values())
            log.warning("in_flight=%d left unfinished; they are sent again", len(left))
            give_back(self._services, self._consumer, left)
        self._desk.close()
        self._acknowledge()
        self._places.close()

    def _acknowledge(self) -> None:
        """Acknowledge what is done with. From time to time is enough: the rows say that it is done."""
        finished = [self._finished.popleft() for _ in range(len(self._finished))]
        if finished:
            self._consumer.ack_many(finished)

    def _look_round(self) -> None:
        now = now_ms()
        self._places.tell()
        self._put_aside(self._lanes.take_stalled(now), hold=True)
        self._records.flush()
        if self._pause.is_on:
            return
        self._follow(self._lookups.take_turns())
        self._records.look_round()
        if long := self._places.long_turns():
            self._desk.run(partial(keep_turns, long))

    def _drains(self, timeout_s: float) -> bool:
        """Wait for what is in flight, and go on with all that comes from time to time: silence would mean death."""
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0:
            self._places.settle(min(left, TICK_S))  # what is requeued later would go before what is requeued now
            self._transport.call_soon(self._requeue_waiting)
            if self._places.are_empty(min(left, TICK_S)):
                return True
            self._consumer.beat()
            self.tick()
        return False

    def _is_shut(self) -> bool:
        # After an outage what has been sent comes first: messages that fail to be looked up must not hold that up.
        return self._pause.is_on or (self._pause.was_on and self._records.is_owing)

    def _sort(self, named: Named, found: Sequence[Ready], since: int) -> None:
        """Start the deliveries that were `found` ready, or let them wait; what is not ours to hold is acknowledged."""
        arriving: list[Held] = []
        kept: set[str] = set()
        for due, webhook, delay_ms in found:
            if due.id in self._places.held or self._places.departures.has_left(due.id, since):
                continue
            item = self._places.held[due.id] = Held(named[due.id], due, webhook)
            kept.add(due.id)
            if delay_ms:
                self._later[due.id] = item
                self._transport.call_at(time.monotonic() + delay_ms / 1000, partial(self._come, due.id))
            else:
                arriving.append(item)
        if len(kept) < len(named):
            self._finished.extend([m for name, m in named.items() if m is not None and name not in kept])
        self._arrive(arriving)
        self._places.departures.done(since)
        self._places.expect(-len(named))

    def _come(self, name: str) -> None:
        item = self._later.pop(name, None)
        if item is not None:
            self._arrive([item])

    def _arrive(self, items: Sequence[Held]) -> None:
        now = now_ms()
        starting: list[Held] = []
        refused: list[Held] = []
        for item in items:
            is_welcome = may_be_sent(self._services, item)
            verdict = self._lanes.arrive(item.webhook.id, item, now) if is_welcome else "hold"
            if verdict != "wait":
                (starting if verdict == "start" else refused).append(item)
        self._start(starting, now)
        self._put_aside(refused, hold=True)

    def _start(self, items: Sequence[Held], now: int) -> None:
        sendable, unreadable, spoilt = requests_for(self._services, items, now)
        self._transport.submit([(request, partial(self._end, item, request)) for item, request in sendable])
        for ended in spoilt:
            self._records.add(ended)
        if unreadable:
            following = [each for item in unreadable for each in self._lanes.leave(item.webhook.id, "failed", now)]
            self._put_aside(unreadable, hold=False)
            self._start(following, now)

    def _end(self, item: Held, request: Request, outcome: Outcome) -> None:
        if self._abandoned:
            return
        self._records.add(Ended(item, request, outcome))
        if item.behind and status_of(outcome) == SUCCESS:
            self._go_on(item)

    def _go_on(self, item: Held) -> None:
        """Send what comes after an ordered delivery that has succeeded, before that is on record.

        It is recorded after it in any case. Where the webhook has changed, or the payload could not be built, it is
        left to its turn.
        """
        due, *behind = item.behind
        is_same = self._services.registry.known()[0].get(due.webhook_id) is item.webhook
        is_new = due.id not in self._places.held and self._places.have_room
        if is_same and is_new and due.error is None and not self._is_stopping:
            following = self._places.held[due.id] = Held(None, due, item.webhook, behind)
            self._arrive([following])

    def _leave(self, batch: Sequence[Ended], following: Sequence[str]) -> None:
        """Let go of what is on record, and start what waited for its places and for its turn."""
        now = now_ms()
        # Where that was one failure too many, what stands in line is not sent any more.
        for webhook_id in {each.held.webhook.id for each in batch if not may_be_sent(self._services, each.held)}:
            self._arrive(self._lanes.take_line(webhook_id))
        starting = [
            item
            for ended in batch
            for item in self._lanes.leave(ended.held.webhook.id, pace_of(ended.outcome, STALL_MS), now)
        ]
        left = [ended.held for ended in batch]
        self._finished.extend(messages_of(left))
        self._follow(following)  # before all is let go: then who waits for the end knows that there is more
        self._places.forget(left)
        self._start(starting, now)

    def _follow(self, following: Sequence[str]) -> None:
        """Go on with deliveries whose turn has come, unless that is for another process."""
        ours = self._places.not_held(following)
        if self._is_stopping:
            self._desk.run(partial(enqueue_turns, self._services, ours))
        elif ours:
            self._places.expect(len(ours))
            self._lookups.by_turn(ours, self._places.departures.ask())

    def _put_aside(self, items: Sequence[Held], *, hold: bool) -> None:
        """Hold `items` in the database until they are fed, or put them back for a while."""
        if items:
            self._places.forget(items)
            self._desk.run(partial(put_aside, self._services, self._consumer, items, hold=hold))

    def _requeue_waiting(self) -> None:
        waiting = sorted([*self._lanes.take_all(), *self._later.values()], key=lambda item: item.due.id)
        self._later.clear()
        self._places.forget(waiting)
        give_back(self._services, self._consumer, waiting)
