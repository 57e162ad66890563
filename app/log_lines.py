"""The two wide log lines: one an attempt, one a call that publishes; docs/tracing.md explains their fields.

Neither has anything of a payload, a header or a URL but its host: there are tokens in all of them.
"""

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from app.failure_reasons import reason_of
from app.models import SUCCESS
from app.origin import Origin
from app.traceparent import trace_id_of
from config.log_fields import utc
from config.logs import masked, write_lines

if TYPE_CHECKING:
    from app.attempts import Attempt
    from app.events import Published

log = logging.getLogger(__name__)


class AttemptLine(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """An attempt that is on record. Fields that are None are left out; times end in Ms or are ISO dates."""

    webhook: str
    event: str
    delivery: str
    attempt: int  # from 1; 0 where someone had it made by hand
    type: str
    host: str
    status: str
    duration_ms: int
    queue_ms: int  # from the acceptance of the event to the request
    trace_id: str | None = None
    response_status: int | None = None
    reason: str | None = None
    error: str | None = None
    next_attempt_time: str | None = None


class IngestionLine(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """A call that published events, which are durable now."""

    source: str
    events: int
    accepted: int
    duplicates: int
    matched: int
    duration_ms: float
    trace_id: str | None = None
    user: str | None = None


def attempted(attempts: "Sequence[Attempt]") -> None:
    """Attempts have been recorded together."""
    if log.isEnabledFor(logging.INFO):
        write_lines(log, "attempt", [_line_of(attempt) for attempt in attempts])


def ingested(lines: Sequence[IngestionLine]) -> None:
    """Calls of publish have been committed together. Ask `wants_ingestions` before making `lines`."""
    write_lines(log, "ingestion", lines)


def ingestion_line(origin: Origin, events: int, result: "Published", seconds: float) -> IngestionLine:
    """Return the line of a call that published so many events, which took so long."""
    return IngestionLine(
        origin.source,
        events,
        result.accepted,
        result.duplicates,
        result.matched,
        round(seconds * 1000, 1),
        trace_id_of(origin.traceparent),
        origin.user,
    )


def wants_ingestions() -> bool:
    """Return whether lines of ingestions are written."""
    return log.isEnabledFor(logging.INFO)


def _line_of(attempt: "Attempt") -> AttemptLine:
    due, status = attempt.due, attempt.status
    # What is kept with an event is valid, so its trace id is where the standard puts it.
    line = AttemptLine(
        due.webhook_id,
        due.event_id,
        due.id,
        attempt.number,
        due.type,
        host_of(attempt.url),
        status,
        attempt.duration_ms,
        max(0, attempt.started_at - due.accepted_at),
        due.traceparent[3:35] if due.traceparent else None,
        attempt.response_status,
    )
    if status != SUCCESS:
        line.reason = reason_of(status, attempt.response_status, attempt.error)
        line.error = masked(attempt.error or "")
        if attempt.next_attempt_at is not None:
            line.next_attempt_time = utc(attempt.next_attempt_at / 1000)
    return line


@lru_cache(4_096)
def host_of(url: str) -> str:
    """Return host and port of a URL."""
    return urlsplit(url).netloc.rpartition("@")[2]
