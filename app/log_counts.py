"""Counting logs without reading them: how many there are of a webhook by hour, trigger and status.

The scheduler counts each minute once it is over for good. So a count over months reads some rows of `log_count`, and
the logs themselves only for the part of an hour at either end. The same counts tell in which hours a page lies, so that
neither its number nor a rare status makes it slow.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from peewee import JOIN, SQL, fn

from app.database import repeat_on_conflict, unavailable, write_transaction
from app.ids import first_id_at, time_of
from app.models import SUCCESS, Counter, LogCount, WebhookLog, database

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
# A log's id is stamped with the start of its request, or a minute before it was recorded where that is later (see
# app.attempts). Another minute is for clocks that differ.
SETTLED_MS = 2 * MINUTE_MS
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

    It goes on where it stopped, an hour at most in one transaction, so it may be interrupted and repeated; of two that
    run at once each step counts once. Where `is_ending` it stops after the step under way. Raises DatabaseUnavailable.
    """
    settled = (now - SETTLED_MS) // MINUTE_MS * MINUTE_MS
    total, known = 0, counted_until()
    while known < settled and not is_ending():
        begin = max(known, _hour_of_next(known, settled))
        end = min(begin // HOUR_MS * HOUR_MS + HOUR_MS, settled)
        total += _advance(known, end, _numbers(begin, end))
        known = counted_until()
    return total


def counted_until() -> int:
    """Return the time before which all logs are counted. Raises DatabaseUnavailable."""
    with unavailable():
        return int(Counter.get_by_id(_WATERMARK).value)


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


def _hour_of_next(known: int, settled: int) -> int:
    """Return the hour of the first log that is not counted yet, so that empty ones are passed over."""
    with unavailable():
        found = WebhookLog.select(fn.MIN(WebhookLog.id)).where(WebhookLog.id >= first_id_at(known)).scalar()
    return settled if found is None else min(time_of(found) // HOUR_MS * HOUR_MS, settled)


def _numbers(begin: int, end: int) -> list[tuple[Any, ...]]:
    hour = begin // HOUR_MS * HOUR_MS
    groups = WebhookLog.webhook_id, WebhookLog.triggered_event, WebhookLog.status
    query = WebhookLog.select(*groups, fn.COUNT(WebhookLog.id)).where(*_between(begin, end)).group_by(*groups)
    with unavailable():
        return [(webhook_id, hour, *rest) for webhook_id, *rest in query.tuples()]


@repeat_on_conflict
def _advance(known: int, end: int, numbers: list[tuple[Any, ...]]) -> int:
    """Add `numbers`, and say that everything before `end` is counted, unless someone else has done so."""
    with write_transaction():
        mine = Counter.update(value=end).where(Counter.name == _WATERMARK, Counter.value == known).execute()
        if not mine:
            return 0
        for start in range(0, len(numbers), 100):
            _add(numbers[start : start + 100])
    return sum(row[-1] for row in numbers)


def _add(rows: list[tuple[Any, ...]]) -> None:
    target = [LogCount.webhook_id, LogCount.hour, LogCount.triggered_event, LogCount.status]
    insert = LogCount.insert_many(rows, fields=[*target, LogCount.number])
    database.add_on_conflict(insert, target, LogCount.number).execute()


def with_status(status: str) -> list[Any]:
    """Return the conditions that a log has `status`; one says of failures that the index of failures will do."""
    conditions = [WebhookLog.status == status]
    return conditions if status == SUCCESS else [*conditions, SQL("status <> 'SUCCESS'")]


def _count(kind: Kind, start: int, end: int) -> int:
    if start >= end:
        return 0
    wanted = [WebhookLog.webhook_id == kind.webhook_id, *_between(start, end)]
    if kind.status is not None:
        wanted += with_status(kind.status)
    if kind.triggered_event is not None:
        wanted.append(WebhookLog.triggered_event == kind.triggered_event)
    with unavailable():
        return int(WebhookLog.select(fn.COUNT(WebhookLog.id)).where(*wanted).scalar())


def _counted(kind: Kind, first: int, end: int) -> tuple[int, list[tuple[int, int]]]:
    """Return the time before which all is counted, and the hours from `first` up to `end` that have logs of `kind`.

    One statement sees both as they are at one moment; between two, the scheduler may count on.
    """
    wanted = (LogCount.webhook_id == kind.webhook_id) & (LogCount.hour >= first) & (LogCount.hour < end)
    if kind.status is not None:
        wanted &= LogCount.status == kind.status
    if kind.triggered_event is not None:
        wanted &= LogCount.triggered_event == kind.triggered_event
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


def _between(start: int, end: int) -> tuple[Any, Any]:
    return WebhookLog.id >= first_id_at(start), WebhookLog.id < first_id_at(end)
