"""Statistics of logs by minute, hour and day, against adding up by hand."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from app.database import insert_rows, write_transaction
from app.durations import bucket_of
from app.ids import id_at
from app.log_stats import ALL, DAY_MS, KEPT_MS, forget_before, measure_logs, measured_until
from app.log_steps import HOUR_MS, MINUTE_MS, SETTLED_MS
from app.models import ERROR, FAIL, SUCCESS, LogStat, WebhookLog
from app.retention import prune
from app.services import Services
from tests.rows import log_row

BEGIN = 1_700_000_000_000 // DAY_MS * DAY_MS
SPANS = tuple(KEPT_MS)

Log = tuple[int, str, str, int]  # time, webhook, status, duration


def random_logs(number: int, start: int, end: int, seed: int = 1) -> list[Log]:
    chance = random.Random(seed)
    return [
        (
            chance.randrange(start, end),
            chance.choice("vww"),
            chance.choice((SUCCESS, SUCCESS, FAIL, ERROR)),
            int(chance.lognormvariate(3, 2)),
        )
        for _ in range(number)
    ]


def store(logs: Sequence[Log]) -> None:
    rows = [
        log_row(id=id_at(at), webhook_id=webhook_id, status=status, duration_ms=duration, requested_at=at)
        for at, webhook_id, status, duration in logs
    ]
    with write_transaction():
        insert_rows(WebhookLog, rows)


def kept(span: int) -> dict[tuple[Any, ...], int]:
    columns = LogStat.webhook_id, LogStat.start, LogStat.status, LogStat.bucket, LogStat.number
    rows = LogStat.select(*columns).where(LogStat.span_ms == span).tuples()
    return {tuple(key): number for *key, number in rows}


def tally(logs: Sequence[Log], span: int, since: int = 0, until: int = 1 << 60) -> dict[tuple[Any, ...], int]:
    """Return what should be kept by `span` of the logs from `since` on, once all before `until` are added up."""
    found: Counter[tuple[Any, ...]] = Counter()
    for at, webhook_id, status, duration in logs:
        if since <= at < until:
            for name in (webhook_id, ALL):
                found[name, at // span * span, status, bucket_of(duration)] += 1
    return dict(found)


def test_each_log_is_added_up_once_by_minute_hour_and_day_over_several_runs(services: Services) -> None:
    logs = random_logs(400, BEGIN, BEGIN + 6 * HOUR_MS)
    store(logs)
    now, chance = BEGIN + HOUR_MS, random.Random(2)
    while now < BEGIN + 7 * HOUR_MS:
        measure_logs(now)
        until = (now - SETTLED_MS) // MINUTE_MS * MINUTE_MS
        assert measured_until() == until
        for span in SPANS:
            assert kept(span) == tally(logs, span, until=until)
        now += chance.randrange(1, 2 * HOUR_MS)


def test_at_an_upgrade_old_logs_are_added_up_by_what_is_still_kept_of_their_time(services: Services) -> None:
    now = BEGIN + 20 * DAY_MS + 12_345_678
    logs = random_logs(300, BEGIN, now - DAY_MS) + random_logs(300, now - DAY_MS, now - HOUR_MS, seed=2)
    store(logs)
    measure_logs(now)
    for span, length in KEPT_MS.items():
        since = 0 if length > now else (now - int(length)) // HOUR_MS * HOUR_MS + HOUR_MS
        assert kept(span) == tally(logs, span, since)


def test_minutes_and_hours_are_forgotten_when_they_are_too_old(services: Services) -> None:
    logs = random_logs(200, BEGIN, BEGIN + HOUR_MS)
    store(logs)
    measure_logs(BEGIN + 2 * HOUR_MS)
    assert kept(MINUTE_MS)
    measure_logs(BEGIN + DAY_MS)
    assert (kept(MINUTE_MS), kept(HOUR_MS)) == ({}, tally(logs, HOUR_MS))
    measure_logs(BEGIN + 16 * DAY_MS)
    assert (kept(HOUR_MS), kept(DAY_MS)) == ({}, tally(logs, DAY_MS))


def test_what_is_left_goes_with_the_logs(services: Services) -> None:
    logs = random_logs(200, BEGIN, BEGIN + 2 * DAY_MS)
    store(logs)
    measure_logs(BEGIN + 2 * DAY_MS + HOUR_MS)
    edge = BEGIN + DAY_MS + 5 * HOUR_MS
    forget_before(edge)
    assert kept(DAY_MS) == tally(logs, DAY_MS, BEGIN + DAY_MS)  # a day stays while some of its logs do
    assert kept(HOUR_MS) == tally(logs, HOUR_MS, edge)
    prune(1, BEGIN + 4 * DAY_MS, pause=lambda _: None)
    assert not LogStat.select().exists()


def test_it_stops_after_the_step_under_way_and_goes_on_later(services: Services) -> None:
    logs = random_logs(100, BEGIN, BEGIN + HOUR_MS)
    store(logs)
    calls: list[bool] = []

    def is_ending() -> bool:
        calls.append(True)
        return len(calls) > 3

    measure_logs(BEGIN + 2 * HOUR_MS, is_ending)
    assert BEGIN < measured_until() < BEGIN + HOUR_MS
    assert kept(HOUR_MS) == tally(logs, HOUR_MS, until=measured_until())
    measure_logs(BEGIN + 2 * HOUR_MS)
    assert kept(HOUR_MS) == tally(logs, HOUR_MS)


@pytest.mark.sqlite_only
def test_many_kinds_of_logs_in_one_minute_are_added_up(services: Services) -> None:
    logs = [(BEGIN + number % 1_000, f"w{number % 300}", SUCCESS, number % 100) for number in range(3_000)]
    store(logs)
    measure_logs(BEGIN + HOUR_MS)
    for span in SPANS:
        assert kept(span) == tally(logs, span)
