"""Durations by bucket, and percentiles of what is in the buckets. Pure.

Ten buckets a decade, up to the longest time-out that a webhook may have: some fifty numbers stand for any number of
logs, and a percentile is at most a third off, mostly by far less. What a time-out ended lasted a little longer than
that: the usual ones have a narrow bucket of their own, so that a percentile does not claim what they rule out.
"""

from bisect import bisect_left
from collections.abc import Mapping

_EVEN = (
    *(1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400, 500, 600, 800),
    *(1_000, 1_200, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000, 12_000, 15_000, 20_000, 25_000),
    30_000,
)
_PAST_TIME_OUTS = (1_030, 2_060, 3_090, 5_150, 10_300, 15_450, 20_600, 30_900)
# What a bucket reaches up to, in milliseconds, that included; the last bucket has none. Rows hold the numbers of
# buckets: other bounds would need a migration.
BOUNDS = tuple(sorted((*_EVEN, *_PAST_TIME_OUTS)))
# The same in SQL, for the column `duration_ms`. Without parameters, so that SELECT and GROUP BY agree on it.
_CASES = [f"WHEN duration_ms <= {bound} THEN {bucket}" for bucket, bound in enumerate(BOUNDS)]
BUCKET_SQL = f"CASE {' '.join(_CASES)} ELSE {len(BOUNDS)} END"


def bucket_of(duration_ms: int) -> int:
    """Return the bucket of a duration."""
    return bisect_left(BOUNDS, duration_ms)


def percentile(numbers: Mapping[int, int], fraction: float) -> float | None:
    """Return the milliseconds that `fraction` (from 0 to 1) of the durations in `numbers`, by bucket, do not exceed.

    Within its bucket they are taken to be spread evenly; past the last bound it is that bound. None where there are no
    durations.
    """
    wanted, passed = fraction * sum(numbers.values()), 0
    for bucket in sorted(bucket for bucket, number in numbers.items() if number):
        number = numbers[bucket]
        if passed + number >= wanted:
            return _inside(bucket, (wanted - passed) / number)
        passed += number
    return None


def _inside(bucket: int, part: float) -> float:
    low = BOUNDS[bucket - 1] if bucket else 0
    high = BOUNDS[bucket] if bucket < len(BOUNDS) else low
    return low + (high - low) * part
