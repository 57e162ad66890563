"""What happens in this process, counted for Prometheus: functions named by what has happened.

Until `open_metrics` has been called, and with METRICS=off, they do nothing. prometheus_client decides when it is
loaded whether processes share their figures, so nothing here loads it before that.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from config.settings import Settings

if TYPE_CHECKING:
    from app.attempts import Attempt
    from app.events import Published
    from app.exchange import Outcome
    from app.metrics_book import Book
    from app.retention import Pruned

log = logging.getLogger(__name__)

_book: "Book | None" = None


def open_metrics(settings: Settings, role: str) -> None:
    """Begin to count, as a process of `role` that shares its figures with the others of this machine.

    The embedded server is alone. Call it once, in the process that counts, after any fork.
    """
    global _book
    if not settings.metrics:
        return
    from app.metrics_book import Book
    from app.metrics_files import Slot

    is_alone = role == "serve" and settings.redis_url is None and settings.metrics_dir is None
    directory = None if is_alone else settings.metrics_dir or settings.data_dir / "metrics"
    try:
        _book = Book(None if directory is None else Slot(directory, role))
    except OSError as error:
        log.warning("metrics are of this process alone: PROMETHEUS_MULTIPROC_DIR=%s: %s", directory, error.strerror)
        _book = Book(None)


def close_metrics() -> None:
    """Count no more. The figures of this process that stay true after its end are kept by the others."""
    global _book
    if _book is not None:
        _book.close()
    _book = None


def book() -> "Book | None":
    """Return the figures of this process, None where nothing is counted."""
    return _book


def published(calls: "Sequence[Published]") -> None:
    """Calls of publish have been committed together."""
    if _book is not None:
        _book.published(calls)


def rejected(events: int) -> None:
    """Events that came by way of Redis could not be accepted, and are kept."""
    if _book is not None and events:
        _book.rejected.inc(events)


def attempted(attempts: "Sequence[Attempt]") -> None:
    """Attempts have been recorded together."""
    if _book is not None and attempts:
        _book.attempted(attempts)


def attempted_by_hand(status: str, outcome: "Outcome | None") -> None:
    """Someone had an attempt made; `outcome` is None where its payload could not be built."""
    if _book is not None:
        _book.attempted_by_hand(status, outcome)


def in_flight(requests: int, deliveries: int) -> None:
    """So many requests are under way now, and so many deliveries in this process's hands."""
    if _book is not None:
        _book.in_flight.set(requests)
        _book.in_hand.set(deliveries)


def requested(method: str, endpoint: str | None, status: int, seconds: float) -> None:
    """An HTTP request has been answered. `endpoint` is the template of its URL, None where there is none."""
    if _book is not None:
        _book.requested(method, endpoint, status, seconds)


def scheduled(task: str, deliveries: int) -> None:
    """The scheduler has done something to deliveries: swept, fed, recovered or resent them."""
    if _book is not None and deliveries:
        _book.scheduled.labels(task).inc(deliveries)


def pruned(rows: "Pruned") -> None:
    """Old rows have been removed."""
    if _book is not None:
        for kind, number in rows._asdict().items():
            _book.pruned.labels(kind).inc(number)
