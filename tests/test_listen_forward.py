"""`hookline listen --forward`: what reaches a receiver on this machine, and what becomes of troubles on either side."""

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hookline_client import NO_RETRY, Client, ClientError, Retry
from standardwebhooks import Webhook as Verifier

from app.cli import main
from app.commands import read_ahead, relay
from app.commands.relay import LocalReceiver
from app.commands.stream import deliveries
from app.errors import OperatorError
from tests.certificates import authority, issued, serving_with
from tests.receiver import Answer, Receiver
from tests.server import PASSWORD, Server, eventually, free_port, serving

pytestmark = pytest.mark.sqlite_only

Delivery = dict[str, Any]


def made(number: int, at: float = 1_000_000) -> Delivery:
    """Return a delivery whose signature is of the time `at`."""
    headers = {"webhook-id": f"d{number}", "webhook-timestamp": str(int(at)), "X-Own": "yes"}
    return {"id": f"d{number}", "headers": headers, "body": '{"é": 1}'}


# --- reading the stream


class Script(ThreadingHTTPServer):
    """A server of streams: each request gets the next of `answers`, a status or deliveries. Keeps Last-Event-ID."""

    daemon_threads = True

    def __init__(self, *answers: int | list[Delivery]) -> None:
        super().__init__(("127.0.0.1", 0), _Streamer)
        self.answers = list(answers)
        self.asked: list[str | None] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A reader that goes away is no fault of the server's."""


class _Streamer(BaseHTTPRequestHandler):
    server: Script

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Last-Event-ID"))
        answer = self.server.answers.pop(0) if self.server.answers else 403
        if isinstance(answer, int):
            body = json.dumps(
                {"code": 0 if answer == 200 else 250102, "message": "no", "data": {"secret": "whsec_x"}, "traceId": "t"}
            ).encode()
            self.send_response(answer)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"retry: 1000\n\nid: p0\nevent: ready\ndata: {}\n\n")
        for each in answer:
            text = f"id: p-{each['id']}\nevent: delivery\ndata: {json.dumps(each)}\n\n"
            self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def scripted(*answers: int | list[Delivery]) -> Iterator[tuple[Script, Client]]:
    server = Script(*answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        with Client(f"http://127.0.0.1:{server.server_port}", user="u", password="p", retry=NO_RETRY) as client:
            yield server, client
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_after_a_break_it_goes_on_where_it_was_and_what_comes_again_is_dropped() -> None:
    said: list[str] = []
    waited: list[float] = []
    answers = [made(1), made(2)], 503, 502, [made(1), made(2), made(3)]
    with scripted(*answers) as (server, client):
        found = list(islice(deliveries(client, {}, said.append, waited.append), 3))
    assert [each["id"] for each in found] == ["d1", "d2", "d3"]
    assert server.asked == [None, "p-d2", "p-d2", "p-d2"]
    assert waited == [1.0, 1.0, 2.0]
    assert said[0].startswith("The connection is lost: HTTP 503")
    assert said[1:] == ["The connection is back."]


def test_what_was_not_handed_on_is_asked_for_again() -> None:
    with scripted([made(1), made(2)], [made(2)]) as (server, client):
        reading = deliveries(client, {}, print, lambda _: None)
        assert next(reading)["id"] == "d1"
        reading.close()
        list(islice(deliveries(client, {}, print, lambda _: None), 1))
    assert server.asked == [None, None]


def test_a_delivery_that_has_waited_for_long_behind_slow_ones_is_asked_for_anew() -> None:
    now = [1_000_000.0]
    with scripted([made(1), made(2), made(3)], [made(2), made(3, 1_000_070)]) as (server, client):
        found = []
        for each in deliveries(client, {}, print, lambda _: None, lambda: now[0]):
            found.append((each["id"], each["headers"]["webhook-timestamp"]))
            now[0] += 35  # the receiver takes its time
            if len(found) == 3:
                break
    assert found == [("d1", "1000000"), ("d2", "1000000"), ("d3", "1000070")]
    assert server.asked == [None, "p-d2"]


def test_a_server_is_not_kept_waiting_by_a_slow_receiver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "MOST", 3)
    waited: list[float] = []
    with scripted([made(number) for number in range(50)], [made(9)]) as (server, client):
        reading = deliveries(client, {}, print, waited.append)
        found = [next(reading)["id"]]
        eventually(lambda: not any(each.name == "stream" for each in threading.enumerate()))
        while found[-1] != "d9":
            found.append(next(reading)["id"])
    assert (found, waited) == ([*(f"d{number}" for number in range(len(found) - 1)), "d9"], [0.0])
    assert server.asked == [None, f"p-{found[-2]}"]
    assert len(found) < 9


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_a_first_connection_that_fails_is_an_error(status: int) -> None:
    with scripted(status) as (_, client), pytest.raises(ClientError):
        next(deliveries(client, {}, print, lambda _: None))


