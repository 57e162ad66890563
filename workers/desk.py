"""Where the pipeline's work on the database is done: beside the transport's thread, or in it.

A server makes us wait, and so do other processes that write to one SQLite file; while we wait, others can be sent to.
So the desk is a thread of its own. Where all is in one process, SQLite's work is our own: threads that share it spend
more time on handing over the interpreter than on working, so the desk is the transport's thread, between two turns of
its loop.
"""

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from app.models import database
from app.progress import Loop
from app.services import Services
from app.transport import Transport

log = logging.getLogger(__name__)

Work = Callable[[], None]
IDLE_S = 1.0


class Desk(Protocol):
    """Does work one piece after the other, in the order in which it came."""

    def ahead(self, work: Work) -> None:
        """Do `work` that depends on none at the desk: now, in the caller's thread, where that may wait; else soon."""

    def run(self, work: Work) -> None:
        """Do `work` soon. What it leaves to be decided it hands to the transport's thread."""

    def close(self) -> None:
        """Finish what has come, and end. Call `run` no more."""


def open_desk(services: Services) -> Desk:
    """Return the desk that suits the database and the number of processes on it."""
    is_alone = database.is_embedded and services.settings.redis_url is None
    return SharedDesk(services.transport) if is_alone else OwnDesk()


class SharedDesk:
    """The transport's own thread."""

    def __init__(self, transport: Transport) -> None:
        self.run = self.ahead = transport.call_soon

    def close(self) -> None:
        """Nothing is left: what has come is the transport's."""


class OwnDesk:
    """A thread of its own."""

    def __init__(self) -> None:
        self._loop = Loop("desk")
        self._waiting: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
        self._thread.start()

    def ahead(self, work: Work) -> None:
        """See Desk. The consumer's thread has nothing else to do, and a connection of its own."""
        work()

    def run(self, work: Work) -> None:
        """See Desk."""
        self._waiting.put(work)

    def close(self) -> None:
        """See Desk."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except Exception:  # a defect of ours must not end all deliveries of the process
                log.exception("work at the desk failed")
        database.close()
        self._loop.end()

    def _next(self) -> Work | None:
        while True:
            self._loop.moved()
            with suppress(queue.Empty):
                return self._waiting.get(timeout=IDLE_S)
