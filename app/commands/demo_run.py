"""What the demo measures: publish a trace, watch it arrive, and compare with the logs."""

import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from hookline_client import Client, Log
from rich.progress import Progress

from app.ids import new_id
from app.listener import Arrival

Event = dict[str, Any]

BATCH = 100
SINGLES = 100
SINGLES_A_SECOND = 20
PATIENCE_S = 15.0  # how long nothing may arrive before the demo counts what there is
LOG_PATIENCE_S = 5.0
LOG_PAGE = 1_000


class Target(NamedTuple):
    """The repository and the ending of names that the demo's second webhook looks at."""

    project_id: str
    repo_name: str
    ending: str

    @property
    def pattern(self) -> str:
        """Return the pattern of the names with that ending."""
        return ".*" + re.escape(self.ending)


@dataclass(slots=True)
class Run:
    """One run, in numbers. `sent_ns` is when each event's call was sent, `arrived_ns` when a delivery first came."""

    arrivals: SimpleQueue[Arrival]
    sent_ns: dict[str, int] = field(default_factory=dict)
    arrived_ns: dict[str, int] = field(default_factory=dict)
    singles: set[str] = field(default_factory=set)
    matched: int = 0
    refused: int = 0
    bulk_s: float = 0.0
    delivered: int = 0
    failed: int = 0
    bulk_ms: list[float] = field(default_factory=list)
    single_ms: list[float] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Return whether every delivery came, verified, and is on record."""
        return self.delivered == self.matched == len(self.arrived_ns) and not self.failed and not self.refused


def pick_target(events: Sequence[Event]) -> Target:
    """Return the repository with the most new nodes, and the commonest ending of their names."""
    nodes = [event for event in events if event.get("type") == "NODE_CREATED"] or list(events)
    places = Counter((str(event.get("projectId")), str(event.get("repoName"))) for event in nodes)
    project_id, repo_name = places.most_common(1)[0][0]
    paths = [str(event.get("resourceKey")) for event in nodes if event.get("repoName") == repo_name]
    endings = Counter(found[0] for path in paths if (found := re.search(r"\.\w+$", path)))
    return Target(project_id, repo_name, endings.most_common(1)[0][0] if endings else "")


def run_trace(client: Client, events: Sequence[Event], run: Run, progress: Progress) -> None:
    """Publish most of `events` in batches and the last ones singly, and wait until all of it has arrived."""
    named = [{**event, "eventId": f"demo-{new_id()}"} for event in events]
    singles = named[len(named) - min(SINGLES, len(named) // 4) :]
    bulk = named[: len(named) - len(singles)]
    run.singles = {event["eventId"] for event in singles}
    publishing = progress.add_task("published", total=len(named))
    arriving = progress.add_task("verified deliveries", total=None)

    def look() -> None:
        _collect(run)
        progress.update(publishing, completed=len(run.sent_ns))
        progress.update(arriving, completed=len(run.arrived_ns), total=run.matched)

    start = time.monotonic()
    for first in range(0, len(bulk), BATCH):
        _publish(client, bulk[first : first + BATCH], run)
        look()
    for _ in _until_arrived(run):
        look()
    run.bulk_s = time.monotonic() - start
    for number, event in enumerate(singles):
        time.sleep(max(0.0, start + run.bulk_s + number / SINGLES_A_SECOND - time.monotonic()))
        _publish(client, [event], run)
        look()
    for _ in _until_arrived(run):
        look()


def _publish(client: Client, events: Sequence[Event], run: Run) -> None:
    now_ns = time.time_ns()
    run.sent_ns.update((event["eventId"], now_ns) for event in events)
    run.matched += client.publish(events).matched


def _collect(run: Run) -> None:
    with suppress(Empty):
        while True:
            _take(run, run.arrivals.get_nowait())


def _take(run: Run, arrival: Arrival) -> None:
    if arrival.problem is None:
        run.arrived_ns.setdefault(arrival.headers["webhook-id"], arrival.received_ns)
    else:
        run.refused += 1


def _until_arrived(run: Run) -> Iterator[None]:
    """Yield as deliveries arrive, until all have or nothing comes any more."""
    while len(run.arrived_ns) < run.matched:
        try:
            _take(run, run.arrivals.get(timeout=PATIENCE_S))
        except Empty:
            return
        yield


def compare_with_logs(client: Client, webhook_ids: Sequence[str], run: Run) -> None:
    """Read the logs of the run, count them, and work out the latencies in milliseconds.

    A payload does not name its event; the log does, so it links an arrival to the call that caused it.
    """
    deadline = time.monotonic() + LOG_PATIENCE_S  # an attempt is on record a little after its answer
    logs = _read_logs(client, webhook_ids, run)
    while len(logs) < run.matched and time.monotonic() < deadline:
        time.sleep(0.1)
        logs = _read_logs(client, webhook_ids, run)
    run.delivered = sum(log.status == "SUCCESS" for log in logs.values())
    run.failed = len(logs) - run.delivered
    for delivery_id, log in logs.items():
        if delivery_id in run.arrived_ns:
            latency_ms = (run.arrived_ns[delivery_id] - run.sent_ns[log.event_id]) / 1e6
            (run.single_ms if log.event_id in run.singles else run.bulk_ms).append(latency_ms)


def _read_logs(client: Client, webhook_ids: Sequence[str], run: Run) -> dict[str, Log]:
    """Return the newest log of each delivery of the run, by the delivery's id."""
    logs: dict[str, Log] = {}
    for webhook_id in webhook_ids:
        for log in client.iter_logs(webhook_id, page_size=LOG_PAGE):
            if log.event_id in run.sent_ns:
                logs.setdefault(log.delivery_id, log)
    return logs


def percentile(values: Sequence[float], fraction: float) -> float:
    """Return the value that `fraction` of `values` do not exceed (nearest rank); NaN where there is none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(fraction * len(values)) - 1)]
