"""Counting logs without reading them: how many there are of a webhook by hour, trigger and status.

The scheduler counts each minute once it is over for good. So a count over months reads some rows of `log_count`, and
the logs themselves only for the part of an hour at either end. The same counts tell in which hours a page lies, so that
neither its number nor a rare status makes it slow.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from peewee import JOIN, SQL, fn

from app.database import unavailable, write_transaction
from app.log_steps import HOUR_MS, Rollup, between, roll_up, rolled_up_until
from app.models import SUCCESS, Counter, LogCount, WebhookLog

_WATERMARK = "logs_counted_until"


class Segment(NamedTuple):
    """A range of time, its end left out, and the number of logs in it."""

    start: int
    end: int
    number: int


class Window(NamedTuple):
    """Where the logs of a page are: a range of time, its end left out, and how many newer ones of it to pass over."""

    start: int
    end: int
    offset: int


class Kind(NamedTuple):
    """Which logs are counted; None is for any."""

    webhook_id: str
    status: str | None
    triggered_event: str | None


def count_logs(now: int, is_ending: Callable[[], bool] = lambda: False) -> int:
    """Count the logs up to the last minute that is settled at `now`, and return how many that added.

    It may be interrupted and repeated; see app.log_steps. Raises DatabaseUnavailable.
    """
    return roll_up(Rollup(_WATERMARK, LogCount, _numbers), now, is_ending)


def counted_until() -> int:
    """Return the time before which all logs are counted. Raises DatabaseUnavailable."""
    return rolled_up_until(_WATERMARK)


def forget_before(hour: int) -> None:
    """Remove the counts of hours before `hour`, whose logs are gone. Raises DatabaseUnavailable."""
    with write_transaction():
        LogCount.delete().where(LogCount.hour < hour).execute()


def segments(kind: Kind, start: int, end: int) -> list[Segment]:
    """Return the logs of `kind` from `start` up to `end`, which is left out, newest first: at most an hour to count at
    either end, and the counted hours between. Raises DatabaseUnavailable."""
    first = -(-start // HOUR_MS) * HOUR_MS
    until, counted = _counted(kind, first, end)
    last = until if until <= end else end // HOUR_MS * HOUR_MS
    if first >= last:
        return [Segment(start, end, _count(kind, start, end))]
    hours = [Segment(hour, min(hour + HOUR_MS, last), number) for hour, number in counted if hour < last]
    return [Segment(last, end, _count(kind, last, end)), *hours, Segment(start, first, _count(kind, start, first))]


def newest_hour(kind: Kind, at: int) -> int | None:
    """Return the newest hour, up to that of the time `at`, that has logs of `kind`, None where none has.

    Where that of `at` is not counted up to there, it is taken to have some. Raises DatabaseUnavailable.
    """
    hour = at // HOUR_MS * HOUR_MS
    if counted_until() <= at:
        return hour
    newest = LogCount.select(fn.MAX(LogCount.hour)).where(_of_kind(kind), LogCount.hour <= hour)
    with unavailable():
        found = newest.scalar()
    return None if found is None else int(found)


def window_of(found: Sequence[Segment], offset: int, size: int) -> Window:
    """Return where to look for `size` logs after the `offset` newest of `found`. Pure."""
    passed, begin, end, skipped = 0, None, 0, 0
    for segment in found:
        if begin is None and passed + segment.number > offset:
            begin, end, skipped = segment.start, segment.end, offset - passed
        if begin is not None:
            begin = segment.start
        passed += segment.number
        if begin is not None and passed >= offset + size:
            break
    return Window(begin or 0, end, skipped)


def _numbers(begin: int, end: int) -> list[tuple[Any, ...]]:
    hour = begin // HOUR_MS * HOUR_MS
    groups = WebhookLog.webhook_id, WebhookLog.triggered_event, WebhookLog.status
    query = WebhookLog.select(*groups, fn.COUNT(WebhookLog.id)).where(*between(begin, end)).group_by(*groups)
    with unavailable():
        return [(webhook_id, hour, *rest) for webhook_id, *rest in query.tuples()]


def with_status(status: str) -> list[Any]:
    """Return the conditions that a log has `status`; one says of failures that the index of failures will do."""
    conditions = [WebhookLog.status == status]
    return conditions if status == SUCCESS else [*conditions, SQL("status <> 'SUCCESS'")]


def _count(kind: Kind, start: int, end: int) -> int:
    if start >= end:
        return 0
    wanted = [WebhookLog.webhook_id == kind.webhook_id, *between(start, end)]
    if kind.status is not None:
        wanted += with_status(kind.status)
    if kind.triggered_event is not None:
        wanted.append(WebhookLog.triggered_event == kind.triggered_event)
    with unavailable():
        return int(WebhookLog.select(fn.COUNT(WebhookLog.id)).where(*wanted).scalar())


def _of_kind(kind: Kind) -> Any:
    """Return the condition that a count is of `kind`."""
    wanted = LogCount.webhook_id == kind.webhook_id
    if kind.status is not None:
        wanted &= LogCount.status == kind.status
    if kind.triggered_event is not None:
        wanted &= LogCount.triggered_event == kind.triggered_event
    return wanted


def _counted(kind: Kind, first: int, end: int) -> tuple[int, list[tuple[int, int]]]:
    """Return the time before which all is counted, and the hours from `first` up to `end` that have logs of `kind`.

    One statement sees both as they are at one moment; between two, the scheduler may count on.
    """
    wanted = _of_kind(kind) & (LogCount.hour >= first) & (LogCount.hour < end)
    query = (
        Counter.select(Counter.value, LogCount.hour, fn.SUM(LogCount.number))
        .join(LogCount, JOIN.LEFT_OUTER, on=wanted)
        .where(Counter.name == _WATERMARK)
        .group_by(Counter.value, LogCount.hour)
        .order_by(LogCount.hour.desc())
    )
    with unavailable():
        rows = list(query.tuples())
    return int(rows[0][0]), [(hour, int(number)) for _, hour, number in rows if hour is not None]
