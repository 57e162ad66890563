"""Statistics of logs without reading them: how many there are of a webhook, and of all, by status and duration.

The scheduler adds up each minute once it is over for good. What it finds is kept by minute for some hours, by hour for
two weeks, and by day as long as the logs: a range of any length is some dozen rows a webhook.
"""

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from peewee import SQL, fn

from app.database import repeat_on_conflict, unavailable, write_transaction
from app.durations import BUCKET_SQL
from app.log_steps import HOUR_MS, MINUTE_MS, Rollup, between, roll_up, rolled_up_until
from app.models import LogStat, WebhookLog

DAY_MS = 24 * HOUR_MS
ALL = ""  # in place of a webhook's id
WATERMARK = "logs_measured_until"
# Twice the longest range that is shown by it, so that a range can be held against the one before, and a bit.
KEPT_MS = {MINUTE_MS: 13 * HOUR_MS, HOUR_MS: 15 * DAY_MS, DAY_MS: math.inf}

Row = tuple[str, int, int, str, int, int]


def measure_logs(now: int, is_ending: Callable[[], bool] = lambda: False) -> None:
    """Add up the logs up to the last minute that is settled at `now`, and forget minutes and hours that are too old.

    It may be interrupted and repeated; see app.log_steps. Raises DatabaseUnavailable.
    """

    def length_of(at: int) -> int:
        return min(_spans_at(at, now)[0], HOUR_MS)

    roll_up(Rollup(WATERMARK, LogStat, partial(_numbers, now=now), length_of), now, is_ending)
    for span, kept in KEPT_MS.items():
        if kept < math.inf:
            _forget(span, now - int(kept), is_ending)


def measured_until() -> int:
    """Return the time before which all logs are added up. Raises DatabaseUnavailable."""
    return rolled_up_until(WATERMARK)


def forget_before(time: int) -> None:
    """Remove what ended before `time`, whose logs are gone. Raises DatabaseUnavailable."""
    for span in KEPT_MS:
        _forget(span, time - span + 1)


def _spans_at(at: int, now: int) -> list[int]:
    """Return by which spans the logs of that hour are kept, the shortest first."""
    hour = at // HOUR_MS * HOUR_MS
    return [span for span, kept in KEPT_MS.items() if hour > now - kept]


def _numbers(begin: int, end: int, now: int) -> list[Row]:
    found: Counter[tuple[str, str, int]] = Counter()
    groups: tuple[Any, ...] = WebhookLog.webhook_id, WebhookLog.status, SQL(BUCKET_SQL)
    query = WebhookLog.select(*groups, fn.COUNT(WebhookLog.id)).where(*between(begin, end)).group_by(*groups)
    with unavailable():
        for webhook_id, status, bucket, number in query.tuples():
            found[webhook_id, status, bucket] += number
            found[ALL, status, bucket] += number
    return [
        (webhook_id, span, begin // span * span, status, bucket, number)
        for span in _spans_at(begin, now)
        for (webhook_id, status, bucket), number in found.items()
    ]


def _forget(span: int, limit: int, is_ending: Callable[[], bool] = lambda: False) -> None:
    """Remove what begins before `limit`, one minute, hour or day at a time: no transaction is long."""
    starts = LogStat.select(fn.MIN(LogStat.start)).where(LogStat.span_ms == span)
    while not is_ending():
        with unavailable():
            first = starts.scalar()
        if first is None or first >= limit:
            return
        _delete(span, first)


@repeat_on_conflict
def _delete(span: int, start: int) -> None:
    with write_transaction():
        LogStat.delete().where(LogStat.span_ms == span, LogStat.start == start).execute()
