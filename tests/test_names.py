"""Names are looked up once each, beside each other, within the deadline; what a proxy would reach is checked."""

import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from app import names
from app.address_guard import AddressGuard
from app.exchange import Outcome, Request
from app.transport import Transport
from config.networks import Proxy
from tests.proxy import proxying
from tests.raw_receiver import serving, silent
from tests.receiver import Receiver

PATIENCE_S = 10.0


class Resolver:
    """Stands where the system's resolver does. Names that begin with `slow` are answered on `release`."""

    def __init__(self, addresses: dict[str, list[str]]) -> None:
        self.addresses = addresses
        self.asked: list[str] = []
        self.release = threading.Event()

    def getaddrinfo(self, host: str, *_args: Any, **_options: Any) -> list[Any]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.release.wait(PATIENCE_S)
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self.addresses[host]]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver(
        {
            "public.example": ["8.8.8.8"],
            "mixed.example": ["8.8.8.8", "10.0.0.1"],
            "receiver.example": ["127.0.0.1"],
            "private.example": ["10.0.0.1"],
        }
    )
    monkeypatch.setattr(names, "getaddrinfo", made.getaddrinfo)
    yield made
    made.release.set()


@pytest.fixture
def transport(resolver: Resolver) -> Iterator[Transport]:
    """One that dials by itself, and may dial this machine."""
    made = Transport(AddressGuard([ip_network("127.0.0.0/8")]), capacity=64)
    yield made
    made.stop()


@pytest.fixture
def proxied(resolver: Resolver) -> Iterator[Transport]:
    """One that leaves through a proxy, which answers with 204."""
    with proxying(b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n") as proxy:
        made = Transport(AddressGuard(), capacity=64, proxy=Proxy(f"http://127.0.0.1:{proxy.port}"))
        yield made
        made.stop()


def post(host: str, timeout_ms: int = 2_000) -> Request:
    return Request(f"http://{host}/", {}, b"{}", timeout_ms)


@pytest.mark.parametrize("host", ["receiver.example", "RECEIVER.example", "receiver.example."])
def test_what_was_looked_up_is_dialled(transport: Transport, resolver: Resolver, receiver: Receiver, host: str) -> None:
    assert [transport.send(post(f"{host}:{receiver.port}")).status for _ in range(3)] == [200] * 3
    assert resolver.asked == ["receiver.example"]


def test_the_guard_still_asks_about_the_address_that_is_dialled(transport: Transport) -> None:
    outcome = transport.send(post("private.example"))
    assert outcome.error == "blocked address: 10.0.0.1 is not a public address (see ALLOW_NETWORKS)"


def test_a_name_without_an_address_is_a_matter_of_dns(transport: Transport, resolver: Resolver) -> None:
    for _ in range(3):
        assert transport.send(post("unknown.example")).error == "DNS: the name unknown.example does not resolve"
    assert resolver.asked == ["unknown.example"]


def test_a_failure_is_soon_forgotten(
    transport: Transport, resolver: Resolver, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "FRESH_S", 0.0)
    monkeypatch.setattr(names, "FRESH_FAILURE_S", 0.0)
    url = f"moving.example:{receiver.port}"
    assert transport.send(post(url)).error == "DNS: the name moving.example does not resolve"
    resolver.addresses["moving.example"] = ["127.0.0.1"]
    assert transport.send(post(url)).status == 200
    assert resolver.asked == ["moving.example"] * 2


def test_an_address_is_never_taken_for_another_name_on_a_handle_used_before(
    transport: Transport, resolver: Resolver, receiver: Receiver
) -> None:
    assert transport.send(post(f"receiver.example:{receiver.port}")).status == 200
    resolver.addresses["other.example"] = ["127.0.0.9"]
    assert transport.send(post(f"other.example:{receiver.port}")).error is not None
    assert transport.send(post(f"127.0.0.1:{receiver.port}")).status == 200
    assert transport.send(post(f"receiver.example:{receiver.port}")).status == 200


def test_a_name_is_refused_for_any_of_its_addresses(proxied: Transport) -> None:
    assert proxied.send(post("public.example")).status == 204
    outcome = proxied.send(post("mixed.example"))
    assert outcome.error == "blocked address: 10.0.0.1 is not a public address (see ALLOW_NETWORKS)"


def test_a_name_that_does_not_resolve_here_goes_to_the_proxy(proxied: Transport, resolver: Resolver) -> None:
    assert [proxied.send(post("unknown.example")).status for _ in range(3)] == [204] * 3
    assert resolver.asked == ["unknown.example"]


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "LOCALHOST."])
def test_a_loopback_name_is_refused_even_where_it_does_not_resolve(proxied: Transport, host: str) -> None:
    outcome = proxied.send(post(host))
    assert outcome.error == "blocked address: 127.0.0.1 is not a public address (see ALLOW_NETWORKS)"


def test_what_is_known_is_asked_again_after_a_while(
    proxied: Transport, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proxied.send(post("public.example")).status == 204
    resolver.addresses["public.example"] = ["10.0.0.1"]
    assert proxied.send(post("public.example")).status == 204
    monkeypatch.setattr(names, "FRESH_S", 0.0)
    resolver.addresses["fresh.example"] = ["8.8.8.8"]
    assert proxied.send(post("fresh.example")).status == 204
    resolver.addresses["fresh.example"] = ["10.0.0.1"]
    assert "10.0.0.1" in (proxied.send(post("fresh.example")).error or "")
    assert resolver.asked == ["public.example", "fresh.example", "fresh.example"]


@pytest.mark.parametrize("hosts", [["slow.example"] * 200, [f"slow{number}.example" for number in range(60)]])
def test_names_that_hang_hold_up_no_other_and_end_at_the_deadline(
    transport: Transport, resolver: Resolver, receiver: Receiver, hosts: list[str]
) -> None:
    ended: list[Outcome] = []
    all_ended = threading.Event()

    def done(outcome: Outcome) -> None:
        ended.append(outcome)
        if len(ended) == len(hosts):
            all_ended.set()

    transport.submit([(post(host, 300), done) for host in hosts])
    outcome = transport.send(post(f"receiver.example:{receiver.port}"))
    assert outcome.status == 200
    assert all_ended.wait(PATIENCE_S)
    assert {outcome.error for outcome in ended} == {"time-out: no complete answer within 300 ms"}
    assert all(max(295, outcome.duration_ms) <= late.duration_ms < 3_000 for late in ended)
    assert len(resolver.asked) == len(set(hosts)) + 1


def test_the_deadline_counts_from_the_start_where_a_name_comes_late(transport: Transport, resolver: Resolver) -> None:
    resolver.addresses["slow.example"] = ["127.0.0.1"]
    with serving(silent) as server:
        transport.call_at(time.monotonic() + 0.2, resolver.release.set)
        outcome = transport.send(post(f"slow.example:{server.port}", 400))
    assert server.connections == 1
    assert outcome.error == "time-out: no complete answer within 400 ms"
    assert 395 <= outcome.duration_ms < 3_000


def test_a_request_that_was_given_up_is_not_sent_when_its_name_comes(
    transport: Transport, resolver: Resolver, receiver: Receiver
) -> None:
    resolver.addresses["slow.example"] = ["127.0.0.1"]
    url = f"slow.example:{receiver.port}"
    assert transport.send(post(url, 50)).error == "time-out: no complete answer within 50 ms"
    resolver.release.set()
    assert transport.send(post(url)).status == 200
    assert len(receiver.received) == 1
