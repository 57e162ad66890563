"""What the scenarios share: a sample, shares of a core, a log that fills, a paced load, percentiles."""

import contextlib
import math
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .driver import Load
from .parts import Progress, Receiver, driving
from .processes import BenchError, Helper, Process

POLL_S = 0.005  # only after the last request has arrived, so it disturbs nothing
# What a fresh server gets before the events that count: the first calls load code, check a password, open connections.
WARM_UP = Load(connections=1, events=20, first=90_000_000, first_repository=90_000_000)
Watched = Mapping[str, Helper | Process]


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


class LogTable:
    """A table of log rows in a SQLite file, read while others write to it."""

    def __init__(self, path: Path, table: str) -> None:
        self._path = path
        self._table = table

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what `sql` finds."""
        with self._open() as connection:
            return connection.execute(sql).fetchall()

    def wait(self, rows: int, timeout_s: float) -> int:
        """Wait until `rows` rows are committed and return the time, in nanoseconds of the system's clock.

        Raises BenchError when they are not after `timeout_s` seconds, or when an attempt among them failed.
        """
        deadline, count = time.monotonic() + timeout_s, f"SELECT count(*) FROM {self._table}"
        with self._open() as connection:
            while (found := connection.execute(count).fetchone()[0]) < rows:
                if time.monotonic() > deadline:
                    raise BenchError(f"{found} of {rows} log rows are committed after {timeout_s:.0f} s")
                time.sleep(POLL_S)
            now = time.time_ns()
        statuses = dict(self.rows(f"SELECT status, count(*) FROM {self._table} GROUP BY status"))
        if statuses != {"SUCCESS": rows}:
            raise BenchError(f"{rows} attempts that succeed were expected, and these are on record: {statuses}")
        return now

    def _open(self) -> "contextlib.closing[sqlite3.Connection]":
        return contextlib.closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10))


def paced(load: Load, receiver: Receiver, watched: Watched, progress: Progress) -> Sample:
    """Run `load`, which has a pace, and take the latency from sending an event's call to the event's arrival.

    The figures are `p50` and `p99` in milliseconds. Requests that the receiver got before do not matter.
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
    return Sample(figures, cpu, {"events": load.events, "publish_p99_ms": percentile(outcome.latencies_ms, 0.99)})


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
