"""What the client says where there is no answer: one line that names the server and the reason."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hookline_client import (
    NO_RETRY,
    AddressError,
    CertificateError,
    Client,
    ClientError,
    ConnectError,
    ConnectionRefused,
    NameNotFound,
    TimedOut,
)

from tests.certificates import Certificate, authority, issued, serving_with
from tests.client.scripted import Server

pytestmark = pytest.mark.sqlite_only


def said(server: str, kind: type[ClientError], timeout_s: float = 5.0, ca_file: str | None = None) -> str:
    """Return what a failing call says, which is an error of `kind`."""
    with (
        Client(server, timeout_s=timeout_s, ca_file=ca_file, retry=NO_RETRY, use_proxy=False) as client,
        pytest.raises(ClientError) as caught,
    ):
        client.get("w")
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "address", ["", "hooks.example.com", "ftp://h", "http://", "http://h:x", "http://u:p@h", "http://h/?q", "http://[:"]
)
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(AddressError, match=r"is like https://hooks\.example\.com, not "):
        Client(address)


@pytest.mark.parametrize(
    "address", ["http://h:1/", "http://h:1", "http://h:1/webhook/api", " http://h:1/webhook/api/ "]
)
def test_an_address_may_have_the_prefix_of_the_interface(address: str) -> None:
    assert Client(address).base == "http://h:1/webhook/api"


def test_nothing_listens() -> None:
    assert said("http://127.0.0.1:1", ConnectionRefused) == "http://127.0.0.1:1 can't be reached: nothing listens there"


def test_there_is_no_such_host() -> None:
    said_so = said("http://no-such-host.invalid:8080", NameNotFound)
    assert said_so.startswith("http://no-such-host.invalid:8080: there is no host no-such-host.invalid")


def test_it_takes_too_long(server: Server) -> None:
    server.gate = threading.Event()
    assert said(server.url, TimedOut, timeout_s=0.05) == f"{server.url} gave no answer within 0.05 s"
    server.gate.set()


def test_the_connection_is_closed_without_an_answer(server: Server) -> None:
    server.answer = (0, {}, None)
    assert said(server.url, ConnectError).endswith("can't be reached: it closed the connection without an answer")


def test_the_port_does_not_speak_tls(server: Server) -> None:
    server.scheme = "https"
    assert "it does not speak TLS; is its address http://…?" in said(server.url, CertificateError)


def test_a_file_of_authorities_that_is_not_there(server: Server) -> None:
    server.scheme = "https"
    assert "no/such.pem" in said(server.url, ClientError, ca_file="no/such.pem")


@pytest.fixture(scope="module")
def company() -> Certificate:
    return authority()


def tls(server: Server, certificate: Certificate, directory: Path) -> None:
    server.socket = serving_with(certificate, directory).wrap_socket(server.socket, server_side=True)
    server.scheme = "https"


@pytest.fixture
def trusted(company: Certificate, tmp_path: Path) -> str:
    (tmp_path / "ca.pem").write_text(company.pem)
    return str(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("names", "valid", "reason"),
    [(("elsewhere.example",), (-1, 1), "IP address mismatch"), (("127.0.0.1",), (-3, -2), "certificate has expired")],
)
def test_a_certificate_with_a_fault_is_said_to_have_it(
    server: Server, company: Certificate, trusted: str, tmp_path: Path, names: tuple[str, ...], valid: tuple[int, int],
    reason: str,
) -> None:  # fmt: skip
    tls(server, issued(company, names, valid), tmp_path)
    assert f"its certificate is not trusted: {reason}" in said(server.url, CertificateError, ca_file=trusted)


def test_a_certificate_of_an_unknown_authority_is_not_trusted_until_its_authority_is_given(
    server: Server, company: Certificate, trusted: str, tmp_path: Path
) -> None:
    tls(server, issued(company), tmp_path)
    assert "unable to get local issuer certificate" in said(server.url, CertificateError)
    with Client(server.url, user="u", password="p", ca_file=trusted) as client:
        client.delete("w")


@pytest.fixture
def no_room() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_an_answer_that_is_cut_short_is_no_answer(no_room: int) -> None:
    assert said(f"http://127.0.0.1:{no_room}", TimedOut, timeout_s=0.05).endswith("gave no answer within 0.05 s")
