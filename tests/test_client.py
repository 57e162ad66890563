"""The Python client, against a server that answers as it is told."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
import requests
from hookline_client import Client, ClientError, Published

OK = {"code": 0, "message": None, "data": None, "traceId": "t"}


class Seen(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Server(ThreadingHTTPServer):
    """Records requests; `answer` is the status, headers and body of every answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Seen] = []
        self.answer: tuple[int, dict[str, str], Any] = (200, {}, OK)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def gives(self, data: Any, headers: dict[str, str] | None = None) -> None:
        self.answer = (200, headers or {}, {**OK, "data": data})


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(Seen(self.command, self.path, dict(self.headers), json.loads(body) if body else None))
        status, headers, answer = self.server.answer
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url + "/", user="amy", password="pass:word") as client:
        yield client


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
    assert client.create(url="http://h/", triggers=["NODE_CREATED"], associationType="SYSTEM") == "w1"
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
        (lambda client: client.list("REPO", "p:r"), "GET /webhook/list?associationType=REPO&associationId=p%3Ar"),
        (lambda client: client.list("SYSTEM"), "GET /webhook/list?associationType=SYSTEM"),
        (lambda client: client.test("w"), "POST /webhook/test/w"),
        (lambda client: client.retry("l"), "POST /webhook/retry/l"),
        (lambda client: client.logs("w"), "GET /log/list/w"),
        (lambda client: client.log_page("w", 2, status="FAIL"), "GET /log/list/w?pageNumber=2&status=FAIL"),
        (lambda client: client.event("a/b"), "GET /event/a%2Fb"),
        (lambda client: client.events(projectId="p", pageSize=5), "GET /event/list?projectId=p&pageSize=5"),
        (lambda client: client.deliveries("w", state="DEAD"), "GET /delivery/list?webHookId=w&state=DEAD"),
        (lambda client: client.delivery("d"), "GET /delivery/d"),
        (lambda client: client.resend("d"), "POST /delivery/resend/d"),
        (lambda client: client.job("j"), "GET /delivery/job/j"),
        (lambda client: client.jobs("w", cursor="c"), "GET /delivery/job/list?webHookId=w&cursor=c"),
        (lambda client: client.cancel_job("j"), "POST /delivery/job/cancel/j"),
    ],
)
def test_each_endpoint_has_a_method_that_returns_its_data(
    server: Server, client: Client, call: Any, request_line: str
) -> None:
    server.gives({"id": "x"})
    assert call(client) == {"id": "x"}
    assert server.seen[0][:2] == tuple(request_line.replace(" /", " /webhook/api/", 1).split(" "))


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
def test_bulk_actions_may_have_a_key(server: Server, client: Client, call: Any, path: str, body: Any) -> None:
    server.gives({"id": "j"})
    assert [call(client, None), call(client, "k")] == [{"id": "j"}] * 2
    assert [seen.headers.get("Idempotency-Key") for seen in server.seen] == [None, "k"]
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
    assert client.publish([{"type": "NODE_CREATED"}]) == Published(1, 0, 2, ["e"])
    assert server.seen[0].body == [{"type": "NODE_CREATED"}]


def test_a_refusal_raises_with_code_message_and_status(server: Server, client: Client) -> None:
    server.answer = (429, {"Retry-After": "7"}, {**OK, "code": 250124, "message": "too many"})
    with pytest.raises(ClientError, match=r"^HTTP 429: too many \(250124\)$") as caught:
        client.get("w")
    error = caught.value
    assert (error.code, error.message, error.status, error.retry_after_s) == (250124, "too many", 429, 7)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"code": "x"}'])
def test_an_answer_of_something_else_is_an_error(server: Server, client: Client, body: bytes) -> None:
    server.answer = (200, {}, body)
    with pytest.raises(ClientError, match="not Hookline's"):
        client.get("w")


def test_it_follows_no_redirect(server: Server, client: Client) -> None:
    server.answer = (302, {"Location": "/elsewhere"}, b"")
    with pytest.raises(ClientError):
        client.get("w")
    assert len(server.seen) == 1


def test_a_server_that_is_away_raises_what_requests_raises() -> None:
    with Client("http://127.0.0.1:1", user="u", password="p") as client, pytest.raises(requests.ConnectionError):
        client.get("w")
