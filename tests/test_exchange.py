"""What becomes of one exchange with a receiver: good, odd, slow, cut, endless, or none at all."""

import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from app.address_guard import AddressGuard
from app.clock import now_ms
from app.errors import BadRequest
from app.exchange import KEPT_BODY, KEPT_HEADERS, MAX_BODY, MAX_HEADERS, Outcome, Request
from app.transport import Transport
from app.webhook_fields import clean
from tests.raw_receiver import Behaviour, answering, dripping, flooding, free_port, serving, silent
from tests.receiver import Answer, Receiver

TIMEOUT_MS = 5_000
SHORT_MS = 300
LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(AddressGuard(LOOPBACK), capacity=16)
    yield made
    made.stop()


@pytest.fixture
def guarded() -> Iterator[Transport]:
    """A transport as it is by default: no network is allowed that is not public."""
    made = Transport(AddressGuard(), capacity=16)
    yield made
    made.stop()


def request(url: str, timeout_ms: int = TIMEOUT_MS, body: bytes = b"{}", **headers: str) -> Request:
    return Request(url, {"Content-Type": "application/json", **headers}, body, timeout_ms)


def sent_to(transport: Transport, behave: Behaviour, timeout_ms: int = TIMEOUT_MS) -> Outcome:
    with serving(behave) as server:
        return transport.send(request(server.url, timeout_ms))


def test_an_answer_is_kept_with_status_headers_body_and_times(transport: Transport, receiver: Receiver) -> None:
    receiver.script.append(Answer(201, {"X-Made": "yes"}, b"made", delay=0.05))
    before = now_ms()
    outcome = transport.send(request(receiver.url))
    assert (outcome.status, outcome.error, outcome.body) == (201, None, b"made")
    assert outcome.headers["X-Made"] == "yes"
    assert before <= outcome.started_at <= now_ms()
    assert 50 <= outcome.duration_ms <= now_ms() - before + 1


def test_the_request_arrives_as_given_and_with_nothing_that_others_added(
    transport: Transport, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    body = '{"路":"径"}'.encode()
    transport.send(request(receiver.url, body=body, X_Own="1"))
    [received] = receiver.received
    assert (received.method, received.path, received.body) == ("POST", "/hook", body)
    assert received.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "user-agent": "Hookline",
        "accept": "*/*",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x_own": "1",
    }


@pytest.mark.parametrize("size", [0, 1, 2_000, 300_000, 1_048_576])
def test_a_body_of_any_size_arrives_whole_and_at_once(transport: Transport, receiver: Receiver, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    outcome = transport.send(request(receiver.url, body=body[:size]))
    assert receiver.received[0].body == body[:size]
    assert (outcome.status, "expect" in receiver.received[0].headers) == (200, False)


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        ("/钩子/é?q=值&r=%41", "/%E9%92%A9%E5%AD%90/%C3%A9?q=%E5%80%BC&r=%41"),
        ("/a/../b", "/b"),
        ("/x#fragment", "/x"),
        ("", "/"),
    ],
)
def test_a_path_outside_ascii_is_percent_encoded(
    transport: Transport, receiver: Receiver, path: str, wire: str
) -> None:
    outcome = transport.send(request(f"http://127.0.0.1:{receiver.port}{path}"))
    assert (outcome.status, receiver.received[0].path) == (200, wire)


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0"])
@pytest.mark.parametrize("field", ["token", "value", "name", "url"])
def test_no_field_of_a_webhook_can_carry_a_header_of_its_own_into_a_request(field: str, end: str) -> None:
    evil = f"a{end}X-Evil: 1"
    raw: dict[str, dict[str, Any]] = {
        "token": {"token": evil},
        "value": {"headers": {"X": evil}},
        "name": {"headers": {evil: "1"}},
        "url": {"url": f"http://127.0.0.1/{evil}"},
    }
    with pytest.raises(BadRequest):
        clean(raw[field], {"NODE_CREATED"})


def test_a_redirect_is_an_answer_and_is_not_followed(transport: Transport, receiver: Receiver) -> None:
    receiver.script.append(Answer(302, {"Location": f"http://127.0.0.1:{receiver.port}/other"}))
    outcome = transport.send(request(receiver.url))
    assert (outcome.status, outcome.error) == (302, None)
    assert [received.path for received in receiver.received] == ["/hook"]


def test_repeated_headers_are_joined_and_early_answers_leave_none(transport: Transport) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Odd: \xe9\r\nContent-Length: 2\r\n\r\nok"
    outcome = sent_to(transport, answering(early, answer))
    assert (outcome.status, outcome.body) == (200, b"ok")
    assert outcome.headers == {"Set-Cookie": "a=1, b=2", "X-Odd": "\xe9", "Content-Length": "2"}


@pytest.mark.parametrize("size", [0, KEPT_BODY - 1, KEPT_BODY, KEPT_BODY + 1, MAX_BODY])
def test_at_most_64_kib_of_an_answer_are_kept(transport: Transport, receiver: Receiver, size: int) -> None:
    body = bytes(number % 251 for number in range(size))
    receiver.script.append(Answer(200, {}, body))
    outcome = transport.send(request(receiver.url))
    assert (outcome.status, outcome.error) == (200, None)
    assert outcome.body == body[: 64 * 1024]


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("framing", [b"Content-Length: 99999999", b"Content-Length: 1048577", b"Connection: close"])
def test_an_answer_of_more_than_1_mib_is_too_large(transport: Transport, status: int, framing: bytes) -> None:
    head = b"HTTP/1.1 %d X\r\n%b\r\n\r\n" % (status, framing)
    outcome = sent_to(transport, flooding(head, b"x" * 16_384))
    assert outcome.error == "answer too large: more than 1048576 bytes"
    assert (outcome.status, outcome.body) == (status, b"x" * KEPT_BODY)
    assert outcome.duration_ms < TIMEOUT_MS


