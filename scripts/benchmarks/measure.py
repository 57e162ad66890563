"""What the scenarios share: a sample, shares of a core, a paced load, percentiles."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .driver import Load
from .parts import Progress, Receiver, driving
from .processes import BenchError, Family

# What a fresh server gets before the events that count: the first calls load code, check a password, open connections.
WARM_UP = Load(connections=1, events=20, first=90_000_000, first_repository=90_000_000)
Watched = Mapping[str, Family]


@dataclass(slots=True)
class Sample:
    """One measured run: the figures by name, and the share of a core that each process took while it was measured."""

    figures: dict[str, float]
    cpu: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


class CpuClock:
    """Shares of a core, from `start` to `shares`."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._start_s = time.monotonic()
        self._before = self._read()

    def shares(self) -> dict[str, float]:
        """Return the share of a core that each process took since the start: 1.0 is one core."""
        elapsed = time.monotonic() - self._start_s
        return {name: (value - self._before[name]) / elapsed for name, value in self._read().items()}

    def _read(self) -> dict[str, float]:
        return {name: process.cpu_s() for name, process in self._watched.items()}


def paced(load: Load, receiver: Receiver, watched: Watched, progress: Progress) -> Sample:
    """Run `load`, which has a pace, and take the latency from sending an event's call to the event's arrival.

    The figures are `p50` and `p99` in milliseconds; the details have all, in the order of sending. Requests that the
    receiver got before do not matter.
    """
    expected = int(receiver.stats()["count"]) + load.events
    receiver.expect(expected)
    with driving(load) as driver:
        clock = CpuClock({**watched, "driver": driver})
        driver.start()
        receiver.wait(expected, load.timeout_s, progress, driver.check)
        outcome, cpu = driver.finish(), clock.shares()
    found = latencies_ms(outcome.sent_ns, receiver.stats()["arrived"])
    figures = {"p50": percentile(found, 0.5), "p99": percentile(found, 0.99)}
    details = {
        "events": load.events,
        "publish_p99_ms": percentile(outcome.latencies_ms, 0.99),
        "latencies_ms": [round(value, 3) for value in found],
    }
    return Sample(figures, cpu, details)


def latencies_ms(sent_ns: Mapping[str, int], arrived_ns: Mapping[str, int]) -> list[float]:
    """Return the time from sending each event to its arrival, in ms. Raises BenchError where one did not arrive."""
    lost = len(sent_ns.keys() - arrived_ns.keys())
    if lost:
        raise BenchError(f"{lost} of {len(sent_ns)} events did not arrive")
    return [(arrived_ns[mark] - sent) / 1e6 for mark, sent in sent_ns.items()]


def percentile(values: Sequence[float], fraction: float) -> float:
    """Return the value that `fraction` of `values` do not exceed (nearest rank); NaN where there is none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(fraction * len(values)) - 1)]
