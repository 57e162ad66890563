"""The stream of a webhook's requests: who may read it, what it tells, how its requests are signed, when it ends."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from standardwebhooks import Webhook as Verifier

from app import event_stream
from app.api.context import EXTENSION, Context
from app.clock import now_ms
from app.models import Grant, User
from app.readers import Readers
from app.services import Services
from tests.api.conftest import Api, platform
from tests.rows import change, event

Told = list[dict[str, Any]]
PROJECT_P = {"associationType": "PROJECT", "associationId": "p"}


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "INTERVAL_S", 0.01)


@contextmanager
def reading(api: Api, position: str | None = None, **parameters: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Read a stream's messages, as `name`, `id` and `data`."""
    headers = {"Last-Event-ID": position} if position else {}
    answer = api("GET", f"/event/stream?{urlencode(parameters)}", headers=headers, buffered=False)
    with answer:
        assert answer.status_code == 200, answer.text
        assert answer.mimetype == "text/event-stream"
        yield _messages(chunk.decode() for chunk in answer.iter_encoded())


def _messages(chunks: Iterator[str]) -> Iterator[dict[str, Any]]:
    for chunk in chunks:
        fields = dict(line.split(": ", 1) for line in chunk.splitlines() if line)
        yield {"name": fields["event"], "id": fields["id"], "data": json.loads(fields["data"] or "null")}


def take(messages: Iterator[dict[str, Any]], count: int) -> Told:
    """Return the next messages that are no beats."""
    return list(islice((message for message in messages if message["name"] != "beat"), count))


def ids(told: Told) -> list[str]:
    return [message["data"]["eventId"] for message in told]


def secret(api: Api) -> str:
    return str(api.data("GET", "/event/stream/secret")["secret"])


# --- what it tells


def test_a_webhook_is_streamed_as_it_would_be_sent(admin: Api) -> None:
    hook = admin.create(token="t-123456", headers={"X-Own": "yes"}, resourceKeyPattern=r".*\.apk", enabled=False)
    with reading(admin, webHookId=hook) as messages:
        assert next(messages)["name"] == "ready"
        for number, key in enumerate(("/a.apk", "/a.txt", "/ü.apk")):
            event(f"e{number}", now_ms(), resource_key=key, payload='{"name":"ü"}')
        told = take(messages, 2)
    assert ids(told) == ["e0", "e2"]
    data = told[1]["data"]
    assert (data["type"], data["projectId"], data["repoName"], data["resourceKey"]) == (
        "NODE_CREATED",
        "p",
        "r",
        "/ü.apk",
    )
    assert data["body"] == '{"name":"ü"}'
    headers = data["headers"]
    assert (headers["X-TOKEN"], headers["X-Own"], headers["X-BKREPO-EVENT"]) == ("t-123456", "yes", "NODE_CREATED")
    assert headers["webhook-id"] == data["id"]
    signed = admin.data("GET", f"/webhook/secret/{hook}")["secret"]
    assert Verifier(signed).verify(data["body"], headers) == {"name": "ü"}


def test_one_that_is_made_up_for_the_moment_is_signed_with_the_callers_secret(as_user: Callable[[str], Api]) -> None:
    manager = as_user("project-manager")
    with reading(manager, **PROJECT_P, triggers="NODE_CREATED,NODE_MOVED", resourceKeyPattern="/x.*") as messages:
        next(messages)
        event("e1", now_ms(), resource_key="/x/1")
        event("e2", now_ms(), resource_key="/y/1")
        event("e3", now_ms(), resource_key="/x/2", type="NODE_MOVED")
        event("e4", now_ms(), resource_key="/x/2", type="NODE_DELETED")
        event("e5", now_ms(), resource_key="/x/2", project_id="other")
        event("e6", now_ms(), resource_key="/x/6", repo_name=None)
        told = take(messages, 3)
    assert ids(told) == ["e1", "e3", "e6"]
    for message in told:
        Verifier(secret(manager)).verify(message["data"]["body"], message["data"]["headers"])
    assert secret(manager) == secret(manager) != secret(as_user("repo-manager"))


def test_a_format_and_a_filter_hold_as_for_a_webhook(admin: Api) -> None:
    conditions = json.dumps({"payload.node.size": {"$gt": 10}})
    with reading(admin, **PROJECT_P, payloadFormat="cloudevents", filter=conditions) as messages:
        next(messages)
        for number in range(3):
            event(f"e{number}", now_ms(), payload=json.dumps({"node": {"size": number * 10}}))
        (told,) = take(messages, 1)
    assert told["data"]["eventId"] == "e2"
    assert told["data"]["headers"]["Content-Type"].startswith("application/cloudevents+json")
    assert json.loads(told["data"]["body"])["data"] == {"node": {"size": 20}}
    Verifier(secret(admin)).verify(told["data"]["body"], told["data"]["headers"])


