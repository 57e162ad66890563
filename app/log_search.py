"""Finding logs, of one webhook or of all that someone may see: newest first, in steps that stay fast at any number.

A page merges streams (app.log_streams). What no index serves is looked for in so many of the newest logs as take some
tens of milliseconds; then the page has what was found, and says how far back that goes.
"""

import re
from dataclasses import replace
from heapq import nlargest
from typing import NamedTuple

from peewee import JOIN

from app.authentication import Caller
from app.database import unavailable
from app.delivery import LOG_NOT_FOUND
from app.delivery_status import track
from app.errors import NotFound
from app.ids import first_id_at, time_of
from app.log_counts import Kind, newest_hour
from app.log_steps import HOUR_MS
from app.log_streams import AFTER_ALL, FAILURES, LINE, LogSearch, Plan, Span, plan
from app.logs import LogEntry, read_log
from app.models import Event, Webhook, WebhookLog
from app.webhooks import find_webhook

PAGE = 50
# Logs that one page looks at: in the order of the table, where an index leads here and there, and with their payloads.
SCAN = 20_000
SCAN_BY_INDEX = 3_000
SCAN_TEXTS = 2_000

_ID = re.compile("[0-9a-f]{32}")


class LogLine(NamedTuple):
    """A log as lists show it, without what was sent and answered."""

    id: str
    webhook_id: str
    event_id: str
    delivery_id: str
    attempt: int
    url: str
    triggered_event: str
    status: str
    response_status: int | None
    duration_ms: int
    requested_at: int
    error: str | None
    next_attempt_at: int | None


class LogPage(NamedTuple):
    """Logs, newest first; the id before which the next page begins, None where there are no more; and, where looking
    stopped before the page was full, the time down to which all was looked at."""

    lines: list[LogLine]
    following: str | None = None
    reached: int | None = None


def find_log(caller: Caller, log_id: str) -> tuple[LogEntry, Webhook]:
    """Return a log and its webhook, which `caller` may manage and which may be deleted. Raises NotFound."""
    entry = read_log(log_id)
    if entry is not None:
        try:
            return entry, find_webhook(caller, entry.log.webhook_id, with_deleted=True)
        except NotFound:
            pass
    raise NotFound(LOG_NOT_FOUND, "log_not_found")


def search_logs(caller: Caller, wanted: LogSearch, before: str = AFTER_ALL, size: int = PAGE) -> LogPage:
    """Return up to `size` of the logs that `wanted` describes and `caller` may see, from before the id `before`.

    Raises NotFound for a webhook that the caller may not see, DatabaseUnavailable.
    """
    if wanted.webhook_id is not None:
        find_webhook(caller, wanted.webhook_id, with_deleted=True)
    if wanted.delivery_id is not None and wanted.event_id is None:
        # Logs have no index of deliveries, but one of events.
        tracked = track(wanted.delivery_id) if _ID.fullmatch(wanted.delivery_id) else None
        if tracked is None:
            return LogPage([])
        wanted = replace(wanted, event_id=tracked.event_id)
    span = wanted.span(before)
    with unavailable():
        ways = plan(caller, wanted, span, size + 1)
        bound = _bound(ways, span, _scan(wanted, ways)) if ways.rest else ""
        found = _newest(ways, Span(bound or span.first, span.end), size + 1, has_text=wanted.text is not None)
        lines = _lines(found[:size])
    if len(found) > size:
        return LogPage(lines, found[size - 1])
    following = _next(wanted, bound) if bound else None
    return LogPage(lines, following, time_of(bound) if following else None)


def _scan(wanted: LogSearch, ways: Plan) -> int:
    if wanted.text is not None:
        return SCAN_TEXTS
    return SCAN_BY_INDEX if any(stream.conditions for stream in ways.streams) else SCAN


def _bound(ways: Plan, span: Span, scan: int) -> str:
    """Return the id down to which a page looks at all streams, "" where that is the end of them."""
    last = max(scan // max(len(ways.streams), 1), 1) - 1
    horizons = [stream.ids(span).limit(1).offset(last).scalar() for stream in ways.streams]
    return str(max([ways.bound, *filter(None, horizons)]))


def _newest(ways: Plan, span: Span, size: int, *, has_text: bool) -> list[str]:
    found: list[str] = []
    for stream in ways.streams:
        if len(found) == size and stream.newest < found[-1]:
            break  # and so are all that follow
        query = stream.ids(span, *ways.rest)
        if has_text:
            query = query.join(Event, JOIN.LEFT_OUTER, on=WebhookLog.event_id == Event.id)
        found = nlargest(size, [*found, *(log_id for (log_id,) in query.limit(size).tuples())])
    return found


def _lines(ids: list[str]) -> list[LogLine]:
    query = WebhookLog.select(*LINE).where(WebhookLog.id.in_(ids)).order_by(WebhookLog.id.desc())
    return [LogLine(*row) for row in query.tuples()] if ids else []


def _next(wanted: LogSearch, bound: str) -> str | None:
    """Return where to go on below `bound`, None where no more are to come. Of one webhook, hours that have none are
    passed over as far as they are counted."""
    if wanted.webhook_id is None or wanted.event_id is not None or wanted.text is not None:
        return bound
    status = None if wanted.status == FAILURES else wanted.status
    hour = newest_hour(Kind(wanted.webhook_id, status, wanted.triggered_event), time_of(bound))
    if hour is None or hour + HOUR_MS <= (wanted.start or 0):
        return None
    return min(bound, first_id_at(hour + HOUR_MS))
