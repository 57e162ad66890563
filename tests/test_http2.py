"""HTTP/2, which a receiver offers in the TLS handshake."""

import threading
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import pytest

from app.address_guard import AddressGuard
from app.exchange import Outcome, Request
from app.transport import Transport
from tests.certificates import Certificate, authority, issued, serving_with
from tests.h2_receiver import H2Receiver, serving_h2
from tests.raw_receiver import answering, serving

TIMEOUT_MS = 2_000


@pytest.fixture(scope="module")
def known() -> Certificate:
    return authority()


@pytest.fixture
def transport(known: Certificate) -> Iterator[Transport]:
    made = Transport(AddressGuard([ip_network("127.0.0.0/8")]), capacity=64, ca_bundle=known.pem)
    yield made
    made.stop()


@pytest.fixture
def receiver(known: Certificate, tmp_path: Path) -> Iterator[H2Receiver]:
    with serving_h2(serving_with(issued(known), tmp_path)) as serving:
        yield serving


def post(receiver: H2Receiver, path: str, timeout_ms: int = TIMEOUT_MS) -> Request:
    return Request(receiver.url(path), {"Content-Type": "application/json"}, b"{}", timeout_ms)


def sent(transport: Transport, requests: list[Request]) -> list[Outcome]:
    """Send all at once; return the outcomes in the order of the requests."""
    outcomes: dict[int, Outcome] = {}
    all_ended = threading.Event()

    def done(number: int, outcome: Outcome) -> None:
        outcomes[number] = outcome
        if len(outcomes) == len(requests):
            all_ended.set()

    transport.submit([(request, partial(done, number)) for number, request in enumerate(requests)])
    assert all_ended.wait(10)
    return [outcomes[number] for number in range(len(requests))]


def test_many_requests_share_one_connection(transport: Transport, receiver: H2Receiver) -> None:
    for _ in range(2):
        outcomes = sent(transport, [post(receiver, "/50")] * 40)
        assert [(outcome.status, outcome.body, outcome.error) for outcome in outcomes] == [(200, b"ok", None)] * 40
        assert max(outcome.duration_ms for outcome in outcomes) < 1_000
    assert receiver.connections == 1
    assert len({stream for _, stream, _ in receiver.streams}) == 80


def test_each_of_them_has_a_deadline_of_its_own(transport: Transport, receiver: H2Receiver) -> None:
    first, second, third, fourth = sent(
        transport,
        [post(receiver, "/never", 300), post(receiver, "/never", 150), post(receiver, "/400"), post(receiver, "/1")],
    )
    assert first.error == "time-out: no complete answer within 300 ms"
    assert second.error == "time-out: no complete answer within 150 ms"
    assert 150 <= second.duration_ms + 1 <= first.duration_ms
    assert first.duration_ms + 1 >= 300
    assert (third.status, fourth.status) == (200, 200)
    assert fourth.duration_ms < second.duration_ms < third.duration_ms
    assert receiver.connections == 1


def test_a_reset_stream_is_named_and_leaves_the_others_alone(transport: Transport, receiver: H2Receiver) -> None:
    reset, other = sent(transport, [post(receiver, "/reset"), post(receiver, "/100")])
    assert (reset.status, reset.error) == (None, "HTTP/2: the receiver reset the stream (INTERNAL_ERROR)")
    assert (other.status, other.error) == (200, None)
    assert receiver.connections == 1


def test_a_request_that_is_refused_each_time_ends(transport: Transport, receiver: H2Receiver) -> None:
    outcome = transport.send(post(receiver, "/refuse"))
    assert outcome.error == "connection lost: the receiver dropped the request each time"
    assert len(receiver.streams) == 6


def test_a_connection_that_is_ended_by_goaway_is_no_answer(transport: Transport, receiver: H2Receiver) -> None:
    assert transport.send(post(receiver, "/1")).status == 200
    outcome = transport.send(post(receiver, "/goaway"))
    assert outcome.status is None
    assert outcome.error in {  # whether libcurl was still writing
        "no answer: the receiver closed the connection without one",
        "connection lost: the receiver reset the connection",
        "HTTP/2: the receiver ended the connection or broke the protocol",
    }
    assert transport.send(post(receiver, "/1")).status == 200
    assert receiver.connections == 2


def test_a_receiver_that_asks_to_go_away_is_obeyed(transport: Transport, receiver: H2Receiver) -> None:
    assert [transport.send(post(receiver, path)).status for path in ("/leave", "/1")] == [200, 200]
    assert receiver.connections == 2


def test_an_answer_that_is_cut_says_so(transport: Transport, receiver: H2Receiver) -> None:
    outcome = transport.send(post(receiver, "/cut"))
    assert outcome.error == "connection lost: the receiver closed the connection before its answer was complete"
    assert (outcome.status, outcome.body) == (200, b"cut")


def test_a_receiver_that_agrees_on_it_and_does_not_speak_it_breaks_the_protocol(
    transport: Transport, known: Certificate, tmp_path: Path
) -> None:
    tls = serving_with(issued(known), tmp_path)
    tls.set_alpn_protocols(["h2"])
    with serving(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), tls) as server:
        outcome = transport.send(Request(server.url, {}, b"{}", TIMEOUT_MS))
    assert outcome.status is None
    assert outcome.error in {  # whether its answer is read before its end is seen
        "HTTP/2: the receiver ended the connection or broke the protocol",
        "connection lost: the receiver reset the connection",
    }
