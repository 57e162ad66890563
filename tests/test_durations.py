"""Buckets of durations, and percentiles out of them, against the durations themselves."""

import sqlite3
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.durations import BOUNDS, BUCKET_SQL, bucket_of, percentile

DURATIONS = st.integers(0, 40_000)


def test_bounds_rise_and_are_ten_a_decade_and_narrow_ones_past_time_outs() -> None:
    assert list(BOUNDS) == sorted(set(BOUNDS))
    assert [sum(low < bound <= 10 * low for bound in BOUNDS) for low in (10, 100, 1_000)] == [10, 10, 14]
    assert max(high / low for low, high in pairwise(BOUNDS[6:])) < 1.34
    for timeout in (1_000, 5_000, 10_000, 15_000, 30_000):
        found = percentile({bucket_of(timeout + 7): 100}, 0.99)
        assert found == pytest.approx(timeout, rel=0.03)


@given(duration=DURATIONS)
def test_a_bucket_reaches_up_to_its_bound(duration: int) -> None:
    bucket = bucket_of(duration)
    assert bucket == len(BOUNDS) or duration <= BOUNDS[bucket]
    assert bucket == 0 or duration > BOUNDS[bucket - 1]


def test_the_database_puts_durations_into_the_same_buckets() -> None:
    durations = sorted({value for bound in BOUNDS for value in (bound - 1, bound, bound + 1)} | {10**9})
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE log (duration_ms INTEGER)")
        connection.executemany("INSERT INTO log VALUES (?)", [(value,) for value in durations])
        found = dict(connection.execute(f"SELECT duration_ms, {BUCKET_SQL} FROM log"))
    connection.close()
    assert found == {value: bucket_of(value) for value in durations}


@given(durations=st.lists(DURATIONS, min_size=1, max_size=200), fraction=st.sampled_from((0.5, 0.95, 0.99, 1.0)))
def test_a_percentile_lies_in_the_bucket_of_the_one_among_the_durations(durations: list[int], fraction: float) -> None:
    found = percentile(Counter(map(bucket_of, durations)), fraction)
    assert found is not None
    durations.sort()
    # The nearest rank, or the one before it where the fraction falls right between two.
    exact = {durations[max(0, min(len(durations) - 1, int(len(durations) * fraction - shift)))] for shift in (0.001, 1)}
    buckets = {bucket_of(value) for value in exact}
    low = min(BOUNDS[bucket - 1] if bucket else 0 for bucket in buckets)
    high = max(BOUNDS[min(bucket, len(BOUNDS) - 1)] for bucket in buckets)
    assert low <= found <= high


@pytest.mark.parametrize(
    ("numbers", "fraction", "expected"),
    [
        ({}, 0.5, None),
        ({3: 0}, 0.5, None),
        ({bucket_of(12): 1}, 0.5, 11.0),
        ({bucket_of(12): 100}, 0.99, 11.98),
        ({bucket_of(12): 50, bucket_of(100): 50}, 0.5, 12.0),
        ({bucket_of(12): 50, bucket_of(100): 50}, 0.75, 90.0),
        ({bucket_of(31_000): 9}, 0.99, 30_900.0),
        ({0: 4}, 0.5, 0.5),
    ],
)
def test_percentiles_are_interpolated(numbers: dict[int, int], fraction: float, expected: float | None) -> None:
    assert percentile(numbers, fraction) == (None if expected is None else pytest.approx(expected))
