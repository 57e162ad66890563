"""The certificate that a webhook shows its receiver, and nobody else's does."""

import gc
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from socket import socket

import pytest

from app.address_guard import AddressGuard
from app.exchange import Outcome, Request
from app.transport import Transport
from tests.certificates import Certificate, authority, issued, serving_with
from tests.raw_receiver import answering, serving

TIMEOUT_MS = 2_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNUSABLE = "TLS: the webhook's client certificate can't be used"


@pytest.fixture(scope="module")
def known() -> Certificate:
    return authority()


@pytest.fixture(scope="module")
def clients() -> Certificate:
    return authority("Authority of clients")


@pytest.fixture
def transport(known: Certificate) -> Iterator[Transport]:
    made = Transport(AddressGuard([ip_network("127.0.0.0/8")]), capacity=16, ca_bundle=known.pem)
    yield made
    made.stop()


@pytest.fixture
def tls(known: Certificate, clients: Certificate, tmp_path: Path) -> ssl.SSLContext:
    """What a receiver needs that asks for a certificate and takes requests without one too."""
    context = serving_with(issued(known), tmp_path, clients_of=clients)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def pem(certificate: Certificate) -> str:
    return certificate.pem + certificate.key_pem


def post(url: str, certificate: str | None) -> Request:
    return Request(url, {}, b"{}", TIMEOUT_MS, client_certificate=certificate)


def keeping(connection: socket, _over: threading.Event) -> None:
    """Answer each request on the connection with the name that the client showed when it was opened."""
    assert isinstance(connection, ssl.SSLSocket)
    shown = connection.getpeercert() or {"subject": ()}
    name = dict(part[0] for part in shown["subject"]).get("commonName", "nobody").encode()
    while True:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))
        if not connection.recv(65_536):
            return


@pytest.mark.parametrize("order", ["-a-bab-", "ab-ba", "aabb--ab"])
def test_connections_are_kept_and_never_shared_among_certificates(
    transport: Transport, tls: ssl.SSLContext, clients: Certificate, order: str
) -> None:
    certificates = {"-": None, "a": pem(issued(clients, ("a",))), "b": pem(issued(clients, ("b",)))}
    with serving(keeping, tls) as server:
        seen = [transport.send(post(server.url, certificates[who])).body.decode() for who in order]
        transport.stop()
    assert seen == ["nobody" if who == "-" else who for who in order]
    assert server.connections == len(set(order))


def test_certificates_are_kept_apart_at_the_same_time_too(
    transport: Transport, tls: ssl.SSLContext, clients: Certificate
) -> None:
    certificates = {name: pem(issued(clients, (name,))) for name in ("a", "b", "c")}
    seen: list[tuple[str, str]] = []
    all_ended = threading.Event()

    def done(name: str, outcome: Outcome) -> None:
        seen.append((name, outcome.body.decode()))
        if len(seen) == 30:
            all_ended.set()

    with serving(keeping, tls) as server:
        names = ["a", "b", "c"] * 10
        transport.submit([(post(server.url, certificates[name]), partial(done, name)) for name in names])
        assert all_ended.wait(10)
        transport.stop()
    assert all(name == shown for name, shown in seen)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_tls_session_is_resumed_with_another_certificate(
    transport: Transport, tls: ssl.SSLContext, clients: Certificate, version: ssl.TLSVersion
) -> None:
    tls.minimum_version = tls.maximum_version = version
    certificates = {"-": None, "a": pem(issued(clients, ("a",))), "b": pem(issued(clients, ("b",)))}
    with serving(answering(ANSWER), tls) as server:  # it closes after each, so that each is a new connection
        for who in "-a-bab-":
            assert transport.send(post(server.url, certificates[who])).status == 200
    assert server.peers == [None, "a", None, "b", "a", "b", None]


def test_a_request_without_one_shows_none_on_a_handle_that_has_shown_one(
    transport: Transport, tls: ssl.SSLContext, clients: Certificate
) -> None:
    with serving(answering(ANSWER), tls) as one, serving(answering(ANSWER), tls) as other:
        transport.send(post(one.url, pem(issued(clients, ("a",)))))
        gc.collect()
        transport.send(post(other.url, None))
    assert (one.peers, other.peers) == (["a"], [None])


def test_the_whole_chain_is_shown(transport: Transport, tls: ssl.SSLContext, clients: Certificate) -> None:
    between = authority("Between", clients)
    certificate = issued(between, ("deep",))
    with serving(answering(ANSWER), tls) as server:
        assert transport.send(post(server.url, certificate.pem + between.pem + certificate.key_pem)).status == 200
    assert server.peers == ["deep"]


@pytest.mark.parametrize("fault", ["no PEM", "no key", "another's key", "no certificate", "a broken certificate"])
def test_one_that_cannot_be_used_is_a_failure_that_says_so(
    transport: Transport, tls: ssl.SSLContext, clients: Certificate, fault: str
) -> None:
    good, other = issued(clients, ("a",)), issued(clients, ("b",))
    faults = {
        "no PEM": "junk",
        "no key": good.pem,
        "another's key": good.pem + other.key_pem,
        "no certificate": good.key_pem,
        "a broken certificate": good.pem.replace("MII", "NII") + good.key_pem,
    }
    with serving(answering(ANSWER), tls) as server:
        outcome = transport.send(post(server.url, faults[fault]))
        assert (outcome.status, outcome.error) == (None, UNUSABLE)
        assert transport.send(post(server.url, pem(good))).status == 200
    assert server.peers == ["a"]


def test_a_receiver_that_wants_another_refuses(transport: Transport, tls: ssl.SSLContext) -> None:
    stranger = issued(authority("Stranger"), ("s",))
    with serving(answering(ANSWER), tls) as server:
        outcome = transport.send(post(server.url, pem(stranger)))
    assert outcome.status is None
    assert outcome.error in {  # whether its reason comes before it has closed
        "TLS: the receiver refused the connection: unknown ca",
        "connection lost: the receiver reset the connection",
    }
