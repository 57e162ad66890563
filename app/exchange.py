"""One HTTP exchange on one libcurl handle: the options, what is kept of the answer, what its failure is called."""

import socket
import time
from typing import Any

import certifi
import msgspec
import pycurl

from app.address_guard import AddressGuard
from app.clock import now_ms
from app.urls import ascii_url

KEPT_BODY = 64 * 1024
MAX_BODY = 1024 * 1024
KEPT_HEADERS = 16 * 1024


class Request(msgspec.Struct, frozen=True):
    """A POST to send. `timeout_ms` covers DNS, connect, TLS, request, headers and body."""

    url: str
    headers: dict[str, str]
    body: bytes
    timeout_ms: int


class Outcome(msgspec.Struct, frozen=True):
    """What became of a request: an answer (`status`), or none and the reason (`error`); never neither.

    A cut answer has both. `body` holds at most 64 KiB.
    """

    status: int | None
    headers: dict[str, str]
    body: bytes
    error: str | None
    started_at: int  # milliseconds UTC
    duration_ms: int


class _Socket(socket.socket):
    """A socket that libcurl takes over: pycurl keeps a duplicate of the descriptor, and this one closes unsaid."""

    def __del__(self) -> None:
        self.close()


class Exchange:
    """A reusable libcurl handle. `begin`, let libcurl work, `end`."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self.curl = curl = pycurl.Curl()
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.CAINFO, certifi.where())  # the wheel's libcurl has no list of its own
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.PROXY, "")  # neither http_proxy nor its like in the environment may redirect deliveries
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        curl.setopt(pycurl.USERAGENT, "Hookline")
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        self._reset()

    def _reset(self) -> None:
        self._lines: list[bytes] = []
        self._body: list[bytes] = []
        self._size = 0
        self._kept = 0
        self._blocked: str | None = None
        self._dialled = False
        self._started_at = now_ms()
        self._started = time.perf_counter()

    def begin(self, request: Request) -> None:
        """Set the handle up for `request`. Raises pycurl.error or ValueError where it can't be sent at all."""
        self._reset()
        self._timeout_ms = request.timeout_ms
        curl = self.curl
        curl.setopt(pycurl.URL, ascii_url(request.url))
        curl.setopt(pycurl.POSTFIELDS, request.body)
        # "Expect:" switches off libcurl's wait for 100-continue on large bodies.
        curl.setopt(pycurl.HTTPHEADER, [*_header_lines(request.headers), "Expect:"])
        curl.setopt(pycurl.TIMEOUT_MS, request.timeout_ms)

    def end(self, code: int, text: str) -> Outcome:
        """Return what the exchange came to; `code` and `text` are libcurl's, 0 for none."""
        status = self.curl.getinfo(pycurl.RESPONSE_CODE) or None
        error = self._describe(code, text) if code else None
        return Outcome(
            status=status,
            headers=_parse_headers(self._lines),
            body=b"".join(self._body),
            error=error,
            started_at=self._started_at,
            duration_ms=round((time.perf_counter() - self._started) * 1000),
        )

    def unsendable(self, reason: Exception) -> Outcome:
        """Return the outcome of a request that libcurl would not take."""
        return Outcome(None, {}, b"", f"the request can't be sent: {reason}", self._started_at, 0)

    def _describe(self, code: int, text: str) -> str:
        if self._blocked and not self._dialled:
            return f"blocked address: {self._blocked} is not a public address (see ALLOW_NETWORKS)"
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return f"time-out: no complete answer within {self._timeout_ms} ms"
        if code == pycurl.E_WRITE_ERROR and self._size > MAX_BODY:
            return f"answer too large: more than {MAX_BODY} bytes"
        return f"{_KINDS.get(code, 'failed')}: {text or pycurl.Curl.__name__}"

    def _open_socket(self, _purpose: int, address: Any) -> Any:
        family, kind, protocol, target = address
        host = target[0] if isinstance(target[0], str) else target[0].decode()
        if not self._guard.allows(host):
            self._blocked = host
            return pycurl.SOCKET_BAD
        self._dialled = True
        opened = _Socket(family, kind, protocol)
        if family in (socket.AF_INET, socket.AF_INET6):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def _take_header(self, line: bytes) -> None:
        if self._kept < KEPT_HEADERS:
            self._kept += len(line)
            self._lines.append(line)

    def _take_body(self, chunk: bytes) -> int | None:
        room = KEPT_BODY - self._size
        if room > 0:
            self._body.append(chunk[:room])
        self._size += len(chunk)
        return None if self._size <= MAX_BODY else -1


_KINDS = {
    pycurl.E_COULDNT_RESOLVE_HOST: "DNS",
    pycurl.E_COULDNT_CONNECT: "connection refused",
    pycurl.E_PEER_FAILED_VERIFICATION: "TLS",
    pycurl.E_SSL_CONNECT_ERROR: "TLS",
    pycurl.E_GOT_NOTHING: "no answer",
    pycurl.E_RECV_ERROR: "connection lost",
    pycurl.E_SEND_ERROR: "connection lost",
    pycurl.E_PARTIAL_FILE: "connection lost",
    pycurl.E_URL_MALFORMAT: "bad URL",
    pycurl.E_UNSUPPORTED_PROTOCOL: "not HTTP",  # an answer without a status line counts as HTTP/0.9
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "not HTTP",  # CURLE_WEIRD_SERVER_REPLY, by its older name
}


def _header_lines(headers: dict[str, str]) -> list[str]:
    """Return the lines of `headers`. Raises ValueError where one would end early and start another."""
    lines = list(map(": ".join, headers.items()))
    joined = "".join(lines)
    if "\r" in joined or "\n" in joined:
        raise ValueError("a header holds a line break")
    return lines


def _parse_headers(lines: list[bytes]) -> dict[str, str]:
    """Return the fields of the last header block (there may be 1xx ones before); repeated ones joined by commas."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(b"HTTP/"):
            fields = {}
            continue
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            name, value = name.strip(), value.strip()
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields
