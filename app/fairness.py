"""Sharing the slots of a process among webhooks: who starts, who waits, who is held in the database. Pure."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")
Verdict = Literal["start", "wait", "hold"]
Pace = Literal["quick", "slow", "failed"]  # how a request ended: soon, late but with an answer, late and without

# What a webhook may have under way before it has shown how quickly it answers; each quick answer doubles it.
FIRST_WINDOW = 4
REMEMBERED = 10_000


class _Lane(Generic[Item]):
    __slots__ = ("is_quick", "line", "running", "since", "window")

    def __init__(self) -> None:
        self.running = 0
        self.line: deque[Item] = deque()
        self.since = 0  # from when on something has been running without a quick answer
        self.is_quick = False
        self.window = FIRST_WINDOW


class Lanes(Generic[Item]):
    """A lane a webhook: so many items run at a time, the others wait in line while the line moves.

    A webhook that answers quickly has up to `bound` under way, or its share of the `slots` where many are busy, and is
    served as fast as it answers. One that has yet to show it begins with a few; and all that do not answer quickly have
    half of the `slots` together, past the first item of each. Where nothing has ended quickly for `stall_ms`,
    the line holds nobody: it, and what comes for it, is held in the database. A lane is remembered after its last item,
    so that a webhook that was slow a moment ago does not begin anew.
    """

    def __init__(self, bound: int, slots: int, stall_ms: int) -> None:
        self._bound = bound
        self._slots = slots
        self._slow_slots = max(1, slots // 2)
        self._stall_ms = stall_ms
        self._lanes: dict[str, _Lane[Item]] = {}  # those with something running or waiting
        self._idle: OrderedDict[str, _Lane[Item]] = OrderedDict()
        self._starved: dict[str, _Lane[Item]] = {}  # have a line, and nothing running whose end would move it
        self._running = 0
        self._slow_running = 0  # of the lanes that are not quick
        self.waiting = 0

    def arrive(self, key: str, item: Item, now: int) -> Verdict:
        """Take in an item for `key`. The caller starts it at once, leaves it here, or holds it in the database."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = self._idle.pop(key) if key in self._idle else _Lane()
            lane.since = now
        if self._has_room(lane):
            self._count(lane, 1)
            return "start"
        if self._is_stalled(lane, now):
            return "hold"
        lane.line.append(item)
        self.waiting += 1
        if not lane.running:
            self._starved[key] = lane
        return "wait"

    def leave(self, key: str, pace: Pace, now: int) -> list[Item]:
        """Say that an item of `key` ended, and return those to start now."""
        lane = self._lanes[key]
        self._count(lane, -1)
        if pace == "quick":
            self._set_quick(lane, True)
            lane.since = now
            lane.window = min(2 * lane.window, self._bound)
        elif self._is_stalled(lane, now):
            self._set_quick(lane, False)
            # Slow is not ill: it may do more at a time. What answers nothing at all may do less.
            lane.window = min(lane.window + 1, self._bound) if pace == "slow" else max(lane.window // 2, 1)
        starting = self._start_line(lane)
        for starved_key in list(self._starved):
            if not self._has_room(self._starved[starved_key]):
                break
            starting += self._start_line(self._starved.pop(starved_key))
        if not lane.running:
            self._rest(key, lane)
        return starting

    def take_stalled(self, now: int) -> list[Item]:
        """Empty the lines that don't move, and return what stood in them. Call it from time to time."""
        stalled = {key: lane for key, lane in self._lanes.items() if self._is_stalled(lane, now)}
        for lane in stalled.values():
            self._set_quick(lane, False)
        return self._take(stalled)

    def take_line(self, key: str) -> list[Item]:
        """Empty the line of `key`, and return what stood in it."""
        return self._take({key: self._lanes[key]}) if key in self._lanes else []

    def take_all(self) -> list[Item]:
        """Empty every line, and return what stood in them."""
        return self._take(self._lanes)

    def _has_room(self, lane: _Lane[Item]) -> bool:
        share = max(FIRST_WINDOW, self._slots // len(self._lanes))
        if lane.running >= min(lane.window, self._bound, share) or self._running >= self._slots:
            return False
        return lane.is_quick or self._slow_running < self._slow_slots or not lane.running

    def _count(self, lane: _Lane[Item], step: int) -> None:
        lane.running += step
        self._running += step
        if not lane.is_quick:
            self._slow_running += step

    def _set_quick(self, lane: _Lane[Item], is_quick: bool) -> None:
        if lane.is_quick != is_quick:
            self._slow_running += -lane.running if is_quick else lane.running
            lane.is_quick = is_quick

    def _start_line(self, lane: _Lane[Item]) -> list[Item]:
        starting: list[Item] = []
        while lane.line and self._has_room(lane):
            starting.append(lane.line.popleft())
            self._count(lane, 1)
        self.waiting -= len(starting)
        return starting

    def _rest(self, key: str, lane: _Lane[Item]) -> None:
        """Have a lane without running items wait for a slot of another, or for its next item."""
        if lane.line:
            self._starved[key] = lane
            return
        self._idle[key] = self._lanes.pop(key)
        if len(self._idle) > REMEMBERED:
            self._idle.popitem(last=False)

    def _take(self, lanes: Mapping[str, _Lane[Item]]) -> list[Item]:
        taken = [item for lane in lanes.values() for item in lane.line]
        self.waiting -= len(taken)
        for key, lane in list(lanes.items()):
            lane.line.clear()
            if self._starved.pop(key, None):
                self._rest(key, lane)
        return taken

    def _is_stalled(self, lane: _Lane[Item], now: int) -> bool:
        # One that has yet to show how quickly it answers is given less time: much may have come for it at once.
        return now - lane.since > (self._stall_ms if lane.is_quick else self._stall_ms // 4)
