"""Counts of logs by hour, and the pages found by them, against counting and slicing by hand."""

import random
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.attempts import Due, Policy, judge
from app.database import insert_rows, write_transaction
from app.exchange import Outcome, Request
from app.ids import id_at
from app.log_counts import (
    Kind,
    Segment,
    count_logs,
    counted_until,
    forget_before,
    segments,
    window_of,
)
from app.log_steps import HOUR_MS, MINUTE_MS, SETTLED_MS
from app.logs import LogFilter, page_of_logs
from app.models import ERROR, FAIL, SUCCESS, LogCount, WebhookLog, database
from app.services import Services

BEGIN = 1_700_000_000_000 // HOUR_MS * HOUR_MS
HOURS = 6
END = BEGIN + HOURS * HOUR_MS
STATUSES = (SUCCESS, FAIL, ERROR)
TRIGGERS = ("NODE_CREATED", "NODE_DELETED")


class Log(NamedTuple):
    """What of a log is counted by."""

    id: str
    webhook_id: str
    status: str
    triggered_event: str
    at: int


def make(at: int, webhook_id: str = "w", status: str = SUCCESS, triggered_event: str = TRIGGERS[0]) -> Log:
    return Log(id_at(at), webhook_id, status, triggered_event, at)


def random_logs(chance: random.Random, number: int, start: int = BEGIN, end: int = END) -> list[Log]:
    """Return logs at random times, some of them at edges of hours and minutes, several at the same moment."""
    logs: list[Log] = []
    for _ in range(number):
        at = chance.randrange(start, end)
        unit = chance.choice((1, 1, MINUTE_MS, HOUR_MS))
        at = max(start, min(at // unit * unit - chance.choice((0, 0, 1)), end - 1))
        logs.append(make(at, chance.choice("wwv"), chance.choice(STATUSES), chance.choice(TRIGGERS)))
    return logs


def store(logs: Sequence[Log]) -> None:
    start, middle, end = ("e", "d", 1, "http://a/"), (200, "{}", "", 1), (None, None, None)
    rows = [
        (log.id, log.webhook_id, *start, log.triggered_event, "{}", log.status, *middle, log.at, *end) for log in logs
    ]
    with write_transaction():
        insert_rows(WebhookLog, rows)


def chosen(logs: Sequence[Log], kind: Kind, start: int, end: int) -> list[str]:
    """Return the ids of the logs of `kind` from `start` up to `end`, which is left out, newest first."""
    return sorted(
        (
            log.id
            for log in logs
            if log.webhook_id == kind.webhook_id
            and start <= log.at < end
            and kind.status in (None, log.status)
            and kind.triggered_event in (None, log.triggered_event)
        ),
        reverse=True,
    )


def random_range(chance: random.Random) -> tuple[int, int]:
    """Return a range of time about the logs', its ends now and then on an edge or outside; it may be empty."""
    one, other = (
        chance.randrange(BEGIN - HOUR_MS, END + HOUR_MS) // unit * unit
        for unit in chance.choices((1, MINUTE_MS, HOUR_MS), k=2)
    )
    return min(one, other), max(one, other)


def random_kind(chance: random.Random) -> Kind:
    return Kind(chance.choice("wwv"), chance.choice((None, *STATUSES)), chance.choice((None, *TRIGGERS)))


def counted() -> dict[tuple[str, int, str, str], int]:
    columns = LogCount.webhook_id, LogCount.hour, LogCount.triggered_event, LogCount.status
    return {tuple(key): number for *key, number in LogCount.select(*columns, LogCount.number).tuples()}


def tally(logs: Sequence[Log], until: int) -> dict[tuple[str, int, str, str], int]:
    """Return what the counts should be once all before `until` are counted."""
    found: dict[tuple[str, int, str, str], int] = {}
    for log in logs:
        if log.at < until:
            key = (log.webhook_id, log.at // HOUR_MS * HOUR_MS, log.triggered_event, log.status)
            found[key] = found.get(key, 0) + 1
    return found


def settled(now: int) -> int:
    return (now - SETTLED_MS) // MINUTE_MS * MINUTE_MS


@pytest.fixture
def statements(services: Services) -> Iterator[list[str]]:
    """The statements that run from now on."""
    seen: list[str] = []
    engine: Any = database.obj
    engine.query_hooks.append(lambda query: seen.append(query.sql))
    yield seen
    engine.query_hooks.clear()


# --- counting


def test_each_log_is_counted_once_over_several_runs_and_hours(services: Services) -> None:
    chance = random.Random(1)
    logs = random_logs(chance, 400)
    store(logs)
    now, added = BEGIN, 0
    while now < END + 2 * HOUR_MS:
        added += count_logs(now)
        assert counted_until() == settled(now)
        assert counted() == tally(logs, settled(now))
        assert added == sum(counted().values())
        now += chance.randrange(1, 2 * HOUR_MS)
    assert count_logs(now) == 400 - added
    assert count_logs(now) == 0
    assert sum(counted().values()) == 400


def test_what_comes_later_is_added_to_its_hour(services: Services) -> None:
    store([make(BEGIN + 1)])
    assert count_logs(BEGIN + 5 * MINUTE_MS) == 1
    store([make(BEGIN + 10 * MINUTE_MS), make(BEGIN + 20 * MINUTE_MS, status=FAIL)])
    assert count_logs(BEGIN + HOUR_MS) == 2
    assert counted() == {
        ("w", BEGIN, "NODE_CREATED", SUCCESS): 2,
        ("w", BEGIN, "NODE_CREATED", FAIL): 1,
    }


def test_a_minute_that_may_still_get_logs_is_not_counted(services: Services) -> None:
    now = BEGIN + 10 * MINUTE_MS + 59_999
    store([make(now - SETTLED_MS), make(settled(now) - 1)])
    assert count_logs(now) == 1
    assert counted_until() == BEGIN + 8 * MINUTE_MS
    assert count_logs(now - HOUR_MS) == 0  # a clock that is behind changes nothing
    assert counted_until() == BEGIN + 8 * MINUTE_MS
    assert count_logs(now + MINUTE_MS) == 1


def test_a_thousand_kinds_of_logs_in_an_hour_are_counted(services: Services) -> None:
    logs = [make(BEGIN + number, webhook_id=f"w{number % 350}", status=STATUSES[number % 3]) for number in range(2_000)]
    store(logs)
    assert count_logs(END) == 2_000
    assert counted() == tally(logs, END)


def test_time_without_logs_costs_nothing(services: Services, statements: list[str]) -> None:
    year = 365 * 24 * HOUR_MS
    store([make(BEGIN - 3 * year), make(BEGIN), make(BEGIN + 3 * year)])
    statements.clear()
    assert count_logs(BEGIN + 5 * year) == 3
    assert len(statements) < 30
    statements.clear()
    assert count_logs(BEGIN + 8 * year) == 0
    assert len(statements) < 10


def test_without_any_log_all_time_is_counted_at_once(services: Services, statements: list[str]) -> None:
    assert count_logs(END) == 0
    assert counted_until() == settled(END)
    assert len(statements) < 10


def test_two_that_count_at_once_count_each_log_once(services: Services) -> None:
    logs = random_logs(random.Random(2), 500)
    store(logs)
    barrier = threading.Barrier(2)
    added: list[int] = []

    def run() -> None:
        barrier.wait(5)
        added.append(sum(count_logs(now) for now in range(BEGIN, END + HOUR_MS, 13 * MINUTE_MS)))
        database.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counted() == tally(logs, counted_until())
    assert sum(added) == sum(counted().values())
    assert count_logs(END + HOUR_MS) + sum(added) == 500


def test_hours_whose_logs_are_gone_are_forgotten(services: Services) -> None:
    logs = random_logs(random.Random(3), 300)
    store(logs)
    count_logs(END + HOUR_MS)
    edge = BEGIN + 2 * HOUR_MS
    forget_before(edge)
    assert counted() == tally([log for log in logs if log.at >= edge], END)
    assert counted_until() == settled(END + HOUR_MS)


def test_a_log_that_is_recorded_late_is_counted_too(services: Services) -> None:
    now = BEGIN + 30 * MINUTE_MS
    count_logs(now)
    due = Due("d", "w", "e", 0, "NODE_CREATED", "{}", None)
    request = Request("http://a/", {}, b"", 1_000)
    outcome = Outcome(200, {}, b"", None, now - 20 * MINUTE_MS, 15)
    attempt = judge(due, request, outcome, Policy((1,), 1_000), now=now)
    with write_transaction():
        insert_rows(WebhookLog, [attempt.log_row])
    [log] = WebhookLog.select()
    assert log.requested_at == now - 20 * MINUTE_MS
    assert log.id >= id_at(counted_until())[:12]
    for later in (now, now + MINUTE_MS, now + 10 * MINUTE_MS):
        count_logs(later)
        assert page_of_logs(LogFilter(webhook_id="w", start=BEGIN, end=END), 1, 10).total == 1
    assert sum(counted().values()) == 1


# --- finding


def test_segments_and_windows_equal_counting_and_slicing_by_hand(services: Services) -> None:
    chance = random.Random(4)
    logs = random_logs(chance, 400)
    store(logs)
    for now in (BEGIN, BEGIN + HOUR_MS + 125_000, BEGIN + 3 * HOUR_MS + SETTLED_MS, END - 1, END + 3 * HOUR_MS):
        count_logs(now)
        for _ in range(25):
            kind, (start, end) = random_kind(chance), random_range(chance)
            expected = chosen(logs, kind, start, end)
            found = segments(kind, start, end)
            assert sum(segment.number for segment in found) == len(expected)
            size = chance.choice((1, 2, 7, 50))
            offset = chance.randrange(len(expected)) if expected else 0
            window = window_of(found, offset, size)
            inside = chosen(logs, kind, window.start, window.end)
            assert inside[window.offset : window.offset + size] == expected[offset : offset + size]
        more = random_logs(chance, 30, max(counted_until(), BEGIN), max(counted_until(), BEGIN) + HOUR_MS)
        store(more)  # they come after what is counted, and are found all the same
        logs += more


def test_segments_are_the_whole_range_newest_first_without_gaps_that_hold_logs(services: Services) -> None:
    chance = random.Random(5)
    logs = random_logs(chance, 200)
    store(logs)
    count_logs(END - HOUR_MS)
    for _ in range(40):
        kind, (start, end) = random_kind(chance), random_range(chance)
        found = segments(kind, start, end)
        assert all(later.start >= earlier.end for later, earlier in pairwise(found))
        assert all(start <= segment.start <= segment.end <= end for segment in found)
        for segment in found:
            assert segment.number == len(chosen(logs, kind, segment.start, segment.end))


def test_logs_are_read_for_an_hour_at_either_end_at_most(services: Services) -> None:
    logs = random_logs(random.Random(6), 300)
    store(logs)
    count_logs(END + HOUR_MS)
    WebhookLog.update(webhook_id="moved").where(
        WebhookLog.id >= id_at(BEGIN + HOUR_MS)[:12], WebhookLog.id < id_at(END - HOUR_MS)[:12]
    ).execute()
    found = segments(Kind("w", None, None), BEGIN + 10, END - 10)
    assert sum(segment.number for segment in found) == len(chosen(logs, Kind("w", None, None), BEGIN + 10, END - 10))


@given(
    numbers=st.lists(st.integers(0, 5), min_size=1, max_size=8),
    gaps=st.lists(st.integers(0, 2), min_size=8, max_size=8),
    offset=st.integers(0, 40),
    size=st.integers(1, 12),
)
def test_a_window_holds_the_page(numbers: list[int], gaps: list[int], offset: int, size: int) -> None:
    at, found, moments = 1_000, [], []
    for number, gap in zip(numbers, gaps, strict=False):
        at -= gap
        found.append(Segment(at - 10, at, number))
        moments += [at - 1 - place for place in range(number)]
        at -= 10
    expected = moments[offset : offset + size]
    window = window_of(found, offset, size)
    inside = [moment for moment in moments if window.start <= moment < window.end]
    assert inside[window.offset : window.offset + size] == expected
    if expected:
        assert window.offset < max(numbers)  # never more than one segment's logs are passed over
