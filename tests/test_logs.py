"""Reading logs below the API; and the window of dates that is used by default."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from app.clock import now_ms
from app.ids import new_id
from app.log_query import Frame, filter_of, months_before, place_of
from app.logs import LogFilter, newest_logs, page_of_logs, read_log
from app.models import Event, WebhookLog
from app.services import Services
from tests.api.test_logs import write_log

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def test_a_log_comes_with_its_payload(services: Services) -> None:
    log_id = write_log("w", 5, payload='{"a":1}')
    entry = read_log(log_id)
    assert entry is not None
    assert (entry.log.id, entry.log.webhook_id, entry.payload) == (log_id, "w", '{"a":1}')
    assert [found.payload for found in newest_logs("w", now_ms())] == ['{"a":1}']


@pytest.mark.parametrize("log_id", ["", "x", "\0", "'", "A" * 32, "0" * 33, "0" * 31 + "\n", new_id()])
def test_a_log_that_is_not_there_is_none(services: Services, log_id: str) -> None:
    assert read_log(log_id) is None


def test_a_log_outlives_its_event(services: Services) -> None:
    log_id = write_log("w", 5)
    Event.delete().execute()
    entry = read_log(log_id)
    assert entry is not None
    assert entry.payload == ""
    assert page_of_logs(LogFilter(webhook_id="w", start=0, end=9), 1, 10).total == 1


@pytest.mark.sqlite_only
def test_a_page_is_found_through_the_index_of_webhook_and_time(services: Services) -> None:
    query = WebhookLog.select().where(WebhookLog.webhook_id == "w", WebhookLog.id >= "0", WebhookLog.id < "1")
    sql, params = query.order_by(WebhookLog.id.desc()).limit(20).sql()
    plan = WebhookLog._meta.database.execute_sql(f"EXPLAIN QUERY PLAN {sql}", params).fetchall()
    assert len(plan) == 1
    assert "(webhook_id=? AND id>? AND id<?)" in plan[0][3]


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        ("2021-12-27T01:02:03.004", SHANGHAI, "2021-09-27T01:02:03.004"),
        ("2021-02-15T00:00:00", SHANGHAI, "2020-11-15T00:00:00"),
        ("2021-05-31T12:00:00", SHANGHAI, "2021-02-28T12:00:00"),
        ("2024-05-31T12:00:00", SHANGHAI, "2024-02-29T12:00:00"),
        ("2021-05-01T12:00:00", BERLIN, "2021-02-01T12:00:00"),
    ],
)
def test_three_months_are_counted_on_the_local_calendar(now: str, zone: ZoneInfo, expected: str) -> None:
    assert months_before(at(now, zone), 3, zone) == at(expected, zone)


def test_the_window_ends_now_and_dates_are_local() -> None:
    now = at("2021-12-27T00:00:00", SHANGHAI)
    frame = Frame(SHANGHAI, now, {"A"})
    default = filter_of("w", {}, frame)
    assert (default.start, default.end) == (at("2021-09-27T00:00:00", SHANGHAI), now)
    given = filter_of("w", {"startDate": "2021-12-26T08:00:00.001", "triggeredEvent": "A"}, frame)
    assert (given.start, given.end) == (at("2021-12-26T00:00:00.001", ZoneInfo("UTC")), now)
    assert datetime.fromtimestamp(given.start / 1000, UTC).hour == 0
    assert given.triggered_event == "A"


def test_pages_begin_at_one_and_have_twenty_logs() -> None:
    assert place_of({}) == (1, 20)
    assert place_of({"pageNumber": "007", "pageSize": "1000"}) == (7, 1000)
