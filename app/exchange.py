"""One HTTP exchange on one libcurl handle: the options, what is kept of the answer, what became of it."""

import socket
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import pycurl

from app.address_guard import AddressGuard
from app.clock import now_ms
from app.curl_options import new_handle, show_certificate
from app.exchange_errors import Failure, credentials_wanted, describe
from app.exchange_timing import of_answer, of_failure, of_nothing
from app.http_headers import header_lines, parse_headers
from app.names import place_of
from app.urls import ascii_url
from config.networks import Proxy

KEPT_BODY = 64 * 1024
MAX_BODY = 1024 * 1024
KEPT_HEADERS = 16 * 1024
MAX_HEADERS = 256 * 1024

# A connection to a network that has gone silent is given up by the kernel in the time of the longest attempt. HTTP/2
# keeps one over failed requests, so that all to that receiver would fail for the 15 minutes of the kernel's default.
_SILENCE_MS = 30_000
_PROXY_WANTS_CREDENTIALS = 407


class Request(msgspec.Struct, frozen=True):
    """A POST to send. `timeout_ms` covers DNS, connect, TLS, request, headers and body. `client_certificate` is PEM:
    the certificate, those that lead to its authority, and the unencrypted key. `traceparent` is the attempt's."""

    url: str
    headers: dict[str, str]
    body: bytes
    timeout_ms: int
    client_certificate: str | None = None
    traceparent: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What became of a request: an answer (`status`), or none and the reason (`error`); never neither.

    A cut answer has both. `body` holds at most 64 KiB. `timing` is JSON, see app.exchange_timing; None where no request
    was made.
    """

    status: int | None
    headers: dict[str, str]
    body: bytes
    error: str | None
    started_at: int  # milliseconds UTC
    duration_ms: int
    timing: str | None = None


class _Socket(socket.socket):
    """A socket that libcurl takes over: pycurl keeps a duplicate of the descriptor, and this one closes unsaid."""

    def __del__(self) -> None:
        self.close()


class Exchange:
    """A libcurl handle. `begin`, let libcurl work, `end`, and again while `reusable`.

    `authorities` is the path of the certificates that vouch for receivers.
    """

    def __init__(self, guard: AddressGuard, authorities: str, proxy: Proxy | None = None) -> None:
        self._guard = guard
        self._via_proxy = proxy is not None
        self.curl = new_handle(authorities, proxy)
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        self.reusable = True
        self._is_routed = False
        self._reset()

    def _reset(self) -> None:
        self._lines: list[bytes] = []
        self._body: list[bytes] = []
        self._size = 0
        self._header_size = 0
        self._headers_ended = False
        self._refused: str | None = None
        self._dialled = False
        self._known_us: int | None = None
        self._started_at = now_ms()
        self._started = time.perf_counter()

    def begin(self, request: Request) -> None:
        """Set the handle up for `request`. Raises pycurl.error or ValueError where it can't be sent at all."""
        self._reset()
        self._timeout_ms = request.timeout_ms
        self._url = ascii_url(request.url)
        self._is_tls = request.url[:6].lower() == "https:"
        self._place = place_of(request.url)
        if self._place is None and self._via_proxy:
            raise ValueError("its URL is none that a webhook may have")
        curl = self.curl
        curl.setopt(pycurl.URL, self._url)
        # Rather wait for a connection that HTTP/2 can share than open one more. Without TLS there is none to share, and
        # libcurl would wait for the first answer to find that out.
        curl.setopt(pycurl.PIPEWAIT, self._is_tls)
        curl.setopt(pycurl.POSTFIELDS, request.body)
        # "Expect:" switches off libcurl's wait for 100-continue on large bodies.
        curl.setopt(pycurl.HTTPHEADER, [*header_lines(request.headers), "Expect:"])
        if self._is_routed:
            curl.setopt(pycurl.RESOLVE, [])  # what a former request was told would be told again
            self._is_routed = False
        if request.client_certificate is not None:
            self.reusable = False
            show_certificate(curl, request.client_certificate.encode())

    @property
    def name(self) -> str | None:
        """The name to look up, None where libcurl needs none."""
        return None if self._place is None or self._place.is_numeric else self._place.host

    def proceed(self, addresses: Sequence[str]) -> Outcome | None:
        """Take the `addresses` that `name` has. Return the outcome where it ends here, None where libcurl may go on.

        What has passed since `begin` counts. The guard asks about each address when it is dialled; where a proxy dials,
        it asks here, and a name without addresses is left to the proxy.
        """
        place = self._place
        self._known_us = self._elapsed_us()
        if place is not None and self._via_proxy:
            given = (place.host,) if place.is_numeric else addresses
            refused = next((address for address in given if not self._guard.allows(address)), None)
            if refused is not None:
                return self._without_answer(_blocked(refused))
        elif place is not None and not place.is_numeric:
            if not addresses:
                return self._without_answer(describe(Failure(pycurl.E_COULDNT_RESOLVE_HOST, "", self._url)))
            self.curl.setopt(pycurl.RESOLVE, place.entries(addresses))
            self._is_routed = True
        return self._go_on()

    def _go_on(self) -> Outcome | None:
        left_ms = self._timeout_ms - round(self._elapsed_us() / 1000)
        if left_ms <= 0:
            return self.late()
        self.curl.setopt(pycurl.TIMEOUT_MS, left_ms)
        return None

    def end(self, code: int, text: str) -> Outcome:
        """Return what the exchange came to; `code` and `text` are libcurl's, 0 for none."""
        status = self.curl.getinfo(pycurl.RESPONSE_CODE) or None
        if status == _PROXY_WANTS_CREDENTIALS and self._via_proxy:
            return self._outcome(None, {}, b"", credentials_wanted(status), timing=self._timing(None))
        error = self._describe(code, text) if code or not self._headers_ended else None
        headers = parse_headers(self._lines) if status else {}  # without an answer they are of a proxy's
        return self._outcome(status, headers, b"".join(self._body), error, timing=self._timing(status))

    def late(self) -> Outcome:
        """Return the outcome of a request that was not answered in time."""
        return self._without_answer(self._time_out())

    def unsendable(self, reason: Exception) -> Outcome:
        """Return the outcome of a request that libcurl would not take."""
        return self._outcome(None, {}, b"", f"the request can't be sent: {reason}", timing=None)

    def _without_answer(self, error: str) -> Outcome:
        return self._outcome(None, {}, b"", error, timing=of_nothing(self._known_us, self._elapsed_us()))

    def _timing(self, status: int | None) -> str:
        info, begun_us, total_us = self.curl.getinfo, self._known_us or 0, self._elapsed_us()
        return of_answer(info, begun_us, total_us) if status else of_failure(info, begun_us, total_us, self._is_tls)

    def _outcome(
        self, status: int | None, headers: dict[str, str], body: bytes, error: str | None, *, timing: str | None
    ) -> Outcome:
        return Outcome(status, headers, body, error, self._started_at, round(self._elapsed_us() / 1000), timing)

    def _elapsed_us(self) -> int:
        return int((time.perf_counter() - self._started) * 1_000_000)

    def _describe(self, code: int, text: str) -> str:
        if self._refused and not self._dialled:
            return _blocked(self._refused)
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return self._time_out()
        if code == pycurl.E_WRITE_ERROR and self._size > MAX_BODY:
            return f"answer too large: more than {MAX_BODY} bytes"
        if code == pycurl.E_WRITE_ERROR and self._header_size > MAX_HEADERS:
            return f"answer too large: more than {MAX_HEADERS} bytes of headers"
        # Without a code the answer ended among its headers, which libcurl takes for whole.
        return describe(self._failure(code or pycurl.E_PARTIAL_FILE, text))

    def _failure(self, code: int, text: str) -> Failure:
        info = self.curl.getinfo
        return Failure(
            code,
            text,
            self._url,
            answered=bool(info(pycurl.RESPONSE_CODE)),
            errno=info(pycurl.OS_ERRNO),
            verdict=info(pycurl.SSL_VERIFYRESULT),
            via_proxy=self._via_proxy,
            connect_status=info(pycurl.HTTP_CONNECTCODE),
            proxy_verdict=info(pycurl.PROXY_SSL_VERIFYRESULT),
        )

    def _time_out(self) -> str:
        return f"time-out: no complete answer within {self._timeout_ms} ms"

    def _open_socket(self, _purpose: int, address: Any) -> Any:
        family, kind, protocol, target = address
        host = target[0] if isinstance(target[0], str) else target[0].decode()
        if not (self._via_proxy or self._guard.allows(host)):  # a proxy's own address needs no leave
            self._refused = host
            return pycurl.SOCKET_BAD
        self._dialled = True
        try:
            opened = _Socket(family, kind, protocol)
        except OSError:  # no IPv6 here, or no descriptor left
            return pycurl.SOCKET_BAD
        if family in (socket.AF_INET, socket.AF_INET6):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_MS)
        return opened

    def _take_header(self, line: bytes) -> int | None:
        if self._header_size < KEPT_HEADERS:
            self._lines.append(line)
        self._header_size += len(line)
        if len(line) <= len(b"\r\n"):
            self._headers_ended = True
        elif line.startswith(b"HTTP/"):
            self._headers_ended = False
        return None if self._header_size <= MAX_HEADERS else -1

    def _take_body(self, chunk: bytes) -> int | None:
        room = KEPT_BODY - self._size
        if room > 0:
            self._body.append(chunk[:room])
        self._size += len(chunk)
        return None if self._size <= MAX_BODY else -1


def _blocked(address: str) -> str:
    return f"blocked address: {address} is not a public address (see ALLOW_NETWORKS)"
