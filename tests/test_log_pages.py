"""Pages of logs by filter, against what plain queries say; and the search for a text."""

import random
import re
import threading
from typing import Any

import peewee
import pytest

from app.log_counts import Kind, count_logs
from app.log_steps import HOUR_MS, MINUTE_MS
from app.logs import LogFilter, page_of_logs
from app.models import ERROR, FAIL, SUCCESS, Event, WebhookLog, database
from app.services import Services
from tests.test_log_counts import BEGIN, END, chosen, make, random_kind, random_logs, random_range, store


def plain_page(wanted: LogFilter, number: int, size: int) -> tuple[int, list[str]]:
    """Return what a plain query says: how many, and the ids of the page."""
    query = WebhookLog.select(WebhookLog.id).where(
        WebhookLog.webhook_id == wanted.webhook_id,
        WebhookLog.requested_at >= wanted.start,
        WebhookLog.requested_at <= wanted.end,
    )
    if wanted.status:
        query = query.where(WebhookLog.status == wanted.status)
    if wanted.triggered_event:
        query = query.where(WebhookLog.triggered_event == wanted.triggered_event)
    page = query.order_by(WebhookLog.id.desc()).limit(size).offset((number - 1) * size)
    return query.count(), [log_id for (log_id,) in page.tuples()]


def test_a_page_is_what_a_plain_query_gives(services: Services) -> None:
    chance = random.Random(7)
    store(random_logs(chance, 400))
    for now in (BEGIN, BEGIN + 2 * HOUR_MS + 30_000, END, END + 3 * HOUR_MS):
        count_logs(now)
        for _ in range(25):
            webhook_id, status, trigger = random_kind(chance)
            start, end = random_range(chance)
            wanted = LogFilter(webhook_id=webhook_id, start=start, end=end, status=status, triggered_event=trigger)
            size = chance.choice((1, 3, 20, 1_000))
            for number in (1, 2, chance.randrange(1, 60)):
                page = page_of_logs(wanted, number, size)
                assert (page.total, [entry.log.id for entry in page.entries]) == plain_page(wanted, number, size)


def test_all_pages_together_are_all_logs_once(services: Services) -> None:
    logs = random_logs(random.Random(8), 300)
    store(logs)
    count_logs(END - HOUR_MS)
    wanted = LogFilter(webhook_id="w", start=BEGIN, end=END - 1)
    expected = chosen(logs, Kind("w", None, None), BEGIN, END)
    found: list[str] = []
    for number in range(1, len(expected) // 17 + 3):
        found += [entry.log.id for entry in page_of_logs(wanted, number, 17).entries]
    assert found == expected


def test_the_ends_of_the_range_belong_to_it(services: Services) -> None:
    store([make(at) for at in (BEGIN - 1, BEGIN, END, END + 1)])
    for now in (BEGIN, END + HOUR_MS):
        count_logs(now)
        page = page_of_logs(LogFilter(webhook_id="w", start=BEGIN, end=END), 1, 10)
        assert (page.total, [entry.log.requested_at for entry in page.entries]) == (2, [END, BEGIN])


def test_a_page_is_exact_while_logs_are_being_counted(services: Services) -> None:
    logs = [make(BEGIN + number * 20_000 % (3 * HOUR_MS)) for number in range(600)]
    store(logs)
    ended = threading.Event()
    errors: list[BaseException] = []

    def count() -> None:
        try:
            for now in range(BEGIN, BEGIN + 4 * HOUR_MS, MINUTE_MS):
                count_logs(now)
        except BaseException as error:
            errors.append(error)
        finally:
            database.close()
            ended.set()

    counting = threading.Thread(target=count)
    counting.start()
    wanted = LogFilter(webhook_id="w", start=BEGIN, end=END)
    last = min(log.id for log in logs)
    reads = 0
    while not ended.is_set():
        page = page_of_logs(wanted, 60, 10)
        assert page.total == 600
        assert len(page.entries) == 10
        assert page.entries[-1].log.id == last
        reads += 1
    counting.join(30)
    assert errors == []
    assert reads > 0


# --- filters that the counts know nothing of


def write_event(event_id: str, payload: str, at: int) -> None:
    Event.insert(id=event_id, type="NODE_CREATED", payload=payload, accepted_at=at).execute()


def search(text: str) -> list[int]:
    page = page_of_logs(LogFilter(webhook_id="w", start=BEGIN, end=END, text=text), 1, 100)
    assert page.total == len(page.entries)
    return [entry.log.requested_at - BEGIN for entry in page.entries]


@pytest.fixture
def texts(services: Services) -> None:
    """Logs at the milliseconds 0, 1, 2… of BEGIN, each with a text in its payload or its answer."""
    payloads = [
        '{"Path":"/Release/App.APK"}',
        '{"n":"100%"}',
        '{"n":"a_b"}',
        '{"n":"a\\\\b"}',
        '{"n":"ÄPFEL 苹果"}',
        None,
    ]
    bodies = [None, "", "aXb", "100 per cent", 'it\'s "Done"', "RELEASE"]
    store([make(BEGIN + place) for place in range(len(payloads))])
    for place, (payload, body) in enumerate(zip(payloads, bodies, strict=True)):
        log = WebhookLog.get(WebhookLog.requested_at == BEGIN + place)
        WebhookLog.update(event_id=f"e{place}", response_body=body).where(WebhookLog.id == log.id).execute()
        if payload is not None:
            write_event(f"e{place}", payload, BEGIN)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("release", [5, 0]),
        ("RELEASE", [5, 0]),
        ("/release/app.apk", [0]),
        ('"path"', [0]),
        ("100%", [1]),
        ("100", [3, 1]),
        ("a_b", [2]),
        ("A_B", [2]),
        ("axb", [2]),
        ("a\\\\b", [3]),
        ("苹果", [4]),
        ("ÄPFEL", [4]),
        ("Äpfel", [4]),
        ('it\'s "done"', [4]),
        ("%", [1]),
        ("_", [2]),
        ("nowhere", []),
    ],
)
def test_a_text_is_found_in_capitals_or_not_and_as_it_is(texts: None, text: str, places: list[int]) -> None:
    assert search(text) == places


