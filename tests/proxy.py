"""A proxy of the tests' own: it tunnels (CONNECT, SOCKS 5) and forwards, knows names of its own, or refuses."""

import re
import select
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

from tests.raw_receiver import serving

KNOWN = ("receiver.invalid", "127.0.0.1", "localhost")


class ProxyServer:
    """Keeps the first line of each request, and what it was told as credentials.

    `answers` is what it says instead of serving, such as `b"HTTP/1.1 403 No\\r\\n\\r\\n"`. With `credentials` it wants
    these. All names that it knows are this machine.
    """

    def __init__(self, answers: bytes | None, credentials: str | None) -> None:
        self.lines: list[str] = []
        self.port = 0
        self._answers = answers
        self._wanted = credentials and b64encode(credentials.encode()).decode()

    def behave(self, connection: socket.socket, over: threading.Event) -> None:
        """Serve one connection."""
        head = connection.recv(65_536)
        if head.startswith(b"\x05"):
            self._socks(connection, over)
        else:
            self._serve(connection, head, over)

    def _serve(self, connection: socket.socket, head: bytes, over: threading.Event) -> None:
        self.lines.append(head.split(b"\r\n", 1)[0].decode("latin-1"))
        shown = re.search(rb"(?i)^proxy-authorization: basic (.*?)\r$", head, re.MULTILINE)
        if self._wanted and (shown is None or shown[1].decode() != self._wanted):
            connection.sendall(
                b'HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 4\r\n\r\nwho?'
            )
        elif self._answers is not None:
            connection.sendall(self._answers)
        elif head.startswith(b"CONNECT "):
            self._tunnel(connection, head, over)
        else:
            self._forward(connection, head, over)

    def _tunnel(self, connection: socket.socket, head: bytes, over: threading.Event) -> None:
        host, port = head.split(b" ")[1].decode().rsplit(":", 1)
        with self._dial(host, int(port)) as onward:
            connection.sendall(b"HTTP/1.1 200 Connected\r\nX-Proxy: yes\r\n\r\n")
            relay(connection, onward, over)

    def _forward(self, connection: socket.socket, head: bytes, over: threading.Event) -> None:
        found = re.match(rb"POST http://([^:/]+):([0-9]+)(/\S*) HTTP/1.1\r\n", head)
        if found is None:
            return  # TLS, or one who left
        with self._dial(found[1].decode(), int(found[2])) as onward:
            onward.sendall(b"POST %b HTTP/1.1\r\n%b" % (found[3], head[found.end() :]))
            relay(connection, onward, over)

    def _socks(self, connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"\x05\x00")
        asked = connection.recv(512)  # version, command, 0, type of address, address, port (RFC 1928 §4)
        host = asked[5:-2].decode() if asked[3] == 3 else socket.inet_ntoa(asked[4:8])
        self.lines.append(f"SOCKS {host}")
        if self._answers is not None:
            connection.sendall(self._answers)
            return
        with self._dial(host, int.from_bytes(asked[-2:])) as onward:
            connection.sendall(b"\x05\x00\x00\x01\0\0\0\0\0\0")
            relay(connection, onward, over)

    @staticmethod
    def _dial(host: str, port: int) -> socket.socket:
        assert host in KNOWN
        return socket.create_connection(("127.0.0.1", port))


def relay(one: socket.socket, other: socket.socket, over: threading.Event) -> None:
    """Pass on what comes, until one of both ends closes."""
    while not over.is_set():
        for end in select.select([one, other], [], [], 0.02)[0]:
            passed = end.recv(65_536)
            if not passed:
                return
            (other if end is one else one).sendall(passed)


@contextmanager
def proxying(
    answers: bytes | None = None, *, credentials: str | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[ProxyServer]:
    proxy = ProxyServer(answers, credentials)
    with serving(proxy.behave, tls, reads=False) as server:
        proxy.port = server.port
        yield proxy
