"""`hookline web`, `hookline worker`, `hookline scheduler`: the service as processes that can be multiplied."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import click

from app.commands.honcho import is_under_honcho, wait_until
from app.errors import OperatorError
from app.presence import SCHEDULER, WEB
from app.schema import require_current, state
from app.services import Services, open_services
from app.tracing import require_packages
from config.logs import configure_logging
from config.settings import Settings

# What the Dramatiq command line runs beside the batch consumers: nothing, but it wants a thread.
WORKER_THREADS = "1"


def check(settings: Settings) -> Services:
    """Open everything once. Raises OperatorError for what would leave a process half started."""
    if settings.redis_url is None:
        raise OperatorError("REDIS_URL is needed: separate processes share their queue there (or use hookline serve)")
    require_packages(settings)
    services = open_services(settings)
    if is_under_honcho():
        wait_until(lambda: not state().missing)
    require_current()
    return services


@click.command()
@click.option("--host", help="Address to listen on; 127.0.0.1 unless HOST says otherwise.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on; 8080 unless PORT says otherwise.")
@click.pass_obj
def web(settings: Settings, host: str | None, port: int | None) -> None:
    """Serve the API, with WEB_CONCURRENCY processes."""
    from workers.web import serve_web

    settings = replace(settings, host=host or settings.host, port=port or settings.port)
    configure_logging(settings, WEB)
    check(settings).close()
    _hand_on(settings)
    os.environ |= {"HOST": settings.host, "PORT": str(settings.port)}
    serve_web(settings)


@click.command()
@click.option("--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="How many processes.")
@click.pass_obj
def worker(settings: Settings, processes: int) -> NoReturn:
    """Deliver, and accept events from Redis, by the Dramatiq command line."""
    check(settings).close()
    _hand_on(settings)
    arguments = ["workers.main", "--threads", WORKER_THREADS, "--processes", str(processes)]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "workers.master", *arguments])


@click.command()
@click.pass_obj
def scheduler(settings: Settings) -> None:
    """Sweep, count and prune; of several, one works and the others wait."""
    from workers.scheduler import run

    configure_logging(settings, SCHEDULER)
    run(check(settings))


def _hand_on(settings: Settings) -> None:
    """Let the processes that come of this one read the same settings, also where --data gave one, from anywhere."""
    os.environ["HOOKLINE_DATA"] = str(settings.data_dir)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")])
    )
