"""The verifying receiver, against the specification's own library and over real connections."""

import base64
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from queue import SimpleQueue

import pytest
import requests
from standardwebhooks import Webhook

from app.errors import OperatorError
from app.listener import MAX_BODY, Arrival, Listener, find_problem
from app.signing import V1A, key_to_sign, key_to_verify, new_secret, public_key, sign, signing_key

NOW_S = 1_700_000_000
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
BODY = b'{"eventType":"NODE_CREATED"}'


def signed(secret: str = SECRET, at_s: int = NOW_S, body: bytes = BODY) -> dict[str, str]:
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": Webhook(secret).sign("msg_1", datetime.fromtimestamp(at_s, UTC), body.decode()),
    }


def problem_of(headers: dict[str, str], body: bytes = BODY) -> str | None:
    return find_problem([signing_key(SECRET)], headers, body, NOW_S)


def test_it_accepts_what_the_standard_library_of_the_specification_signed() -> None:
    assert problem_of(signed()) is None


@pytest.mark.parametrize("offset_s", [-300, 300])
def test_it_accepts_a_timestamp_five_minutes_off(offset_s: int) -> None:
    assert problem_of(signed(at_s=NOW_S + offset_s)) is None


@pytest.mark.parametrize("offset_s", [-301, 301])
def test_it_refuses_a_timestamp_more_than_five_minutes_off(offset_s: int) -> None:
    assert problem_of(signed(at_s=NOW_S + offset_s)) == "webhook-timestamp is more than five minutes off"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_it_names_the_header_that_is_missing(name: str) -> None:
    headers = signed()
    del headers[name]
    assert problem_of(headers) == f"the header {name} is missing"


@pytest.mark.parametrize("timestamp", ["now", "-1", "1.5", "１７", "9" * 30])
def test_it_refuses_a_timestamp_that_is_no_number(timestamp: str) -> None:
    assert problem_of({**signed(), "webhook-timestamp": timestamp}) == "webhook-timestamp is not a number of seconds"


def test_it_refuses_a_changed_body() -> None:
    assert problem_of(signed(), BODY + b" ") == "the signature does not match"


def test_it_refuses_a_signature_by_another_secret() -> None:
    assert problem_of(signed(new_secret())) == "the signature does not match"


def test_it_verifies_a_pair_by_its_public_key() -> None:
    secret, at = new_secret(V1A), NOW_S
    signature = sign(key_to_sign(secret), "m", at, BODY)
    headers = {"webhook-id": "m", "webhook-timestamp": str(at), "webhook-signature": signature}
    for key, problem in ((public_key(secret), None), (public_key(new_secret(V1A)), "the signature does not match")):
        assert find_problem([key_to_verify(key)], headers, BODY, at) == problem


def test_it_accepts_one_good_signature_among_several() -> None:
    headers = signed()
    headers["webhook-signature"] = "v1,bm90IGl0 v1a,xyz " + headers["webhook-signature"]
    assert problem_of(headers) is None


@pytest.fixture
def arrivals() -> SimpleQueue[Arrival]:
    return SimpleQueue()


@pytest.fixture
def listener(arrivals: SimpleQueue[Arrival]) -> Iterator[Listener]:
    listener = Listener([SECRET], arrivals.put)
    listener.start()
    yield listener
    listener.stop()


def url(listener: Listener) -> str:
    return f"http://127.0.0.1:{listener.port}/hook"


def talk(listener: Listener, request: bytes) -> bytes:
    """Send `request` as it is and return all that comes back until the connection closes."""
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_it_answers_200_and_hands_on_what_is_verified(listener: Listener, arrivals: SimpleQueue[Arrival]) -> None:
    before_ns = time.time_ns()
    answer = requests.post(url(listener), BODY, headers=signed(at_s=int(time.time())), timeout=5)
    arrival = arrivals.get(timeout=5)
    assert answer.status_code == 200
    assert (arrival.body, arrival.problem, arrival.headers["webhook-id"]) == (BODY, None, "msg_1")
    assert before_ns <= arrival.received_ns <= time.time_ns()


def test_it_answers_401_and_says_why(listener: Listener, arrivals: SimpleQueue[Arrival]) -> None:
    answer = requests.post(url(listener), BODY, timeout=5)
    assert (answer.status_code, answer.text) == (401, "the header webhook-id is missing")
    assert arrivals.get(timeout=5).problem == answer.text


def test_it_trusts_a_secret_given_later(listener: Listener) -> None:
    later = new_secret()
    headers = signed(later, at_s=int(time.time()))
    assert requests.post(url(listener), BODY, headers=headers, timeout=5).status_code == 401
    listener.trust(later)
    assert requests.post(url(listener), BODY, headers=headers, timeout=5).status_code == 200


def test_it_keeps_a_connection_and_takes_requests_that_come_together(
    listener: Listener, arrivals: SimpleQueue[Arrival]
) -> None:
    one = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    last = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]"
    assert talk(listener, one + one + last).count(b"HTTP/1.1 401") == 3
    assert [arrivals.get(timeout=5).body for _ in range(3)] == [b"{}", b"{}", b"[]"]


def test_it_takes_a_large_body_in_pieces(listener: Listener, arrivals: SimpleQueue[Arrival]) -> None:
    body = b"x" * 3_000_000
    requests.post(url(listener), body, headers={"Expect": "100-continue"}, timeout=5)
    assert arrivals.get(timeout=5).body == body


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Transfer-Encoding: chunked", b"411"),
        (b"Content-Length: -1", b"400"),
        (b"Content-Length: %d" % (MAX_BODY + 1), b"413"),
        (b"Content-Length: " + b"9" * 5000, b"413"),
        (b"X-Long: " + b"x" * 300_000, b"431"),
    ],
)
def test_it_refuses_what_it_can_not_read(listener: Listener, head: bytes, status: bytes) -> None:
    assert talk(listener, b"POST / HTTP/1.1\r\n" + head + b"\r\n\r\n").startswith(b"HTTP/1.1 " + status)


def test_it_says_that_the_port_is_taken(listener: Listener) -> None:
    with pytest.raises(OperatorError, match=rf"can't listen on 127.0.0.1:{listener.port}: Address already in use"):
        Listener([SECRET], lambda arrival: None).start(port=listener.port)


def test_it_refuses_a_secret_that_is_none() -> None:
    with pytest.raises(OperatorError, match="whsec_"):
        Listener(["whsec_not base64"], lambda arrival: None)
