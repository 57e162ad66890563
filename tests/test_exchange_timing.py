"""Where the time of a request went: phases that were reached, needed, or neither."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from app import names
from app.address_guard import AddressGuard
from app.exchange import Outcome, Request
from app.transport import Transport
from tests.certificates import Certificate, authority, issued, serving_with
from tests.h2_receiver import serving_h2
from tests.raw_receiver import answering, free_port, serving, silent
from tests.receiver import Answer, Receiver
from tests.test_names import Resolver

TIMEOUT_MS = 5_000
SHORT_MS = 300
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Phases = dict[str, int | None]


@pytest.fixture(scope="module")
def known() -> Certificate:
    return authority()


@pytest.fixture
def tls(known: Certificate, tmp_path: Path) -> ssl.SSLContext:
    return serving_with(issued(known), tmp_path)


@pytest.fixture
def transport(known: Certificate) -> Iterator[Transport]:
    made = Transport(AddressGuard([ip_network("127.0.0.0/8")]), capacity=16, ca_bundle=known.pem)
    yield made
    made.stop()


def phases(outcome: Outcome) -> Phases:
    """Return the timing, whose phases must be in their order and within the duration."""
    assert outcome.timing is not None
    found: Phases = json.loads(outcome.timing)
    assert list(found) == ["dns", "connect", "tls", "firstByte", "total"]
    reached = [at for at in found.values() if at]
    assert reached == sorted(reached)
    assert abs(outcome.duration_ms - (found["total"] or 0) / 1000) <= 2
    return found


def sent(transport: Transport, url: str, timeout_ms: int = TIMEOUT_MS) -> Phases:
    return phases(transport.send(Request(url, {}, b"{}", timeout_ms)))


def test_a_new_connection_takes_its_time_and_one_that_is_open_takes_none(
    transport: Transport, receiver: Receiver
) -> None:
    receiver.script.append(Answer(delay=0.05))
    first, second = sent(transport, receiver.url), sent(transport, receiver.url)
    assert first["connect"]
    assert first["tls"] == 0
    assert (first["firstByte"] or 0) - first["connect"] >= 50_000
    assert (second["connect"], second["tls"]) == (0, 0)
    assert second["firstByte"]


def test_with_tls_the_handshake_counts_once(transport: Transport, tls: ssl.SSLContext) -> None:
    with serving_h2(tls) as receiver:
        first, second = sent(transport, receiver.url("/0")), sent(transport, receiver.url("/0"))
    assert (first["tls"] or 0) > (first["connect"] or 0) > 0
    assert (second["connect"], second["tls"]) == (0, 0)


def test_a_body_that_is_slow_comes_after_the_first_byte(transport: Transport) -> None:
    def slow(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(OK[:-1])
        over.wait(0.1)
        connection.sendall(OK[-1:])

    with serving(slow) as server:
        found = sent(transport, server.url)
    assert (found["total"] or 0) - (found["firstByte"] or 0) >= 95_000


def test_what_was_cut_off_had_a_first_byte(transport: Transport) -> None:
    with serving(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx")) as server:
        assert sent(transport, server.url)["firstByte"]


def test_the_look_up_of_a_name_is_ours_and_counts(
    transport: Transport, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver({"slow.example": ["127.0.0.1"]})
    monkeypatch.setattr(names, "getaddrinfo", resolver.getaddrinfo)
    threading.Timer(0.1, resolver.release.set).start()
    url = f"http://slow.example:{receiver.port}/"
    first, second = sent(transport, url), sent(transport, url)
    assert (first["dns"] or 0) >= 95_000
    assert (first["connect"] or 0) >= (first["dns"] or 0)
    assert (second["dns"] or 0) < 95_000
    assert second["connect"] == 0


def test_a_name_that_is_not_known_in_time_was_not_looked_up(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver({})
    monkeypatch.setattr(names, "getaddrinfo", resolver.getaddrinfo)
    sent(transport, "http://slow.example/", 100)
    found = sent(transport, "http://slow.example/", 100)
    assert [found[phase] for phase in ("dns", "connect", "tls", "firstByte")] == [None] * 4
    assert (found["total"] or 0) >= 95_000
    resolver.release.set()


def test_a_name_that_does_not_resolve_was_looked_up(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "getaddrinfo", Resolver({}).getaddrinfo)
    found = sent(transport, "http://unknown.example/")
    assert found["dns"] is not None
    assert found["connect"] is None


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1"], ids=["refused", "blocked"])
def test_without_a_connection_nothing_comes_after_the_name(transport: Transport, host: str) -> None:
    found = sent(transport, f"http://{host}:{free_port()}/")
    assert found["dns"] is not None
    assert [found[phase] for phase in ("connect", "tls", "firstByte")] == [None] * 3


def test_silence_is_waiting_for_the_first_byte(transport: Transport) -> None:
    with serving(silent) as server:
        found = sent(transport, server.url, SHORT_MS)
    assert found["connect"]
    assert (found["tls"], found["firstByte"]) == (0, None)
    assert (found["total"] or 0) >= (SHORT_MS - 20) * 1000


def test_silence_on_a_connection_that_was_open_is_waiting_too(transport: Transport) -> None:
    def once(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(OK)
        over.wait(10)

    with serving(once) as server:
        sent(transport, server.url)
        found = sent(transport, server.url, SHORT_MS)
        assert server.connections == 1
    assert (found["connect"], found["tls"], found["firstByte"]) == (0, 0, None)


def test_a_handshake_that_hangs_is_no_handshake_and_whoever_waits_for_it_has_no_connection(
    transport: Transport,
) -> None:
    with serving(silent, reads=False) as server:
        url = server.url.replace("http:", "https:")
        outcomes: list[Outcome] = []
        ended = threading.Event()

        def done(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if len(outcomes) == 2:
                ended.set()

        transport.submit([(Request(url, {}, b"{}", SHORT_MS + 200), done), (Request(url, {}, b"{}", SHORT_MS), done)])
        assert ended.wait(10)
        second, first = map(phases, outcomes)
    assert first["connect"]
    assert (first["tls"], first["firstByte"]) == (None, None)
    assert (second["connect"], second["tls"], second["firstByte"]) == (None, None, None)


def test_what_could_not_be_sent_has_no_timing(transport: Transport, receiver: Receiver) -> None:
    outcome = transport.send(Request(receiver.url, {"X": "a\r\nb"}, b"", TIMEOUT_MS))
    assert (outcome.status, outcome.timing) == (None, None)
