"""A bound on failures: so many for one key within a window of time."""

from collections import deque
from collections.abc import Hashable
from threading import Lock

_KEYS = 10_000


class Throttle:
    """Remembers recent failures in memory, for at most 10,000 keys; the one that failed first is forgotten first."""

    def __init__(self, limit: int, window_ms: int) -> None:
        self._limit = limit
        self._window_ms = window_ms
        self._failures: dict[Hashable, deque[int]] = {}
        self._lock = Lock()

    def wait_ms(self, key: Hashable, now: int) -> int:
        """Return how many milliseconds `key` must wait, 0 for none."""
        failures = self._failures.get(key)
        if failures is None or len(failures) < self._limit:
            return 0
        return max(failures[0] + self._window_ms - now, 0)

    def fail(self, key: Hashable, now: int) -> None:
        """Count a failure at `now`."""
        with self._lock:
            failures = self._failures.get(key)
            if failures is None:
                while len(self._failures) >= _KEYS:
                    del self._failures[next(iter(self._failures))]
                failures = self._failures[key] = deque(maxlen=self._limit)
            failures.append(now)
