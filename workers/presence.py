"""Signs of life of a worker, as a Dramatiq middleware."""

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from app.presence import WORKER, Presence


class PresenceMiddleware(Middleware):
    """Says that the process is alive, from the worker's boot until it has drained."""

    def __init__(self) -> None:
        self._presence = Presence(WORKER)

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Begin to say so."""
        self._presence.start()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """Take it back."""
        self._presence.stop()
