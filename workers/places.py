"""The places of a worker process: what it has in hand, how much more it can take, and what has left since."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from app import metrics
from app.attempts import Due
from app.progress import Loop
from workers.in_hand import Departures, Held

ROOM_S = 0.005
# How many deliveries may wait in lines and for their time, as a multiple of those that may be under way.
LINES = 4


class Places:
    """Counts what is held. Any thread may wait for room; the rest is for the transport's thread, but for `expect`."""

    def __init__(self, limit: int, *, waiting: Callable[[], int], is_open: Callable[[], bool]) -> None:
        self.held: dict[str, Held] = {}
        self.departures = Departures()
        self._limit = limit
        self._worthwhile = limit // 8
        self._waiting = waiting  # how many of those held are not under way
        self._is_open = is_open
        self._turns: set[str] = set()
        self._incoming = 0  # deliveries pointed at and not yet looked at
        self._changed = threading.Condition()
        self._loop = Loop("transport")

    def tell(self) -> None:
        """Say that the transport's thread moves, and how much there is in this process's hands. Call it in there."""
        self._loop.moved()
        metrics.in_flight(len(self.held) - self._waiting(), len(self.held))

    def close(self) -> None:
        """Say that the transport's thread has nothing more to do."""
        self._loop.end()

    def room(self, timeout_s: float) -> int:
        """Wait for a free place up to `timeout_s`, and return how many deliveries can be taken."""
        with self._changed:
            if self._changed.wait_for(lambda: self._free() > 0, timeout_s):
                # Nearly full, places come one by one; for a few at a time the round trips would cost most.
                self._changed.wait_for(lambda: self._free() >= self._worthwhile, ROOM_S)
            return self._free()

    def settle(self, timeout_s: float) -> None:
        """Wait until all that was pointed at has been looked at, up to `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._incoming, timeout_s)

    def are_empty(self, timeout_s: float) -> bool:
        """Wait until nothing is held or expected, up to `timeout_s`, and return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.held and not self._incoming, timeout_s)

    def expect(self, count: int) -> None:
        """Reserve places for deliveries that are pointed at, or give up so many reservations."""
        with self._changed:
            self._incoming += count
            self._changed.notify_all()

    def forget(self, items: Sequence[Held]) -> None:
        """Let go of `items`."""
        for item in items:
            del self.held[item.due.id]
        self.departures.note([item.due.id for item in items])
        with self._changed:
            self._changed.notify_all()

    @property
    def have_room(self) -> bool:
        """Whether one more may be under way."""
        return self._free() > 0

    def note_behind(self, behind: Mapping[str, Sequence[Due]]) -> None:
        """Note what comes after ordered deliveries, of those that are still held."""
        for name, dues in behind.items():
            if name in self.held:
                self.held[name].behind = dues

    def long_turns(self) -> list[str]:
        """Return the deliveries without a message that were held when this was last asked, and still are."""
        turns = {name for name, item in self.held.items() if item.message is None}
        long, self._turns = turns & self._turns, turns
        return sorted(long)

    def not_held(self, names: Iterable[str]) -> list[str]:
        """Return those of the deliveries that are not held."""
        return [name for name in names if name not in self.held]

    def _free(self) -> int:
        if not self._is_open():
            return 0
        held = len(self.held) + self._incoming
        return min(self._limit - held + self._waiting(), LINES * self._limit - held)
