"""`hookline serve`: web, worker and scheduler in one process, the embedded default."""

import contextlib
import fcntl
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import dramatiq
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import MTServer

from app.accounts import ensure_first_admin
from app.clock import now_ms
from app.errors import OperatorError
from app.metrics import open_metrics
from app.presence import SERVE, present
from app.readers import Readers, most_readers
from app.schema import migrate
from app.services import Services, open_services
from app.tracing import open_tracing
from app.web import create_app
from config.logs import GRANIAN, configure_logging
from config.settings import Settings
from workers.actors import consume_in_batches, declare_actors
from workers.collector import spare_the_collector
from workers.lease import Lease
from workers.scheduler import ROLE, give_up, start_scheduler
from workers.signals import on_ending

log = logging.getLogger(__name__)

# As many calls as may share a commit. Each waits for it most of its time.
BLOCKING_THREADS = 16


class InProcessServer(MTServer):
    """Granian's server with its workers in threads, on an interpreter with a GIL.

    Granian keeps that mode for free-threaded builds, where it spreads load over cores. Here it serves another end:
    the server, the pipeline and the database in one process, as the embedded default promises.
    """

    def _check_gil(self) -> None:
        """The GIL is welcome."""


@click.command()
@click.option("--host", help="Address to listen on; 127.0.0.1 unless HOST says otherwise.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on; 8080 unless PORT says otherwise.")
@click.pass_obj
def serve(settings: Settings, host: str | None, port: int | None) -> None:
    """Run the whole service in this process, until Ctrl-C or SIGTERM."""
    settings = replace(settings, host=host or settings.host, port=port or settings.port)
    configure_logging(settings, SERVE)
    with only_process(settings.data_dir) if settings.redis_url is None else contextlib.nullcontext():
        refuse_taken_port(settings.host, settings.port)
        services = open_services(settings)
        migrate()
        announce_first_admin(settings)
        open_metrics(settings, SERVE)
        open_tracing(settings, SERVE)
        spare_the_collector()
        run(services)


def run(services: Services) -> None:
    """Run worker, scheduler and web until a signal asks to stop; then drain and close."""
    with present(SERVE), worker(services), scheduler(services):
        readers = Readers(most_readers(BLOCKING_THREADS))
        on_ending(readers.end)
        app = create_app(services, readers=readers)
        server = InProcessServer(
            "app.web",
            address=services.settings.host,
            port=services.settings.port,
            interface=Interfaces.WSGI,
            blocking_threads=BLOCKING_THREADS,
            backlog=1024,
            websockets=False,
            log_level=LogLevels.error,
            log_dictconfig=GRANIAN,
        )
        print(f"Hookline is listening on http://{services.settings.host}:{services.settings.port}", flush=True)
        server.serve(target_loader=lambda: app, wrap_loader=False)
    services.close()


@contextlib.contextmanager
def worker(services: Services) -> Iterator[None]:
    """Run a Dramatiq worker with the batch consumer."""
    broker: Any = services.broker
    declare_actors(services)
    consume_in_batches(services)
    running = dramatiq.Worker(broker, worker_threads=1)
    running.start()
    try:
        yield
    finally:
        running.stop()


@contextlib.contextmanager
def scheduler(services: Services) -> Iterator[None]:
    """Run the scheduler: on Redis beside others, else as the only process there is."""
    lease = None if services.settings.redis_url is None else Lease(ROLE)
    ending = threading.Event()
    running = start_scheduler(services, ending, lease)
    try:
        yield
    finally:
        ending.set()
        running.shutdown()
        if lease is not None:
            give_up(lease)


@contextlib.contextmanager
def only_process(data_dir: Path) -> Iterator[None]:
    """Hold the data directory: the in-memory queue takes for lost what another process has in its memory.

    Raises OperatorError where another process holds it, or it can't be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "serve.lock").open("w")
    except OSError as error:
        raise OperatorError(f"HOOKLINE_DATA: {data_dir} can't be used: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OperatorError(f"HOOKLINE_DATA: {data_dir} is in use by another hookline serve") from error
        yield


def refuse_taken_port(host: str, port: int) -> None:
    """Raise OperatorError where nothing can listen at `host` and `port`; the server itself would end in a panic."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise OperatorError(f"can't listen on {host}:{port}: {error.strerror or error}") from error


def announce_first_admin(settings: Settings) -> None:
    """Make the first administrator where there is no user, and print a password made for it, once."""
    password = ensure_first_admin(settings.admin_password, now_ms())
    if password is not None:
        print(f"First administrator: admin, password {password} (shown once)", flush=True)
