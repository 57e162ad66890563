"""Which figures there are, what they should reach, and how they come out of the samples. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .measure import Sample

Samples = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table: a figure of a scenario, and its counterpart in a run of the plain design.

    `ratio` asks for at least so many times the plain design's figure, `most` for no more than a value.
    """

    scenario: str
    title: str
    unit: str
    key: str
    naive: tuple[str, str] | None = None  # the plain design's run, and its figure
    more_is_better: bool = False
    ratio: float | None = None
    most: float | None = None


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
        unit="ms",
        key="p50",
        naive=("latency", "p50"),
        most=4,
    ),
    Figure(
        scenario="latency",
        title="publish sent to request arrived, p99",
        unit="ms",
        key="p99",
        naive=("latency", "p99"),
        most=10,
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
    Figure(scenario="matching", title="cost beside many : beside few", unit="x", key="growth", most=1.5),
    Figure(scenario="idle", title="an idle server's share of a core", unit="%", key="percent", most=2),
    Figure(scenario="memory", title="resident memory with requests in flight", unit="MB", key="rss_mb", most=200),
    Figure(scenario="ceiling", title="the driver straight to the receiver", unit="/s", key="rate"),
)

NAIVE_RUNS = ("deliveries", "latency", "fanout")
SCENARIOS = tuple(dict.fromkeys(figure.scenario for figure in FIGURES))


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
        if self.figure.most is not None:
            return None if self.ours is None else self.ours <= self.figure.most
        return None

    def as_dict(self) -> dict[str, Any]:
        """Return the line for the JSON file."""
        return {**asdict(self), "ratio": self.ratio, "reached": self.is_reached}


def lines(scenarios: Sequence[str], ours: Samples, naive: Samples) -> list[Line]:
    """Return the lines of `scenarios`, in the order of FIGURES."""
    return [_line(figure, ours, naive) for figure in FIGURES if figure.scenario in scenarios]


def _line(figure: Figure, ours: Samples, naive: Samples) -> Line:
    run, key = figure.naive or ("", "")
    samples = ours.get(figure.scenario, ())
    names = samples[0].cpu if samples else ()
    return Line(
        figure,
        median([sample.figures[figure.key] for sample in samples]),
        median([sample.figures[key] for sample in naive.get(run, ())]),
        {name: statistics.median(sample.cpu[name] for sample in samples) for name in names},
    )


def median(values: Sequence[float]) -> float | None:
    """Return the median of `values`, None where there is none."""
    return statistics.median(values) if values else None


def naive_runs_for(scenarios: Sequence[str]) -> list[str]:
    """Return the runs of the plain design that `scenarios` are compared with; all of them for the scenario `naive`."""
    if "naive" in scenarios:
        return list(NAIVE_RUNS)
    wanted = {figure.naive[0] for figure in FIGURES if figure.naive and figure.scenario in scenarios}
    return [run for run in NAIVE_RUNS if run in wanted]
