"""A delivery in a worker's hands: from its message, over the request, to the record of the attempt."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from dramatiq.broker import MessageProxy

from app import outbox, tracing
from app.attempts import Due, request_for
from app.clock import now_ms
from app.delivery import Made, is_sendable, spoilt
from app.errors import DatabaseUnavailable, HooklineError
from app.exchange import Outcome, Request
from app.fairness import Pace
from app.matching import Webhook
from app.payloads import PayloadError
from app.queue import DELIVERIES, BatchConsumer
from app.services import Services
from app.traceparent import trace_id_of

log = logging.getLogger(__name__)

PUT_BACK_MS = 5_000

Item = TypeVar("Item")

_ID = re.compile(r"[0-9a-f]{32}")

# What a worker has been pointed at: deliveries by id, with the message, or None where it needed none to know.
Named = Mapping[str, MessageProxy | None]


@dataclass(slots=True)
class Held:
    """A delivery in this process's hands, from its message until that is acknowledged."""

    message: MessageProxy | None
    due: Due
    webhook: Webhook
    behind: Sequence[Due] = ()  # ordered deliveries that may be sent as soon as this one has succeeded


class Ended(NamedTuple):
    """An exchange that is over and not yet recorded."""

    held: Held
    request: Request
    outcome: Outcome

    @property
    def made(self) -> Made:
        """What there is to record."""
        return Made(self.held.due, self.held.webhook, self.request, self.outcome)


class Departures:
    """Which deliveries have left this process's hands since a moment.

    A row that was read before it was recorded may be looked at after: what it says of its delivery is past by then.
    """

    def __init__(self) -> None:
        self._now = 0
        self._moments: dict[str, int] = {}
        self._asking: list[int] = []

    def ask(self) -> int:
        """Return the present moment, to be asked about later and then to be given to `done`."""
        self._asking.append(self._now)
        return self._now

    def note(self, delivery_ids: Iterable[str]) -> None:
        """Note that deliveries leave at this moment."""
        self._now += 1
        self._moments.update(dict.fromkeys(delivery_ids, self._now))

    def has_left(self, delivery_id: str, since: int) -> bool:
        """Return whether a delivery has left after the moment `since`."""
        return self._moments.get(delivery_id, 0) > since

    def done(self, since: int) -> None:
        """Forget what left before all moments that are still to be asked about."""
        self._asking.remove(since)
        until = min(self._asking, default=self._now)
        self._moments = {left: moment for left, moment in self._moments.items() if moment > until}


class Pause:
    """The time for which a database that is away is left alone."""

    def __init__(self, pause_ms: int) -> None:
        self._pause_ms = pause_ms
        self._until = 0

    @property
    def is_on(self) -> bool:
        """Whether nobody should ask now."""
        return self._until > now_ms()

    @property
    def was_on(self) -> bool:
        """Whether nobody has had an answer since the last pause began."""
        return self._until > 0

    def begin(self) -> None:
        """Say that the database is away."""
        self._until = now_ms() + self._pause_ms

    def end(self) -> None:
        """Say that it has answered."""
        self._until = 0


def delivery_id(message: MessageProxy) -> str:
    """Return what a message points at; "", which is no delivery, where a stranger put something else on the queue."""
    found = message.args[0] if message.args else ""
    return found if isinstance(found, str) and _ID.fullmatch(found) else ""


def messages_of(items: Iterable[Held]) -> list[MessageProxy]:
    """Return the messages that `items` came by."""
    return [item.message for item in items if item.message is not None]


def pace_of(outcome: Outcome, quick_ms: int) -> Pace:
    """Return how a request ended: within `quick_ms`, later with an answer, or later without."""
    if outcome.duration_ms < quick_ms:
        return "quick"
    return "slow" if outcome.error is None else "failed"


def apart(work: Callable[[Sequence[Item]], None], items: Sequence[Item]) -> bool:
    """Do `work` on each of `items` alone, so that the one which shows a defect of ours harms no other.

    Return False for an item that is alone already. To be let go: its row stays, and the sweeper comes back to it.
    """
    if len(items) < 2:
        return False
    for item in items:
        work([item])
    return True


def may_be_sent(services: Services, item: Held) -> bool:
    """Return whether `item` may be sent, by what this process knows of its webhook now.

    It was so when it was looked up; since then the circuit may have opened, or the webhook have been disabled.
    """
    webhook = services.registry.known()[0].get(item.webhook.id)
    return webhook is item.webhook or (webhook is not None and is_sendable(item.due, webhook))


class Requests(NamedTuple):
    """What there is to send, the items whose webhook has secrets that can't be read, and those whose template fails."""

    sendable: list[tuple[Held, Request]]
    unreadable: list[Held]
    spoilt: list[Ended]


def requests_for(services: Services, items: Sequence[Held], now: int) -> Requests:
    """Return the request of each of `items`, as far as there can be one."""
    found, settings = Requests([], [], []), services.settings
    for item in items:
        try:
            credentials = services.registry.credentials(item.webhook)
        except HooklineError as error:
            traced = trace_id_of(item.due.traceparent)
            log.error("webhook=%s delivery=%s traceId=%s waits: %s", item.webhook.id, item.due.id, traced, error)
            found.unreadable.append(item)
            continue
        timeout_ms, base = settings.request_timeout_ms, settings.public_url
        try:
            request = request_for(item.due, item.webhook, credentials, now, timeout_ms, base=base)
        except PayloadError as reason:
            made = spoilt(item.due, item.webhook, reason, now)
            item.due = made.due
            found.spoilt.append(Ended(item, made.request, made.outcome))
        else:
            found.sendable.append((item, tracing.traced(request, item.due)))
    return found


def give_back(services: Services, consumer: BatchConsumer, items: Sequence[Held]) -> None:
    """Return `items` to the queue. Raises nothing: what can't be enqueued now is found by the sweeper."""
    consumer.requeue(messages_of(items))
    enqueue_turns(services, [item.due.id for item in items if item.message is None])


def enqueue_turns(services: Services, delivery_ids: Sequence[str]) -> None:
    """Make messages for deliveries that came without one. Raises nothing, as `give_back`."""
    try:
        outbox.enqueue_turns(services.broker, delivery_ids, now_ms())
    except DatabaseUnavailable as error:
        log.error("queue=%s waits: %s", DELIVERIES, error)


def keep_turns(delivery_ids: Sequence[str]) -> None:
    """Say of deliveries that came without a message that they are in good hands. Raises nothing: it is said again."""
    try:
        outbox.keep_turns(delivery_ids, now_ms())
    except DatabaseUnavailable as error:
        log.debug("turns=%d are not renewed: %s", len(delivery_ids), error)


def put_aside(services: Services, consumer: BatchConsumer, items: Sequence[Held], *, hold: bool) -> None:
    """Hold `items` in the database until they are fed, or put them back for a while, and acknowledge them.

    Where the database is away, give them back.
    """
    ids, now = [item.due.id for item in items], now_ms()
    try:
        if hold:
            outbox.hold(ids, {item.webhook.id for item in items}, now)
        else:
            outbox.put_back(ids, now + PUT_BACK_MS)
    except DatabaseUnavailable as error:
        log.error("queue=%s waits: %s", DELIVERIES, error)
        give_back(services, consumer, items)
    else:
        consumer.ack_many(messages_of(items))
