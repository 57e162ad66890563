"""CloudEvents of producers, taken for events."""

import base64
import json
from typing import Any

import pytest

from app.cloudevents import cloud_event
from app.cloudevents_in import event_id, event_of
from app.errors import BadRequest
from app.event_examples import example_of
from app.event_types import EVENT_TYPES, PUBLISHABLE_TYPES, Event, event_from
from app.payloads import build_payload
from tests.test_payload_formats import TRACE, due

pytestmark = pytest.mark.sqlite_only

KNOWN = {*EVENT_TYPES, "EXTRA", "com.example.built"}
CLOUD: dict[str, Any] = {
    "specversion": "1.0",
    "type": "NODE_CREATED",
    "source": "https://ci.example.com/42",
    "id": "build-7",
    "subject": "/a/b.apk",
    "projectid": "p",
    "reponame": "r",
    "userid": "u",
    "data": {"node": {"size": 5}},
}


def test_each_attribute_has_its_field() -> None:
    assert event_of({**CLOUD, "time": "2025-03-03T08:00:00Z", "traceparent": TRACE, "other": 5}, KNOWN) == Event(
        type="NODE_CREATED",
        project_id="p",
        repo_name="r",
        resource_key="/a/b.apk",
        user_id="u",
        data={"node": {"size": 5}},
        source="https://ci.example.com/42",
        event_id=event_id("https://ci.example.com/42", "build-7"),
        traceparent=TRACE,
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [("hookline.NODE_CREATED", "NODE_CREATED"), ("EXTRA", "EXTRA"), ("com.example.built", "com.example.built")],
)
def test_our_prefix_is_taken_off_types(given: str, meant: str) -> None:
    assert event_of({**CLOUD, "type": given}, KNOWN).type == meant


def test_an_id_is_unique_with_its_source_only() -> None:
    ids = {event_id("/a", "1"), event_id("/b", "1"), event_id("/a", "2"), event_id("/a", "x" * 500)}
    assert len(ids) == 4
    assert all(len(each) <= 128 for each in ids)
    assert event_id("/a", "1").startswith("1@")
    assert event_id("/a", "1") == event_id("/a", "1")
    assert event_of({**CLOUD, "eventid": "chosen"}, KNOWN).event_id == "chosen"


@pytest.mark.parametrize("event_type", [*sorted(PUBLISHABLE_TYPES), "EXTRA"])
def test_what_we_have_sent_can_be_published_again(event_type: str) -> None:
    first = event_from(example_of(event_type), KNOWN)
    payload = build_payload(first, None)
    told = due(event_type, json.loads(payload), source=None, user_id=first.user_id, resource_key=first.resource_key)
    told = told._replace(project_id=first.project_id, repo_name=first.repo_name)
    again = event_of(json.loads(cloud_event(told, "https://h")), KNOWN)
    assert json.loads(build_payload(again, None)) == json.loads(payload)
    assert (again.event_id, again.resource_key, again.traceparent) == ("e-1", first.resource_key, TRACE)


def test_data_may_be_absent_or_in_base64() -> None:
    encoded = base64.b64encode(b'{"node": {"size": 5}}').decode()
    assert event_of({**CLOUD, "data": None}, KNOWN).data is None
    assert event_of({**CLOUD, "data": None, "data_base64": encoded}, KNOWN).data == CLOUD["data"]
    for json_type in ("application/json; charset=utf-8", "application/vnd.x+json", "TEXT/JSON"):
        assert event_of({**CLOUD, "datacontenttype": json_type}, KNOWN).data == CLOUD["data"]


@pytest.mark.parametrize(
    ("changes", "code", "reason", "field"),
    [
        ({"specversion": None}, 250103, "missing", "specversion"),
        ({"specversion": "0.3"}, 250105, "not_one_of", "specversion"),
        ({"specversion": 1.0}, 250105, "not_string", "specversion"),
        ({"id": None}, 250103, "missing", "id"),
        ({"id": ""}, 250104, "empty", "id"),
        ({"id": 5}, 250105, "not_string", "id"),
        ({"id": "a\nb"}, 250105, "invalid", "id"),
        ({"source": None}, 250103, "missing", "source"),
        ({"source": "x" * 256}, 250105, "too_long", "source"),
        ({"type": None}, 250103, "missing", "type"),
        ({"type": "com.example.other"}, 250105, "trigger_unknown", "type"),
        ({"type": "hookline.WEBHOOK_TEST"}, 250105, "invalid", "type"),
        ({"type": "hookline."}, 250104, "empty", "type"),
        ({"subject": None}, 250103, "missing", "subject"),
        ({"subject": 5}, 250105, "not_string", "subject"),
        ({"projectid": None}, 250103, "missing", "projectid"),
        ({"reponame": None}, 250103, "missing", "reponame"),
        ({"userid": ["u"]}, 250105, "not_string", "userid"),
        ({"time": 5}, 250105, "not_string", "time"),
        ({"data": [1]}, 250105, "cloud_data", "data"),
        ({"data": "<a/>", "datacontenttype": "text/xml"}, 250105, "cloud_data", "data"),
        ({"datacontenttype": "text/plain"}, 250105, "cloud_data", "data"),
        ({"data_base64": "e30="}, 250105, "given_twice", "data"),
        ({"data": None, "data_base64": "?"}, 250105, "invalid", "data_base64"),
        ({"data": None, "data_base64": 5}, 250105, "not_string", "data_base64"),
        ({"data": None, "data_base64": "bm8="}, 250106, "body_malformed", "data_base64"),
    ],
)
@pytest.mark.parametrize("where", ["", "[3]"])
def test_what_is_wrong_is_named(changes: dict[str, Any], code: int, reason: str, field: str, where: str) -> None:
    with pytest.raises(BadRequest) as caught:
        event_of(CLOUD | changes, KNOWN, where)
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert caught.value.params["field"] == f"{where}.{field}".strip(".")
