"""Which figures there are, what they should reach, and how they come out of the samples. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .measure import Sample

Samples = Mapping[str, Sequence[Sample]]
Targets = Mapping[tuple[str, str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table: a figure of a scenario, and its counterpart in a run of the plain design.

    `ratio` asks for at least so many times the plain design's figure, `most` for no more than a value, `least` for no
    less. `part_of` divides it by another scenario's figure. `broker` is given where only that one has it.
    """

    scenario: str
    title: str
    unit: str
    key: str
    naive: tuple[str, str] | None = None  # the plain design's run, and its figure
    more_is_better: bool = False
    ratio: float | None = None
    most: float | None = None
    least: float | None = None
    part_of: tuple[str, str] | None = None
    broker: str | None = None


FIGURES = (
    Figure(
        scenario="throughput",
        title="batches of 100, publish to log row",
        unit="/s",
        key="rate",
        naive=("deliveries", "rate"),
        more_is_better=True,
        ratio=10,
    ),
    Figure(
        scenario="throughput",
        title="as a part of what libcurl sends",
        key="rate",
        part_of=("libcurl", "rate"),
        broker="redis",
        least=0.2,
        unit="x",
    ),
    Figure(
        scenario="single",
        title="one event a call, 16 clients, publish to log row",
        unit="/s",
        key="rate",
        naive=("deliveries", "rate"),
        more_is_better=True,
        ratio=1.8,
    ),
    Figure(
        scenario="latency",
        title="publish sent to request arrived, p50",
        key="p50",
        naive=("latency", "p50"),
        most=4,
        unit="ms",
    ),
    Figure(
        scenario="latency",
        title="publish sent to request arrived, p99",
        key="p99",
        naive=("latency", "p99"),
        most=10,
        unit="ms",
    ),
    Figure(
        scenario="fanout",
        title="one event to many webhooks, all on record",
        unit="s",
        key="seconds",
        naive=("fanout", "seconds"),
        ratio=10,
    ),
    Figure(scenario="matching", title="publish an event beside few webhooks", unit="µs", key="cost_few"),
    Figure(scenario="matching", title="publish an event beside some webhooks", unit="µs", key="cost_some"),
    Figure(scenario="matching", title="publish an event beside many webhooks", unit="µs", key="cost_many"),
    Figure(scenario="matching", title="cost beside many : beside few", key="growth", most=1.5, unit="x"),
    Figure(scenario="filters", title="a filter, an event and webhook", unit="µs", key="cost", most=5),
    Figure(scenario="templates", title="a message for a chat's bot, the dearest", unit="µs", key="cost", most=100),
    Figure(scenario="templates", title="a CloudEvent", unit="µs", key="cost_cloudevents"),
    Figure(scenario="idle", title="an idle server's share of a core", unit="%", key="percent", most=2),
    Figure(scenario="memory", title="worker, requests in flight", unit="MB", key="rss_mb", most=200),
    Figure(
        scenario="memory",
        title="worker, messages waiting too",
        unit="MB",
        key="rss_waiting_mb",
        most=200,
        broker="redis",
    ),
    Figure(scenario="neighbours", title="latency alone, p50", key="p50_alone", unit="ms"),
    Figure(scenario="neighbours", title="latency alone, p99", key="p99_alone", unit="ms"),
    Figure(scenario="neighbours", title="healthy ones' throughput alone", key="rate_alone", unit="/s"),
    Figure(scenario="neighbours", title="beside one in five that hangs", key="rate", unit="/s"),
    Figure(scenario="neighbours", title="beside them : alone", key="kept", least=0.85, unit="x"),
    Figure(scenario="neighbours", title="latency beside them, p50", key="hanging_p50", unit="ms"),
    Figure(scenario="neighbours", title="latency beside them, p99", key="hanging_p99", unit="ms"),
    Figure(scenario="neighbours", title="p99 beside them : alone", key="hanging_growth", most=2, unit="x"),
    Figure(scenario="neighbours", title="latency beside a backlog, p50", key="backlog_p50", unit="ms"),
    Figure(scenario="neighbours", title="latency beside a backlog, p99", key="backlog_p99", unit="ms"),
    Figure(scenario="neighbours", title="p99 beside it : alone", key="backlog_growth", most=1.5, unit="x"),
    Figure(scenario="neighbours", title="growth of the worker by it", key="rss_growth_mb", unit="MB"),
    Figure(scenario="endurance", title="the worker's memory after ten minutes", key="rss_mb", unit="MB"),
    Figure(scenario="endurance", title="grown since the second minute", key="growth_mb", most=5, unit="MB"),
    Figure(scenario="ordered", title="throughput over 1,000 keys, unordered", key="unordered", unit="/s"),
    Figure(scenario="ordered", title="in order", key="ordered", unit="/s"),
    Figure(scenario="ordered", title="in order : unordered", key="kept", least=0.6, unit="x"),
    Figure(scenario="ordered", title="one key : as fast as its receiver answers", key="one_key", unit="x"),
    Figure(scenario="limited", title="requests in the time", key="requests", unit=""),
    Figure(scenario="limited", title="off the limit", key="off_percent", most=5, unit="%"),
    Figure(scenario="second", title="throughput, one worker process", unit="/s", key="one", broker="redis"),
    Figure(scenario="second", title="throughput, two worker processes", unit="/s", key="two", broker="redis"),
    Figure(scenario="second", title="two : one", key="growth", least=1.3, broker="redis", unit="x"),
    Figure(scenario="observability", title="throughput without metrics and logs", unit="/s", key="rate_off"),
    Figure(scenario="observability", title="with metrics and JSON logs", unit="/s", key="rate"),
    Figure(scenario="observability", title="with them : without", key="kept", least=0.95, unit="x"),
    Figure(scenario="observability", title="CPU time with them : without", key="growth", most=1.05, unit="x"),
    Figure(scenario="libcurl", title="a bare loop straight to the receiver", unit="/s", key="rate"),
    Figure(scenario="logs", title="first page and count, p50", key="p50", unit="ms"),
    Figure(scenario="logs", title="first page and count, p99", key="p99", most=50, unit="ms"),
    Figure(scenario="logs", title="first page of the failures, p99", key="failed_p99", unit="ms"),
    Figure(scenario="logs", title="page in the middle, p50", key="deep_p50", unit="ms"),
    Figure(scenario="logs", title="loading the history", unit="s", key="loading_s"),
    Figure(scenario="dashboard", title="overview, slowest range, p50", key="overview_p50", unit="ms"),
    Figure(scenario="dashboard", title="overview, slowest range, p95", key="overview_p95", most=100, unit="ms"),
    Figure(scenario="dashboard", title="list of logs, p95", key="logs_p95", most=100, unit="ms"),
    Figure(scenario="dashboard", title="list of failures, p95", key="failures_p95", most=100, unit="ms"),
    Figure(scenario="dashboard", title="list by a trigger that none has, p95", key="trigger_p95", most=100, unit="ms"),
    Figure(scenario="dashboard", title="list by a text that none has, p95", key="text_p95", most=100, unit="ms"),
    Figure(scenario="prune", title="rows pruned", unit="/s", key="pruned", least=20_000),
    Figure(scenario="prune", title="throughput without pruning", unit="/s", key="rate_alone"),
    Figure(scenario="prune", title="throughput beside it", unit="/s", key="rate"),
    Figure(scenario="prune", title="throughput beside it : without", key="kept", least=0.7, unit="x"),
)

