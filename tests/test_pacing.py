"""When requests to a webhook with a rate limit may start."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pacing import SECOND_US, Wish, default_burst, delays_ms, due_after, reserve

NOW_US = 1_700_000_000_000_000
DAY_US = 86_400 * SECOND_US


class Pace:
    """One webhook's slots, as a caller with a clock of whole microseconds gets them."""

    def __init__(self, next_us: int = 0) -> None:
        self.next_us = next_us

    def ask(self, wish: Wish, now_us: int = NOW_US) -> list[int]:
        reservation = reserve(self.next_us, now_us, wish)
        if reservation.granted:
            self.next_us = due_after(reservation, now_us, wish.rate)
        return delays_ms(reservation, wish.rate)


def test_after_idleness_a_burst_starts_at_once_and_the_others_an_interval_apart() -> None:
    assert Pace().ask(Wish(50, 3, 7, 1_000)) == [0, 0, 0, 20, 40, 60, 80]


@given(st.integers(1, 10_000), st.integers(1, 2_000))
def test_the_whole_burst_starts_at_once(rate: int, burst: int) -> None:
    assert Pace().ask(Wish(rate, burst, burst + 1)) == [0] * burst


def test_it_grants_what_starts_within_the_horizon_and_no_more_than_is_wanted() -> None:
    pace = Pace()
    assert pace.ask(Wish(50, 1, 100, 60)) == [0, 20, 40, 60]
    assert pace.ask(Wish(50, 1, 100, 79)) == []
    assert pace.ask(Wish(50, 1, 100, 80)) == [80]
    assert pace.ask(Wish(50, 1, 0, 1_000)) == []
    assert pace.ask(Wish(50, 1, 2, 1_000)) == [100, 120]


def test_without_a_horizon_it_grants_what_may_start_at_once() -> None:
    pace = Pace()
    assert pace.ask(Wish(50, 5, 9)) == [0] * 5
    assert pace.ask(Wish(50, 5, 9), NOW_US + 19_999) == []
    assert pace.ask(Wish(50, 5, 9), NOW_US + 20_000) == [0]


def test_unused_time_is_saved_up_to_a_burst() -> None:
    pace = Pace()
    pace.ask(Wish(10, 4, 4))
    assert pace.ask(Wish(10, 4, 9), NOW_US + 250_000) == [0, 0]
    assert pace.ask(Wish(10, 4, 9), NOW_US + DAY_US) == [0] * 4


def test_delays_are_rounded_up_to_whole_milliseconds() -> None:
    assert Pace().ask(Wish(3, 1, 4, 1_000)) == [0, 334, 667, 1_000]
    assert Pace().ask(Wish(10_000, 1, 12, 10)) == [0, *[1] * 10, 2]


def test_a_slot_is_reserved_a_minute_ahead_at_most() -> None:
    assert Pace().ask(Wish(1, 1, 100, 3_600_000)) == [second * 1_000 for second in range(61)]


@pytest.mark.parametrize("rate", [1, 3, 7, 50, 7_777, 9_999, 10_000])
def test_no_rate_drifts(rate: int) -> None:
    """A caller that asks each hundredth of a second gets all of a minute's slots, but for a part in a thousand."""
    pace = Pace()
    granted = sum(len(pace.ask(Wish(rate, 1, rate, 10), NOW_US + tick * 10_000)) for tick in range(6_000))
    assert 60 * rate * 0.999 <= granted <= 60 * rate + 1 + rate / 100


@pytest.mark.parametrize(("old", "new"), [((1, 3_600), (100, 10)), ((1, 1), (1_000, 100)), ((10_000, 1), (1, 1))])
def test_a_changed_rate_counts_at_once_and_past_bursts_are_not_held_against_it(
    old: tuple[int, int], new: tuple[int, int]
) -> None:
    pace = Pace()
    pace.ask(Wish(*old, 1_000_000, 1_000))
    first, second = pace.ask(Wish(*new, 2, 4_000))
    assert first <= 2_000
    assert second - first == 1_000 // new[0]


def test_a_clock_that_was_set_back_does_not_hold_a_webhook_up() -> None:
    pace = Pace(NOW_US + DAY_US)
    assert pace.ask(Wish(50, 5, 3, 1_000)) == [0, 20, 40]


def test_callers_that_ask_in_turn_get_equal_shares() -> None:
    pace = Pace()
    shares = dict.fromkeys("abcd", 0)
    for turn in range(1_000):
        shares["abcd"[turn % 4]] += len(pace.ask(Wish(50, 1, 3, 100), NOW_US + turn * 20_000))
    assert max(shares.values()) - min(shares.values()) <= 3
    assert sum(shares.values()) == 1_000 + 5


@pytest.mark.parametrize(("rate", "burst"), [(1, 1), (9, 1), (19, 1), (20, 2), (50, 5), (10_000, 1_000)])
def test_the_burst_is_a_tenth_of_the_rate_and_at_least_one(rate: int, burst: int) -> None:
    assert default_burst(rate) == burst


class Call(tuple[int, int, int]):
    """Milliseconds since the call before, slots wanted, horizon in milliseconds."""


calls = st.lists(
    st.builds(Call, st.tuples(st.integers(0, 400), st.integers(0, 60), st.integers(0, 1_000))), min_size=1, max_size=25
)


def starts(rate: int, burst: int, made: Sequence[Call]) -> Iterator[int]:
    """Yield when the slots of all calls start, in milliseconds."""
    pace, now = Pace(), NOW_US // 1000
    for pause, wanted, horizon in made:
        now += pause
        for delay in pace.ask(Wish(rate, burst, wanted, horizon), now * 1000):
            assert delay <= horizon
            yield now + delay


@given(st.integers(1, 10_000), st.integers(1, 40), calls)
def test_no_window_of_time_holds_more_than_the_rate_and_a_burst(rate: int, burst: int, made: Sequence[Call]) -> None:
    slots = list(starts(rate, burst, made))
    assert slots == sorted(slots)
    for first, start in enumerate(slots):
        for last in range(first, len(slots)):
            window_ms = slots[last] - start + 1
            assert (last - first + 1) * 1_000 <= window_ms * rate + burst * 1_000


@given(st.integers(1, 10_000), st.integers(1, 40), calls)
def test_what_is_refused_would_have_started_after_the_horizon(rate: int, burst: int, made: Sequence[Call]) -> None:
    next_us, now_us = 0, NOW_US
    for pause, wanted, horizon in made:
        now_us += pause * 1000
        found = reserve(next_us, now_us, Wish(rate, burst, wanted, horizon))
        following = due_after(found, now_us, rate)
        assert found.granted == wanted or following > now_us + horizon * 1000
        next_us = following if found.granted else next_us
