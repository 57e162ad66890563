"""A row of small bars: the attempts at a webhook by hour. Pure; the template draws it as SVG."""

from collections.abc import Sequence
from typing import NamedTuple

from app.webhook_list import Hour

HEIGHT = 24
STEP = 5  # from bar to bar
WIDTH = 4
LEAST = 2  # a single failure among thousands is seen too


class Bar(NamedTuple):
    """An hour: where it is, and how high its two parts are; the failures stand on the successes."""

    x: int
    good: int
    bad: int


class Sparkline(NamedTuple):
    """The bars, and the sums that say the same in words."""

    bars: list[Bar]
    succeeded: int
    failed: int
    width: int
    height: int = HEIGHT


def sparkline(hours: Sequence[Hour]) -> Sparkline:
    """Return the bars of `hours`, the highest as high as the picture."""
    most = max((hour.succeeded + hour.failed for hour in hours), default=0)
    bars = [_bar(place * STEP, hour, most) for place, hour in enumerate(hours)]
    succeeded, failed = sum(hour.succeeded for hour in hours), sum(hour.failed for hour in hours)
    return Sparkline(bars, succeeded, failed, len(hours) * STEP - (STEP - WIDTH))


def _bar(x: int, hour: Hour, most: int) -> Bar:
    bad = _height(hour.failed, most)
    return Bar(x, min(_height(hour.succeeded, most), HEIGHT - bad), bad)


def _height(number: int, most: int) -> int:
    return max(LEAST, number * HEIGHT // most) if number else 0
