"""A server that records requests and answers as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

OK = {"code": 0, "message": None, "data": None, "traceId": "t"}
Answer = tuple[int, dict[str, str], Any]


class Seen(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Server(ThreadingHTTPServer):
    """Gives the answers of `script` in turn, then `answer` for ever; each is a status, headers and a body.

    A body of bytes is sent as it is, None closes the connection instead. Where `gate` is set, answers wait for it.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Seen] = []
        self.script: list[Answer] = []
        self.answer: Answer = (200, {}, OK)
        self.judge: Callable[[Any], Answer] | None = None  # what answers a body
        self.gate: threading.Event | None = None
        self.scheme = "http"
        self.cut = False  # send half of an answer, and close the connection

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def gives(self, data: Any, headers: dict[str, str] | None = None) -> None:
        self.answer = (200, headers or {}, {**OK, "data": data})

    def refuses(self, *statuses: int, code: int = 250102, **headers: str) -> None:
        """Refuse as many calls as there are `statuses`, before the answer."""
        self.script += [(status, headers, {**OK, "code": code, "message": "no"}) for status in statuses]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up is part of the tests


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for an acknowledgement

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(Seen(self.command, self.path, dict(self.headers), json.loads(body) if body else None))
        if self.server.gate is not None:
            self.server.gate.wait(10)
        if self.server.judge is not None:
            self.server.script = [self.server.judge(self.server.seen[-1].body)]
        status, headers, answer = self.server.script.pop(0) if self.server.script else self.server.answer
        self.close_connection = answer is None
        if answer is None:
            return
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.server.cut else content)
        self.close_connection = self.close_connection or self.server.cut

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server for the block."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
