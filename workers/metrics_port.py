"""METRICS_PORT: where processes that serve no HTTP otherwise answer /metrics and /healthz.

One process of a machine answers for all that share its figures. The others wait for its end, to answer then.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from app import metrics
from app.progress import stalled
from app.services import Services

log = logging.getLogger(__name__)

AGAIN_S = 5.0

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Listen, without asking the name servers what this host is called."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _ServerOnIPv6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 10.0

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: it is asked every few seconds."""


def answer_at_port(services: Services) -> None:
    """Begin to answer where METRICS_PORT is set, in threads that end with the process."""
    port = services.settings.metrics_port
    if port is not None:
        place = services.settings.host, port
        threading.Thread(target=_answer, args=(place, application(services)), name="metrics", daemon=True).start()


def application(services: Services) -> Application:
    """Return the WSGI application: /metrics as everywhere, and /healthz, which says whether this process is stuck."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        from app.metrics_page import Page, metrics_page  # loads prometheus_client, see app.metrics

        if environ["PATH_INFO"] == "/metrics":
            asked = environ.get("HTTP_ACCEPT"), environ.get("HTTP_AUTHORIZATION")
            page = metrics_page(services, metrics.book(), *asked)
        elif environ["PATH_INFO"] == "/healthz":
            stuck = stalled()
            text = f"stuck: {', '.join(stuck)}\n" if stuck else "ok\n"
            page = Page(503 if stuck else 200, {"Content-Type": "text/plain"}, text.encode())
        else:
            page = Page(404, {"Content-Type": "text/plain"}, b"/metrics and /healthz are here\n")
        start(f"{page.status} {HTTPStatus(page.status).phrase}", list(page.headers.items()))
        return [page.body]

    return answer


def _answer(place: tuple[str, int], answer: Application) -> None:
    """Listen at `place` as soon as nobody else does, and answer."""
    waiting = threading.Event()
    is_told = False
    while True:
        try:
            server = make_server(*place, answer, _ServerOnIPv6 if ":" in place[0] else _Server, _Handler)
        except OSError as error:
            if not is_told:
                log.info("METRICS_PORT=%d: not this process, somebody answers there: %s", place[1], error.strerror)
                is_told = True
            waiting.wait(AGAIN_S)
        else:
            with server:
                server.serve_forever()