def test_a_text_in_pages(services: Services) -> None:
    store([make(BEGIN + place) for place in range(30)])
    write_event("e", '{"a":"Needle"}', BEGIN)
    count_logs(END)
    wanted = LogFilter(webhook_id="w", start=BEGIN + 5, end=BEGIN + 24, text="needle", status=SUCCESS)
    page = page_of_logs(wanted, 2, 8)
    assert (page.total, [entry.log.requested_at - BEGIN for entry in page.entries]) == (20, list(range(16, 8, -1)))


def test_an_events_logs_in_pages(services: Services) -> None:
    store([make(BEGIN + place) for place in range(10)])
    WebhookLog.update(event_id="mine").where(WebhookLog.requested_at.in_([BEGIN + 2, BEGIN + 7])).execute()
    count_logs(END)
    page = page_of_logs(LogFilter(webhook_id="w", start=BEGIN, end=END, event_id="mine"), 1, 1)
    assert (page.total, [entry.log.requested_at - BEGIN for entry in page.entries]) == (2, [7])


@pytest.mark.parametrize("status", [FAIL, ERROR])
def test_failures_are_found_and_counted_through_an_index_of_failures(services: Services, status: str) -> None:
    engine: Any = database.obj
    if isinstance(engine, peewee.MySQLDatabase):
        pytest.skip("there are no partial indexes in MySQL")
    store([make(BEGIN + number * 1_000, status=status if number % 100 == 0 else SUCCESS) for number in range(5_000)])
    # Those of others are many: the index of all failures would be the longer way.
    store([make(BEGIN + number * 1_000, "v", status=status) for number in range(5_000)])
    engine.execute_sql("ANALYZE")
    seen: list[Any] = []
    engine.query_hooks.append(seen.append)
    try:
        page = page_of_logs(LogFilter(webhook_id="w", start=BEGIN, end=END, status=status), 2, 10)
    finally:
        engine.query_hooks.clear()
    assert (page.total, len(page.entries)) == (50, 10)
    explain = "EXPLAIN QUERY PLAN" if isinstance(engine, peewee.SqliteDatabase) else "EXPLAIN"
    wanted = [query for query in seen if "status <> 'SUCCESS'" in query.sql]
    assert len(wanted) == 2
    for query in wanted:
        plan = str(engine.execute_sql(f"{explain} {query.sql}", query.params).fetchall())
        assert re.search("webhook_log_(failures|failed_id)", plan)  # by the webhook, or by the time: the planner knows
