"""Sharing the slots of a process among webhooks."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.fairness import FIRST_WINDOW, Lanes, Pace

BOUND = 8
SLOTS = 16
STALL_MS = 1_000


def full(now: int = 0) -> Lanes[str]:
    """Lanes where webhook `w` has all under way that it may have at first."""
    lanes = Lanes[str](BOUND, SLOTS, STALL_MS)
    assert [lanes.arrive("w", item, now) for item in "abcd"] == ["start"] * FIRST_WINDOW
    return lanes


def quick(webhook: str = "w", lanes: Lanes[str] | None = None) -> Lanes[str]:
    """Lanes where a webhook has answered quickly twice, and has nothing under way."""
    lanes = lanes or Lanes[str](BOUND, SLOTS, STALL_MS)
    for _ in range(2):
        assert lanes.arrive(webhook, "-", 0) == "start"
        assert lanes.leave(webhook, "quick", 0) == []
    return lanes


def test_a_webhook_begins_with_a_few_items_and_the_others_wait_in_line() -> None:
    lanes = full()
    assert [lanes.arrive("w", item, 0) for item in "ef"] == ["wait", "wait"]
    assert lanes.waiting == 2


def test_each_quick_answer_doubles_what_may_be_under_way_up_to_the_bound() -> None:
    lanes = quick()
    assert [lanes.arrive("w", item, 0) for item in "abcdefghi"] == ["start"] * BOUND + ["wait"]


def test_one_webhook_that_is_full_holds_no_other() -> None:
    lanes = full()
    assert lanes.arrive("w", "e", 0) == "wait"
    assert lanes.arrive("v", "x", 0) == "start"


def test_the_first_in_line_starts_where_one_ends() -> None:
    lanes = full()
    for item in "efgh":
        lanes.arrive("w", item, 0)
    assert lanes.leave("w", "slow", 10) == ["e"]
    assert lanes.leave("w", "quick", 10) == ["f", "g", "h"]
    assert lanes.waiting == 0


def test_a_webhook_that_finishes_nothing_quickly_has_its_deliveries_held() -> None:
    lanes = quick()
    assert [lanes.arrive("w", item, 0) for item in "abcdefgh"] == ["start"] * BOUND
    assert lanes.arrive("w", "i", STALL_MS) == "wait"
    assert lanes.arrive("w", "j", STALL_MS + 1) == "hold"
    assert lanes.take_stalled(STALL_MS) == []
    assert lanes.take_stalled(STALL_MS + 1) == ["i"]
    assert lanes.waiting == 0


def test_one_that_has_yet_to_answer_is_given_a_quarter_of_that_time() -> None:
    lanes = full()
    assert lanes.arrive("w", "e", STALL_MS // 4) == "wait"
    assert lanes.arrive("w", "f", STALL_MS // 4 + 1) == "hold"


def test_a_quick_answer_makes_the_line_move_and_a_slow_one_does_not() -> None:
    lanes = full()
    for item in "efgh":
        lanes.arrive("w", item, 0)
    assert lanes.leave("w", "quick", 900) == ["e", "f", "g", "h"]
    assert [lanes.arrive("w", item, 900 + STALL_MS) for item in "ij"] == ["start", "wait"]
    assert lanes.leave("w", "slow", 901 + STALL_MS) == ["j"]
    assert lanes.arrive("w", "k", 901 + STALL_MS) == "hold"


def test_a_slow_webhook_may_do_more_at_a_time_and_one_that_does_not_answer_less() -> None:
    def allowed(pace: Pace) -> int:
        lanes = full()
        for number in range(FIRST_WINDOW):
            assert lanes.leave("w", pace, 5_000 + number) == []
        return [lanes.arrive("w", item, 6_000) for item in "efghijklm"].count("start")

    assert (allowed("slow"), allowed("failed"), allowed("quick")) == (BOUND, 1, BOUND)


def test_what_is_not_quick_has_half_of_the_slots_together() -> None:
    lanes = quick("v")
    started = [lanes.arrive(webhook, "x", 0) for webhook in "abc" for _ in range(FIRST_WINDOW)]
    assert started.count("start") == SLOTS // 2 + 1, "the third has one under way all the same"
    assert [lanes.arrive("v", "y", 0) for _ in range(FIRST_WINDOW)] == ["start"] * FIRST_WINDOW


def test_one_that_was_quick_and_stalls_counts_with_the_slow() -> None:
    lanes = quick("v")
    assert [lanes.arrive("v", "y", 0) for _ in range(BOUND)] == ["start"] * BOUND
    assert lanes.take_stalled(STALL_MS + 1) == []
    assert [lanes.arrive("a", item, STALL_MS + 1) for item in "xy"] == ["start", "wait"]


def test_where_all_slots_are_taken_whoever_has_none_gets_the_first_that_is_free() -> None:
    lanes = Lanes[str](BOUND, FIRST_WINDOW, STALL_MS)
    assert [lanes.arrive(webhook, webhook, 0) for webhook in "abcde"] == ["start"] * FIRST_WINDOW + ["wait"]
    assert lanes.leave("b", "quick", 10) == ["e"]


def test_where_many_are_busy_each_has_its_share() -> None:
    lanes = Lanes[str](BOUND, SLOTS, STALL_MS)
    for webhook in "abcd":
        quick(webhook, lanes)
    for webhook in "abcd":
        assert lanes.arrive(webhook, "x", 0) == "start"
    assert [lanes.arrive("a", "y", 0) for _ in range(BOUND)].count("start") == SLOTS // 4 - 1


def test_a_webhook_is_remembered_after_its_last_item() -> None:
    lanes = full()
    for _ in range(FIRST_WINDOW):
        lanes.leave("w", "failed", 10_000)
    assert [lanes.arrive("w", item, 20_000) for item in "ef"] == ["start", "wait"]


def test_all_lines_can_be_emptied_and_what_runs_goes_on() -> None:
    lanes = full()
    for item in "ef":
        lanes.arrive("w", item, 0)
    for item in "xyzuv":
        lanes.arrive("v", item, 0)
    assert sorted(lanes.take_all()) == ["e", "f", "v"]
    assert lanes.waiting == 0
    assert lanes.leave("w", "quick", 1) == []


class Sharing(RuleBasedStateMachine):
    """Items come, end, and are taken out of the lines in any order; a model counts where each one is."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes[tuple[str, int]](BOUND, SLOTS, STALL_MS)
        self.now = 0
        self.made = 0
        self.running: Counter[str] = Counter()
        self.line: dict[str, list[tuple[str, int]]] = {key: [] for key in "abcdef"}
        self.started = 0
        self.held = 0

    @rule(key=st.sampled_from("abcdef"))
    def arrive(self, key: str) -> None:
        item, self.made = (key, self.made), self.made + 1
        verdict = self.lanes.arrive(key, item, self.now)
        if verdict == "start":
            assert not self.line[key]
            self.running[key] += 1
            self.started += 1
        elif verdict == "wait":
            self.line[key].append(item)
        else:
            self.held += 1

    @precondition(lambda self: self.running.total())
    @rule(data=st.data(), pace=st.sampled_from(["quick", "slow", "failed"]))
    def leave(self, data: st.DataObject, pace: Pace) -> None:
        key = data.draw(st.sampled_from(sorted(key for key in self.running if self.running[key])))
        self.running[key] -= 1
        for item in self.lanes.leave(key, pace, self.now):
            assert item == self.line[item[0]].pop(0)
            self.running[item[0]] += 1
            self.started += 1

    @rule(elapsed=st.sampled_from([1, STALL_MS // 2, STALL_MS + 1]))
    def wait(self, elapsed: int) -> None:
        self.now += elapsed

    @rule()
    def take_stalled(self) -> None:
        taken = self.lanes.take_stalled(self.now)
        for key, line in self.line.items():
            assert set(line) <= set(taken) or not set(line) & set(taken), "a line is taken whole or not at all"
            self.line[key] = [item for item in line if item not in taken]
        self.held += len(taken)

    @rule(key=st.sampled_from("abcdef"))
    def take_line(self, key: str) -> None:
        assert self.lanes.take_line(key) == self.line[key]
        self.held += len(self.line[key])
        self.line[key] = []

    @rule()
    def take_all(self) -> None:
        taken = self.lanes.take_all()
        assert sorted(taken) == sorted(item for line in self.line.values() for item in line)
        self.line = {key: [] for key in self.line}
        self.held += len(taken)

    @invariant()
    def no_webhook_runs_more_than_its_bound(self) -> None:
        assert all(count <= BOUND for count in self.running.values())

    @invariant()
    def all_together_run_no_more_than_there_are_slots(self) -> None:
        assert self.running.total() <= SLOTS

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        assert self.running.total() or not any(self.line.values())

    @invariant()
    def nothing_is_lost(self) -> None:
        waiting = sum(len(line) for line in self.line.values())
        assert self.lanes.waiting == waiting
        assert self.made == self.started + waiting + self.held


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
