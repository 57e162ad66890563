"""The gauges that are read when somebody asks for metrics: from the database and from the queue.

Both may be away or hang: then the rest is shown, and a gauge says so.
"""

import logging
import platform
from collections.abc import Iterator
from concurrent.futures import Future
from importlib.metadata import version
from time import monotonic
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.bounded import Bounded
from app.clock import now_ms
from app.errors import ServiceUnavailable
from app.outstanding import STATES
from app.queue import DELIVERIES, EVENTS, Broker
from app.service_state import ServiceState, service_state

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

KEEP_S = 5.0
PATIENCE_S = 2.0


class Questions:
    """What is asked for all who want metrics."""

    def __init__(self) -> None:
        self.database = Bounded[ServiceState]("metrics-database", KEEP_S)
        self.queue = Bounded[dict[str, int]]("metrics-queue", KEEP_S)


class StateCollector(Collector):
    """Asks database and queue. `is_alone` says that this process is all schedulers that there are."""

    def __init__(self, broker: Broker, questions: Questions, *, is_alone: bool) -> None:
        self._questions = questions
        self._broker = broker
        self._is_alone = is_alone

    def collect(self) -> Iterator[Metric]:
        """Return the gauges: at most two seconds later, and without those of a server that has not answered."""
        until = monotonic() + PATIENCE_S
        asked = self._questions.database.begin(lambda: service_state(now_ms()))
        waiting = self._questions.queue.begin(self._depths)
        found, depths = _answer(asked, until), _answer(waiting, until)
        yield _gauge("hookline_build_info", "1, with the versions of Hookline and Python.", _BUILD)
        yield _gauge("hookline_database_up", "Whether the database answers.", {(): found is not None})
        yield _gauge("hookline_queue_up", "Whether the queue answers.", {(): depths is not None})
        if depths is not None:
            by_queue: Labelled = {(("queue", name),): number for name, number in depths.items()}
            yield _gauge("hookline_queue_messages", "Messages that nobody has fetched yet.", by_queue)
        if found is not None:
            yield from owed(found)
            yield from running(found, is_alone=self._is_alone)

    def _depths(self) -> dict[str, int]:
        return {name: self._broker.waiting(name) for name in (DELIVERIES, EVENTS)}


Labelled = dict[tuple[tuple[str, str], ...], float]
_BUILD: Labelled = {(("version", version("hookline")), ("python", platform.python_version())): 1}


def owed(found: ServiceState) -> Iterator[Metric]:
    """Return the gauges of deliveries and webhooks. Pure."""
    piles = dict(zip(STATES, found.outstanding, strict=True))
    numbers: Labelled = {(("state", state.lower()),): pile.number for state, pile in piles.items()}
    cut: Labelled = {(("state", state.lower()),): pile.is_cut for state, pile in piles.items()}
    yield _gauge("hookline_deliveries", "Deliveries that are owed or given up, counted up to a bound.", numbers)
    yield _gauge("hookline_deliveries_cut", "1 where there may be more of them than were counted.", cut)
    yield _gauge(
        "hookline_delivery_overdue_seconds",
        "How long the delivery that has been due longest has waited for its attempt.",
        {(): found.overdue_ms / 1000},
    )
    ages: Labelled = {
        (("state", state.lower()),): max(0, now_ms() - pile.oldest_at) / 1000 if pile.oldest_at else 0
        for state, pile in piles.items()
    }
    yield _gauge("hookline_oldest_delivery_age_seconds", "Age of the oldest delivery in a state, 0 for none.", ages)
    retries: Labelled = {(("when", when),): number for when, number in found.retries._asdict().items()}
    yield _gauge(
        "hookline_retries", "Deliveries due, or scheduled, that are not in the queue; 10,000 at most.", retries
    )
    troubled: Labelled = {(("state", state),): number for state, number in found.webhooks.items()}
    yield _gauge("hookline_webhooks", "Webhooks that are in trouble, by kind; 10,000 at most.", troubled)


def running(found: ServiceState, *, is_alone: bool) -> Iterator[Metric]:
    """Return the gauges of processes and of the scheduler. Pure."""
    yield _gauge("hookline_jobs_unfinished", "Bulk actions (resend, replay) that have not ended.", {(): found.jobs})
    by_role: Labelled = {(("role", role), ("state", state)): n for (role, state), n in found.roles.processes.items()}
    yield _gauge(
        "hookline_processes", "Processes by role: alive, or silent for more than 30 s and less than an hour.", by_role
    )
    ages: Labelled = {(("role", role),): age / 1000 for role, age in found.roles.age_ms.items()}
    yield _gauge("hookline_heartbeat_age_seconds", "Age of the last sign of life of a role.", ages)
    leads = is_alone or found.leader
    yield _gauge("hookline_scheduler_leader", "1 while some process has the scheduler's role.", {(): leads})
    yield _gauge("hookline_scheduler_epoch", "How often that role has changed hands.", {(): found.epoch})


def _answer(asked: "Future[Answer]", until: float) -> Answer | None:
    """Return what was answered, None where that is nothing, or too late."""
    try:
        return asked.result(max(0.0, until - monotonic()))
    except (ServiceUnavailable, TimeoutError) as error:
        log.warning("metrics are not complete: %s", error or "no answer in time")
        return None


def _gauge(name: str, text: str, values: Labelled) -> GaugeMetricFamily:
    names = [label for label, _ in next(iter(values), ())]
    family = GaugeMetricFamily(name, text, labels=names)
    for labels, value in values.items():
        family.add_metric([given for _, given in labels], float(value))
    return family
