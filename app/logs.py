"""Reading the history of attempts: one log, the newest ones, and pages by filter (contract §3)."""

import re
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from peewee import JOIN, fn

from app.database import unavailable
from app.ids import first_id_at
from app.log_counts import Kind, Segment, segments, window_of, with_status
from app.log_steps import HOUR_MS
from app.models import Event, WebhookLog
from app.text_search import contains

NEWEST = 1_000

_ID = re.compile("[0-9a-f]{32}")


class LogEntry(NamedTuple):
    """A log and the request's payload, which the event keeps where the webhook's format is the default one.

    For an ERROR it is what the event keeps: the raw event, or the payload that the webhook's template failed on.
    """

    log: WebhookLog
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which logs of a webhook; None is for any. Times are milliseconds UTC, both ends belong to the range."""

    webhook_id: str
    start: int
    end: int
    status: str | None = None
    triggered_event: str | None = None
    event_id: str | None = None
    text: str | None = None  # in the payload or the answer's body


class Page(NamedTuple):
    """One page of logs. `total` counts those on all pages."""

    total: int
    entries: list[LogEntry]


def read_log(log_id: str) -> LogEntry | None:
    """Return a log, None where there is none of that id. Raises DatabaseUnavailable."""
    found = _entries(_joined().where(WebhookLog.id == log_id)) if _ID.fullmatch(log_id) else []
    return found[0] if found else None


def newest_logs(webhook_id: str, now: int) -> list[LogEntry]:
    """Return the newest logs of a webhook at `now`, newest first, 1,000 at most. Raises DatabaseUnavailable."""
    wanted = LogFilter(webhook_id=webhook_id, start=0, end=now + HOUR_MS)  # the clocks of other machines may be ahead
    return page_of_logs(wanted, 1, NEWEST).entries


def page_of_logs(wanted: LogFilter, number: int, size: int) -> Page:
    """Return page `number` (from 1) of the logs that `wanted` describes, newest first. Raises DatabaseUnavailable."""
    found = _segments(wanted)
    total = sum(segment.number for segment in found)
    offset = (number - 1) * size
    if offset >= total:
        return Page(total, [])
    window = window_of(found, offset, size)
    newest = _conditions(wanted, window.start, window.end)
    # The ids first: joining the events of rows that are passed over would cost more than all the rest.
    ids = WebhookLog.select(WebhookLog.id).where(*newest).order_by(WebhookLog.id.desc())
    if wanted.text is not None:
        ids = ids.join(Event, JOIN.LEFT_OUTER, on=WebhookLog.event_id == Event.id)
    with unavailable():
        chosen = [log_id for (log_id,) in ids.limit(size).offset(window.offset).tuples()]
    return Page(total, _entries(_joined().where(WebhookLog.id.in_(chosen)).order_by(WebhookLog.id.desc())))


def holds_text(text: str) -> Any:
    """Return the condition that a log, joined with its event, has `text` in the payload or the answer's body."""
    places = (Event.payload, WebhookLog.request_payload, WebhookLog.response_body)
    return reduce(or_, [contains(place, text) for place in places])


def _joined() -> Any:
    payload = fn.COALESCE(WebhookLog.request_payload, Event.payload).alias("payload")
    return WebhookLog.select(WebhookLog, payload).join(Event, JOIN.LEFT_OUTER, on=WebhookLog.event_id == Event.id)


def _entries(query: Any) -> list[LogEntry]:
    with unavailable():
        return [LogEntry(row, row.payload or "") for row in query.objects()]


def _segments(wanted: LogFilter) -> list[Segment]:
    """Return how many logs there are, by parts of the range; the counted hours know nothing of events and texts."""
    end = wanted.end + 1
    if wanted.event_id is None and wanted.text is None:
        return segments(Kind(wanted.webhook_id, wanted.status, wanted.triggered_event), wanted.start, end)
    query = WebhookLog.select(fn.COUNT(WebhookLog.id))
    if wanted.text is not None:
        query = query.join(Event, JOIN.LEFT_OUTER, on=WebhookLog.event_id == Event.id)
    with unavailable():
        return [Segment(wanted.start, end, query.where(*_conditions(wanted, wanted.start, end)).scalar())]


def _conditions(wanted: LogFilter, start: int, end: int) -> list[Any]:
    # Ids carry the time of the request, so the range of ids is the range of times, and one index serves all.
    conditions = [
        WebhookLog.webhook_id == wanted.webhook_id,
        WebhookLog.id >= first_id_at(start),
        WebhookLog.id < first_id_at(end),
    ]
    if wanted.status is not None:
        conditions += with_status(wanted.status)
    if wanted.triggered_event is not None:
        conditions.append(WebhookLog.triggered_event == wanted.triggered_event)
    if wanted.event_id is not None:
        conditions.append(WebhookLog.event_id == wanted.event_id)
    if wanted.text is not None:
        conditions.append(holds_text(wanted.text))
    return conditions
