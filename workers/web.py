"""The web processes: Granian with the Flask application."""

import os
from multiprocessing.util import Finalize

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from app.metrics import open_metrics
from app.presence import WEB, Presence
from app.readers import Readers, most_readers
from app.services import open_services
from app.tracing import open_tracing
from app.web import create_app
from config.logs import GRANIAN, configure_logging
from config.settings import Settings, load_settings
from workers.collector import spare_the_collector
from workers.serve import refuse_taken_port
from workers.signals import on_ending

BACKLOG = 1_024
ENDING_S = 10  # then whoever does not take his answer is left: nothing that was accepted hangs on it


def serve_web(settings: Settings) -> None:
    """Listen until SIGTERM or Ctrl-C. Raises OperatorError where the port is taken."""
    refuse_taken_port(settings.host, settings.port)
    server = Granian(
        "workers.web:make_app",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.web_concurrency,
        blocking_threads=settings.web_threads,
        backlog=BACKLOG,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=ENDING_S,
        log_level=LogLevels.error,
        log_dictconfig=GRANIAN,
    )
    print(f"Hookline is listening on http://{settings.host}:{settings.port}", flush=True)
    server.serve()


def make_app() -> Flask:
    """Return the application of one process, on services of its own."""
    settings = load_settings(os.environ)
    configure_logging(settings, WEB)
    readers = Readers(most_readers(settings.web_threads))
    on_ending(readers.end)
    open_metrics(settings, WEB)
    open_tracing(settings, WEB)
    app = create_app(open_services(settings), readers=readers)
    _be_present()
    spare_the_collector()
    return app


def _be_present() -> None:
    presence = Presence(WEB)
    presence.start()
    # Granian has no hook for the end of a process, and `atexit` is not run where one is forked.
    Finalize(None, presence.stop, exitpriority=0)
