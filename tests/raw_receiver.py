"""A receiver below HTTP, for tests: it reads a request, and what it does then is up to a behaviour."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

RESET = struct.pack("ii", 1, 0)  # linger for no time: close with a reset

Behaviour = Callable[[socket.socket, threading.Event], None]


class RawServer:
    """Listens on a free loopback port. `behave` gets each connection, and an event that is set once the test is over.

    With `tls` the connection is encrypted. What the client showed as its certificate is in `peers`.
    """

    def __init__(self, behave: Behaviour, tls: ssl.SSLContext | None = None, *, reads: bool = True) -> None:
        self.requests: list[bytes] = []
        self.peers: list[str | None] = []
        self.connections = 0
        self._behave = behave
        self._tls = tls
        self._reads = reads
        self._over = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"

    def close(self) -> None:
        self._over.set()
        with socket.create_connection(("127.0.0.1", self.port)):
            pass  # wakes the thread that accepts
        for thread in self._threads:
            thread.join(5)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            if self._over.is_set():
                connection.close()
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self.peers.append(_common_name(connection))
            if self._reads:
                self.requests.append(connection.recv(65_536))
            self._behave(connection, self._over)
        except OSError:
            pass  # the sender has gone
        finally:
            connection.close()


@contextmanager
def serving(behave: Behaviour, tls: ssl.SSLContext | None = None, *, reads: bool = True) -> Iterator[RawServer]:
    server = RawServer(behave, tls, reads=reads)
    try:
        yield server
    finally:
        server.close()


def answering(*parts: bytes) -> Behaviour:
    """Send `parts` and close."""

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(b"".join(parts))

    return behave


def dripping(head: bytes, drop: bytes, pause: float = 0.02) -> Behaviour:
    """Send `head`, then `drop` again and again, `pause` seconds apart."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(pause):
            connection.sendall(drop)

    return behave


def flooding(head: bytes, wave: bytes) -> Behaviour:
    """Send `head`, then `wave` without end."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.is_set():
            connection.sendall(wave)

    return behave


def silent(_connection: socket.socket, over: threading.Event) -> None:
    over.wait(10)


def resetting(head: bytes = b"") -> Behaviour:
    """Send `head`, then reset the connection."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        over.wait(0.05 if head else 0)  # a reset overtakes what is still on its way
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    return behave


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _common_name(connection: ssl.SSLSocket) -> str | None:
    shown = connection.getpeercert()
    if not shown:
        return None
    return next((value for part in shown["subject"] for name, value in part if name == "commonName"), None)  # type: ignore[misc,str-unpack]
