"""POST /event/publish with CloudEvents, made by the `cloudevents` package."""

import json
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from app.cloudevents_in import event_id
from app.models import Event
from tests.api.conftest import Api

NAME = '/带 空格/é%2F"q".apk'


def made(**attributes: Any) -> CloudEvent:
    known = {
        "type": "hookline.NODE_CREATED",
        "source": "https://ci.example.com/%7Ebuild",
        "id": "build 7",
        "subject": NAME,
        "projectid": "p",
        "reponame": "r",
        "userid": "ü",
    }
    return CloudEvent(attributes=known | attributes, data={"node": {"size": 5}})


def publish(admin: Api, headers: dict[str, str], body: bytes) -> Any:
    answer = admin("POST", "/event/publish", body, headers={name.title(): value for name, value in headers.items()})
    assert answer.status_code == 202, answer.json
    return answer.json["data"]


def batch_of(*events: CloudEvent) -> bytes:
    return b"[" + b",".join(JSONFormat().write(event) for event in events) + b"]"


BATCH = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}


def test_all_three_modes_make_the_same_event(admin: Api) -> None:
    webhook_id = admin.create()
    structured, binary = to_structured_event(made()), to_binary_event(made(datacontenttype="application/json"))
    expected = event_id("https://ci.example.com/%7Ebuild", "build 7")
    first = publish(admin, structured.headers, structured.body)
    assert first == {"accepted": 1, "duplicates": 0, "matched": 1, "eventIds": [expected]}
    for headers, body in ((binary.headers, binary.body), (BATCH, batch_of(made()))):
        assert publish(admin, headers, body) == {
            "accepted": 0,
            "duplicates": 1,
            "matched": 0,
            "eventIds": [expected],
        }
    [row] = Event.select()
    assert (row.type, row.project_id, row.repo_name) == ("NODE_CREATED", "p", "r")
    assert (row.resource_key, row.user_id, row.source) == (NAME, "ü", "https://ci.example.com/%7Ebuild")
    assert json.loads(row.payload)["node"]["size"] == 5
    assert admin.data("GET", f"/webhook/{webhook_id}")["id"] == webhook_id


def test_a_binary_event_alone_has_all_of_it_too(admin: Api) -> None:
    binary = to_binary_event(made(datacontenttype="application/json", id="other"))
    publish(admin, binary.headers, binary.body)
    [row] = Event.select()
    assert (row.resource_key, row.user_id) == (NAME, "ü")


def test_a_binary_event_may_have_no_data_and_quoted_values(admin: Api) -> None:
    headers = {
        **{"Ce-Specversion": "1.0", "Ce-Id": '"a \\"b\\""', "Ce-Source": "/s", "Ce-Type": "NODE_DELETED"},
        **{"Ce-Subject": "/x", "Ce-Projectid": "p", "Ce-Reponame": "r"},
    }
    assert publish(admin, headers, b"")["eventIds"] == [event_id("/s", 'a "b"')]


def test_a_batch_is_all_or_none_and_the_index_is_named(admin: Api) -> None:
    body = batch_of(made(), made(id="2", type="nope"))
    answer = admin("POST", "/event/publish", body, headers=BATCH)
    assert (answer.status_code, answer.json["message"]) == (400, '[1].type: unknown event type "nope"')
    assert Event.select().count() == 0
    assert publish(admin, BATCH, batch_of(made(), made(id="2")))["accepted"] == 2


STRUCTURED = "application/cloudevents+json"


@pytest.mark.parametrize(
    ("headers", "body", "status", "message"),
    [
        ({"Content-Type": STRUCTURED}, b"[]", 400, "body must not be empty"),
        ({"Content-Type": STRUCTURED}, b"[{}]", 400, "body must be a JSON object"),
        ({"Content-Type": "application/cloudevents-batch+json"}, b"{}", 400, "body must be a list"),
        ({"Content-Type": "application/cloudevents-batch+json"}, b"[5]", 400, "[0] must be an object"),
        ({"Content-Type": STRUCTURED}, b"{}", 400, "specversion is required"),
        ({"Content-Type": STRUCTURED}, b'{"specversion": "2.0"}', 400, 'specversion: "2.0" is not one of 1.0'),
        ({"Content-Type": "application/cloudevents+avro"}, b"{}", 415, "the Content-Type must be"),
        ({"Ce-Specversion": "1.0"}, b"{}", 400, "id is required"),
        ({"Ce-Specversion": "1.0", "Ce-Id": "%FF"}, b"{}", 400, "ce-id is invalid"),
        ({"Ce-Specversion": "1.0", "Ce-Id": "1", "Content-Type": "text/xml"}, b"<a/>", 415, "the Content-Type must be"),
        ({"Ce-Specversion": "1.0", "Ce-Id": "1"}, b"[1]", 400, "body must be a JSON object"),
    ],
)
def test_what_is_wrong_is_named(admin: Api, headers: dict[str, str], body: bytes, status: int, message: str) -> None:
    answer = admin("POST", "/event/publish", body, headers=headers)
    assert answer.status_code == status
    assert answer.json["message"].startswith(message)


def test_only_publishers_may(as_user: Any) -> None:
    structured = to_structured_event(made())
    headers = {name.title(): value for name, value in structured.headers.items()}
    assert as_user("outsider")("POST", "/event/publish", structured.body, headers=headers).status_code == 403
