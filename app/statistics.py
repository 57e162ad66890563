"""What has become of attempts in a range of time: of all of them, or of some webhooks.

It is added up out of the rows of app.log_stats. Only the newest minutes, which are not settled yet, are counted from
the logs; where they have too many for that, the series ends before them and says so.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from peewee import JOIN, SQL, Expression, fn

from app.authentication import Caller
from app.database import unavailable
from app.durations import bucket_of
from app.ids import first_id_at, time_of
from app.log_stats import ALL, WATERMARK
from app.models import Counter, LogStat, Webhook, WebhookLog, database
from app.permissions import PROJECT, REPO, visible
from app.timeline import (
    Cell,
    Comparison,
    Frame,
    Point,
    Range,
    Summary,
    Tally,
    frame_at,
    sum_of,
    summary_of,
    tallies_of,
)

SCAN = 20_000  # logs that are looked at
MOST_WEBHOOKS = 500


class Scope(NamedTuple):
    """The webhooks that are shown. `ids` is None for all there are and were; `is_cut` says that the viewer has more
    than are looked at."""

    ids: tuple[str, ...] | None
    is_cut: bool = False

    def holds(self, column: Any) -> list[Any]:
        """Return the conditions that the webhook named by `column` is in it."""
        return [] if self.ids is None else [column.in_(self.ids)]


EVERYTHING = Scope(None)


class Statistics(NamedTuple):
    """The attempts of a range by steps, and what they come to.

    `until` is the time up to which they are counted; steps that begin later are left out. `comparison` is None where
    the time before is not on record.
    """

    frame: Frame
    until: int
    points: list[Point]
    total: Summary
    comparison: Comparison | None


class _RolledUp(NamedTuple):
    """What app.log_stats has of a frame, and the time up to which that goes."""

    until: int
    cells: list[Cell]


def scope_of(caller: Caller) -> Scope:
    """Return the webhooks that `caller` may manage, 500 at most. Raises DatabaseUnavailable."""
    if caller.admin:
        return EVERYTHING
    ids: list[str] = []
    for kind in PROJECT, REPO:
        mine = Webhook.select(Webhook.id).where(visible(caller, kind), Webhook.deleted_at.is_null())
        with unavailable():
            ids += [webhook_id for (webhook_id,) in mine.limit(MOST_WEBHOOKS + 1 - len(ids)).tuples()]
    return Scope(tuple(ids[:MOST_WEBHOOKS]), is_cut=len(ids) > MOST_WEBHOOKS)


def has_webhooks(scope: Scope) -> bool:
    """Return whether there is any webhook in `scope`. Raises DatabaseUnavailable."""
    if scope.ids is not None:
        return bool(scope.ids)
    with unavailable():
        return bool(Webhook.select(Webhook.id).where(Webhook.deleted_at.is_null()).limit(1).exists())


def statistics(scope: Scope, chosen: Range, now: int) -> Statistics:
    """Return the statistics of a range that ends `now`. Raises DatabaseUnavailable."""
    frame = frame_at(now, chosen)
    keys = (ALL,) if scope.ids is None else scope.ids
    rolled_up = _rolled_up(keys, frame)
    newest = _newest(scope, max(rolled_up.until, frame.start))
    until = min(rolled_up.until, now) if newest is None else now
    tallies = tallies_of(frame, [*rolled_up.cells, *(newest or ())])
    starts = [at for at in frame.starts if at <= until]
    return Statistics(
        frame,
        until,
        [Point(at, summary_of(tallies.get(at, Tally()))) for at in starts],
        summary_of(sum_of(tallies.values())),
        _comparison(keys, frame, until, tallies) if rolled_up.until > frame.start else None,
    )


def _comparison(keys: Sequence[str], frame: Frame, until: int, tallies: dict[int, Tally]) -> Comparison | None:
    """Hold the whole steps against the time before, if that is on record from its beginning."""
    length, end = frame.chosen.length_ms, frame.step_of(until)
    start = frame.start - length
    if not _is_on_record(frame.chosen, start):
        return None
    before: Tally = Tally()
    for _, status, bucket, number in _cells(keys, frame.chosen, start, end - length):
        before[status, bucket] += number
    whole = sum_of(tally for at, tally in tallies.items() if at < end)
    return Comparison(summary_of(whole), summary_of(before))


def _is_on_record(chosen: Range, start: int) -> bool:
    """Return whether there was something before `start`, so that what comes after it is on record."""
    older = (LogStat.webhook_id == ALL) & (LogStat.span_ms == chosen.span_ms) & (LogStat.start <= start)
    with unavailable():
        return bool(LogStat.select(LogStat.start).where(older).limit(1).exists())


def _rolled_up(keys: Sequence[str], frame: Frame) -> _RolledUp:
    """Return what is rolled up of a frame. One statement sees how far that goes as well as the numbers; between two,
    the scheduler may go on."""
    step_ms = frame.chosen.step_ms
    step = Expression(LogStat.start, database.whole_division, step_ms).alias("step")
    query = (
        Counter.select(Counter.value, step, LogStat.status, LogStat.bucket, fn.SUM(LogStat.number))
        .join(LogStat, JOIN.LEFT_OUTER, on=_of(keys, frame.chosen, frame.start, frame.now + 1))
        .where(Counter.name == WATERMARK)
        .group_by(Counter.value, SQL("step"), LogStat.status, LogStat.bucket)
    )
    with unavailable():
        rows = database.execute(query).fetchall()  # plain tuples: there are thousands
    cells = [(at * step_ms, status, bucket, int(number)) for _, at, status, bucket, number in rows if at is not None]
    return _RolledUp(int(rows[0][0]), cells)


def _cells(keys: Sequence[str], chosen: Range, start: int, end: int) -> list[Cell]:
    query = (
        LogStat.select(LogStat.status, LogStat.bucket, fn.SUM(LogStat.number))
        .where(_of(keys, chosen, start, end))
        .group_by(LogStat.status, LogStat.bucket)
    )
    with unavailable():
        return [(start, status, bucket, int(number)) for status, bucket, number in query.tuples()]


def _of(keys: Sequence[str], chosen: Range, start: int, end: int) -> Any:
    return (
        LogStat.webhook_id.in_(keys)
        & (LogStat.span_ms == chosen.span_ms)
        & (LogStat.start >= start)
        & (LogStat.start < end)
    )


def _newest(scope: Scope, since: int) -> list[Cell] | None:
    """Return the logs since then, None where there are too many to look at."""
    wanted = [WebhookLog.id >= first_id_at(since), *scope.holds(WebhookLog.webhook_id)]
    query = WebhookLog.select(WebhookLog.id, WebhookLog.status, WebhookLog.duration_ms).where(*wanted)
    with unavailable():
        rows = database.execute(query.limit(SCAN + 1)).fetchall()
    if len(rows) > SCAN:
        return None
    return [(time_of(log_id), status, bucket_of(duration), 1) for log_id, status, duration in rows]