def test_a_template_that_fails_is_told(admin: Api) -> None:
    hook = admin.create(payloadFormat="template", payloadTemplate="{{ payload.there.is.none }}")
    with reading(admin, webHookId=hook) as messages:
        next(messages)
        event("e1", now_ms(), payload="{}")
        (told,) = take(messages, 1)
    assert (told["name"], told["data"]["eventId"]) == ("unbuildable", "e1")


def test_without_triggers_every_event_of_a_producer_comes(admin: Api) -> None:
    with reading(admin, associationType="SYSTEM") as messages:
        next(messages)
        event("e1", now_ms(), type="WEBHOOK_TEST")
        event("e2", now_ms(), type="WEBHOOK_DISABLED")
        event("e3", now_ms(), type="SCAN_FINISHED", repo_name=None)
        assert ids(take(messages, 1)) == ["e3"]


def test_a_webhook_is_not_told_of_itself(admin: Api) -> None:
    hook = admin.create(association_type="SYSTEM", association_id="", triggers=["WEBHOOK_FAILING"])
    with reading(admin, webHookId=hook) as messages:
        next(messages)
        event("itself", now_ms(), type="WEBHOOK_FAILING", resource_key=hook)
        event("another", now_ms(), type="WEBHOOK_FAILING", resource_key="0" * 32)
        assert ids(take(messages, 1)) == ["another"]


def test_a_payload_that_could_not_be_built_is_told_as_such(admin: Api) -> None:
    with reading(admin, **PROJECT_P) as messages:
        next(messages)
        event("e1", now_ms(), error="data.node: not an object")
        (told,) = take(messages, 1)
    assert told["name"] == "unbuildable"
    assert (told["data"]["eventId"], told["data"]["error"]) == ("e1", "data.node: not an object")
    assert "headers" not in told["data"]


def test_who_comes_back_with_the_last_id_gets_what_he_missed_under_the_same_ids(admin: Api) -> None:
    with reading(admin, **PROJECT_P) as messages:
        next(messages)
        event("e1", now_ms())
        first = take(messages, 1)[0]
    event("e2", now_ms())
    long_ago = now_ms() - 3_600_000
    event("before", long_ago)
    with reading(admin, first["id"], **PROJECT_P) as messages:
        again = take(messages, 3)[1:]
    assert ids(again) == ["e1", "e2"]
    assert again[0]["data"]["id"] == first["data"]["id"]


def test_since_a_time_it_begins_there(admin: Api) -> None:
    now = now_ms()
    event("old", now - 3_600_000)
    with reading(admin, **PROJECT_P, since="2020-01-01T00:00:00") as messages:
        ready, told = take(messages, 2)
    assert ready["data"]["since"] == "2020-01-01T00:00:00.000"
    assert told["data"]["eventId"] == "old"


# --- who may


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("who", "parameters", "status"),
    [
        ("root", {"associationType": "SYSTEM"}, 200),
        ("root", PROJECT_P, 200),
        ("project-manager", {"associationType": "SYSTEM"}, 403),
        ("project-manager", PROJECT_P, 200),
        ("project-manager", {"associationType": "REPO", "associationId": "p:r"}, 200),
        ("repo-manager", PROJECT_P, 403),
        ("repo-manager", {"associationType": "REPO", "associationId": "p:r"}, 200),
        ("repo-manager", {"associationType": "REPO", "associationId": "p:s"}, 403),
        ("outsider", PROJECT_P, 403),
    ],
)
def test_a_place_is_streamed_to_those_who_manage_it(
    as_user: Callable[[str], Api], who: str, parameters: dict[str, str], status: int
) -> None:
    with as_user(who)("GET", f"/event/stream?{urlencode(parameters)}", buffered=False) as answer:
        assert answer.status_code == status


