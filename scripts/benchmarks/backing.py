"""The database and the Redis of a server under test: started for it, with nothing in them, and thrown away after."""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import redis

from scripts import backends

from .context import Context
from .databases import Database, database_at
from .processes import Family, undisturbed


@dataclass(frozen=True, slots=True)
class Backing:
    """What a server keeps its data in; `parts` are the processes by name, for their shares of a core."""

    database: Database
    redis_url: str | None
    parts: dict[str, Family]


@contextlib.contextmanager
def backing(context: Context, data: Path) -> Iterator[Backing]:
    """Give what the context's deployment needs; SQLite's file goes to `data`. Raises BackendError."""
    parts: dict[str, Family] = {}
    redis_url = None
    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{data / 'hookline.db'}"
        if context.deployment.db != "sqlite":
            running = stack.enter_context(started(_database_server(context.deployment.db)))
            url, parts["database"] = running.url, Family(running.pid)
            context.versions.setdefault(context.deployment.db, database_at(url).version())
        if context.deployment.broker == "redis":
            running = stack.enter_context(started(backends.redis()))
            redis_url, parts["redis"] = running.url, Family(running.pid)
            context.versions.setdefault("redis", _redis_version(redis_url))
        yield Backing(database_at(url), redis_url, parts)


@contextlib.contextmanager
def started(server: AbstractContextManager[backends.Running]) -> Iterator[backends.Running]:
    """Give a server, started and ended as a whole whatever signals come."""
    with undisturbed():
        running = server.__enter__()
    try:
        yield running
    finally:
        with undisturbed():
            server.__exit__(None, None, None)


@contextlib.contextmanager
def _database_server(name: str) -> Iterator[backends.Running]:
    with {"postgres": backends.postgres, "mariadb": backends.mariadb}[name]() as running:
        try:
            yield running
        finally:
            _end_at_once(running, name)


def _end_at_once(running: backends.Running, name: str) -> None:
    """End a server without having it write out what is thrown away anyway: after a bulk load that takes minutes."""
    if name == "postgres":
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGQUIT)  # its immediate shutdown, which leaves no shared memory behind
    else:
        running.kill()


def _redis_version(url: str) -> str:
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        return str(client.info("server")["redis_version"])
