"""What a run is given: how much to do, where to keep its files, whom to tell how far it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .driver import Load
from .measure import Sample
from .parts import Progress, ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What the server under test is made of; the numbers are those of processes, and of no account without Redis."""

    db: str = "sqlite"
    broker: str = "memory"
    workers: int = 1
    web: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much a run does. `naive_messages` is the plain design's share: it is slower, and needs no more."""

    webhooks: int
    throughput_events: int
    single_events: int
    single_clients: int
    naive_messages: int
    latency_events: int
    latency_pace: float
    fanout_webhooks: int
    fanout_turns: int
    matching_webhooks: tuple[int, ...]
    matching_calls: int
    matching_turns: int
    filter_events: int
    template_renderings: int
    idle_s: float
    in_flight: int
    slow_answer_s: float
    waiting_messages: int
    bare_calls: int
    observability_turns: int
    neighbour_backlog: int
    endurance_s: float
    log_rows: int
    log_pages: int
    counting_s: float
    prune_rows: int
    timeout_s: float  # of a wait
    limit_s: float  # of a scenario
    long_limit_s: float  # of one that loads a history


FULL = Sizes(
    webhooks=200,
    throughput_events=20_000,
    single_events=6_000,
    single_clients=16,
    naive_messages=4_000,
    latency_events=300,
    latency_pace=20.0,
    fanout_webhooks=1_000,
    fanout_turns=5,
    matching_webhooks=(10, 1_000, 100_000),
    matching_calls=20,
    matching_turns=6,
    filter_events=1_000,
    template_renderings=2_000,
    idle_s=20.0,
    in_flight=512,
    slow_answer_s=3.0,
    waiting_messages=1_000_000,
    bare_calls=50_000,
    observability_turns=10,
    neighbour_backlog=100_000,
    endurance_s=600.0,
    log_rows=10_000_000,
    log_pages=200,
    counting_s=600.0,
    prune_rows=1_000_000,
    timeout_s=120.0,
    limit_s=600.0,
    long_limit_s=5_400.0,
)

QUICK = Sizes(
    webhooks=5,
    throughput_events=400,
    single_events=100,
    single_clients=16,
    naive_messages=100,
    latency_events=10,
    latency_pace=50.0,
    fanout_webhooks=20,
    fanout_turns=2,
    matching_webhooks=(10, 100, 1_000),
    matching_calls=2,
    matching_turns=1,
    filter_events=20,
    template_renderings=20,
    idle_s=0.5,
    in_flight=40,
    slow_answer_s=0.5,
    waiting_messages=1_000,
    bare_calls=500,
    observability_turns=2,
    neighbour_backlog=100,
    endurance_s=1.0,
    log_rows=400,
    log_pages=5,
    counting_s=30.0,
    prune_rows=4_000,
    timeout_s=30.0,
    limit_s=90.0,
    long_limit_s=90.0,
)


def latency_load(sizes: Sizes) -> Load:
    """Return the load of the latency runs, the same for both designs."""
    return Load(connections=4, events=sizes.latency_events, repositories=sizes.webhooks, pace=sizes.latency_pace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One run's: its files go to `scratch`; `progress` is told the part that is done, from 0 to 1.

    `versions` collects those of the servers that were started.
    """

    scratch: Path
    sizes: Sizes
    deployment: Deployment = Deployment()
    progress: Progress = ignore
    versions: dict[str, str] = field(default_factory=dict)


Scenario = Callable[[Context], Sample]
