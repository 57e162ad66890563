"""Deliveries by way of a proxy: what it is asked for, what is checked before, and what its failures are called."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from app.address_guard import AddressGuard
from app.exchange import Outcome, Request
from app.transport import Transport
from config.networks import parse_proxy
from tests.certificates import Certificate, authority, issued, serving_with
from tests.proxy import ProxyServer, proxying
from tests.raw_receiver import answering, free_port, serving, silent
from tests.receiver import Receiver

TIMEOUT_MS = 2_000
LOOPBACK = ("127.0.0.0/8",)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOWHERE = "http://10.9.8.7:9/"
REFUSED = "proxy: the connection to it failed (see OUTBOUND_PROXY)"
CREDENTIALS = "proxy: it answered 407 and wants credentials (see OUTBOUND_PROXY)"


@pytest.fixture(scope="module")
def known() -> Certificate:
    return authority()


@pytest.fixture
def tls(known: Certificate, tmp_path: Path) -> ssl.SSLContext:
    return serving_with(issued(known, ("localhost", "127.0.0.1", "receiver.invalid")), tmp_path)


@contextmanager
def transport_via(proxy: str, known: Certificate, allowed: tuple[str, ...] = LOOPBACK) -> Iterator[Transport]:
    guard = AddressGuard([ip_network(network) for network in allowed])
    made = Transport(guard, capacity=16, ca_bundle=known.pem, proxy=parse_proxy(proxy))
    try:
        yield made
    finally:
        made.stop()


def sent(proxy: str, url: str, known: Certificate, *, timeout_ms: int = TIMEOUT_MS) -> Outcome:
    with transport_via(proxy, known) as transport:
        return transport.send(Request(url, {}, b"{}", timeout_ms))


def at(proxy: ProxyServer, scheme: str = "http", credentials: str = "") -> str:
    return f"{scheme}://{credentials}127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "receiver.invalid"])
def test_http_is_passed_on_and_a_name_may_be_one_that_only_the_proxy_knows(
    receiver: Receiver, known: Certificate, host: str
) -> None:
    with proxying() as proxy:
        outcome = sent(at(proxy), f"http://{host}:{receiver.port}/hook", known)
    assert (outcome.status, outcome.error) == (200, None)
    assert proxy.lines == [f"POST http://{host}:{receiver.port}/hook HTTP/1.1"]
    assert [(received.path, received.body) for received in receiver.received] == [("/hook", b"{}")]


@pytest.mark.parametrize("host", ["127.0.0.1", "receiver.invalid"])
@pytest.mark.parametrize("credentials", [None, "amy:p@ss"])
def test_https_is_tunnelled(tls: ssl.SSLContext, known: Certificate, host: str, credentials: str | None) -> None:
    with serving(answering(OK), tls) as server, proxying(credentials=credentials) as proxy:
        url = server.url.replace("127.0.0.1", host)
        outcome = sent(at(proxy, credentials="amy:p%40ss@" if credentials else ""), url, known)
    assert (outcome.status, outcome.error, outcome.headers) == (200, None, {"Content-Length": "2"})
    assert proxy.lines == [f"CONNECT {host}:{server.port} HTTP/1.1"]
    assert b"Proxy-Authorization" not in server.requests[0]


def test_the_proxy_may_speak_tls(tls: ssl.SSLContext, receiver: Receiver, known: Certificate) -> None:
    with (
        serving(answering(OK), tls) as server,
        proxying(tls=tls) as proxy,
        transport_via(at(proxy, "https"), known) as transport,
    ):
        assert transport.send(Request(receiver.url, {}, b"{}", TIMEOUT_MS)).status == 200
        assert transport.send(Request(server.url, {}, b"{}", TIMEOUT_MS)).status == 200
    assert len(proxy.lines) == 2


def test_the_proxy_may_be_socks_and_gets_names_as_they_are(
    tls: ssl.SSLContext, receiver: Receiver, known: Certificate
) -> None:
    with (
        serving(answering(OK), tls) as server,
        proxying() as proxy,
        transport_via(at(proxy, "socks5h"), known) as transport,
    ):
        url = f"http://receiver.invalid:{receiver.port}/"
        assert transport.send(Request(url, {}, b"{}", TIMEOUT_MS)).status == 200
        assert transport.send(Request(server.url, {}, b"{}", TIMEOUT_MS)).status == 200
    assert proxy.lines == ["SOCKS receiver.invalid", "SOCKS 127.0.0.1"]


def test_variables_of_the_environment_change_nothing(
    receiver: Receiver, known: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*")
    with proxying() as proxy:
        assert sent(at(proxy), receiver.url, known).status == 200
    assert len(proxy.lines) == 1


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
@pytest.mark.parametrize("target", ["http", "https"])
def test_a_proxy_that_is_away_is_named(known: Certificate, scheme: str, target: str) -> None:
    url = f"{target}://127.0.0.1:9/"
    assert sent(f"{scheme}://127.0.0.1:{free_port()}", url, known).error == REFUSED
    outcome = sent(f"{scheme}://amy:s3cret@nobody.invalid:3128", url, known)
    assert outcome.error == "proxy: its name does not resolve (see OUTBOUND_PROXY)"


@pytest.mark.parametrize("target", ["http", "https"])
def test_wrong_credentials_are_named_and_not_shown(known: Certificate, target: str) -> None:
    with proxying(credentials="amy:right") as proxy:
        outcome = sent(at(proxy, credentials="amy:s3cret@"), f"{target}://127.0.0.1:9/", known)
    assert outcome.error == CREDENTIALS
    assert (outcome.status, outcome.headers, outcome.body) == (None, {}, b"")


@pytest.mark.parametrize("status", [301, 403, 502, 504])
def test_a_tunnel_that_the_proxy_refuses_is_its_doing(known: Certificate, status: int) -> None:
    with proxying(b"HTTP/1.1 %d No\r\nX-Proxy: 1\r\nContent-Length: 2\r\n\r\nno" % status) as proxy:
        outcome = sent(at(proxy), "https://127.0.0.1:9/", known)
    assert outcome.error == f"proxy: it answered {status} instead of connecting to the receiver"
    assert (outcome.status, outcome.headers, outcome.body) == (None, {}, b"")


def test_a_proxy_that_closes_instead_of_connecting_is_named(known: Certificate) -> None:
    with proxying(b"") as proxy:
        assert sent(at(proxy), "https://127.0.0.1:9/", known).error == REFUSED


@pytest.mark.parametrize("code", [2, 4, 5])
def test_a_refusal_of_socks_is_named(known: Certificate, code: int) -> None:
    with proxying(b"\x05%c\x00\x01\0\0\0\0\0\0" % code) as proxy:
        outcome = sent(at(proxy, "socks5h"), "http://127.0.0.1:9/", known)
    assert outcome.error == "proxy: it refused the connection to the receiver, or the credentials (see OUTBOUND_PROXY)"


def test_a_certificate_of_the_proxy_is_checked(known: Certificate, tmp_path: Path) -> None:
    with proxying(tls=serving_with(issued(None), tmp_path)) as proxy:
        outcome = sent(at(proxy, "https"), "https://127.0.0.1:9/", known)
        assert outcome.error == "proxy: TLS: the certificate is self-signed"
    with proxying(tls=serving_with(issued(known, ("other.example",)), tmp_path)) as proxy:
        outcome = sent(at(proxy, "https"), "http://127.0.0.1:9/", known)
        assert outcome.error == "proxy: TLS: the certificate is for another host name"
    with proxying() as proxy:
        outcome = sent(at(proxy, "https"), "http://127.0.0.1:9/", known)
        assert outcome.error == "proxy: TLS: the handshake failed (see OUTBOUND_PROXY)"


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
@pytest.mark.parametrize("target", ["http", "https"])
def test_a_proxy_that_is_silent_is_cut_at_the_deadline(known: Certificate, scheme: str, target: str) -> None:
    with serving(silent, reads=False) as server:
        outcome = sent(f"{scheme}://127.0.0.1:{server.port}", f"{target}://127.0.0.1:9/", known, timeout_ms=150)
    assert outcome.error == "time-out: no complete answer within 150 ms"
    assert outcome.duration_ms < 3_000


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("１２７.0.0.1", "127.0.0.1"),
        ("x.localhost", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("169.254.169.254", "169.254.169.254"),
    ],
)
def test_an_address_that_is_not_allowed_never_reaches_the_proxy(
    known: Certificate, host: str, address: str, scheme: str
) -> None:
    with proxying() as proxy, transport_via(at(proxy, scheme), known, allowed=()) as transport:
        for target in ("http", "https"):
            outcome = transport.send(Request(f"{target}://{host}:9/", {}, b"{}", TIMEOUT_MS))
            assert outcome.error == f"blocked address: {address} is not a public address (see ALLOW_NETWORKS)"
    assert proxy.lines == []


def test_the_proxy_itself_needs_no_leave(receiver: Receiver, known: Certificate) -> None:
    with proxying() as proxy, transport_via(at(proxy), known, allowed=()) as transport:
        outcome = transport.send(Request(f"http://receiver.invalid:{receiver.port}/", {}, b"{}", TIMEOUT_MS))
    assert (outcome.status, outcome.error) == (200, None)


@pytest.mark.parametrize(
    "url", ["http://%31%32%37.0.0.1/", "http://a@127.0.0.1/", "http://[bad/", "http:/\\127.0.0.1/"]
)
def test_a_url_in_which_two_might_read_different_hosts_is_not_sent(known: Certificate, url: str) -> None:
    with proxying() as proxy:
        outcome = sent(at(proxy), url, known)
    assert outcome.error == "the request can't be sent: its URL is none that a webhook may have"
    assert proxy.lines == []
