"""A delivery in a worker's hands: from its message, over the request, to the record of the attempt."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from dramatiq.broker import MessageProxy

from app import outbox
from app.attempts import Attempt, Due, request_for
from app.errors import DatabaseUnavailable, HooklineError
from app.exchange import Outcome, Request
from app.matching import Webhook
from app.models import SUCCESS
from app.queue import DELIVERIES, BatchConsumer
from app.services import Services

log = logging.getLogger(__name__)

Item = TypeVar("Item")

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(slots=True)
class Held:
    """A delivery in this process's hands, from its message until that is acknowledged."""

    message: MessageProxy
    due: Due
    webhook: Webhook


class Ended(NamedTuple):
    """An exchange that is over and not yet recorded."""

    held: Held
    request: Request
    outcome: Outcome


class Departures:
    """Which deliveries have left this process's hands since a moment.

    A row that was read before it was recorded may be looked at after: what it says of its delivery is past by then.
    """

    def __init__(self) -> None:
        self.now = 0
        self._moments: dict[str, int] = {}

    def note(self, delivery_ids: Iterable[str]) -> None:
        """Note that deliveries leave at this moment."""
        self.now += 1
        self._moments.update(dict.fromkeys(delivery_ids, self.now))

    def has_left(self, delivery_id: str, since: int) -> bool:
        """Return whether a delivery has left after the moment `since`."""
        return self._moments.get(delivery_id, 0) > since

    def forget(self, until: int) -> None:
        """Forget what left up to the moment `until`: nobody asks for longer ago any more."""
        self._moments = {left: moment for left, moment in self._moments.items() if moment > until}


def delivery_id(message: MessageProxy) -> str:
    """Return what a message points at; "", which is no delivery, where a stranger put something else on the queue."""
    found = message.args[0] if message.args else ""
    return found if isinstance(found, str) and _ID.fullmatch(found) else ""


def apart(work: Callable[[Sequence[Item]], None], items: Sequence[Item]) -> bool:
    """Do `work` on each of `items` alone, so that the one which shows a defect of ours harms no other.

    Return False for an item that is alone already. To be let go: its row stays, and the sweeper comes back to it.
    """
    if len(items) < 2:
        return False
    for item in items:
        work([item])
    return True


def requests_for(services: Services, items: Sequence[Held], now: int) -> tuple[list[tuple[Held, Request]], list[Held]]:
    """Return the request of each of `items`, and those whose webhook has secrets that can't be read."""
    sendable: list[tuple[Held, Request]] = []
    unreadable: list[Held] = []
    for item in items:
        try:
            credentials = services.registry.credentials(item.webhook)
        except HooklineError as error:
            log.error("webhook=%s delivery=%s waits: %s", item.webhook.id, item.due.id, error)
            unreadable.append(item)
        else:
            timeout_ms = services.settings.request_timeout_ms
            sendable.append((item, request_for(item.due, item.webhook, credentials, now, timeout_ms)))
    return sendable, unreadable


def put_back(consumer: BatchConsumer, items: Sequence[Held], until: int) -> None:
    """Leave `items` to the sweeper from `until` on; where the database is away, to the queue."""
    messages = [item.message for item in items]
    try:
        outbox.put_back([item.due.id for item in items], until)
    except DatabaseUnavailable as error:
        log.error("queue=%s waits: %s", DELIVERIES, error)
        consumer.requeue(messages)
    else:
        consumer.ack_many(messages)


def log_attempt(attempt: Attempt, outcome: Outcome) -> None:
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
