"""What messages, and turns that have come, point at is looked up: deliveries to send, and what settles the others."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from dramatiq.broker import MessageProxy

from app import outbox
from app.attempts import Due
from app.clock import now_ms
from app.delivery import Ready, look_up
from app.errors import DatabaseUnavailable
from app.queue import DELIVERIES, BatchConsumer
from app.services import Services
from workers.desk import Desk
from workers.in_hand import Named, Pause, delivery_id

log = logging.getLogger(__name__)

# Where so many keys or fewer are looked up at once, so many deliveries behind each are loaded with it.
FEW_KEYS = 8
LOOK_BEHIND = 16

# A delivery under a rate limit is taken in hand so long before its time; the others are held in the database.
HORIZON_MS = 1_500

# What was pointed at, what of it is to be sent, and the moment it was asked for.
Found = Callable[[Named, Sequence[Ready], int], None]


class Told(NamedTuple):
    """What is called in the transport's thread."""

    found: Found
    behind: Callable[[Mapping[str, Sequence[Due]]], None]  # what comes after ordered deliveries


class LookUps:
    """Asks the database, at the desk."""

    def __init__(self, services: Services, consumer: BatchConsumer, desk: Desk, *, pause: Pause, told: Told) -> None:
        self._services = services
        self._consumer = consumer
        self._desk = desk
        self._pause = pause
        self._found, self._behind = told
        self._turns: list[str] = []  # deliveries whose turn has come while the database was away

    def by_message(self, messages: Sequence[MessageProxy], since: int) -> list[MessageProxy]:
        """Look up what `messages` point at, and return those that are not needed for it, as others say the same."""
        named = {delivery_id(message): message for message in messages}
        needed = {id(message) for message in named.values()}
        self._desk.ahead(partial(self._look_up, named, since))
        return [message for message in messages if id(message) not in needed]

    def by_turn(self, delivery_ids: Sequence[str], since: int) -> None:
        """Look up deliveries whose turn has come; they need no message."""
        self._desk.run(partial(self._look_up, dict.fromkeys(delivery_ids), since))

    def take_turns(self) -> list[str]:
        """Return the turns that could not be looked up, to be asked for again. For the transport's thread."""
        turns, self._turns = self._turns, []
        return turns

    def _look_up(self, named: Named, since: int) -> None:
        """Find the deliveries that are pointed at, and settle those that need no request."""
        try:
            found = self._ask(named)
        except DatabaseUnavailable as error:
            log.error("queue=%s waits: %s", DELIVERIES, error)
            self._pause.begin()
            self._consumer.requeue([message for message in named.values() if message is not None])
            self._services.transport.call_soon(partial(self._fail, named, since))
        except Exception:
            log.exception("deliveries=%d could not be looked up", len(named))
            self._services.transport.call_soon(partial(self._found, named, self._apart(named), since))
        else:
            self._pause.end()
            self._services.transport.call_soon(partial(self._found, named, found, since))
            self._look_behind(found)

    def _ask(self, named: Named) -> list[Ready]:
        by_turn = None in named.values()
        return look_up(self._services, list(named), now_ms(), HORIZON_MS, by_turn=by_turn)

    def _look_behind(self, found: Sequence[Ready]) -> None:
        """Load what comes after ordered deliveries, where there are so few that each has to be quick.

        Those under a rate limit have to ask for each.
        """
        heads = [ready.due for ready in found if ready.due.order_key is not None and ready.webhook.rate_limit is None]
        if not heads or len(heads) > FEW_KEYS:
            return
        try:
            behind = {due.id: outbox.load_behind(due, LOOK_BEHIND) for due in heads}
        except DatabaseUnavailable as error:
            log.debug("what is behind %d deliveries is loaded in its turn: %s", len(heads), error)
        else:
            self._services.transport.call_soon(partial(self._behind, behind))

    def _apart(self, named: Named) -> list[Ready]:
        """Look each up alone, so that the one which shows a defect of ours harms no other.

        That one is let go: its row stays, and the sweeper comes back to it.
        """
        found: list[Ready] = []
        for name, message in named.items() if len(named) > 1 else ():
            try:
                found += self._ask({name: message})
            except Exception:
                log.exception("delivery=%s could not be looked up", name)
        return found

    def _fail(self, named: Named, since: int) -> None:
        self._turns += [name for name, message in named.items() if message is None]
        self._found(dict.fromkeys(named), (), since)
