"""GET and POST of test and retry: a request goes out at once, and its log comes back."""

import json
import re
from collections.abc import Callable

import pytest

from app.models import Event, WebhookLog
from tests.api.conftest import Api
from tests.receiver import Answer, Receiver

RECORD_FIELDS = [
    *("id", "webHookId", "webHookUrl", "triggeredEvent", "requestHeaders", "requestPayload", "status"),
    *("responseStatus", "responseHeaders", "responseBody", "requestDuration", "requestTime", "errorMsg", "eventId"),
    *("deliveryId", "attempt", "nextAttemptTime", "timing"),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_test_is_sent_now_and_its_log_is_the_answer(admin: Api, receiver: Receiver, method: str) -> None:
    webhook_id = admin.create(url=receiver.url, token="a-long-token", headers={"X-Own": "1"})
    receiver.script.append(Answer(202, {"X-Back": "yes"}, b"thanks"))
    record = admin.data(method, f"/webhook/test/{webhook_id}")
    [arrived] = receiver.received
    assert list(record) == RECORD_FIELDS
    assert record["webHookUrl"] == receiver.url
    assert record["webHookId"] == webhook_id
    assert record["triggeredEvent"] == "WEBHOOK_TEST"
    assert record["requestHeaders"]["X-TOKEN"] == "****oken"
    assert record["requestHeaders"]["X-Own"] == "1"
    assert record["requestPayload"] == arrived.body.decode()
    assert json.loads(arrived.body)["webHook"]["id"] == webhook_id
    assert json.loads(arrived.body)["webHook"]["token"] == "****oken"
    assert json.loads(arrived.body)["user"]["userId"] == "root"
    assert (record["status"], record["responseStatus"], record["errorMsg"]) == ("SUCCESS", 202, None)
    assert record["responseHeaders"]["X-Back"] == "yes"
    assert record["responseBody"] == "thanks"
    assert isinstance(record["requestDuration"], int)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", record["requestTime"])
    assert arrived.headers["x-token"] == "a-long-token"


def test_a_failing_test_is_an_answer_too(admin: Api) -> None:
    webhook_id = admin.create(url="http://127.0.0.1:1/")
    record = admin.data("POST", f"/webhook/test/{webhook_id}")
    assert (record["status"], record["responseStatus"], record["responseBody"]) == ("FAIL", None, "")
    assert "refused" in record["errorMsg"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_retry_sends_the_payload_again_to_the_present_url(admin: Api, receiver: Receiver, method: str) -> None:
    webhook_id = admin.create(url="http://127.0.0.1:1/")
    first = admin.data("POST", f"/webhook/test/{webhook_id}")
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "url": receiver.url})
    again = admin.data(method, f"/webhook/retry/{first['id']}")
    assert list(again) == RECORD_FIELDS
    assert again["id"] != first["id"]
    assert again["webHookUrl"] == receiver.url
    assert again["status"] == "SUCCESS"
    assert receiver.received[0].body.decode() == first["requestPayload"] == again["requestPayload"]
    assert receiver.received[0].headers["webhook-id"] == first["deliveryId"] == again["deliveryId"]
    assert [row["id"] for row in admin.data("GET", f"/log/list/{webhook_id}")] == [again["id"], first["id"]]


@pytest.mark.parametrize("path", ["/webhook/test/{}", "/webhook/retry/{}"])
def test_asking_for_headers_sends_nothing(admin: Api, receiver: Receiver, path: str) -> None:
    webhook_id = admin.create(url=receiver.url)
    answer = admin("HEAD", path.format(webhook_id))
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
    assert receiver.received == []


@pytest.mark.parametrize("log_id", ["0" * 32, "x", "x" * 5_000, "%00", "%E6%97%A5"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_logs_that_are_not_there_are_not_found(admin: Api, method: str, log_id: str) -> None:
    answer = admin(method, f"/webhook/retry/{log_id}")
    assert (answer.status_code, answer.json["code"]) == (404, 251402)


def test_a_log_one_may_not_see_is_as_one_that_is_not_there(
    admin: Api, as_user: Callable[[str], Api], receiver: Receiver
) -> None:
    log_id = admin.data("POST", f"/webhook/test/{admin.create(url=receiver.url)}")["id"]
    hidden = as_user("outsider")("POST", f"/webhook/retry/{log_id}")
    unknown = as_user("outsider")("POST", f"/webhook/retry/{'0' * 32}")
    assert (hidden.status_code, hidden.json["code"]) == (404, 251402)
    assert hidden.json | {"traceId": ""} == unknown.json | {"traceId": ""}
    assert len(receiver.received) == 1
    assert as_user("repo-manager").data("POST", f"/webhook/retry/{log_id}")["status"] == "SUCCESS"


def test_a_log_of_a_deleted_webhook_has_nowhere_to_go(admin: Api, receiver: Receiver) -> None:
    webhook_id = admin.create(url=receiver.url)
    log_id = admin.data("POST", f"/webhook/test/{webhook_id}")["id"]
    admin.data("DELETE", f"/webhook/delete/{webhook_id}")
    answer = admin("POST", f"/webhook/retry/{log_id}")
    assert (answer.status_code, answer.json["code"]) == (404, 251401)
    assert WebhookLog.select().count() == Event.select().count() == len(receiver.received) == 1
