"""/webhook/api/delivery: lists, one delivery, sending it again."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.clock import now_ms
from app.delivery import deliver
from app.ids import id_at, new_id
from app.models import DEAD, FAIL, HELD, PENDING, Delivery, Event
from app.services import Services
from app.sweep import sweep
from tests.api.conftest import Api
from tests.receiver import Receiver
from tests.rows import AT, change, delivery, event, log, outbox

As = Callable[[str], Api]
ID = "0" * 32


@pytest.fixture
def hook(admin: Api) -> str:
    event("e")
    return admin.create()


# --- lists


def test_a_list_shows_what_the_outbox_knows(admin: Api, hook: str) -> None:
    made = delivery(hook, "e", attempt=2, next_attempt_at=AT + 5_000)
    assert admin.data("GET", f"/delivery/list?webHookId={hook}") == {
        "records": [
            {
                "deliveryId": made,
                "webHookId": hook,
                "webhookUrl": "http://receiver.example/hook",
                "eventId": "e",
                "triggeredEvent": "NODE_CREATED",
                "state": "PENDING",
                "heldReason": None,
                "inFlight": False,
                "nextAttemptTime": "2021-12-27T00:00:05.000",
                "attempts": 2,
                "createdDate": "2021-12-27T00:00:00.000",
            }
        ],
        "nextCursor": None,
    }


def test_pages_follow_their_cursors_oldest_first(admin: Api, hook: str) -> None:
    made = sorted(delivery(hook, "e", state=state) for state in ("PENDING", "HELD", "WAITING", "DEAD", "DEAD"))
    seen: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        extra = f"&cursor={cursor}" if cursor else ""
        page = admin.data("GET", f"/delivery/list?webHookId={hook}&pageSize=2{extra}")
        seen.append([record["deliveryId"] for record in page["records"]])
        cursor = page["nextCursor"]
    assert seen == [made[:2], made[2:4], made[4:]]


def test_filters(admin: Api, hook: str) -> None:
    event("moved", type="NODE_MOVED")
    dead = delivery(hook, "e", state=DEAD)
    moved = delivery(hook, "moved", AT + 1_000, state=HELD)
    change(hook, backlog=True)
    for query, found in (
        ("state=DEAD", [dead]),
        ("state=HELD", [moved]),
        ("state=WAITING", []),
        ("triggeredEvent=NODE_MOVED", [moved]),
        ("startDate=2021-12-27T00:00:01", [moved]),
        ("endDate=2021-12-27T00:00:00.999", [dead]),
        ("", [dead, moved]),
    ):
        page = admin.data("GET", f"/delivery/list?webHookId={hook}&{query}")
        assert [record["deliveryId"] for record in page["records"]] == found, query
    assert admin.data("GET", f"/delivery/list?webHookId={hook}&state=HELD")["records"][0]["heldReason"] == "backlog"


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("state=", 250104, "state"),
        ("state=SUCCESS", 250105, "state"),
        ("state=dead", 250105, "state"),
        ("triggeredEvent=NOPE", 250105, "triggeredEvent"),
        ("startDate=x", 250105, "startDate"),
        ("endDate=", 250104, "endDate"),
        ("startDate=2021-12-27T00:00:01&endDate=2021-12-27T00:00:00", 250105, "startDate"),
        ("pageSize=0", 250105, "pageSize"),
        ("cursor=x", 250105, "cursor"),
        ("cursor=", 250104, "cursor"),
        ("webHookId=other", 250105, "webHookId"),
    ],
)
def test_a_list_names_the_bad_parameter(admin: Api, hook: str, query: str, code: int, field: str) -> None:
    answer = admin("GET", f"/delivery/list?webHookId={hook}&{query}")
    assert (answer.status_code, answer.json["code"]) == (400, code), answer.json
    assert field in answer.json["message"]


@pytest.mark.parametrize("path", ["/delivery/list", "/delivery/job/list"])
def test_a_list_needs_a_webhook_of_the_callers(admin: Api, as_user: As, hook: str, path: str) -> None:
    assert admin("GET", path).json["code"] == 250103
    assert admin("GET", f"{path}?webHookId=").json["code"] == 250104
    for caller, webhook_id in ((admin, ID), (admin, "x"), (as_user("outsider"), hook)):
        answer = caller("GET", f"{path}?webHookId={webhook_id}")
        assert (answer.status_code, answer.json["code"]) == (404, 251401)
    assert as_user("repo-manager").data("GET", f"{path}?webHookId={hook}")["records"] == []


# --- one delivery


def test_a_delivery_shows_its_logs_newest_first(admin: Api, hook: str) -> None:
    made = delivery(hook, "e", attempt=2, next_attempt_at=AT + 5_000)
    logs = [log(hook, "e", made, AT + 10 * number, attempt=number, status=FAIL) for number in (1, 2)]
    shown = admin.data("GET", f"/delivery/{made}")
    assert (shown["eventId"], shown["triggeredEvent"], shown["createdDate"]) == (
        "e",
        "NODE_CREATED",
        "2021-12-27T00:00:00.000",
    )
    assert (shown["state"], shown["attempts"], shown["lastStatus"], shown["logs"]) == ("PENDING", 2, "FAIL", logs[::-1])


def test_a_hundred_logs_are_enough(admin: Api, hook: str) -> None:
    made = delivery(hook, "e")
    logs = [log(hook, "e", made, AT + number, attempt=0) for number in range(103)]
    assert admin.data("GET", f"/delivery/{made}")["logs"] == logs[:2:-1]


def test_one_that_has_succeeded_is_shown_from_its_logs(admin: Api, hook: str) -> None:
    made = id_at(AT + 3)
    logs = [log(hook, "e", made)]
    shown = admin.data("GET", f"/delivery/{made}")
    assert (shown["state"], shown["attempts"], shown["logs"]) == ("SUCCESS", 1, logs)
    Event.delete().execute()
    assert admin("GET", f"/delivery/{made}").json["code"] == 250108


@pytest.mark.parametrize("path", ["/delivery/{}", "/delivery/resend/{}"])
def test_others_and_unknown_ids_are_not_found(admin: Api, as_user: As, hook: str, path: str) -> None:
    made = delivery(hook, "e", state=DEAD)
    method = "POST" if "resend" in path else "GET"
    for caller, delivery_id in (
        (as_user("outsider"), made),
        (admin, ID),
        (admin, new_id()),
        (admin, "x"),
        (admin, "%00"),
    ):
        answer = caller(method, path.format(delivery_id))
        assert (answer.status_code, answer.json["code"]) == (404, 250108)
        assert answer.json["message"] == "delivery not found"


# --- again


def test_resending_answers_with_the_delivery(admin: Api, hook: str) -> None:
    made = delivery(hook, "e", state=DEAD, attempt=10)
    shown = admin.data("POST", f"/delivery/resend/{made}")
    assert (shown["deliveryId"], shown["state"], shown["attempts"], shown["inFlight"]) == (made, "PENDING", 10, False)
    assert outbox(made)[0][:3] == (PENDING, 10, 10)


def test_one_in_flight_says_so_and_is_left_alone(admin: Api, hook: str) -> None:
    made = delivery(hook, "e", queued_at=AT)
    before = outbox()
    assert admin.data("POST", f"/delivery/resend/{made}")["inFlight"] is True
    assert outbox() == before


def test_a_deleted_or_disabled_webhooks_delivery_is_not_sent(admin: Api, hook: str) -> None:
    made = id_at(AT + 3)
    log(hook, "e", made)
    admin.data("PUT", "/webhook/update", {"id": hook, "enabled": False})
    answer = admin("POST", f"/delivery/resend/{made}")
    assert (answer.status_code, answer.json["code"]) == (400, 250105)
    assert answer.json["message"] == "id: the webhook is disabled; enable it first"
    admin.data("DELETE", f"/webhook/delete/{hook}")
    answer = admin("POST", f"/delivery/resend/{made}")
    assert (answer.status_code, answer.json["code"]) == (404, 251401)
    assert answer.json["message"] == "the webhook was deleted"
    assert Delivery.select().count() == 0


def test_what_succeeded_arrives_again_under_the_same_id(admin: Api, services: Services, receiver: Receiver) -> None:
    hook = admin.create(url=receiver.url)
    [event_id] = admin.data(
        "POST", "/event/publish", {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a"}
    )["eventIds"]
    made = Delivery.get(Delivery.webhook_id == hook).id
    deliver(services, made, now_ms())
    assert admin.data("GET", f"/delivery/{made}")["state"] == "SUCCESS"
    assert admin.data("POST", f"/delivery/resend/{made}")["state"] == "PENDING"
    sweep(services.broker, now_ms())
    deliver(services, made, now_ms())
    first, second = receiver.wait_for(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == made
    assert first.body == second.body
    [shown] = admin.data("GET", f"/event/{event_id}")["deliveries"]
    assert (shown["state"], shown["attempts"]) == ("SUCCESS", 2)


# --- jobs


def resend_of(hook: str, **fields: Any) -> dict[str, Any]:
    return {"webHookId": hook} | fields


def test_a_bulk_resend_is_a_job(admin: Api, hook: str) -> None:
    answer = admin("POST", "/delivery/resend", resend_of(hook, endDate="2021-12-27T00:00:00"))
    assert answer.status_code == 202
    job = answer.json["data"]
    assert job.pop("createdDate") == job.pop("lastModifiedDate")
    assert job == {
        "id": job["id"],
        "kind": "RESEND",
        "webHookId": hook,
        "state": "PENDING",
        "total": None,
        "done": 0,
        "skipped": 0,
        "createdBy": "root",
        "finishedDate": None,
        "errorMsg": None,
        "filters": {
            "startDate": None,
            "endDate": "2021-12-27T00:00:00.000",
            "state": ["DEAD", "FAILED"],
            "triggeredEvent": None,
        },
    }
    assert admin.data("GET", f"/delivery/job/{job['id']}")["id"] == job["id"]
    page = admin.data("GET", f"/delivery/job/list?webHookId={hook}")
    assert ([record["id"] for record in page["records"]], page["nextCursor"]) == ([job["id"]], None)


def test_the_same_key_answers_the_same_job(admin: Api, hook: str) -> None:
    headers = {"Idempotency-Key": "night-1"}
    answers = [admin("POST", "/delivery/resend", resend_of(hook), headers=headers) for _ in range(2)]
    assert answers[0].json["data"] == answers[1].json["data"]
    assert [answer.status_code for answer in answers] == [202, 202]
    other = admin("POST", "/delivery/resend", resend_of(hook, state=["DEAD"]), headers=headers)
    assert (other.status_code, other.json["code"]) == (400, 250105)
    assert "Idempotency-Key" in other.json["message"]


@pytest.mark.parametrize(("key", "code"), [("", 250104), ("a b", 250105), ("k" * 129, 250105)])
def test_a_bad_key_is_named(admin: Api, hook: str, key: str, code: int) -> None:
    answer = admin("POST", "/delivery/resend", resend_of(hook), headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert "Idempotency-Key" in answer.json["message"]


def test_a_second_job_has_to_wait(admin: Api, hook: str) -> None:
    job = admin.data("POST", "/delivery/resend", resend_of(hook))
    answer = admin("POST", "/delivery/resend", resend_of(hook))
    assert (answer.status_code, answer.json["code"]) == (429, 250124)
    assert job["id"] in answer.json["message"]
    assert int(answer.headers["Retry-After"]) > 0


def test_a_job_is_cancelled_once(admin: Api, hook: str) -> None:
    job = admin.data("POST", "/delivery/resend", resend_of(hook))
    cancelled = admin.data("POST", f"/delivery/job/cancel/{job['id']}")
    assert cancelled["state"] == "CANCELLED"
    assert cancelled["finishedDate"] is not None
    answer = admin("POST", f"/delivery/job/cancel/{job['id']}")
    assert (answer.status_code, answer.json["code"]) == (400, 250105)
    assert answer.json["message"] == "the job has ended already: CANCELLED"


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, 250103, "webHookId"),
        ({"webHookId": ""}, 250104, "webHookId"),
        ({"webHookId": 1}, 250105, "webHookId"),
        ({"state": []}, 250104, "state"),
        ({"state": ["HELD"]}, 250105, "state"),
        ({"startDate": 5}, 250105, "startDate"),
        ({"triggeredEvent": "NOPE"}, 250105, "triggeredEvent"),
    ],
)
def test_a_bulk_resend_names_the_bad_field(admin: Api, hook: str, body: dict[str, Any], code: int, field: str) -> None:
    answer = admin("POST", "/delivery/resend", (resend_of(hook) if body else {}) | body)
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert field in answer.json["message"]


def test_a_bulk_resend_needs_a_webhook_that_can_be_sent_to(admin: Api, as_user: As, hook: str) -> None:
    assert as_user("outsider")("POST", "/delivery/resend", resend_of(hook)).json["code"] == 251401
    assert admin("POST", "/delivery/resend", resend_of(ID)).json["code"] == 251401
    change(hook, enabled=False)
    answer = admin("POST", "/delivery/resend", resend_of(hook))
    assert (answer.status_code, answer.json["code"]) == (400, 250105)
    assert answer.json["message"] == "webHookId: the webhook is disabled; enable it first"
    admin.data("DELETE", f"/webhook/delete/{hook}")
    answer = admin("POST", "/delivery/resend", resend_of(hook))
    assert (answer.status_code, answer.json["message"]) == (404, "the webhook was deleted")


def test_jobs_of_others_and_unknown_ones_are_not_found(admin: Api, as_user: As, hook: str) -> None:
    job = admin.data("POST", "/delivery/resend", resend_of(hook))
    for caller, job_id in ((as_user("outsider"), job["id"]), (admin, ID), (admin, "x"), (admin, "%00")):
        for method, path in (("GET", "/delivery/job/"), ("POST", "/delivery/job/cancel/")):
            answer = caller(method, path + job_id)
            assert (answer.status_code, answer.json["code"], answer.json["message"]) == (404, 250108, "job not found")
    assert as_user("repo-manager").data("GET", f"/delivery/job/{job['id']}")["state"] == "PENDING"


def test_job_lists_follow_their_cursors(admin: Api, hook: str) -> None:
    made = []
    for _ in range(3):
        job = admin.data("POST", "/delivery/resend", resend_of(hook))
        admin.data("POST", f"/delivery/job/cancel/{job['id']}")
        made.append(job["id"])
    path = f"/delivery/job/list?webHookId={hook}&pageSize=2"
    first = admin.data("GET", path)
    second = admin.data("GET", f"{path}&cursor={first['nextCursor']}")
    assert [record["id"] for page in (first, second) for record in page["records"]] == made[::-1]
    assert second["nextCursor"] is None
    assert admin("GET", f"{path}&cursor=x").json["code"] == 250105


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/delivery/list"),
        ("GET", f"/delivery/{ID}"),
        ("POST", f"/delivery/resend/{ID}"),
        ("POST", "/delivery/resend"),
        ("GET", f"/delivery/job/{ID}"),
        ("GET", "/delivery/job/list"),
        ("POST", f"/delivery/job/cancel/{ID}"),
    ],
)
def test_nobody_gets_in_without_credentials(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(f"/webhook/api{path}", method=method)
    assert (answer.status_code, answer.json["code"]) == (401, 250114)
