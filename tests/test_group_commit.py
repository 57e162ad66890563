"""Callers that meet share one commit."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from app.group_commit import GroupCommit

PATIENCE_S = 10.0
Answered = tuple[Sequence[Any], Callable[[], object]]


def at_once(commit: Callable[[Sequence[Any]], Sequence[Any]]) -> Callable[[Sequence[Any]], Answered]:
    """Return `commit` as GroupCommit wants it, with nothing left to do after."""
    return lambda items: (commit(items), lambda: None)


class Store:
    """A commit that can be held up: while it is, callers gather."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.failures: dict[int, BaseException] = {}
        self.concurrent = 0
        self.most_concurrent = 0

    def commit(self, items: Sequence[int]) -> list[int]:
        self.concurrent += 1
        self.most_concurrent = max(self.most_concurrent, self.concurrent)
        self.batches.append(list(items))
        number = len(self.batches) - 1
        self.entered.release()
        assert self.gate.acquire(timeout=PATIENCE_S)
        self.concurrent -= 1
        if number in self.failures:
            raise self.failures[number]
        return [item * 10 for item in items]


class Crowd:
    """Callers in threads of their own, with what each of them got."""

    def __init__(self, group: GroupCommit[int, int]) -> None:
        self.group = group
        self.results: dict[int, int | BaseException] = {}
        self.threads: list[threading.Thread] = []
        self.calling = threading.Semaphore(0)

    def call(self, item: int) -> None:
        thread = threading.Thread(target=self._submit, args=(item,), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _submit(self, item: int) -> None:
        self.calling.release()
        try:
            self.results[item] = self.group.submit(item)
        except BaseException as error:
            self.results[item] = error

    def join(self) -> dict[int, int | BaseException]:
        for thread in self.threads:
            thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in self.threads), "a caller hangs"
        return self.results


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def crowd(store: Store) -> Crowd:
    return Crowd(GroupCommit[int, int](at_once(store.commit)))


def gather(crowd: Crowd, store: Store, first: int, others: Sequence[int]) -> None:
    """Let `first` commit, and `others` come while it does."""
    crowd.call(first)
    assert store.entered.acquire(timeout=PATIENCE_S)
    for item in others:
        crowd.call(item)
    for _ in range(len(others) + 1):
        assert crowd.calling.acquire(timeout=PATIENCE_S)
    time.sleep(0.1)  # from calling to waiting is microseconds; nothing tells of it


def test_a_lonely_caller_commits_at_once_and_alone() -> None:
    batches: list[Sequence[str]] = []

    def commit(items: Sequence[str]) -> list[str]:
        batches.append(items)
        return [item.upper() for item in items]

    group = GroupCommit[str, str](at_once(commit))
    assert [group.submit("a"), group.submit("b")] == ["A", "B"]
    assert batches == [["a"], ["b"]]


def test_callers_that_come_during_a_commit_share_the_next_one(crowd: Crowd, store: Store) -> None:
    gather(crowd, store, 1, [2, 3, 4, 5])
    store.gate.release(2)
    assert crowd.join() == {1: 10, 2: 20, 3: 30, 4: 40, 5: 50}
    assert store.batches[0] == [1]
    assert sorted(store.batches[1]) == [2, 3, 4, 5]
    assert len(store.batches) == 2


def test_one_commit_runs_at_a_time(crowd: Crowd, store: Store) -> None:
    store.gate.release(1_000)
    for item in range(100):
        crowd.call(item)
    assert crowd.join() == {item: item * 10 for item in range(100)}
    assert store.most_concurrent == 1
    assert sorted(item for batch in store.batches for item in batch) == list(range(100))


def test_a_failure_reaches_every_caller_of_its_commit_and_no_other(crowd: Crowd, store: Store) -> None:
    failure = ValueError("the disk is full")
    store.failures = {1: failure}
    gather(crowd, store, 1, [2, 3, 4])
    store.gate.release()
    assert store.entered.acquire(timeout=PATIENCE_S)
    crowd.call(5)
    store.gate.release(2)
    assert crowd.join() == {1: 10, 2: failure, 3: failure, 4: failure, 5: 50}


def test_a_failure_of_the_first_does_not_hold_up_those_who_wait(crowd: Crowd, store: Store) -> None:
    failure = ValueError("no")
    store.failures = {0: failure}
    gather(crowd, store, 1, [2, 3])
    store.gate.release(2)
    assert crowd.join() == {1: failure, 2: 20, 3: 30}


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), SystemExit(1)])
def test_not_even_an_interrupt_leaves_a_caller_hanging(crowd: Crowd, store: Store, failure: BaseException) -> None:
    store.failures = {1: failure}
    gather(crowd, store, 1, [2, 3])
    store.gate.release(2)
    assert crowd.join() == {1: 10, 2: failure, 3: failure}


@pytest.mark.parametrize("answer", [lambda items: [], lambda items: [*items, 9]])
def test_a_commit_that_answers_for_too_few_or_too_many_fails(answer: Callable[[Sequence[int]], list[int]]) -> None:
    group = GroupCommit[int, int](at_once(answer))
    with pytest.raises(ValueError, match=r"shorter|longer"):
        group.submit(1)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        group.submit(2)


def test_a_storm_of_callers_gets_its_own_results_each() -> None:
    callers, rounds = 16, 50
    barrier = threading.Barrier(callers)
    wrong: list[tuple[int, int]] = []
    sizes: list[int] = []

    def commit(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        return [-item for item in items]

    group = GroupCommit[int, int](at_once(commit))

    def storm(caller: int) -> None:
        for number in range(rounds):
            barrier.wait(PATIENCE_S)
            item = caller * rounds + number
            if (got := group.submit(item)) != -item:
                wrong.append((item, got))

    threads = [threading.Thread(target=storm, args=(caller,), daemon=True) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads), "a caller hangs"
    assert wrong == []
    assert sum(sizes) == callers * rounds


def test_what_is_left_to_do_is_done_before_callers_go_on_and_while_others_commit() -> None:
    done: list[str] = []
    second = threading.Event()

    def finish() -> None:
        assert second.wait(PATIENCE_S)
        done.append("finished")

    def commit(items: Sequence[int]) -> Answered:
        if items == [2]:
            second.set()
            return items, lambda: None
        return items, finish

    group = GroupCommit[int, int](commit)
    other = threading.Thread(target=lambda: group.submit(2))
    first = threading.Thread(target=lambda: done.append(f"got {group.submit(1)}"))
    first.start()
    other.start()
    first.join(PATIENCE_S)
    other.join(PATIENCE_S)
    assert done == ["finished", "got 1"]


def test_a_failure_in_what_is_left_to_do_reaches_the_callers_and_the_lead_goes_on() -> None:
    def fail() -> None:
        raise ValueError("no queue")

    group = GroupCommit[int, int](lambda items: (items, fail))
    for item in (1, 2):
        with pytest.raises(ValueError, match="no queue"):
            group.submit(item)
