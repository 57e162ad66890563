"""The web processes: Granian with the Flask application."""

import os

from flask import Flask
from granian import Granian
from granian.constants import Interfaces

from app.services import open_services
from app.web import create_app
from config.logs import configure_logging
from config.settings import Settings, load_settings
from workers.collector import spare_the_collector
from workers.serve import refuse_taken_port

BACKLOG = 1_024


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
        log_enabled=False,
    )
    print(f"Hookline is listening on http://{settings.host}:{settings.port}", flush=True)
    server.serve()


def make_app() -> Flask:
    """Return the application of one process, on services of its own."""
    settings = load_settings(os.environ)
    configure_logging(settings.log_level)
    app = create_app(open_services(settings))
    spare_the_collector()
    return app
