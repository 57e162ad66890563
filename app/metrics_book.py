"""The metrics that processes count, and how a batch is added at once. docs/metrics.md lists them.

Loaded by `app.metrics.open_metrics` alone, which knows whether the figures are shared. No label may hold what users
choose: an id, a URL or a name of theirs would make a series each.
"""

import os
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values

from app.failure_reasons import REASONS, reason_of
from app.ids import time_of
from app.metrics_files import Slot
from app.models import ERROR, SUCCESS

if TYPE_CHECKING:
    from app.attempts import Attempt
    from app.events import Published
    from app.exchange import Outcome

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
TASKS = ("swept", "fed", "recovered", "resent")
PRUNED = ("logs", "events", "webhooks")
UNMATCHED = "unmatched"
_SUCCEEDED = (SUCCESS, REASONS[SUCCESS][0])
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

DURATIONS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
DELAYS_S = (*DURATIONS_S, 60, 300, 1_800)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class BatchHistogram(Histogram):
    """A histogram of seconds that takes many values at once: equal ones cost one look at the bounds, and each bucket
    that is hit one addition."""

    def observe_many(self, seen_ms: Sequence[int]) -> None:
        """Add all of `seen_ms`, which are milliseconds."""
        if not seen_ms:
            return
        self._sum.inc(sum(seen_ms) / 1000)
        buckets: Tally[int] = Tally()
        for value_ms, number in Tally(seen_ms).items():
            buckets[bisect_left(self._upper_bounds, value_ms / 1000)] += number
        for bucket, number in buckets.items():
            self._buckets[bucket].inc(number)


