"""Questions that may never be answered: nobody waits longer than they like, and one thread hangs at most."""

import threading

import pytest

from app.bounded import Bounded
from tests.server import eventually

pytestmark = [pytest.mark.sqlite_only, pytest.mark.usefixtures("services")]


def test_who_waits_can_give_up_and_whoever_comes_next_waits_for_the_same_answer() -> None:
    question, released, asked = Bounded[int]("slow"), threading.Event(), []

    def ask() -> int:
        asked.append(1)
        released.wait(10.0)
        return 7

    with pytest.raises(TimeoutError):
        question.begin(ask).result(0.01)
    again = question.begin(ask)
    assert (len(asked), again.done()) == (1, False)
    released.set()
    assert again.result(5.0) == 7


def test_an_answer_is_good_for_a_while_a_failure_is_not() -> None:
    numbers = iter([ValueError("away"), 1, 2])

    def ask() -> int:
        found = next(numbers)
        if isinstance(found, Exception):
            raise found
        return found

    kept = Bounded[int]("kept", keep_s=60.0)
    with pytest.raises(ValueError, match="away"):
        kept.begin(ask).result(5.0)
    assert [kept.begin(ask).result(5.0) for _ in range(3)] == [1, 1, 1]
    fresh = Bounded[int]("fresh")
    assert fresh.begin(ask).result(5.0) == 2
    eventually(lambda: not any(thread.name in {"kept", "fresh"} for thread in threading.enumerate()))
