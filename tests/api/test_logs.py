"""GET /webhook/api/log/list/{webHookId}: the seed document's rows, and pages by filter; and one log."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.clock import now_ms
from app.ids import id_at
from app.models import Event, WebhookLog
from tests.api.conftest import Api
from tests.api.test_webhook_send import RECORD_FIELDS

DAY = 86_400_000
AT = 1_640_563_200_123  # 2021-12-27T00:00:00.123


def write_log(webhook_id: str, at: int, **columns: Any) -> str:
    """Write a log, with an event of its own, and return its id."""
    log_id = id_at(at)
    payload = columns.pop("payload", '{"eventType":"NODE_CREATED"}')
    event_id = columns.setdefault("event_id", f"event-{log_id}")
    Event.insert(id=event_id, type="NODE_CREATED", payload=payload, accepted_at=at).on_conflict_ignore().execute()
    row = {
        "id": log_id,
        "webhook_id": webhook_id,
        "delivery_id": "d" * 32,
        "attempt": 1,
        "url": "http://receiver.example/hook",
        "triggered_event": "NODE_CREATED",
        "request_headers": '{"X-A":"1"}',
        "status": "FAIL",
        "response_status": 500,
        "response_headers": '{"X-B":"2"}',
        "response_body": "busy",
        "duration_ms": 100,
        "requested_at": at,
        "error": "the receiver answered 500",
        "next_attempt_at": at + 5_000,
        "timing": '{"dns":12,"connect":0,"tls":null,"firstByte":null,"total":12}',
    }
    WebhookLog.insert(**row | columns).execute()
    return log_id


def ids_of(page: dict[str, Any]) -> list[str]:
    return [record["id"] for record in page["records"]]


def test_the_bare_list_has_the_documents_names_and_types(admin: Api) -> None:
    webhook_id = admin.create()
    log_id = write_log(webhook_id, AT)
    assert admin.data("GET", f"/log/list/{webhook_id}") == [
        {
            "id": log_id,
            "webhookUrl": "http://receiver.example/hook",
            "triggeredEvent": "NODE_CREATED",
            "requestHeaders": '{"X-A":"1"}',
            "requestPayload": '{"eventType":"NODE_CREATED"}',
            "status": "FAIL",
            "responseHeaders": '{"X-B":"2"}',
            "responseBody": "busy",
            "requestDuration": "100",
            "requestTime": "2021-12-27T00:00:00.123",
            "errorMsg": "the receiver answered 500",
        }
    ]


def test_the_bare_list_is_newest_first_of_any_age_and_ends_at_a_thousand(admin: Api) -> None:
    webhook_id = admin.create()
    write_log(admin.create(), AT)
    row = WebhookLog.select().dicts().get()
    ids = [id_at(AT + n) for n in range(1_001)]
    WebhookLog.insert_many([row | {"id": log_id, "webhook_id": webhook_id} for log_id in ids]).execute()
    assert [log["id"] for log in admin.data("GET", f"/log/list/{webhook_id}?unknown=1")] == ids[:0:-1]


def test_a_page_has_records_with_their_own_types(admin: Api) -> None:
    webhook_id = admin.create()
    log_id = write_log(webhook_id, AT)
    page = admin.data("GET", f"/log/list/{webhook_id}?startDate=2021-12-27T00:00:00&pageSize=5")
    [record] = page.pop("records")
    assert page == {"pageNumber": 1, "pageSize": 5, "totalRecords": 1, "totalPages": 1}
    assert list(record) == RECORD_FIELDS
    assert record == {
        "id": log_id,
        "webHookId": webhook_id,
        "webHookUrl": "http://receiver.example/hook",
        "triggeredEvent": "NODE_CREATED",
        "requestHeaders": {"X-A": "1"},
        "requestPayload": '{"eventType":"NODE_CREATED"}',
        "status": "FAIL",
        "responseStatus": 500,
        "responseHeaders": {"X-B": "2"},
        "responseBody": "busy",
        "requestDuration": 100,
        "requestTime": "2021-12-27T00:00:00.123",
        "errorMsg": "the receiver answered 500",
        "eventId": f"event-{log_id}",
        "deliveryId": "d" * 32,
        "attempt": 1,
        "nextAttemptTime": "2021-12-27T00:00:05.123",
        "timing": {"dns": 12, "connect": 0, "tls": None, "firstByte": None, "total": 12},
    }


def test_pages_cover_all_logs_once(admin: Api) -> None:
    webhook_id, now = admin.create(), now_ms()
    ids = [write_log(webhook_id, now - n) for n in range(45)]
    pages = [admin.data("GET", f"/log/list/{webhook_id}?pageNumber={n}") for n in (1, 2, 3, 4)]
    assert [log_id for page in pages for log_id in ids_of(page)] == ids
    assert {(page["pageSize"], page["totalRecords"], page["totalPages"]) for page in pages} == {(20, 45, 3)}


@pytest.mark.parametrize("number", [2**31, 2**63 - 1])
def test_a_page_far_beyond_the_last_is_empty(admin: Api, number: int) -> None:
    webhook_id = admin.create()
    write_log(webhook_id, now_ms())
    page = admin.data("GET", f"/log/list/{webhook_id}?pageNumber={number}&pageSize=1000")
    assert page == {"pageNumber": number, "pageSize": 1000, "totalRecords": 1, "totalPages": 1, "records": []}


def test_the_default_window_is_three_months(admin: Api) -> None:
    webhook_id, now = admin.create(), now_ms()
    recent = write_log(webhook_id, now - 88 * DAY)
    write_log(webhook_id, now - 93 * DAY)
    assert ids_of(admin.data("GET", f"/log/list/{webhook_id}?pageNumber=1")) == [recent]


def test_a_range_may_be_how_long_ago(admin: Api) -> None:
    webhook_id, now = admin.create(), now_ms()
    for age_ms in (30_000, 3_600_000):
        write_log(webhook_id, now - age_ms)
    assert admin.data("GET", f"/log/list/{webhook_id}?startDate=10m")["totalRecords"] == 1
    assert admin.data("GET", f"/log/list/{webhook_id}?startDate=2h&endDate=10m")["totalRecords"] == 1


def test_one_log_is_shown_to_those_who_manage_its_webhook(admin: Api, as_user: Callable[[str], Api]) -> None:
    webhook_id = admin.create()
    log_id = write_log(webhook_id, AT)
    [record] = admin.data("GET", f"/log/list/{webhook_id}?endDate=2021-12-28T00:00:00")["records"]
    assert as_user("repo-manager").data("GET", f"/log/{log_id}") == record
    for caller, wanted in ((as_user("outsider"), log_id), (admin, "0" * 32)):
        answer = caller("GET", f"/log/{wanted}")
        assert (answer.status_code, answer.json["code"]) == (404, 251402)


def test_both_ends_of_the_range_belong_to_it(admin: Api) -> None:
    webhook_id = admin.create()
    ids = [write_log(webhook_id, AT + n) for n in (-1, 0, 1, 2)]

    def found(query: str) -> list[str]:
        return ids_of(admin.data("GET", f"/log/list/{webhook_id}?{query}"))[::-1]

    assert found("startDate=2021-12-27T00:00:00.123&endDate=2021-12-27T00:00:00.124") == ids[1:3]
    assert found("endDate=2021-12-27T00:00:00.123") == ids[:2]
    assert found("startDate=2021-12-27T00:00:00.123") == ids[1:]


def test_filters_narrow_the_page(admin: Api) -> None:
    webhook_id, now = admin.create(), now_ms()
    good = write_log(webhook_id, now - 1, status="SUCCESS", triggered_event="NODE_DELETED", response_body="fine 100%")
    bad = write_log(webhook_id, now - 2, payload='{"fullPath":"/a_b.apk"}', event_id="mine")
    error = write_log(webhook_id, now - 3, status="ERROR", response_body=None, response_headers=None)
    for query, expected in (
        ("status=SUCCESS", [good]),
        ("status=FAIL", [bad]),
        ("status=ERROR", [error]),
        ("triggeredEvent=NODE_DELETED", [good]),
        ("triggeredEvent=WEBHOOK_TEST", []),
        ("eventId=mine", [bad]),
        ("eventId=nobody", []),
        ("q=a_b.apk", [bad]),
        ("q=100%25", [good]),
        ("q=a%25b", []),
        ("q=NODE_CREATED&status=ERROR", [error]),
        ("pageSize=2", [good, bad]),
    ):
        page = admin.data("GET", f"/log/list/{webhook_id}?{query}")
        assert ids_of(page) == expected, query
    assert admin.data("GET", f"/log/list/{webhook_id}?status=ERROR")["records"][0]["responseHeaders"] is None


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("pageNumber=", 250104, "pageNumber"),
        ("pageNumber=0", 250105, "pageNumber"),
        ("pageNumber=-1", 250105, "pageNumber"),
        ("pageNumber=1.5", 250105, "pageNumber"),
        ("pageNumber=%2B1", 250105, "pageNumber"),
        ("pageNumber=%D9%A1", 250105, "pageNumber"),
        ("pageNumber=" + "9" * 5_000, 250105, "pageNumber"),
        ("pageNumber=1&pageNumber=2", 250105, "pageNumber"),
        ("pageSize=", 250104, "pageSize"),
        ("pageSize=0", 250105, "pageSize"),
        ("pageSize=1001", 250105, "pageSize"),
        ("pageSize=ten", 250105, "pageSize"),
        ("startDate=", 250104, "startDate"),
        ("startDate=2021-12-27", 250105, "startDate"),
        ("startDate=2021-12-27T00:00", 250105, "startDate"),
        ("startDate=2021-12-27T00:00:00Z", 250105, "startDate"),
        ("startDate=2021-12-27T00:00:00%2B08:00", 250105, "startDate"),
        ("startDate=2021-12-27T00:00:00.1", 250105, "startDate"),
        ("startDate=2021-12-27%2000:00:00", 250105, "startDate"),
        ("startDate=2021-02-30T00:00:00", 250105, "startDate"),
        ("startDate=0000-01-01T00:00:00", 250105, "startDate"),
        ("startDate=1640563200123", 250105, "startDate"),
        ("endDate=", 250104, "endDate"),
        ("endDate=tomorrow", 250105, "endDate"),
        ("startDate=2021-12-27T00:00:01&endDate=2021-12-27T00:00:00", 250105, "startDate"),
        ("status=", 250104, "status"),
        ("status=success", 250105, "status"),
        ("status=DEAD", 250105, "status"),
        ("triggeredEvent=", 250104, "triggeredEvent"),
        ("triggeredEvent=NOPE", 250105, "triggeredEvent"),
        ("eventId=", 250104, "eventId"),
        ("eventId=" + "e" * 129, 250105, "eventId"),
        ("eventId=%00", 250105, "eventId"),
        ("q=", 250104, "q"),
        ("q=" + "q" * 257, 250105, "q"),
        ("q=%00", 250105, "q"),
    ],
)
def test_it_names_the_bad_parameter(admin: Api, query: str, code: int, field: str) -> None:
    answer = admin("GET", f"/log/list/{admin.create()}?{query}")
    assert (answer.status_code, answer.json["code"]) == (400, code), answer.json
    assert field in answer.json["message"]


@pytest.mark.parametrize("query", ["startDate=0001-01-01T00:00:00", "endDate=9999-12-31T23:59:59.999"])
def test_the_ends_of_the_calendar_are_dates_too(admin: Api, query: str) -> None:
    assert admin.data("GET", f"/log/list/{admin.create()}?{query}")["records"] == []


def test_logs_of_a_deleted_webhook_stay_readable_by_those_who_managed_it(
    admin: Api, as_user: Callable[[str], Api]
) -> None:
    webhook_id = admin.create()
    log_id = write_log(webhook_id, now_ms())
    admin.data("DELETE", f"/webhook/delete/{webhook_id}")
    for path in (f"/log/list/{webhook_id}", f"/log/list/{webhook_id}?pageNumber=1"):
        assert log_id in json.dumps(as_user("repo-manager").data("GET", path))
        assert as_user("outsider")("GET", path).json["code"] == 251401
