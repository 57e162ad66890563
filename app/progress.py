"""Are the loops of this process moving? Each that does the service's work says so; one that has not for a minute is
stuck, however alive its process looks.
"""

import threading
import time

# Longer than any turn of a loop, a slow database included; shorter than anybody wants to wait for a restart.
PATIENCE_S = 60.0


class Loop:
    """One loop of this process. It counts from now until `end`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._moved_at = time.monotonic()
        with _lock:
            _loops.append(self)

    def moved(self) -> None:
        """Say that it has made a turn. It costs nothing."""
        self._moved_at = time.monotonic()

    def end(self) -> None:
        """Say that it has come to its end. Again is fine."""
        with _lock:
            if self in _loops:
                _loops.remove(self)

    @property
    def still_s(self) -> float:
        """For how many seconds it has not moved."""
        return time.monotonic() - self._moved_at


_lock = threading.Lock()
_loops: list[Loop] = []


def stalled() -> list[str]:
    """Return the names of the loops that are stuck."""
    with _lock:
        return [loop.name for loop in _loops if loop.still_s > PATIENCE_S]
