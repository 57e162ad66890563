"""Ranges of time in steps, and what the attempts of a step or a range come to. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.durations import percentile
from app.fields import one_of
from app.log_stats import DAY_MS
from app.log_steps import HOUR_MS, MINUTE_MS
from app.models import ERROR, FAIL, SUCCESS

Tally = Counter[tuple[str, int]]  # attempts by status and bucket of duration
Cell = tuple[int, str, int, int]  # when a step or a part of one begins, status, bucket, number


class Range(NamedTuple):
    """A length of time up to the present, in milliseconds, and the steps that it is shown in.

    `span_ms` is by which of the spans of app.log_stats it is read.
    """

    name: str
    length_ms: int
    step_ms: int
    span_ms: int


RANGES = {
    found.name: found
    for found in (
        Range("1h", HOUR_MS, MINUTE_MS, MINUTE_MS),
        Range("6h", 6 * HOUR_MS, 5 * MINUTE_MS, MINUTE_MS),
        Range("24h", DAY_MS, HOUR_MS, HOUR_MS),
        Range("7d", 7 * DAY_MS, 3 * HOUR_MS, HOUR_MS),
        Range("30d", 30 * DAY_MS, DAY_MS, DAY_MS),
    )
}
DEFAULT = RANGES["24h"]


def range_of(given: Mapping[str, str]) -> Range:
    """Return what the parameter `range` says, 24 hours where it is not given. Raises BadRequest."""
    return RANGES[one_of("range", given["range"], RANGES)] if given.get("range") else DEFAULT


class Frame(NamedTuple):
    """A range at a moment: whole steps, and the one under way."""

    chosen: Range
    start: int
    now: int

    @property
    def starts(self) -> range:
        """When each step begins; the last is under way."""
        return range(self.start, self.now + 1, self.chosen.step_ms)

    def step_of(self, at: int) -> int:
        """Return when the step begins that `at` is in; what is outside, since clocks differ, goes to the nearest."""
        return min(max(at, self.start), self.now) // self.chosen.step_ms * self.chosen.step_ms


def frame_at(now: int, chosen: Range) -> Frame:
    """Return the frame of a range that ends `now`."""
    return Frame(chosen, now // chosen.step_ms * chosen.step_ms - chosen.length_ms, now)


class Summary(NamedTuple):
    """What attempts come to. The percentiles are milliseconds, None where there were no attempts."""

    success: int
    fail: int
    error: int
    p50: float | None
    p95: float | None
    p99: float | None

    @property
    def total(self) -> int:
        """All attempts."""
        return self.success + self.fail + self.error

    @property
    def success_rate(self) -> float | None:
        """The part of the attempts that succeeded, None where there were none."""
        return self.success / self.total if self.total else None


class Point(NamedTuple):
    """A step: when it begins, and what its attempts come to."""

    at: int
    summary: Summary


class Comparison(NamedTuple):
    """A range without the step under way, and as long a time before it."""

    now: Summary
    before: Summary


def summary_of(tally: Tally) -> Summary:
    """Return what attempts come to. An ERROR was never sent, so it has no part in the durations."""
    by_status: Counter[str] = Counter()
    durations: Counter[int] = Counter()
    for (status, bucket), number in tally.items():
        by_status[status] += number
        if status != ERROR:
            durations[bucket] += number
    percentiles = (percentile(durations, fraction) for fraction in (0.5, 0.95, 0.99))
    return Summary(by_status[SUCCESS], by_status[FAIL], by_status[ERROR], *percentiles)


def tallies_of(frame: Frame, cells: Iterable[Cell]) -> dict[int, Tally]:
    """Return the attempts of `cells` by step."""
    found: dict[int, Tally] = {}
    for at, status, bucket, number in cells:
        found.setdefault(frame.step_of(at), Counter())[status, bucket] += number
    return found


def sum_of(tallies: Iterable[Tally]) -> Tally:
    """Return all attempts of `tallies`."""
    total: Tally = Counter()
    for tally in tallies:
        total.update(tally)
    return total


def relative_change(now: float | None, before: float | None) -> float | None:
    """Return by what part of `before` it has grown, None where there was nothing to grow from."""
    return None if now is None or not before else now / before - 1
