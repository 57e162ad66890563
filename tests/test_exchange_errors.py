"""What failures are called. Those that a receiver can be made to show are in test_misbehaving_receivers."""

import errno
from typing import Any

import pycurl
import pytest

from app.exchange_errors import Failure, describe

OPENSSL = "OpenSSL SSL_read: OpenSSL/3.6.5: error:0A00045C:SSL routines::"


@pytest.mark.parametrize(
    ("code", "text", "more", "said"),
    [
        (pycurl.E_COULDNT_CONNECT, "", {"errno": errno.EHOSTUNREACH}, "no connection: No route to host"),
        (
            pycurl.E_COULDNT_CONNECT,
            "",
            {"errno": errno.EADDRNOTAVAIL},
            "no connection: Cannot assign requested address",
        ),
        (pycurl.E_COULDNT_CONNECT, "", {}, "no connection: the receiver could not be reached"),
        (
            pycurl.E_RECV_ERROR,
            f"{OPENSSL}tlsv13 alert certificate required, errno 0",
            {},
            "TLS: the receiver asks for a client certificate",
        ),
        (
            pycurl.E_RECV_ERROR,
            f"{OPENSSL}tlsv1 alert unknown ca, errno 0",
            {},
            "TLS: the receiver refused the connection: unknown ca",
        ),
        (
            pycurl.E_SSL_CONNECT_ERROR,
            "TLS connect error: error:0A000410:SSL routines::ssl/tls alert handshake failure",
            {},
            "TLS: the receiver refused the handshake: handshake failure",
        ),
        (
            pycurl.E_SSL_CONNECT_ERROR,
            "TLS connect error: error:0A000102:SSL routines::unsupported protocol",
            {},
            "TLS: the handshake failed: unsupported protocol",
        ),
        (
            pycurl.E_PEER_FAILED_VERIFICATION,
            "",
            {"verdict": 66},
            "TLS: the certificate is not accepted (OpenSSL's verdict 66)",
        ),
        (pycurl.E_RECV_ERROR, "Recv failure: Connection timed out", {}, "connection lost: nothing came back any more"),
        (pycurl.E_SEND_ERROR, "Send failure: Broken pipe", {}, "connection lost: the receiver reset the connection"),
        (pycurl.E_RECV_ERROR, "something new", {}, "connection lost: it broke"),
        (pycurl.E_COULDNT_RESOLVE_HOST, "", {}, "DNS: the name receiver.example does not resolve"),
        (pycurl.E_OUT_OF_MEMORY, "", {}, "failed: libcurl gives the number 27"),
        (pycurl.E_OUT_OF_MEMORY, "Out of memory", {}, "failed: Out of memory"),
    ],
)
def test_a_failure_is_told_in_plain_words(code: int, text: str, more: dict[str, Any], said: str) -> None:
    assert describe(Failure(code, text, "https://receiver.example:8443/hook?x=1", **more)) == said


@pytest.mark.parametrize("code", [pycurl.E_RECV_ERROR, pycurl.E_COULDNT_CONNECT, pycurl.E_GOT_NOTHING])
def test_what_a_proxy_answered_comes_first(code: int) -> None:
    failure = Failure(code, "", "https://receiver.example/", via_proxy=True, connect_status=503)
    assert describe(failure) == "proxy: it answered 503 instead of connecting to the receiver"


def test_behind_a_tunnel_that_stands_the_receiver_is_named() -> None:
    failure = Failure(pycurl.E_GOT_NOTHING, "", "https://receiver.example/", via_proxy=True, connect_status=200)
    assert describe(failure) == "no answer: the receiver closed the connection without one"
