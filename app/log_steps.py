"""Going over all logs once, step by step: for counts and statistics, which are kept instead of reading logs.

Each step is one transaction that adds what it has found and moves the mark up to which that is done. So it may be
interrupted and repeated, and of two that run at once each step counts once.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from peewee import Model, fn

from app.database import execute_many, repeat_on_conflict, unavailable, write_transaction
from app.ids import first_id_at, time_of
from app.models import Counter, WebhookLog, database

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
# A log's id is stamped with the start of its request, or a minute before it was recorded where that is later (see
# app.attempts). Another minute is for clocks that differ.
SETTLED_MS = 2 * MINUTE_MS

Row = tuple[Any, ...]


class Rollup(NamedTuple):
    """What is kept of logs, and how far.

    `watermark` names the counter of the time before which all logs are in `model`, a table of numbers by key. `read`
    returns the rows of the logs from one time up to another, the number last. `length_of` says how long the step at a
    time may be: an hour at most, in milliseconds.
    """

    watermark: str
    model: type[Model]
    read: Callable[[int, int], Sequence[Row]]
    length_of: Callable[[int], int] = lambda _: HOUR_MS


def roll_up(rollup: Rollup, now: int, is_ending: Callable[[], bool] = lambda: False) -> int:
    """Go on up to the last minute that is settled at `now`, and return the sum of the numbers that were added.

    Where `is_ending` it stops after the step under way. Raises DatabaseUnavailable.
    """
    settled = (now - SETTLED_MS) // MINUTE_MS * MINUTE_MS
    total, known = 0, rolled_up_until(rollup.watermark)
    while known < settled and not is_ending():
        following = _time_of_next(known, settled)
        length = rollup.length_of(following)
        begin = max(known, following // length * length)
        end = min(begin // length * length + length, settled)
        total += _advance(rollup, known, end, rollup.read(begin, end))
        known = rolled_up_until(rollup.watermark)
    return total


def rolled_up_until(watermark: str) -> int:
    """Return the time before which all logs are in. Raises DatabaseUnavailable."""
    with unavailable():
        return int(Counter.get_by_id(watermark).value)


def between(start: int, end: int) -> tuple[Any, Any]:
    """Return the conditions that a log is from `start` up to `end`, which is left out."""
    return WebhookLog.id >= first_id_at(start), WebhookLog.id < first_id_at(end)


def _time_of_next(known: int, settled: int) -> int:
    """Return the time of the first log that is not in yet, so that time without logs is passed over."""
    with unavailable():
        found = WebhookLog.select(fn.MIN(WebhookLog.id)).where(WebhookLog.id >= first_id_at(known)).scalar()
    return settled if found is None else min(time_of(found), settled)


@repeat_on_conflict
def _advance(rollup: Rollup, known: int, end: int, rows: Sequence[Row]) -> int:
    """Add `rows`, and say that everything before `end` is in, unless someone else has done so."""
    with write_transaction():
        mark = (Counter.name == rollup.watermark) & (Counter.value == known)
        if not Counter.update(value=end).where(mark).execute():
            return 0
        if rows:
            execute_many(_adding(rollup.model, rows[0]), rows)
    return sum(row[-1] for row in rows)


def _adding(model: type[Model], row: Row) -> str:
    """Return the statement that inserts a row such as `row`, or adds its number to the row that has its key already."""
    *key, number = model._meta.sorted_fields
    insert = model.insert_many([row], fields=[*key, number]).returning()
    sql, _ = database.add_on_conflict(insert, key, number).sql()
    return str(sql)