def test_endless_headers_end_the_exchange_and_few_are_kept(transport: Transport) -> None:
    outcome = sent_to(transport, flooding(b"HTTP/1.1 200 OK\r\n", b"X-Flood: " + b"x" * 1_000 + b"\r\n"))
    assert outcome.error == f"answer too large: more than {MAX_HEADERS} bytes of headers"
    assert outcome.duration_ms < TIMEOUT_MS
    assert sum(len(name) + len(value) for name, value in outcome.headers.items()) <= KEPT_HEADERS + 2_000


@pytest.mark.parametrize(
    ("behave", "status"),
    [
        (silent, None),
        (dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"), 200),
        (dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), 200),
        (dripping(b"HTTP/1.1", b" "), None),
        (dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), 100),
    ],
    ids=["silence", "a body that drips", "headers that drip", "an answer that never begins", "endless early answers"],
)
def test_one_deadline_covers_the_whole_exchange(transport: Transport, behave: Behaviour, status: int | None) -> None:
    outcome = sent_to(transport, behave, SHORT_MS)
    assert outcome.error == f"time-out: no complete answer within {SHORT_MS} ms"
    assert outcome.status in {status, None}
    assert SHORT_MS - 20 <= outcome.duration_ms < SHORT_MS + 1_500


def test_what_had_come_before_the_deadline_is_kept(transport: Transport) -> None:
    outcome = sent_to(transport, dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"), SHORT_MS)
    assert outcome.status == 200
    assert 0 < len(outcome.body) < 1_000
    assert set(outcome.body) == {ord("x")}


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX-Cut: y\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-Cut: y\r\n",
        b"HTTP/1.1 200 OK\nX-Cut: y\n",
        b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_an_answer_that_ends_among_its_headers_is_cut_and_no_success(transport: Transport, head: bytes) -> None:
    outcome = sent_to(transport, answering(head))
    assert outcome.error == "connection lost: the receiver closed the connection before its answer was complete"
    assert outcome.status == 200


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\n\n", b"HTTP/1.1 204 No\r\nA: b\r\n\r\n"]
)
def test_a_short_answer_is_whole(transport: Transport, head: bytes) -> None:
    outcome = sent_to(transport, answering(head))
    assert (outcome.error, (outcome.status or 0) // 100) == (None, 2)


def test_trailers_come_after_the_headers(transport: Transport) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    outcome = sent_to(transport, answering(head, b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"))
    assert (outcome.error, outcome.status, outcome.body) == (None, 200, b"ok")


@pytest.mark.parametrize("text", [b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mail ESMTP\r\n", b"<html>hello</html>"])
def test_a_server_that_speaks_something_else_is_not_taken_for_a_receiver(transport: Transport, text: bytes) -> None:
    outcome = sent_to(transport, answering(text))
    assert outcome.error == "not HTTP: the receiver's answer can't be understood"
    assert outcome.status is None
    assert outcome.body == b""


def test_a_header_that_would_become_two_is_not_sent(transport: Transport) -> None:
    with serving(answering()) as server:
        outcome = transport.send(request(f"http://127.0.0.1:{server.port}/", **{"X-A": "1\r\nX-Evil: 1"}))
        assert server.connections == 0
    assert outcome.error == "the request can't be sent: a header holds a line break"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1."]
)
def test_loopback_is_blocked_however_it_is_spelled(guarded: Transport, host: str) -> None:
    with serving(answering()) as server:
        outcome = guarded.send(request(f"http://{host}:{server.port}/"))
        assert server.connections == 0
    assert outcome.error in {
        "blocked address: 127.0.0.1 is not a public address (see ALLOW_NETWORKS)",
        "blocked address: ::1 is not a public address (see ALLOW_NETWORKS)",
    }
    assert (outcome.status, outcome.body) == (None, b"")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[64:ff9b::7f00:1]", "64:ff9b::7f00:1"),
        ("169.254.169.254", "169.254.169.254"),
        ("0.0.0.0", "0.0.0.0"),
        ("10.0.0.1", "10.0.0.1"),
        ("224.0.0.1", "224.0.0.1"),
    ],
)
def test_a_blocked_address_is_named(guarded: Transport, host: str, address: str) -> None:
    outcome = guarded.send(request(f"http://{host}:9/", SHORT_MS))
    assert outcome.error == f"blocked address: {address} is not a public address (see ALLOW_NETWORKS)"


def test_a_connection_that_is_open_serves_the_next_request_too(transport: Transport) -> None:
    def keep(connection: socket.socket, _over: threading.Event) -> None:
        for _ in range(2):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with serving(keep) as server:
        outcomes = [transport.send(request(server.url)) for _ in range(3)]
        assert server.connections == 1
    assert [outcome.status for outcome in outcomes] == [200] * 3


def test_nothing_of_one_exchange_is_left_for_the_next(transport: Transport, receiver: Receiver) -> None:
    sent_to(transport, dripping(b"HTTP/1.1 500 X\r\nX-Old: 1\r\nContent-Length: 99\r\n\r\n", b"o"), SHORT_MS)
    transport.send(request(f"http://127.0.0.1:{free_port()}/", X_Old="1", body=b"old"))
    outcome = transport.send(request(receiver.url))
    assert (outcome.status, outcome.error, outcome.body) == (200, None, b"ok")
    assert "X-Old" not in outcome.headers
    assert "x_old" not in receiver.received[0].headers
    assert receiver.received[0].body == b"{}"
