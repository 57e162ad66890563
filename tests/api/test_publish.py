"""POST /webhook/api/event/publish."""

import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.models import Delivery, Event
from tests.api.conftest import Api, platform

EVENT = {
    "type": "NODE_CREATED",
    "projectId": "p",
    "repoName": "r",
    "resourceKey": "/a/b.apk",
    "userId": "u",
    "data": {"node": {"fullPath": "/a/b.apk", "size": 5}},
    "topic": "ignored",
    "source": None,
}
MEBIBYTE = 1024 * 1024
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def publisher(client: FlaskClient, people: None) -> Api:
    return Api(client, platform("publisher"))


def lines(*events: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def test_an_object_is_one_event(publisher: Api, admin: Api) -> None:
    admin.create()
    answer = publisher("POST", "/event/publish", EVENT | {"eventId": "e1"})
    assert answer.status_code == 202
    assert answer.json == {
        "code": 0,
        "message": None,
        "data": {"accepted": 1, "duplicates": 0, "matched": 1, "eventIds": ["e1"]},
        "traceId": answer.headers["X-Trace-Id"],
    }
    assert [event.id for event in Event.select()] == ["e1"]
    assert [delivery.event_id for delivery in Delivery.select()] == ["e1"]


def test_an_array_is_a_batch(publisher: Api) -> None:
    answer = publisher("POST", "/event/publish", [EVENT, EVENT | {"eventId": "e2"}])
    data = answer.json["data"]
    assert (data["accepted"], data["matched"], len(data["eventIds"]), data["eventIds"][1]) == (2, 0, 2, "e2")
    assert {event.id for event in Event.select()} == set(data["eventIds"])


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/ndjson", "application/jsonl"])
def test_lines_are_a_batch(publisher: Api, content_type: str) -> None:
    body = b"\r\n" + lines(EVENT, EVENT) + b"  \n" + json.dumps(EVENT).encode()
    answer = publisher("POST", "/event/publish", body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json["data"]["accepted"]) == (202, 3)


def test_a_repeated_id_is_a_duplicate(publisher: Api, admin: Api) -> None:
    admin.create()
    first = publisher.data("POST", "/event/publish", EVENT | {"eventId": "e1"})
    again = publisher.data("POST", "/event/publish", [EVENT | {"eventId": "e1"}, EVENT | {"eventId": "e2"}])
    assert first["duplicates"] == 0
    assert again == {"accepted": 1, "duplicates": 1, "matched": 1, "eventIds": ["e1", "e2"]}
    assert Delivery.select().count() == 2


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"type": None}, 250103, "type"),
        ({"type": ""}, 250104, "type"),
        ({"type": "X"}, 250105, 'type: unknown event type "X"'),
        ({"type": "WEBHOOK_TEST"}, 250105, "type"),
        ({"type": 5}, 250105, "type"),
        ({"type": "T" * 65}, 250105, "type is longer than 64"),
        ({"projectId": None}, 250103, "projectId"),
        ({"projectId": ""}, 250104, "projectId"),
        ({"projectId": ["p"]}, 250105, "projectId"),
        ({"projectId": "p" * 129}, 250105, "projectId is longer than 128"),
        ({"projectId": "p\u0000"}, 250105, "projectId"),
        ({"repoName": None}, 250103, "repoName"),
        ({"repoName": "r" * 129}, 250105, "repoName"),
        ({"resourceKey": None}, 250103, "resourceKey"),
        ({"resourceKey": "k" * 4_097}, 250105, "resourceKey"),
        ({"resourceKey": "/a\u0000"}, 250105, "resourceKey"),
        ({"userId": 5}, 250105, "userId"),
        ({"userId": "u" * 129}, 250105, "userId"),
        ({"source": {}}, 250105, "source"),
        ({"data": "text"}, 250105, "data"),
        ({"data": [1]}, 250105, "data"),
        ({"eventId": 5}, 250105, "eventId"),
        ({"eventId": "e" * 129}, 250105, "eventId"),
        ({"eventId": "e\u0000"}, 250105, "eventId"),
    ],
)
def test_one_bad_event_refuses_the_batch_and_is_named(
    publisher: Api, change: dict[str, Any], code: int, text: str
) -> None:
    bad = EVENT | change
    alone = publisher("POST", "/event/publish", bad)
    assert (alone.status_code, alone.json["code"]) == (400, code), alone.json
    assert alone.json["message"].startswith(text)
    in_array = publisher("POST", "/event/publish", [EVENT, EVENT, EVENT, bad])
    in_lines = publisher("POST", "/event/publish", lines(EVENT, EVENT, EVENT, bad), headers=NDJSON)
    for answer in (in_array, in_lines):
        assert (answer.status_code, answer.json["code"]) == (400, code)
        assert answer.json["message"].startswith(f"[3].{text}")
    assert Event.select().count() == 0


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b"", 250106, "body"),
        (b"null", 250106, "body"),
        (b"5", 250106, "body"),
        (b"[]", 250104, "body"),
        (b"[5]", 250105, "[0]"),
        (b"[{}, []]", 250103, "[0].type"),
        (b"{}", 250103, "type"),
        (b"[{]", 250106, "body"),
        (b'{"type": "NODE_CREATED", "type": "NODE_CREATED"}', 250106, '"type"'),
        (b'{"data": {"a": {"b": 1, "b": 2}}}', 250106, '"b"'),
        (b'{"data": {"a": NaN}}', 250106, "body"),
        (b'{"data": {"a": "\\ud800"}}', 250106, "body"),
        (b'{"data": ' + b'{"a": ' * 100_000 + b"1" + b"}" * 100_001, 250106, "nests deeper"),
        (lines(EVENT, EVENT), 250106, "body"),
        (b"\xef\xbb\xbf" + lines(EVENT), 250106, "byte order mark"),
    ],
)
def test_it_refuses_bad_bodies(publisher: Api, body: bytes, code: int, text: str) -> None:
    answer = publisher("POST", "/event/publish", body)
    assert (answer.status_code, answer.json["code"]) == (400, code), answer.json
    assert text in answer.json["message"]
    assert Event.select().count() == 0


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b"\n \n", 250104, "body"),
        (lines(EVENT) + b"\n{", 250106, "[1] is not valid JSON"),
        (lines(EVENT) + b"{} {}", 250106, "[1] is not valid JSON"),
        (lines(EVENT) + b'{"a": 1, "a": 2}', 250106, '[1] gives the key "a" twice'),
        (lines(EVENT) + b"[" * 200 + b"]" * 200, 250106, "[1] nests deeper"),
        (json.dumps([EVENT]).encode(), 250105, "[0]"),
    ],
)
def test_it_refuses_bad_lines(publisher: Api, body: bytes, code: int, text: str) -> None:
    answer = publisher("POST", "/event/publish", body, headers=NDJSON)
    assert (answer.status_code, answer.json["code"]) == (400, code), answer.json
    assert text in answer.json["message"]
    assert Event.select().count() == 0


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/plain"}, {"Content-Type": ""}, {"Content-Encoding": "gzip"}]
)
def test_it_refuses_other_types(publisher: Api, headers: dict[str, str]) -> None:
    answer = publisher("POST", "/event/publish", EVENT, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (415, 250119)


def test_an_event_over_a_mebibyte_is_named(publisher: Api) -> None:
    large = EVENT | {"data": {"pad": "x" * MEBIBYTE}}
    for body, headers, text in (
        (json.dumps(large).encode(), {}, "body"),
        (json.dumps([EVENT, large]).encode(), {}, "[1]"),
        (lines(EVENT, large), NDJSON, "[1]"),
    ):
        answer = publisher("POST", "/event/publish", body, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (413, 250106)
        assert answer.json["message"].startswith(text)
    assert Event.select().count() == 0


def test_a_batch_may_be_larger_than_an_event(publisher: Api) -> None:
    batch = [EVENT | {"data": {"pad": "x" * 500_000}} for _ in range(3)]
    assert publisher.data("POST", "/event/publish", batch)["accepted"] == 3


def test_a_batch_has_sixteen_mebibytes_and_ten_thousand_events_at_most(publisher: Api) -> None:
    large = publisher("POST", "/event/publish", b"[" + b" " * 16 * MEBIBYTE + b"]")
    assert (large.status_code, large.json["code"]) == (413, 250106)
    many = publisher("POST", "/event/publish", b"[" + b",".join([b"{}"] * 10_001) + b"]")
    assert (many.status_code, many.json["code"]) == (413, 250106)
    assert Event.select().count() == 0


def stream(publisher: Api, body: bytes, content_type: str = "application/json", **environ: Any) -> tuple[int, int]:
    """Send a body as servers hand over chunked ones: it ends where it ends, and no length is known."""
    terminated = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True, **environ}
    headers = {"Content-Type": content_type}
    answer = publisher("POST", "/event/publish", headers=headers, environ_overrides=terminated)
    return answer.status_code, answer.json["code"]


def test_a_body_of_unknown_length_is_never_cut(publisher: Api) -> None:
    whole = json.dumps([EVENT, EVENT]).encode()
    padding = b" " * (16 * MEBIBYTE - len(whole))
    assert stream(publisher, whole + padding) == (202, 0)
    assert stream(publisher, whole + padding + b"]") == (413, 250106)
    assert Event.select().count() == 2


def test_a_body_that_breaks_off_is_refused(publisher: Api) -> None:
    length = str(len(lines(EVENT, EVENT)))
    assert stream(publisher, lines(EVENT), "application/x-ndjson", CONTENT_LENGTH=length) == (400, 250105)
    assert stream(publisher, lines(EVENT), "application/x-ndjson") == (411, 250105)
    assert stream(publisher, json.dumps([EVENT]).encode()[:-1]) == (400, 250106)
    assert Event.select().count() == 0


def test_messages_are_chinese_for_those_who_prefer_it(publisher: Api) -> None:
    answer = publisher("POST", "/event/publish", [EVENT | {"type": "X"}], headers={"Accept-Language": "zh"})
    assert answer.json["message"] == '参数 [0].type：未知的事件类型 "X"'
