"""Where the pipeline's work on the database is done: beside the transport's thread, or in it.

A server makes us wait, and while we wait others can be sent to: so its desk is a thread of its own. SQLite works inside
our own process. There, threads that share the work spend more time on handing over the interpreter than on working, so
its desk is the transport's thread, between two turns of its loop.
"""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Protocol

from app.models import database
from app.transport import Transport

log = logging.getLogger(__name__)

Work = Callable[[], None]


class Desk(Protocol):
    """Does work one piece after the other, in the order in which it came."""

    def run(self, work: Work) -> None:
        """Do `work` soon. What it leaves to be decided it hands to the transport's thread."""

    def close(self) -> None:
        """Finish what has come, and end. Call `run` no more."""


def open_desk(transport: Transport) -> Desk:
    """Return the desk that suits the database."""
    return SharedDesk(transport) if database.is_embedded else OwnDesk()


class SharedDesk:
    """The transport's own thread."""

    def __init__(self, transport: Transport) -> None:
        self.run = transport.call_soon

    def close(self) -> None:
        """Nothing is left: what has come is the transport's."""


class OwnDesk:
    """A thread of its own."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
        self._thread.start()

    def run(self, work: Work) -> None:
        """See Desk."""
        self._waiting.put(work)

    def close(self) -> None:
        """See Desk."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (work := self._waiting.get()) is not None:
            try:
                work()
            except Exception:  # a defect of ours must not end all deliveries of the process
                log.exception("work at the desk failed")
        database.close()