# What differs from the targets above, which are those of the embedded server: by database, then scenario and figure.
_NO_LIMIT = {"ratio": None, "most": None}
_WITH_REDIS: Targets = {
    ("throughput", "rate"): {"ratio": 15},
    ("single", "rate"): {"ratio": 2.5},
    ("fanout", "seconds"): {"ratio": 15},
    ("idle", "percent"): _NO_LIMIT,
}
_WITH_REDIS_AND: Mapping[str, Targets] = {
    "sqlite": {},
    "postgres": {("latency", "p50"): {"most": 3.5}, ("latency", "p99"): {"most": 6}},
    "mariadb": {
        ("throughput", "rate"): _NO_LIMIT,  # the plain design's SQLite pays no fsync a row, MariaDB does
        ("latency", "p50"): {"most": 6},
        ("latency", "p99"): {"most": 15},
    },
}

NAIVE_RUNS = ("deliveries", "latency", "fanout")
SCENARIOS = tuple(dict.fromkeys(figure.scenario for figure in FIGURES))
WITH_REDIS_ONLY = {name for name in SCENARIOS if all(f.broker == "redis" for f in FIGURES if f.scenario == name)}


def figures_of(db: str, broker: str) -> tuple[Figure, ...]:
    """Return the figures that a server on `db` and `broker` has, with the targets that it should reach."""
    found = [figure for figure in FIGURES if figure.broker in (None, broker)]
    if broker != "redis":
        return tuple(found)
    targets = {**_WITH_REDIS, **_WITH_REDIS_AND[db]}
    return tuple(replace(figure, **_target(figure, targets)) for figure in found)