@pytest.mark.sqlite_only
def test_a_webhook_is_streamed_to_those_who_manage_it(as_user: Callable[[str], Api], client: FlaskClient) -> None:
    hook = as_user("root").create()
    callers = {
        "root": as_user("root"),
        "repo-manager": as_user("repo-manager"),
        "outsider": as_user("outsider"),
        "for-manager": Api(client, platform("scopeless", "repo-manager")),
        "for-nobody": Api(client, platform("publisher")),
        "nobody": Api(client, {}),
    }
    found = {}
    for name, api in callers.items():
        with api("GET", f"/event/stream?webHookId={hook}", buffered=False) as answer:
            found[name] = answer.status_code
    assert found == {
        "root": 200, "repo-manager": 200, "outsider": 404, "for-manager": 200, "for-nobody": 404, "nobody": 401,
    }  # fmt: skip
    assert callers["for-nobody"]("GET", "/event/stream/secret").status_code == 403
    assert secret(callers["for-manager"]) == secret(callers["repo-manager"])


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "associationType"),
        ("associationType=ALL", "associationType"),
        ("associationType=PROJECT", "associationId"),
        ("associationType=SYSTEM&triggers=NOTHING", "triggers[0]"),
        ("associationType=REPO&associationId=p:r&triggers=WEBHOOK_FAILING", "triggers[0]"),
        ("associationType=SYSTEM&resourceKeyPattern=(", "resourceKeyPattern"),
        ("associationType=SYSTEM&filter={", "filter"),
        ("associationType=SYSTEM&since=yesterday", "since"),
        (f"webHookId={'0' * 32}&triggers=NODE_CREATED", "triggers"),
        ("associationType=SYSTEM&associationType=PROJECT", "associationType"),
    ],
)
def test_what_is_asked_wrongly_is_named(admin: Api, query: str, named: str) -> None:
    answer = admin("GET", f"/event/stream?{query}")
    assert (answer.status_code, answer.json["message"].startswith(named)) == (400, True), answer.json


@pytest.mark.sqlite_only
def test_an_unreadable_position_is_refused_for_something_would_be_missed(admin: Api) -> None:
    assert admin("GET", "/event/stream?associationType=SYSTEM", headers={"Last-Event-ID": "x"}).status_code == 400


# --- when it ends


@pytest.fixture
def place_for_one(app: Flask) -> Readers:
    """Have the application serve one reader at a time."""
    readers = Readers(1)
    known: Context = app.extensions[EXTENSION]
    app.extensions[EXTENSION] = Context(known.services, known.authenticator, readers)
    return readers


@pytest.mark.sqlite_only
def test_one_too_many_is_asked_to_come_later_and_a_place_is_free_again(admin: Api, place_for_one: Readers) -> None:
    with reading(admin, **PROJECT_P) as messages:
        next(messages)
        refused = admin("GET", f"/event/stream?{urlencode(PROJECT_P)}")
        assert (refused.status_code, refused.json["code"], refused.headers["Retry-After"]) == (429, 250124, "5")
    assert place_for_one.present == 0
    head = admin("HEAD", f"/event/stream?{urlencode(PROJECT_P)}")
    assert (head.status_code, place_for_one.present) == (200, 0)


@pytest.mark.sqlite_only
def test_it_ends_with_the_process(admin: Api, place_for_one: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "INTERVAL_S", 60)
    with reading(admin, **PROJECT_P) as messages:
        next(messages)
        threading.Timer(0.05, place_for_one.end).start()
        assert list(messages) == []


@pytest.mark.sqlite_only
def test_it_beats_and_ends_after_its_time(admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "BEAT_MS", 20)
    monkeypatch.setattr(event_stream, "LIFE_MS", 100)
    with reading(admin, **PROJECT_P) as messages:
        ready = next(messages)
        beats = list(messages)
    assert {beat["name"] for beat in beats} == {"beat"}
    assert all(told["id"] for told in (ready, *beats))


@pytest.mark.sqlite_only
@pytest.mark.parametrize("loses", ["grant", "user", "webhook"])
def test_it_ends_where_its_reader_has_lost_his_right(
    as_user: Callable[[str], Api], loses: str, services: Services, app: Flask
) -> None:
    hook = as_user("root").create()
    with reading(as_user("project-manager"), webHookId=hook) as messages:
        next(messages)
        if loses == "grant":
            Grant.delete().execute()
        elif loses == "user":
            User.delete().where(User.id == "project-manager").execute()
            known: Context = app.extensions[EXTENSION]
            known.authenticator._known.clear()  # it remembers for a minute
        else:
            as_user("root")("DELETE", f"/webhook/delete/{hook}")
        event("e1", now_ms())
        assert take(messages, 1) == []


def test_a_changed_webhook_is_streamed_as_it_is_now(admin: Api) -> None:
    hook = admin.create()
    with reading(admin, webHookId=hook) as messages:
        next(messages)
        event("e1", now_ms())
        assert ids(take(messages, 1)) == ["e1"]
        change(hook, resource_key_pattern="/b.*")
        event("e2", now_ms(), resource_key="/a")
        event("e3", now_ms(), resource_key="/b")
        assert ids(take(messages, 1)) == ["e3"]
