"""What a run is given: how much to do, where to keep its files, whom to tell how far it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .driver import Load
from .measure import Sample
from .parts import Progress


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
    idle_s: float
    in_flight: int
    slow_answer_s: float
    timeout_s: float


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
    idle_s=20.0,
    in_flight=500,
    slow_answer_s=3.0,
    timeout_s=120.0,
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
    idle_s=0.5,
    in_flight=40,
    slow_answer_s=0.5,
    timeout_s=30.0,
)


def latency_load(sizes: Sizes) -> Load:
    """Return the load of the latency runs, the same for both designs."""
    return Load(connections=4, events=sizes.latency_events, repositories=sizes.webhooks, pace=sizes.latency_pace)


@dataclass(frozen=True, slots=True)
class Context:
    """One run's: its files go to `scratch`; `progress` is told the part that is done, from 0 to 1."""

    scratch: Path
    sizes: Sizes
    progress: Progress


Scenario = Callable[[Context], Sample]