def test_a_right_that_is_lost_ends_it() -> None:
    with scripted([made(1)], 403) as (_, client):
        reading = deliveries(client, {}, print, lambda _: None)
        next(reading)
        with pytest.raises(ClientError):
            next(reading)


# --- handing on


@contextmanager
def local(
    url: str, timeout_s: float = 5.0, verify: bool = True
) -> Iterator[tuple[LocalReceiver, list[str], list[float]]]:
    said: list[str] = []
    waited: list[float] = []
    made = LocalReceiver(url, timeout_s, verify=verify, say=said.append, wait=waited.append)
    try:
        yield made, said, waited
    finally:
        made.close()


def test_a_delivery_is_handed_on_as_it_is_and_the_answer_is_told(receiver: Receiver) -> None:
    receiver.script += [Answer(404), Answer(302, {"Location": receiver.url + "/other"}), Answer(204, body=b"")]
    with local(receiver.url) as (handing, said, waited):
        answers = [handing.send(made(number)) for number in range(3)]
    assert [(answer.status, answer.error) for answer in answers] == [(404, None), (302, None), (204, None)]
    assert (said, waited) == ([], [])
    arrived = receiver.received[0]
    assert (len(receiver.received), arrived.path, arrived.body) == (3, "/hook", '{"é": 1}'.encode())
    assert {name: arrived.headers[name] for name in ("webhook-id", "x-own", "user-agent")} == {
        "webhook-id": "d0",
        "x-own": "yes",
        "user-agent": "Hookline",
    }
    assert "authorization" not in arrived.headers


def test_a_receiver_that_is_down_is_waited_for_once_and_then_passed_over() -> None:
    port = free_port()
    with local(f"http://127.0.0.1:{port}/hook") as (handing, said, waited):
        assert [handing.send(made(number)).error for number in (1, 2)] == ["nothing answers there"] * 2
        assert waited == list(relay.PAUSES_S)
        assert said == [f"http://127.0.0.1:{port}/hook: nothing answers there. Trying again for 3.5 s …"]
        back = Receiver(port)
        try:
            assert handing.send(made(3)).status == 200
        finally:
            back.close()
        assert handing.send(made(4)).status is None
        assert len(waited) == 2 * len(relay.PAUSES_S)


def test_a_receiver_that_is_started_again_misses_nothing() -> None:
    port = free_port()
    started: list[Receiver] = []
    handing = LocalReceiver(
        f"http://127.0.0.1:{port}/hook", 5, say=lambda _: None, wait=lambda _: started.append(Receiver(port))
    )
    try:
        assert handing.send(made(1)).status == 200
    finally:
        handing.close()
        started[0].close()


def test_a_receiver_without_an_answer_in_time_is_told_and_not_asked_again(receiver: Receiver) -> None:
    receiver.script.append(Answer(delay=0.5))
    with local(receiver.url, timeout_s=0.1) as (handing, _, waited):
        assert handing.send(made(1)).error == "no answer within 0.1 s"
        assert waited == []
        assert handing.send(made(2)).status == 200


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://localhost/", "http:///hook", "/hook"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(OperatorError, match="is no address"):
        LocalReceiver(url, 1, say=print)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Give --forward URL, or --port."),
        (["--port", "3000"], "--port needs --secret."),
        (["--port", "3000", "--secret", "x", "--forward", "http://h/"], "--forward does not go with --port."),
        (["--forward", "http://h/", "--webhook", "w", "--trigger", "T"], "--trigger does not go with --webhook."),
        (["--forward", "http://h/", "--repo", "r"], "Give --repo PROJECT:REPO"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: list[str], text: str) -> None:
    result = CliRunner(env={"HOOKLINE_SIGNING_SECRET": None}).invoke(main, ["listen", *arguments])
    assert result.exit_code == 2
    assert text in result.stderr


def test_a_certificate_that_nobody_vouches_for_is_taken_where_that_is_asked_for(tmp_path: Path) -> None:
    certificate = issued(authority())
    with serving_tls(serving_with(certificate, tmp_path)) as url:
        with local(url) as (handing, said, waited):
            assert "--skip-verify" in str(handing.send(made(1)).error)
            assert (said, waited) == ([], [])
        with local(url, verify=False) as (handing, _, _):
            assert handing.send(made(2)).status == 200


