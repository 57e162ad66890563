"""A receiver that speaks HTTP/2 over TLS, for tests. What it does with a request is in the path."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_WR, create_server

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError

TURN_S = 0.005


class H2Receiver:
    """Answers with 200 after the milliseconds that the path names, such as `/50`.

    Other paths: `/never`, `/reset` and `/refuse` (RST_STREAM), `/goaway` (ends the connection with an error), `/leave`
    (answers, and asks for no more on this connection), `/cut` (closes in the middle of the answer).
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.connections = 0
        self.streams: list[tuple[int, int, str]] = []  # connection, stream, path
        self._tls = tls
        tls.set_alpn_protocols(["h2"])
        self._over = threading.Event()
        self._listening = create_server(("127.0.0.1", 0))
        self._listening.settimeout(TURN_S * 4)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str) -> str:
        return f"https://127.0.0.1:{self._listening.getsockname()[1]}{path}"

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(5)
        self._listening.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listening.accept()
            except TimeoutError:
                continue
            self.connections += 1
            session = _Session(self, self.connections)
            self._threads.append(threading.Thread(target=self._serve, args=(connection, session)))
            self._threads[-1].start()

    def _serve(self, connection: ssl.SSLSocket, session: "_Session") -> None:
        connection.settimeout(5)
        try:
            with self._tls.wrap_socket(connection, server_side=True) as encrypted:
                encrypted.settimeout(TURN_S)
                session.serve(encrypted, self._over)
        except (OSError, ProtocolError):
            return  # the sender has gone


class _Session:
    """One connection."""

    def __init__(self, receiver: H2Receiver, number: int) -> None:
        self._receiver = receiver
        self._number = number
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._paths: dict[int, str] = {}
        self._due: list[tuple[float, int]] = []
        self._ended = False

    def serve(self, connection: ssl.SSLSocket, over: threading.Event) -> None:
        self._h2.initiate_connection()
        while not (self._ended or over.is_set()):
            connection.sendall(self._h2.data_to_send())
            try:
                received = connection.recv(65_536)
            except TimeoutError:
                received = None
            if received == b"":
                return
            self._take(received or b"")
            self._answer_due()
        connection.sendall(self._h2.data_to_send())
        if self._ended:
            _end(connection)

    def _take(self, received: bytes) -> None:
        for event in self._h2.receive_data(received):
            if isinstance(event, RequestReceived):
                self._paths[event.stream_id] = dict(event.headers)[":path"]
            elif isinstance(event, StreamEnded):
                self._act(event.stream_id, self._paths[event.stream_id])
            elif isinstance(event, ConnectionTerminated):
                self._ended = True

    def _act(self, stream: int, path: str) -> None:
        self._receiver.streams.append((self._number, stream, path))
        match path:
            case "/never":
                pass
            case "/reset":
                self._h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
            case "/refuse":
                self._h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            case "/goaway":
                self._h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
                self._ended = True
            case "/leave":
                self._answer(stream)
                self._h2.close_connection(last_stream_id=stream)
                self._ended = True
            case "/cut":
                self._h2.send_headers(stream, [(":status", "200"), ("content-length", "9")])
                self._h2.send_data(stream, b"cut")
                self._ended = True
            case _:
                self._due.append((time.monotonic() + int(path[1:]) / 1_000, stream))

    def _answer_due(self) -> None:
        now = time.monotonic()
        for when, stream in [due for due in self._due if due[0] <= now]:
            self._due.remove((when, stream))
            self._answer(stream)

    def _answer(self, stream: int) -> None:
        self._h2.send_headers(stream, [(":status", "200"), ("x-stream", str(stream))])
        self._h2.send_data(stream, b"ok", end_stream=True)


def _end(connection: ssl.SSLSocket) -> None:
    """Close in order: what is unread when a socket closes would make a reset of it."""
    connection.settimeout(1)
    with suppress(OSError):  # the sender's own last words may come after our farewell
        connection.unwrap()
    connection.shutdown(SHUT_WR)
    while connection.recv(65_536):
        pass


@contextmanager
def serving_h2(tls: ssl.SSLContext) -> Iterator[H2Receiver]:
    receiver = H2Receiver(tls)
    try:
        yield receiver
    finally:
        receiver.close()
