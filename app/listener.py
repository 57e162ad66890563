"""A receiver that verifies Standard Webhooks signatures: what `hookline listen` and `hookline demo` run.

It speaks just enough HTTP/1.1 to be cheap: one thread, requests with a Content-Length, connections kept alive.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from app.errors import OperatorError
from app.signing import VerifyingKey, key_to_verify, verify

TOLERANCE_S = 300  # Standard Webhooks leaves it to the receiver; its libraries take five minutes
REFUSAL_S = 2.0
MAX_HEAD = 256 * 1024  # 50 headers of 4 KiB, and some
MAX_BODY = 32 * 1024 * 1024
BACKLOG = 1024


class Arrival(NamedTuple):
    """A request that came in. `problem` says why it was refused, None where it is verified."""

    received_ns: int  # nanoseconds since the epoch
    headers: dict[str, str]  # names in lower case
    body: bytes
    problem: str | None


def find_problem(keys: Sequence[VerifyingKey], headers: Mapping[str, str], body: bytes, now_s: int) -> str | None:
    """Return why a delivery can't be trusted, None where its signature and its timestamp are good.

    The rules are those of Standard Webhooks 1.0: a signature by one of `keys`, at most five minutes old or early.
    """
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if not headers.get(name):
            return f"the header {name} is missing"
    timestamp = headers["webhook-timestamp"]
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return "webhook-timestamp is not a number of seconds"
    if abs(now_s - int(timestamp)) > TOLERANCE_S:
        return "webhook-timestamp is more than five minutes off"
    message_id, signatures = headers["webhook-id"], headers["webhook-signature"]
    if not any(verify(key, message_id, int(timestamp), body, signatures) for key in keys):
        return "the signature does not match"
    return None


class Listener:
    """Listens in a thread of its own and hands every request to `on_arrival`, in that thread.

    Answers 200 to what is verified, 401 with the reason to the rest.
    """

    def __init__(self, secrets: Sequence[str], on_arrival: Callable[[Arrival], None]) -> None:
        self._keys: list[VerifyingKey] = []
        self._on_arrival = on_arrival
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = asyncio.Event()
        self.port = 0
        for secret in secrets:
            self.trust(secret)

    def trust(self, secret: str) -> None:
        """Accept deliveries that `secret`, or the public key of a pair, verifies from now on.

        Raises OperatorError where it is neither.
        """
        try:
            self._keys.append(key_to_verify(secret))
        except ValueError as error:
            raise OperatorError(str(error)) from error

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on `host` and `port` (0: any free one; see `port`). Raises OperatorError where that can't be."""
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            reason = str(error.strerror or error).partition(" (while")[0]
            raise OperatorError(f"can't listen on {host}:{port}: {reason}") from error
        self.port = listening.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listening, ready)), name="listener", daemon=True
        )
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """Stop listening and close the connections."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def receive(self, headers: dict[str, str], body: bytes) -> str | None:
        """Verify one request, hand it on, and return what is wrong with it."""
        received_ns = time.time_ns()
        problem = find_problem(self._keys, headers, body, received_ns // 1_000_000_000)
        self._on_arrival(Arrival(received_ns, headers, body, problem))
        return problem

    async def _serve(self, listening: socket.socket, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        connections: set[_Connection] = set()
        server = await self._loop.create_server(lambda: _Connection(self, connections), sock=listening)
        ready.set()
        await self._stopping.wait()
        server.close()
        for connection in list(connections):
            connection.close()
        await server.wait_closed()


class _Refused(Exception):
    """The request can't be taken; answer so and close."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class _Head(NamedTuple):
    size: int  # of the head in bytes, its blank line included
    headers: dict[str, str]
    body_size: int


class _Connection(asyncio.Protocol):
    def __init__(self, listener: Listener, connections: "set[_Connection]") -> None:
        self._listener = listener
        self._connections = connections
        self._buffer = bytearray()
        self._refused = False
        self._head: _Head | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return  # read and dropped: closing on unread bytes resets the connection, and the answer may be lost
        self._buffer += data
        try:
            while self._take_one():
                pass
        except _Refused as refused:
            self._refuse(refused.status)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer, say that no more will come, and leave the sender some time to read that."""
        self._refused = True
        self._buffer.clear()
        self._answer(status, status.phrase)
        if self._transport is not None:
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(REFUSAL_S, self.close)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _take_one(self) -> bool:
        """Answer the next request where it is whole."""
        if self._head is None:
            self._head = _read_head(self._buffer)
            if self._head is not None and self._head.headers.get("expect", "").lower() == "100-continue":
                self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = self._head
        if head is None or len(self._buffer) < head.size + head.body_size:
            return False
        body = bytes(self._buffer[head.size : head.size + head.body_size])
        del self._buffer[: head.size + head.body_size]
        self._head = None
        problem = self._listener.receive(head.headers, body)
        self._answer(HTTPStatus.UNAUTHORIZED if problem else HTTPStatus.OK, problem or "")
        if head.headers.get("connection", "").lower() == "close":
            self.close()
            return False
        return bool(self._buffer)

    def _answer(self, status: HTTPStatus, text: str) -> None:
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}"
        self._write(f"{head}\r\n\r\n{text}".encode())

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _read_head(buffer: bytearray) -> _Head | None:
    """Return the head at the start of `buffer`, None where its end has not come yet."""
    end = buffer.find(b"\r\n\r\n")
    if end > MAX_HEAD or (end < 0 and len(buffer) > MAX_HEAD):
        raise _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    if end < 0:
        return None
    lines = buffer[:end].decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    if "transfer-encoding" in headers:
        raise _Refused(HTTPStatus.LENGTH_REQUIRED)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise _Refused(HTTPStatus.BAD_REQUEST)
    if len(length) > 10 or int(length) > MAX_BODY:
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return _Head(end + 4, headers, int(length))