@contextmanager
def serving_tls(context: ssl.SSLContext) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Tls)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a sender that does not trust it
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Tls(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def test_the_secret_alone_is_printed_for_scripts() -> None:
    with scripted(200) as (server, client):
        environ = {"HOOKLINE_USER": "u", "HOOKLINE_PASSWORD": "p", "XDG_CONFIG_HOME": "/nowhere"}
        arguments = ["listen", "--print-secret", "--server", client.base]
        result = CliRunner(env=environ).invoke(main, arguments)
    assert (result.exit_code, result.stdout, server.asked) == (0, "whsec_x\n", [None])


# --- whole


class Relay:
    """A `hookline listen --forward` process, and what it printed."""

    def __init__(self, server: Server, receiver: Receiver, output: Path, *options: str) -> None:
        self.receiver = receiver
        self._output = output
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")},
            "HOOKLINE_SERVER": f"http://127.0.0.1:{server.port}",
            "HOOKLINE_USER": "admin",
            "HOOKLINE_PASSWORD": PASSWORD,
            "NO_PROXY": "127.0.0.1",
            "XDG_CONFIG_HOME": str(output.parent),
        }
        command = [sys.executable, "-m", "app.cli", "listen", "--forward", receiver.url, *options]
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                command, cwd=Path(__file__).parents[1], env=environ, stdout=file, stderr=subprocess.STDOUT
            )
        eventually(lambda: "Verify them with" in self.text(), 30)

    def text(self) -> str:
        return self._output.read_text()

    def secret(self) -> str:
        return self.text().partition("Verify them with ")[2].split()[0]

    def interrupt(self) -> int:
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(10)
        finally:
            self._process.kill()


@pytest.mark.slow
def test_nothing_is_missed_and_nothing_comes_twice_over_a_kill_of_the_server(
    tmp_path: Path, receiver: Receiver
) -> None:
    other = Receiver()
    with serving(tmp_path / "data") as server, server.client() as client:
        where = {"associationType": "PROJECT", "associationId": "p"}
        hook = client.create(url="http://192.0.2.1/", triggers=["NODE_CREATED"], token="t-0", enabled=False, **where)
        relays = [
            Relay(server, receiver, tmp_path / "hook.out", "--webhook", hook),
            Relay(server, other, tmp_path / "adhoc.out", "--project", "p", "--pattern", "/wanted/.*", "--json"),
        ]
        published: list[str] = []

        def publish() -> None:
            for number in range(150):
                project, place = "pq"[number % 5 == 0], ("/wanted", "/other")[number % 3 == 0]
                about = {"projectId": project, "repoName": "r", "resourceKey": f"{place}/{number}", "userId": "u"}
                client.publish({"type": "NODE_CREATED", "eventId": f"e{number}", **about}, retry=Retry(tries=50))
                published.append(f"e{number}")
                time.sleep(0.01)

        publishing = threading.Thread(target=publish)
        publishing.start()
        eventually(lambda: len(published) > 40)
        server.kill()
        server.start()
        publishing.join(60)
        assert len(published) == 150
        numbers = [number for number in range(150) if number % 5]
        wanted = {0: numbers, 1: [number for number in numbers if number % 3]}
        for place, relay_ in enumerate(relays):
            arrived = relay_.receiver.wait_for(len(wanted[place]), 20)
            keys = [json.loads(each.body)["node"]["fullPath"] for each in arrived]
            assert Counter(int(key.rpartition("/")[2]) for key in keys) == Counter(wanted[place])
            assert len({each.headers["webhook-id"] for each in arrived}) == len(arrived)
            for each in arrived:
                Verifier(relay_.secret()).verify(each.body, dict(each.headers))
            assert "The connection is lost" in relay_.text()
            assert "The connection is back" in relay_.text()
        assert (relays[0].secret(), relays[1].secret()) == (client.secret(hook), client.stream_secret())
        assert receiver.received[0].headers["x-token"] == "t-0"
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 10  # it does not wait for the streams
        assert [each.interrupt() for each in relays] == [130, 130]
    told = [json.loads(line) for line in relays[1].text().splitlines() if line.startswith("{")]
    assert {each["status"] for each in told} == {200}
    assert "NODE_CREATED p:r /wanted/1 → 200" in relays[0].text()
    other.close()
