"""Sharing the slots of a process among webhooks: who starts, who waits, who is put back. Pure."""

from collections import deque
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")
Verdict = Literal["start", "wait", "put back"]


class _Lane(Generic[Item]):
    __slots__ = ("line", "moved_at", "running")

    def __init__(self, now: int) -> None:
        self.running = 0
        self.line: deque[Item] = deque()
        self.moved_at = now


class Lanes(Generic[Item]):
    """A lane a webhook: at most `bound` items run at a time, the others wait in line while the line moves.

    A webhook that answers quickly is served as fast as it answers. One that is at its bound and has finished nothing
    quickly for `stall_ms` holds nobody: its line, and what comes for it, is put back to the database.
    """

    def __init__(self, bound: int, stall_ms: int) -> None:
        self._bound = bound
        self._stall_ms = stall_ms
        self._lanes: dict[str, _Lane[Item]] = {}
        self.waiting = 0

    def arrive(self, key: str, item: Item, now: int) -> Verdict:
        """Take in an item for `key`. The caller starts it at once, leaves it here, or puts it back."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(now)
        if lane.running < self._bound:
            lane.running += 1
            return "start"
        if self._is_stalled(lane, now):
            return "put back"
        lane.line.append(item)
        self.waiting += 1
        return "wait"

    def leave(self, key: str, duration_ms: int, now: int) -> Item | None:
        """Say that an item of `key` ended after `duration_ms`, and return the one to start in its place, if any."""
        lane = self._lanes[key]
        if duration_ms < self._stall_ms:
            lane.moved_at = now
        if lane.line:
            self.waiting -= 1
            return lane.line.popleft()
        lane.running -= 1
        if not lane.running:
            del self._lanes[key]
        return None

    def take_stalled(self, now: int) -> list[Item]:
        """Empty the lines that don't move, and return what stood in them."""
        stalled = [lane for lane in self._lanes.values() if lane.line and self._is_stalled(lane, now)]
        return self._take(stalled)

    def take_all(self) -> list[Item]:
        """Empty every line, and return what stood in them."""
        return self._take(list(self._lanes.values()))

    def _take(self, lanes: list[_Lane[Item]]) -> list[Item]:
        taken = [item for lane in lanes for item in lane.line]
        for lane in lanes:
            lane.line.clear()
        self.waiting -= len(taken)
        return taken

    def _is_stalled(self, lane: _Lane[Item], now: int) -> bool:
        return now - lane.moved_at > self._stall_ms
