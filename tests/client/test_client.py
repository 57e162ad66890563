"""The Python client, against a server that answers as it is told."""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hookline_client import (
    Client,
    ClientError,
    Forbidden,
    NotFound,
    NotHookline,
    NotSupported,
    Published,
    ServerError,
    Unauthenticated,
)

from tests.client.scripted import OK, Server

pytestmark = pytest.mark.sqlite_only


def test_it_authenticates_as_a_user(server: Server, client: Client) -> None:
    client.delete("w")
    assert server.seen[0].headers["Authorization"] == "Basic " + base64.b64encode(b"amy:pass:word").decode()


def test_it_authenticates_as_a_platform_that_acts_for_a_user(server: Server) -> None:
    with Client(server.url, user="amy", access_key="ak", secret_key="sk") as client:
        client.delete("w")
    headers = server.seen[0].headers
    assert headers["Authorization"] == "Platform " + base64.b64encode(b"ak:sk").decode()
    assert headers["X-BKREPO-UID"] == "amy"


def test_a_netrc_does_not_replace_the_credentials(
    server: Server, client: Client, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client.delete("w")
    assert base64.b64decode(server.seen[0].headers["Authorization"].split()[1]) == b"amy:pass:word"


def test_create_returns_the_new_id(server: Server, client: Client) -> None:
    server.gives(None, {"X-Webhook-Id": "w1"})
    assert client.create(url="http://h/", triggers=["NODE_CREATED"], association_type="SYSTEM") == "w1"
    assert server.seen[0][:2] == ("POST", "/webhook/api/webhook/create")
    assert server.seen[0].body == {"url": "http://h/", "triggers": ["NODE_CREATED"], "associationType": "SYSTEM"}


def test_update_sends_the_id_with_the_changes(server: Server, client: Client) -> None:
    client.update("w1", token="t")
    assert server.seen[0][:2] == ("PUT", "/webhook/api/webhook/update")
    assert server.seen[0].body == {"id": "w1", "token": "t"}


@pytest.mark.parametrize(
    ("call", "request_line"),
    [
        (lambda client: client.get("w"), "GET /webhook/w"),
        (lambda client: client.test("w"), "POST /webhook/test/w"),
        (lambda client: client.retry("l"), "POST /webhook/retry/l"),
        (lambda client: client.event("a/b"), "GET /event/a%2Fb"),
        (lambda client: client.delivery("d"), "GET /delivery/d"),
        (lambda client: client.resend("d"), "POST /delivery/resend/d"),
        (lambda client: client.job("j"), "GET /delivery/job/j"),
        (lambda client: client.cancel_job("j"), "POST /delivery/job/cancel/j"),
    ],
)
def test_a_method_returns_what_its_endpoint_shows(server: Server, client: Client, call: Any, request_line: str) -> None:
    server.gives({"id": "x", "deliveryId": "x"})
    assert call(client).raw["id"] == "x"
    assert server.seen[0][:2] == tuple(request_line.replace(" /", " /webhook/api/", 1).split(" "))


@pytest.mark.parametrize(
    ("call", "request_line"),
    [
        (lambda client: client.list("REPO", "p:r"), "/webhook/list?associationType=REPO&associationId=p%3Ar"),
        (lambda client: client.list("SYSTEM"), "/webhook/list?associationType=SYSTEM"),
        (lambda client: client.logs("w"), "/log/list/w"),
        (lambda client: client.event_types(), "/event/types"),
        (lambda client: client.templates(), "/webhook/templates"),
    ],
)
def test_a_method_returns_the_list_that_its_endpoint_shows(
    server: Server, client: Client, call: Any, request_line: str
) -> None:
    server.gives([{"id": "x"}, {"id": "y"}])
    assert [found["id"] for found in call(client)] == ["x", "y"]
    assert server.seen[0].path == f"/webhook/api{request_line}"


@pytest.mark.parametrize(
    ("call", "request_line"),
    [
        (lambda client: client.log_page("w", 2, status="FAIL"), "/log/list/w?pageNumber=2&status=FAIL"),
        (lambda client: client.events(project_id="p", page_size=5), "/event/list?projectId=p&pageSize=5"),
        (lambda client: client.events(projectId="p", pageSize=5), "/event/list?projectId=p&pageSize=5"),
        (
            lambda client: client.events(start_date=datetime(2021, 12, 27, 8)),
            "/event/list?startDate=2021-12-27T08%3A00%3A00.000",
        ),
        (lambda client: client.deliveries("w", state="DEAD"), "/delivery/list?webHookId=w&state=DEAD"),
        (lambda client: client.jobs("w", "c"), "/delivery/job/list?webHookId=w&cursor=c"),
    ],
)
def test_a_method_returns_the_page_that_its_endpoint_shows(
    server: Server, client: Client, call: Any, request_line: str
) -> None:
    server.gives({"records": [{"id": "x"}], "nextCursor": "more", "totalPages": 3})
    page = call(client)
    assert [record["id"] for record in page] == ["x"]
    assert page["nextCursor"] == "more"
    assert server.seen[0].path == f"/webhook/api{request_line}"


def test_a_date_with_a_time_zone_is_refused(server: Server, client: Client) -> None:
    with pytest.raises(ValueError, match="local times of the server"):
        client.events(start_date=datetime(2021, 12, 27, tzinfo=UTC))
    assert server.seen == []


@pytest.mark.parametrize(
    ("call", "path", "body"),
    [
        (
            lambda client, key: client.resend_failed("w", key, state=["DEAD"]),
            "/delivery/resend",
            {"webHookId": "w", "state": ["DEAD"]},
        ),
        (
            lambda client, key: client.replay("w", "2021-12-27T00:00:00", key, type="NODE_CREATED"),
            "/event/replay",
            {"webHookId": "w", "startDate": "2021-12-27T00:00:00", "type": "NODE_CREATED"},
        ),
    ],
)
def test_bulk_actions_have_a_key_given_or_made(server: Server, client: Client, call: Any, path: str, body: Any) -> None:
    server.gives({"id": "j"})
    assert [call(client, None).id, call(client, "k").id] == ["j"] * 2
    made, given = [seen.headers["Idempotency-Key"] for seen in server.seen]
    assert (len(made), given) == (32, "k")
    assert {(seen.method, seen.path) for seen in server.seen} == {("POST", f"/webhook/api{path}")}
    assert server.seen[0].body == server.seen[1].body == body


def test_secret_returns_the_text(server: Server, client: Client) -> None:
    server.gives({"secret": "whsec_x"})
    assert client.secret("w") == "whsec_x"
    assert server.seen[0].path == "/webhook/api/webhook/secret/w"


def test_secret_returns_the_public_key_of_a_pair(server: Server, client: Client) -> None:
    server.gives({"signing": "v1a", "secret": None, "publicKey": "whpk_x", "previous": None})
    assert client.secret("w") == "whpk_x"


def test_publish_returns_what_became_of_the_events(server: Server, client: Client) -> None:
    server.answer = (202, {}, {**OK, "data": {"accepted": 1, "duplicates": 0, "matched": 2, "eventIds": ["e"]}})
    done = Published(accepted=1, matched=2, event_ids=("e",))
    assert client.publish([{"type": "NODE_CREATED", "eventId": "e"}]) == done
    assert client.publish({"type": "NODE_CREATED", "eventId": "e"}) == done
    assert server.seen[0].body == server.seen[1].body == [{"type": "NODE_CREATED", "eventId": "e"}]


def test_publish_gives_an_event_an_id_and_leaves_the_callers_alone(server: Server, client: Client) -> None:
    server.gives({"accepted": 2, "duplicates": 0, "matched": 0, "eventIds": []})
    event = {"type": "NODE_CREATED"}
    client.publish([event, event])
    assert event == {"type": "NODE_CREATED"}
    assert len({sent["eventId"] for sent in server.seen[0].body}) == 2


def test_publish_refuses_what_json_cannot_say(server: Server, client: Client) -> None:
    for value in (float("nan"), object()):
        with pytest.raises((TypeError, ValueError)):
            client.publish({"type": "NODE_CREATED", "data": value})
    assert server.seen == []


def test_publish_all_makes_batches_by_number_and_by_size(server: Server, client: Client) -> None:
    server.gives({"accepted": 1, "duplicates": 0, "matched": 0, "eventIds": ["e"]})
    events: Iterable[dict[str, Any]] = ({"type": "T", "data": "x" * (5_000 if n == 3 else 1)} for n in range(6))
    total = sum(client.publish_all(events, batch_events=2, batch_bytes=4_000), Published())
    assert [len(seen.body) for seen in server.seen] == [2, 1, 1, 2]
    assert (total.accepted, total.event_ids) == (4, ("e",) * 4)


def test_a_refusal_raises_with_code_message_and_status(server: Server, client: Client) -> None:
    server.answer = (429, {"Retry-After": "7"}, {**OK, "code": 250124, "message": "too\nmany \x1b"})
    with pytest.raises(ClientError, match=r"^HTTP 429: too many \? \(250124\)$") as caught:
        client.test("w")
    error = caught.value
    assert (error.code, error.message, error.status, error.retry_after_s) == (250124, "too many ?", 429, 7)
    assert (error.trace_id, error.tried) == ("t", 1)


@pytest.mark.parametrize(
    ("status", "code", "call", "kind"),
    [
        (401, 250114, lambda client: client.get("w"), Unauthenticated),
        (403, 250113, lambda client: client.get("w"), Forbidden),
        (404, 251401, lambda client: client.get("w"), NotFound),
        (404, 251401, lambda client: client.deliveries("w"), NotFound),
        (404, 251401, lambda client: client.templates(), NotSupported),
        (404, 250108, lambda client: client.event_types(), NotSupported),
        (405, 250112, lambda client: client.preview(event_type="NODE_CREATED"), NotSupported),
        (500, 250102, lambda client: client.get("w"), ServerError),
    ],
)
def test_a_refusal_is_typed_by_what_is_to_be_done(
    server: Server, client: Client, status: int, code: int, call: Any, kind: type[ClientError]
) -> None:
    server.refuses(status, code=code)
    with pytest.raises(ClientError) as caught:
        call(client)
    assert type(caught.value) is kind
    assert len(server.seen) == 1


def test_an_endpoint_that_the_server_does_not_have_is_said_to_be_of_another_version(
    server: Server, client: Client
) -> None:
    server.refuses(404, code=251401)
    with pytest.raises(NotSupported, match="no GET /webhook/api/webhook/templates; it is of another version"):
        client.templates()


def test_a_wrong_password_is_said_to_be_wrong(server: Server, client: Client) -> None:
    server.refuses(401, code=250114)
    with pytest.raises(Unauthenticated, match=r"^HTTP 401: the user, password or key is wrong: no \(250114\)$"):
        client.get("w")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"code": "x"}'])