def _target(figure: Figure, targets: Targets) -> Mapping[str, Any]:
    """Return the limits of `figure` that `targets` sets; that of a part or a share is its own."""
    return {} if figure.part_of else targets.get((figure.scenario, figure.key), {})


@dataclass(frozen=True, slots=True)
class Line:
    """A figure with its values: medians over the samples. `cpu` is the share of a core of each process of ours."""

    figure: Figure
    ours: float | None
    naive: float | None
    cpu: Mapping[str, float]

    @property
    def ratio(self) -> float | None:
        """How many times as good ours is as the plain design's; None where either is missing."""
        if not self.ours or not self.naive:
            return None
        return self.ours / self.naive if self.figure.more_is_better else self.naive / self.ours

    @property
    def is_reached(self) -> bool | None:
        """Whether the target is reached; None where there is none, or nothing to compare with it."""
        if self.figure.ratio is not None:
            return None if self.ratio is None else self.ratio >= self.figure.ratio
        if self.ours is None:
            return None
        if self.figure.most is not None:
            return self.ours <= self.figure.most
        return None if self.figure.least is None else self.ours >= self.figure.least

    def as_dict(self) -> dict[str, Any]:
        """Return the line for the JSON file."""
        return {**asdict(self), "ratio": self.ratio, "reached": self.is_reached}


def lines(figures: Sequence[Figure], scenarios: Sequence[str], ours: Samples, naive: Samples) -> list[Line]:
    """Return the lines of `scenarios`, in the order of `figures`."""
    return [_line(figure, ours, naive) for figure in figures if figure.scenario in scenarios]


def _line(figure: Figure, ours: Samples, naive: Samples) -> Line:
    samples = ours.get(figure.scenario, ())
    names = samples[0].cpu if samples else ()
    value = _median_of(ours, figure.scenario, figure.key)
    if figure.part_of and value is not None:
        whole = _median_of(ours, *figure.part_of)
        value = value / whole if whole else None
    plain = _median_of(naive, *figure.naive) if figure.naive else None
    shares = {name: statistics.median(sample.cpu[name] for sample in samples) for name in names}
    return Line(figure, value, plain, shares)


def _median_of(samples: Samples, run: str, key: str) -> float | None:
    return median([sample.figures[key] for sample in samples.get(run, ())])


def median(values: Sequence[float]) -> float | None:
    """Return the median of `values`, None where there is none."""
    return statistics.median(values) if values else None


def naive_runs_for(scenarios: Sequence[str]) -> list[str]:
    """Return the runs of the plain design that `scenarios` are compared with; all of them for the scenario `naive`."""
    if "naive" in scenarios:
        return list(NAIVE_RUNS)
    wanted = {figure.naive[0] for figure in FIGURES if figure.naive and figure.scenario in scenarios}
    return [run for run in NAIVE_RUNS if run in wanted]
