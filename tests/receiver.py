"""A real HTTP receiver on a free loopback port, for tests: it keeps what arrives and answers by a script."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """A request that arrived. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float  # monotonic seconds


@dataclass(frozen=True)
class Answer:
    """What to answer, after `delay` seconds."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    delay: float = 0.0


class Receiver:
    """Answers the first request with the first of `script`, and so on; once that is used up, with 200.

    Without a `port` it listens on a free one.
    """

    def __init__(self, port: int = 0) -> None:
        self.received: list[Received] = []
        self.script: list[Answer] = []
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.receiver = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="receiver")
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """A URL of it."""
        return f"http://127.0.0.1:{self.port}/hook"

    def answer(self, *statuses: int) -> None:
        """Answer the next requests with these statuses."""
        self.script.extend(Answer(status) for status in statuses)

    def wait_for(self, count: int, timeout: float = 10.0) -> list[Received]:
        """Return what arrived, once that is `count` requests. Raises AssertionError after `timeout` seconds."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.received) >= count, timeout)
        assert arrived, f"{len(self.received)} of {count} requests arrived in {timeout} s"
        return self.received

    def take(self, request: Received) -> Answer:
        """Keep a request and return what to answer."""
        with self._changed:
            self.received.append(request)
            self._changed.notify_all()
            return self.script.pop(0) if self.script else Answer()

    def close(self) -> None:
        """Stop listening and end the open connections."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class SlowReceiver(Receiver):
    """Takes its time, so that much is in flight at any moment."""

    delay = 0.05  # seconds

    def take(self, request: Received) -> Answer:
        """Note a request that came whole: a killed sender leaves some cut off."""
        if len(request.body) == int(request.headers["content-length"]):
            super().take(request)
        return Answer(delay=self.delay)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024
    receiver: Receiver

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that goes away is no fault of the receiver's."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.receiver.take(Received(self.command, self.path, headers, body, time.monotonic()))
        time.sleep(answer.delay)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *args: object) -> None:
        """Tests print nothing."""
