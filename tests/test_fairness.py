"""Sharing the slots of a process among webhooks."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.fairness import Lanes

BOUND = 2
STALL_MS = 1_000


def full(now: int = 0) -> Lanes[str]:
    """Lanes where webhook `w` is at its bound."""
    lanes = Lanes[str](BOUND, STALL_MS)
    assert [lanes.arrive("w", item, now) for item in "ab"] == ["start", "start"]
    return lanes


def test_items_start_up_to_the_bound_and_then_wait_in_line() -> None:
    lanes = full()
    assert [lanes.arrive("w", item, 0) for item in "cd"] == ["wait", "wait"]
    assert lanes.waiting == 2


def test_one_webhook_at_its_bound_holds_no_other() -> None:
    lanes = full()
    assert lanes.arrive("v", "x", 0) == "start"
    assert lanes.waiting == 0


def test_the_first_in_line_starts_where_one_ends() -> None:
    lanes = full()
    for item in "cd":
        lanes.arrive("w", item, 0)
    assert [lanes.leave("w", 5, 10) for _ in range(4)] == ["c", "d", None, None]
    assert lanes.waiting == 0
    assert lanes.arrive("w", "e", 10) == "start"


def test_a_webhook_that_finishes_nothing_quickly_has_its_deliveries_put_back() -> None:
    lanes = full()
    assert lanes.arrive("w", "c", STALL_MS) == "wait"
    assert lanes.arrive("w", "d", STALL_MS + 1) == "put back"
    assert lanes.take_stalled(STALL_MS) == []
    assert lanes.take_stalled(STALL_MS + 1) == ["c"]
    assert lanes.waiting == 0


def test_a_quick_answer_makes_the_line_move_and_a_slow_one_does_not() -> None:
    lanes = full()
    lanes.arrive("w", "c", 0)
    lanes.arrive("w", "d", 0)
    assert lanes.leave("w", STALL_MS - 1, 900) == "c"
    assert lanes.arrive("w", "e", 900 + STALL_MS) == "wait"
    assert lanes.leave("w", STALL_MS, 1_800) == "d"
    assert lanes.arrive("w", "f", 901 + STALL_MS) == "put back"


def test_a_stalled_webhook_takes_what_comes_again_once_it_has_a_slot() -> None:
    lanes = full()
    assert lanes.leave("w", 5_000, 5_000) is None
    assert lanes.arrive("w", "c", 5_000) == "start"


def test_all_lines_can_be_emptied_and_what_runs_goes_on() -> None:
    lanes = full()
    for item in "cd":
        lanes.arrive("w", item, 0)
    for item in "xyz":
        lanes.arrive("v", item, 0)
    assert sorted(lanes.take_all()) == ["c", "d", "z"]
    assert lanes.waiting == 0
    assert [lanes.leave("w", 1, 1), lanes.leave("w", 1, 1), lanes.leave("v", 1, 1)] == [None, None, None]


class Sharing(RuleBasedStateMachine):
    """Items come, end, and are taken out of the lines in any order; a model counts where each one is."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes[int](BOUND, STALL_MS)
        self.now = 0
        self.made = 0
        self.running: Counter[str] = Counter()
        self.line: dict[str, list[int]] = {key: [] for key in "abc"}
        self.started = 0
        self.put_back = 0

    @rule(key=st.sampled_from("abc"))
    def arrive(self, key: str) -> None:
        item, self.made = self.made, self.made + 1
        verdict = self.lanes.arrive(key, item, self.now)
        if verdict == "start":
            assert not self.line[key]
            self.running[key] += 1
            self.started += 1
        elif verdict == "wait":
            assert self.running[key] == BOUND
            self.line[key].append(item)
        else:
            assert self.running[key] == BOUND
            self.put_back += 1

    @precondition(lambda self: self.running.total())
    @rule(data=st.data(), duration=st.sampled_from([1, STALL_MS - 1, STALL_MS, 30_000]))
    def leave(self, data: st.DataObject, duration: int) -> None:
        key = data.draw(st.sampled_from(sorted(key for key in self.running if self.running[key])))
        following = self.lanes.leave(key, duration, self.now)
        if self.line[key]:
            assert following == self.line[key].pop(0)
            self.started += 1
        else:
            assert following is None
            self.running[key] -= 1

    @rule(elapsed=st.sampled_from([1, STALL_MS // 2, STALL_MS + 1]))
    def wait(self, elapsed: int) -> None:
        self.now += elapsed

    @rule()
    def take_stalled(self) -> None:
        taken = self.lanes.take_stalled(self.now)
        for key, line in self.line.items():
            assert set(line) <= set(taken) or not set(line) & set(taken), "a line is taken whole or not at all"
            self.line[key] = [item for item in line if item not in taken]
        self.put_back += len(taken)

    @rule()
    def take_all(self) -> None:
        taken = self.lanes.take_all()
        assert sorted(taken) == sorted(item for line in self.line.values() for item in line)
        self.line = {key: [] for key in self.line}
        self.put_back += len(taken)

    @invariant()
    def no_webhook_runs_more_than_its_bound(self) -> None:
        assert all(count <= BOUND for count in self.running.values())

    @invariant()
    def nothing_is_lost(self) -> None:
        waiting = sum(len(line) for line in self.line.values())
        assert self.lanes.waiting == waiting
        assert self.made == self.started + waiting + self.put_back


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
