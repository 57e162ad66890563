"""Who reads along live: how many a process serves at once, and that they end when it does.

Each holds a thread of the web server for as long as it reads, so that a few open tabs could leave none for the API.
"""

import threading

RETRY_AFTER_S = 5
MOST = 4  # where nobody says how many threads there are


def most_readers(threads: int) -> int:
    """Return how many readers a server with so many threads serves: a quarter of them, at least one, never all."""
    return min(max(threads // 4, 1), threads - 1)


class Place:
    """A reader's place."""

    def __init__(self, readers: "Readers") -> None:
        self._readers = readers
        self._is_left = False

    def leave(self) -> None:
        """Give the place to others. Again is fine."""
        with self._readers.lock:
            if not self._is_left:
                self._is_left = True
                self._readers.present -= 1


class Readers:
    """The readers of a process; threads may share it."""

    def __init__(self, most: int) -> None:
        self.lock = threading.Lock()
        self.present = 0
        self._most = most
        self._ending = threading.Event()

    def enter(self) -> Place | None:
        """Return a place, to be left in any case; None where there is none, or the process ends."""
        with self.lock:
            if self.present >= self._most or self._ending.is_set():
                return None
            self.present += 1
        return Place(self)

    def wait(self, seconds: float) -> bool:
        """Wait so long; return early, and true, where the process ends."""
        return self._ending.wait(seconds)

    def end(self) -> None:
        """Have all readers end, and admit no more: the server waits for them before it stops."""
        self._ending.set()
