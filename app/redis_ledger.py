"""What a consumer of Redis has in its hands, and what it has yet to tell Redis about it."""

import logging
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import redis

from app.errors import QueueUnavailable
from app.redis_client import unavailable
from app.redis_scripts import ConsumerScripts, run_in_chunks

log = logging.getLogger(__name__)


class Ledger:
    """Acknowledges and gives back fetched messages, by their ids in Redis; during an outage it remembers them.

    Any thread may acknowledge and give back; the rest is for the one that fetches. Once Redis has been found away, only
    that one goes to it until it is back, so whoever acknowledges meanwhile does not wait.
    """

    def __init__(self, client: redis.Redis, scripts: ConsumerScripts, keys: Sequence[str]) -> None:
        self._client = client
        self._scripts = scripts
        self._keys = keys
        self._lock = threading.Lock()
        self._held: set[bytes] = set()
        self._acks: list[bytes] = []
        self._returns: list[bytes] = []
        self._doubt = False
        self._away = False

    def doubt(self) -> None:
        """Note that an answer never came: Redis may have handed out messages in it."""
        self._doubt = True

    def hold(self, ids: Collection[bytes]) -> None:
        """Note which messages have come."""
        with self._lock:
            self._held.update(ids)
        self._away = False

    def acknowledge(self, ids: Iterable[bytes]) -> None:
        """Acknowledge messages, now or as soon as Redis is back."""
        with self._lock:
            self._acks += ids
        self._try()

    def give_back(self, ids: Iterable[bytes]) -> None:
        """Put messages back at the head of the queue in their order, now or as soon as Redis is back."""
        with self._lock:
            self._returns += ids
        self._try()

    def give_all_back(self) -> None:
        """Put back whatever is held and not acknowledged. Raises QueueUnavailable."""
        with self._lock:
            self._returns += sorted(self._held.difference(self._acks, self._returns))
        self.settle()

    def bury(self, ids: Collection[bytes]) -> None:
        """Move messages to the dead letters. Raises QueueUnavailable."""
        with unavailable():
            run_in_chunks(self._scripts.bury, self._keys, ids)
        self._forget(ids)

    def settle(self) -> None:
        """Tell Redis what it was not told yet, and what it wrongly thinks. Raises QueueUnavailable; then call again."""
        self._tell()
        if self._doubt:
            self._give_back_unseen()
        self._away = False

    def found_away(self, error: QueueUnavailable) -> None:
        """Log an outage, once."""
        if not self._away:
            log.error("queue=%s acknowledgements wait: %s", self._keys[0], error)
        self._away = True

    def _try(self) -> None:
        if self._away:
            return
        try:
            self._tell()
        except QueueUnavailable as error:
            self.found_away(error)

    def _tell(self) -> None:
        with self._lock:
            acks, self._acks = self._acks, []
            returns, self._returns = self._returns, []
        try:
            with unavailable():
                run_in_chunks(self._scripts.ack, self._keys, acks)
                run_in_chunks(self._scripts.requeue, self._keys, returns)
        except BaseException:
            with self._lock:
                self._acks[:0] = acks
                self._returns[:0] = returns
            raise
        self._forget([*acks, *returns])

    def _give_back_unseen(self) -> None:
        """Put back what Redis handed out in an answer that never came."""
        with unavailable():
            known: Any = self._client.smembers(self._keys[2])
            with self._lock:
                unseen = sorted(known - self._held)
            run_in_chunks(self._scripts.requeue, self._keys, unseen)
        self._doubt = False

    def _forget(self, ids: Collection[bytes]) -> None:
        with self._lock:
            self._held.difference_update(ids)