class Book:
    """The metrics of this process, in a `slot` that it shares with others where there is one."""

    def __init__(self, slot: Slot | None) -> None:
        self.slot = slot
        self.registry = CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # processes that share their figures have none
        _store_in(slot)
        self._count_events()
        self._count_attempts()
        self._count_requests()
        self._count_jobs()

    def close(self) -> None:
        """Give the slot up."""
        if self.slot is not None:
            self.slot.release()
            values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]

    def _count_events(self) -> None:
        events = self._counter("hookline_events", "Events published, by what became of them.", ["result"])
        self._accepted, self._duplicates, self.rejected = map(events.labels, ("accepted", "duplicate", "rejected"))
        self._matched = self._counter(
            "hookline_matched_deliveries", "Deliveries made of accepted events: one for each webhook that matched."
        )
        commits = BatchHistogram(
            "hookline_commit_size",
            "How much shared a commit: calls of publish, or attempts on record.",
            ["kind"],
            buckets=SIZES,
            registry=self.registry,
        )
        self._publish_commits, self._record_commits = commits.labels("publish"), commits.labels("record")

    def _count_attempts(self) -> None:
        attempts = self._counter("hookline_attempts", "Attempts on record, by status and reason.", ["status", "reason"])
        self._attempts = {
            (status, reason): attempts.labels(status, reason)
            for status, reasons in REASONS.items()
            for reason in reasons
        }
        self._given_up = self._counter("hookline_deliveries_given_up", "Deliveries given up after their last attempt.")
        self._duration = self._histogram(
            "hookline_request_duration_seconds",
            "Time of a request to a receiver, from the look-up of its name to the last byte of the answer.",
            DURATIONS_S,
        )
        self._delay = self._histogram(
            "hookline_first_attempt_delay_seconds",
            "From the acceptance of an event to the start of the first request that delivers it.",
            DELAYS_S,
        )
        self.in_flight = self._gauge(
            "hookline_requests_in_flight", "Requests to receivers under way, as of the last second."
        )
        self.in_hand = self._gauge(
            "hookline_deliveries_in_hand", "Deliveries that workers have taken from the queue and not recorded yet."
        )

    def _count_requests(self) -> None:
        self._answers = self._counter(
            "hookline_http_requests",
            "Requests to our own API and pages, by method, template of the URL, and class of the answer's status.",
            ["method", "endpoint", "status"],
        )
        self._answer_times = Histogram(
            "hookline_http_request_duration_seconds",
            "Time until such a request was answered; of a stream, until it began.",
            ["method", "endpoint"],
            buckets=DURATIONS_S,
            registry=self.registry,
        )
        self._known: dict[tuple[str, str | None, int], tuple[Counter, Histogram]] = {}

    def _count_jobs(self) -> None:
        self.scheduled = self._counter(
            "hookline_scheduler_deliveries", "Deliveries that the scheduler has done something to.", ["task"]
        )
        self.pruned = self._counter("hookline_pruned_rows", "Old rows removed.", ["kind"])
        for task in TASKS:
            self.scheduled.labels(task)
        for kind in PRUNED:
            self.pruned.labels(kind)

    def published(self, calls: "Sequence[Published]") -> None:
        """See app.metrics."""
        self._publish_commits.observe(len(calls))
        for counter, number in (
            (self._accepted, sum([call.accepted for call in calls])),
            (self._duplicates, sum([call.duplicates for call in calls])),
            (self._matched, sum([call.matched for call in calls])),
        ):
            if number:
                counter.inc(number)

    def attempted(self, attempts: "Sequence[Attempt]") -> None:
        """See app.metrics."""
        self._record_commits.observe(len(attempts))
        failed = [attempt for attempt in attempts if attempt.status != SUCCESS]
        if len(failed) < len(attempts):
            self._attempts[_SUCCEEDED].inc(len(attempts) - len(failed))
        if failed:
            self._tally((a.status, reason_of(a.status, a.response_status, a.error)) for a in failed)
            given_up = sum([attempt.next_attempt_at is None for attempt in failed])
            if given_up:
                self._given_up.inc(given_up)
        sent = [(attempt.due, attempt.started_at, attempt.ended_at) for attempt in attempts if attempt.status != ERROR]
        self._duration.observe_many([ended - started for _, started, ended in sent])
        # A delivery's id is stamped with the time at which it was made. Clocks of machines may differ a little.
        self._delay.observe_many([max(0, started - time_of(due.id)) for due, started, _ in sent if not due.attempt])

    def attempted_by_hand(self, status: str, outcome: "Outcome | None") -> None:
        """See app.metrics."""
        answer, error = (None, None) if outcome is None else (outcome.status, outcome.error)
        self._tally([(status, reason_of(status, answer, error))])
        if outcome is not None:
            self._duration.observe(outcome.duration_ms / 1000)

    def _tally(self, ended: Iterable[tuple[str, str]]) -> None:
        for labels, number in Tally(ended).items():
            self._attempts[labels].inc(number)

    def requested(self, method: str, endpoint: str | None, status: int, seconds: float) -> None:
        """See app.metrics."""
        kind = status // 100
        known = self._known.get((method, endpoint, kind))
        if known is None:
            shown = method if method in _METHODS else "other"
            place = endpoint or UNMATCHED
            known = self._answers.labels(shown, place, f"{kind}xx"), self._answer_times.labels(shown, place)
            if shown == method:  # strangers may make up any number of methods
                self._known[method, endpoint, kind] = known
        answers, times = known
        answers.inc()
        times.observe(seconds)

    def _counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, multiprocess_mode="livesum", registry=self.registry)

    def _histogram(self, name: str, text: str, bounds: Sequence[float]) -> BatchHistogram:
        return BatchHistogram(name, text, buckets=bounds, registry=self.registry)


def _store_in(slot: Slot | None) -> None:
    """Have metrics that are made from now on keep their values in the files of `slot`, or in memory.

    Said to the library, and not only to its variable, which counts no more once somebody has loaded it.
    """
    if slot is None:
        os.environ.pop(VARIABLE, None)
        values.ValueClass = values.MutexValue
    else:
        os.environ[VARIABLE] = str(slot.directory)
        values.ValueClass = values.MultiProcessValue(lambda: slot.name)  # type: ignore[no-untyped-call]
