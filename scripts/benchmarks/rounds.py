"""Makes the runs: round after round, each scenario and then the plain design's counterpart, so that both meet the
same moments of a machine that others use too."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NoReturn

import redis
import requests
from hookline_client import ClientError
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from scripts.backends import BackendError

from . import cost, dashboard, flow, history, isolation
from .context import Context, Scenario
from .figures import FIGURES, NAIVE_RUNS
from .filters import filters
from .measure import Sample
from .memory import memory
from .naive import Naive
from .observability import observability
from .processes import BenchError
from .templates import templates

OURS: dict[str, Scenario] = {
    "throughput": flow.throughput,
    "single": flow.single,
    "latency": flow.latency,
    "fanout": flow.fanout,
    "matching": cost.matching,
    "filters": filters,
    "templates": templates,
    "idle": cost.idle,
    "memory": memory,
    "neighbours": isolation.neighbours,
    "endurance": isolation.endurance,
    "ordered": isolation.ordered,
    "limited": isolation.limited,
    "second": flow.second,
    "observability": observability,
    "libcurl": cost.libcurl,
    "logs": history.logs,
    "dashboard": dashboard.dashboard,
    "prune": history.prune,
}
LONG = {"logs", "dashboard", "prune", "endurance"}  # they load a history, or take their time
FAILURES = (
    BenchError,
    BackendError,
    ClientError,
    redis.RedisError,
    requests.RequestException,
    subprocess.SubprocessError,
    OSError,
)
Step = tuple[str, str, Scenario]  # whose, name, what to do


@dataclass(slots=True)
class Results:
    """The samples by scenario and by run of the plain design, and what went wrong."""

    ours: dict[str, list[Sample]] = field(default_factory=dict)
    naive: dict[str, list[Sample]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def run_rounds(steps: Sequence[Step], context: Context, console: Console) -> Results:
    """Make every step and return the results; a step that fails is noted, and the others are made all the same."""
    results = Results()
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(steps))
        for number, (whose, name, scenario) in enumerate(steps):
            progress.update(task, description=f"{whose} {name} ({number + 1} of {len(steps)})", completed=number)
            limit_s = context.sizes.long_limit_s if name in LONG else context.sizes.limit_s
            try:
                with time_limit(limit_s):
                    sample = scenario(replace(context, progress=partial(_show, progress, task, number)))
            except FAILURES as error:
                results.problems.append(f"{whose} {name}: {error}")
            else:
                (results.ours if whose == "hookline" else results.naive).setdefault(name, []).append(sample)
    return results


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise BenchError in the block where it takes longer than `seconds`. For the main thread, and not nested."""

    def end(number: int, frame: object) -> NoReturn:
        raise BenchError(f"given up after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _show(progress: Progress, task: TaskID, done: int, part: float) -> None:
    progress.update(task, completed=done + part)


def plan(scenarios: Sequence[str], runs: Sequence[str], rounds: int, naive: Naive) -> list[Step]:
    """Return the steps of `rounds` rounds: each of `scenarios`, followed by the `runs` that it is compared with."""
    return [step for _ in range(rounds) for step in _round(scenarios, runs, naive)]


def _round(scenarios: Sequence[str], runs: Sequence[str], naive: Naive) -> Iterator[Step]:
    left = list(runs)
    made: dict[str, Scenario] = {"deliveries": naive.deliveries, "latency": naive.latency, "fanout": naive.fanout}
    for name in scenarios:
        if name in OURS:
            yield "hookline", name, OURS[name]
        compared = [figure.naive[0] for figure in FIGURES if figure.naive and figure.scenario == name]
        for run in NAIVE_RUNS:
            if run in left and (run in compared or name == "naive"):
                left.remove(run)
                yield "naive", run, made[run]
