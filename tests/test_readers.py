"""Places for those who read along live."""

import threading

import pytest

from app.readers import Readers, most_readers


@pytest.mark.parametrize(("threads", "most"), [(1, 0), (2, 1), (3, 1), (4, 1), (8, 2), (16, 4), (256, 64)])
def test_a_quarter_of_the_threads_reads_and_never_all(threads: int, most: int) -> None:
    assert most_readers(threads) == most


def test_a_place_is_taken_once_and_given_back_once() -> None:
    readers = Readers(2)
    first, second = readers.enter(), readers.enter()
    assert first is not None
    assert second is not None
    assert readers.enter() is None
    first.leave()
    first.leave()
    assert readers.enter() is not None
    assert readers.enter() is None


def test_at_the_end_nobody_waits_and_nobody_enters() -> None:
    readers = Readers(2)
    assert readers.wait(0) is False
    waiting = threading.Thread(target=readers.wait, args=(60,))
    waiting.start()
    readers.end()
    waiting.join(10)
    assert not waiting.is_alive()
    assert readers.enter() is None