def test_an_answer_of_something_else_is_an_error(server: Server, client: Client, body: bytes) -> None:
    server.answer = (200, {}, body)
    with pytest.raises(NotHookline, match="not Hookline's"):
        client.get("w")


def test_it_follows_no_redirect(server: Server, client: Client) -> None:
    server.answer = (302, {"Location": "https://elsewhere/"}, b"")
    with pytest.raises(NotHookline, match="sends callers on to https://elsewhere/"):
        client.get("w")
    assert len(server.seen) == 1


def test_health_is_shown_whatever_the_status(server: Server, client: Client) -> None:
    server.answer = (503, {}, {"status": "unavailable", "checks": {"database": False}})
    ready = client.ready()
    assert (ready.is_ok, ready.checks) == (False, {"database": False})
    assert [seen.path for seen in server.seen] == ["/readyz"]
    server.answer = (200, {}, {"status": "ok"})
    assert client.alive().is_ok
    server.answer = (200, {}, b"hello")
    with pytest.raises(NotHookline):
        client.alive()


def test_a_stream_that_is_refused_raises(server: Server, client: Client) -> None:
    server.refuses(429, code=250124)
    with pytest.raises(ClientError, match="HTTP 429"):
        client.open_stream(webhook_id="w", last_event_id="7")
    assert server.seen[0].path == "/webhook/api/event/stream?webHookId=w"
    assert server.seen[0].headers["Last-Event-ID"] == "7"
