"""GET /webhook/api/event/{eventId} and /event/list, POST /event/replay."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from app.clock import now_ms
from app.ids import id_at
from app.jobs import work
from app.models import DEAD, FAIL, HELD, Delivery, Event, Webhook
from app.services import Services
from tests.api.conftest import Api, platform
from tests.rows import AT, change, delivery, event, log

EVENT = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a.apk", "userId": "u"}
SHOWN = {
    "id": "e",
    "type": "NODE_CREATED",
    "projectId": "p",
    "repoName": "r",
    "resourceKey": "/a.apk",
    "userId": "u",
    "source": None,
    "acceptedDate": "2021-12-27T00:00:00.000",
    "error": None,
}
DAY = 86_400_000

As = Callable[[str], Api]


def test_an_event_shows_itself_and_where_it_is(admin: Api) -> None:
    hook = admin.create()
    event("e", payload='{"a":1}')
    made = delivery(hook, "e", state=DEAD, attempt=2)
    log(hook, "e", made, AT + 20, attempt=2, status=FAIL, response_status=500, error="the receiver answered 500")
    assert admin.data("GET", "/event/e") == SHOWN | {
        "payload": '{"a":1}',
        "deliveries": [
            {
                "deliveryId": made,
                "webHookId": hook,
                "webhookUrl": "http://receiver.example/hook",
                "state": "DEAD",
                "heldReason": None,
                "inFlight": False,
                "nextAttemptTime": None,
                "attempts": 2,
                "lastStatus": "FAIL",
                "lastErrorMsg": "the receiver answered 500",
                "lastResponseStatus": 500,
                "lastAttemptTime": "2021-12-27T00:00:00.020",
            }
        ],
    }


def test_a_published_event_is_on_its_way(admin: Api) -> None:
    hook = admin.create()
    [event_id] = admin.data("POST", "/event/publish", EVENT)["eventIds"]
    shown = admin.data("GET", f"/event/{event_id}")
    [found] = shown["deliveries"]
    assert (found["webHookId"], found["state"], found["attempts"], found["inFlight"]) == (hook, "PENDING", 0, True)
    assert json.loads(shown["payload"])["eventType"] == "NODE_CREATED"


def test_what_became_of_it_at_each_webhook(admin: Api) -> None:
    hooks = [admin.create() for _ in range(4)]
    event("e")
    log(hooks[0], "e", id_at(AT + 1))
    log(hooks[1], "e", id_at(AT + 1), status=FAIL)
    delivery(hooks[2], "e", state=HELD)
    change(hooks[2], circuit_until=AT, backlog=True)
    admin.data("DELETE", f"/webhook/delete/{hooks[1]}")
    found = {each["webHookId"]: each for each in admin.data("GET", "/event/e")["deliveries"]}
    assert {hook: each["state"] for hook, each in found.items()} == dict(
        zip(hooks, ("SUCCESS", "CANCELLED", "HELD"), strict=False)
    )
    assert [found[hook]["heldReason"] for hook in hooks[:3]] == [None, None, "circuit"]


@pytest.mark.parametrize("event_id", ["a/b", "/", "a b?c#d", "事件", "publish/", "publisher", "%2F"])
def test_any_id_that_a_producer_chose_will_do(admin: Api, event_id: str) -> None:
    admin.data("POST", "/event/publish", EVENT | {"eventId": event_id})
    assert admin.data("GET", f"/event/{quote(event_id, safe='')}")["id"] == event_id


def test_others_see_neither_events_nor_that_there_are_any(admin: Api, as_user: As, client: FlaskClient) -> None:
    event("e")
    for caller in (
        as_user("outsider"),
        Api(client, platform("scopeless")),
        Api(client, platform("scopeless", "nobody")),
    ):
        answer = caller("GET", "/event/e")
        assert (answer.status_code, answer.json["code"]) == (404, 250108)
        assert answer.json["message"] == "event not found"
    for path in ("/event/nope", "/event/" + "e" * 129, "/event/%00"):
        assert admin("GET", path).json["code"] == 250108


def test_deliveries_of_webhooks_that_the_caller_may_not_manage_are_left_out(
    admin: Api, as_user: As, client: FlaskClient
) -> None:
    system = admin.create(association_type="SYSTEM", association_id="")
    repo = admin.create()
    event("e")
    for hook in (system, repo):
        delivery(hook, "e")

    def seen(caller: Api) -> set[str]:
        return {each["webHookId"] for each in caller.data("GET", "/event/e")["deliveries"]}

    assert seen(admin) == {system, repo}
    assert seen(as_user("repo-manager")) == seen(as_user("project-manager")) == {repo}
    assert seen(Api(client, platform("publisher"))) == set()
    assert seen(Api(client, platform("publisher", "repo-manager"))) == {repo}


# --- lists


def test_a_list_is_of_the_last_day_newest_first_without_payloads(admin: Api) -> None:
    now = now_ms()
    for name, age in (("new", 1_000), ("young", DAY - 60_000), ("old", DAY + 60_000)):
        event(name, now - age)
    page = admin.data("GET", "/event/list")
    assert [record["id"] for record in page["records"]] == ["new", "young"]
    assert page["nextCursor"] is None
    assert set(page["records"][0]) == set(SHOWN)


def test_pages_follow_their_cursors(admin: Api) -> None:
    for number in range(7):
        event(f"e{number}", AT)
    seen: list[list[str]] = []
    query = "endDate=2021-12-27T00:00:00&pageSize=3"
    cursor: str | None = ""
    while cursor is not None:
        page = admin.data("GET", f"/event/list?{query}" + (f"&cursor={cursor}" if cursor else ""))
        seen.append([record["id"] for record in page["records"]])
        cursor = page["nextCursor"]
    assert seen == [["e6", "e5", "e4"], ["e3", "e2", "e1"], ["e0"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("type=NODE_MOVED", ["moved"]),
        ("projectId=q", ["q"]),
        ("projectId=p&repoName=s", ["s"]),
        ("resourceKey=/b", ["b"]),
        ("userId=amy", ["amy"]),
        ("userId=nobody", []),
    ],
)
def test_filters(admin: Api, query: str, found: list[str]) -> None:
    for name, columns in (
        ("moved", {"type": "NODE_MOVED"}),
        ("q", {"project_id": "q"}),
        ("s", {"repo_name": "s"}),
        ("b", {"resource_key": "/b"}),
        ("amy", {"user_id": "amy"}),
    ):
        event(name, **columns)
    page = admin.data("GET", f"/event/list?startDate=2021-12-27T00:00:00&endDate=2021-12-27T00:00:00&{query}")
    assert [record["id"] for record in page["records"]] == found


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("type=", 250104, "type"),
        ("type=NOPE", 250105, "type"),
        ("projectId=", 250104, "projectId"),
        ("projectId=" + "p" * 129, 250105, "projectId"),
        ("repoName=%00", 250105, "repoName"),
        ("resourceKey=" + "k" * 4_097, 250105, "resourceKey"),
        ("userId=", 250104, "userId"),
        ("userId=a&userId=b", 250105, "userId"),
        ("startDate=yesterday", 250105, "startDate"),
        ("endDate=", 250104, "endDate"),
        ("startDate=2021-12-27T00:00:01&endDate=2021-12-27T00:00:00", 250105, "startDate"),
        ("pageSize=0", 250105, "pageSize"),
        ("pageSize=1001", 250105, "pageSize"),
        ("cursor=", 250104, "cursor"),
        ("cursor=AAAA", 250105, "cursor"),
        ("cursor=%C3%A9", 250105, "cursor"),
    ],
)
def test_a_list_names_the_bad_parameter(admin: Api, query: str, code: int, field: str) -> None:
    answer = admin("GET", f"/event/list?{query}")
    assert (answer.status_code, answer.json["code"]) == (400, code), answer.json
    assert field in answer.json["message"]


@pytest.mark.parametrize(
    ("name", "query", "message"),
    [
        ("project-manager", "", "projectId is required of users who are not administrators"),
        ("project-manager", "?projectId=other", "you may not see all events of other"),
        ("repo-manager", "?projectId=p", "you may not see all events of p"),
        ("repo-manager", "?projectId=p&repoName=s", "you may not see all events of p:s"),
        ("outsider", "?projectId=p&repoName=r", "you may not see all events of p:r"),
    ],
)
def test_a_list_must_be_of_what_the_caller_manages(as_user: As, name: str, query: str, message: str) -> None:
    answer = as_user(name)("GET", f"/event/list{query}")
    assert (answer.status_code, answer.json["code"], answer.json["message"]) == (403, 250113, message)


def test_managers_see_the_events_of_their_places(as_user: As, client: FlaskClient) -> None:
    now = now_ms()
    for name, columns in (("r", {}), ("s", {"repo_name": "s"}), ("q", {"project_id": "q"})):
        event(name, now - 1_000, **columns)

    def seen(caller: Api, query: str) -> set[str]:
        return {record["id"] for record in caller.data("GET", f"/event/list?{query}")["records"]}

    assert seen(as_user("project-manager"), "projectId=p") == {"r", "s"}
    assert seen(as_user("repo-manager"), "projectId=p&repoName=r") == {"r"}
    assert seen(Api(client, platform("publisher")), "projectId=q") == {"q"}


# --- replay


def replay_of(hook: str, **fields: Any) -> dict[str, Any]:
    return {"webHookId": hook, "startDate": "2021-12-27T00:00:00"} | fields


def test_a_webhook_made_later_gets_what_it_missed_and_nothing_twice(admin: Api, services: Services) -> None:
    admin.data("POST", "/event/publish", [EVENT, EVENT | {"repoName": "s"}])
    hook = admin.create()
    admin.data("POST", "/event/publish", EVENT)
    answer = admin("POST", "/event/replay", replay_of(hook))
    assert answer.status_code == 202
    job = answer.json["data"]
    assert (job["kind"], job["state"], job["webHookId"], job["createdBy"]) == ("REPLAY", "PENDING", hook, "root")
    assert job["filters"] == {"startDate": "2021-12-27T00:00:00.000", "endDate": None, "type": None}
    work(services, now_ms())
    done = admin.data("GET", f"/delivery/job/{job['id']}")
    assert (done["state"], done["done"], done["skipped"], done["total"]) == ("SUCCEEDED", 1, 1, 2)
    assert Delivery.select().count() == 2
    again = admin.data("POST", "/event/replay", replay_of(hook))
    work(services, now_ms())
    assert admin.data("GET", f"/delivery/job/{again['id']}")["done"] == 0


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"webHookId": None}, 250103, "webHookId"),
        ({"startDate": None}, 250103, "startDate"),
        ({"startDate": "x"}, 250105, "startDate"),
        ({"type": "NOPE"}, 250105, "type"),
    ],
)
def test_a_replay_names_the_bad_field(admin: Api, change: dict[str, Any], code: int, field: str) -> None:
    answer = admin("POST", "/event/replay", replay_of(admin.create()) | change)
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert field in answer.json["message"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"'])
def test_a_replay_needs_an_object(admin: Api, body: bytes) -> None:
    assert admin("POST", "/event/replay", body).json["code"] == 250106


def test_replaying_to_someone_elses_webhook_finds_none(admin: Api, as_user: As, client: FlaskClient) -> None:
    hook = admin.create()
    for caller in (as_user("outsider"), Api(client, platform("publisher"))):
        assert caller("POST", "/event/replay", replay_of(hook)).json["code"] == 251401
    assert as_user("repo-manager")("POST", "/event/replay", replay_of(hook)).status_code == 202


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/event/e"), ("GET", "/event/list"), ("POST", "/event/replay")],
)
def test_nobody_gets_in_without_credentials(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(f"/webhook/api{path}", method=method)
    assert (answer.status_code, answer.json["code"]) == (401, 250114)
    assert Webhook.select().count() == Event.select().count() == 0
