"""The processes of the Procfile for tests: several of each, on one database and one Redis."""

import contextlib
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2
import pymysql
import requests
from hookline_client import NO_RETRY, Client

from scripts import backends
from tests.conftest import SECRET_KEY, Place, missing
from tests.server import ENVIRON, PASSWORD, START_S, STOP_S, eventually, free_port

ROOT = Path(__file__).parents[1]
READY = {"worker": "Worker process is ready for action.", "scheduler": "is running", "web": "is listening"}
SERVERS = {"postgres": backends.postgres, "mariadb": backends.mariadb}


class Role:
    """One process, such as `hookline worker`, and those that come of it: they share a session of their own."""

    def __init__(self, name: str, command: Sequence[str], environ: dict[str, str], output: Path) -> None:
        self.name = name
        self.output = output
        with output.open("ab") as file:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def text(self) -> str:
        """Return all that it has printed."""
        return self.output.read_text(errors="replace")

    def wait_for(self, text: str, times: int = 1, timeout: float = START_S) -> None:
        """Wait until it has printed `text` so many times."""
        eventually(lambda: self.text().count(text) >= times or self.process.poll() is not None, timeout)
        assert self.text().count(text) >= times, self.text()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the one process."""
        self.process.send_signal(number)

    def send_all(self, number: signal.Signals) -> None:
        """Send a signal to it and to those that came of it, as platforms do."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def stop(self, timeout: float = STOP_S) -> int:
        """Ask it to end, and return its exit code."""
        self.send(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End it and those that came of it at once, as `kill -9` does."""
        self.send_all(signal.SIGKILL)
        self.process.wait(STOP_S)


class Production:
    """A database, a Redis, and the processes that work on them; what each prints goes to a file of its own."""

    def __init__(self, directory: Path, database_url: str, redis_url: str, **environ: str) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.database_url = database_url
        self.port = free_port()
        self.roles: list[Role] = []
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "HOOKLINE_SECRET_KEY": SECRET_KEY}
        place = {"HOOKLINE_DATA": str(directory), "PORT": str(self.port)}
        self.environ = {**kept, **ENVIRON, **given, **place, **environ}

    def run(self, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end. A variable that is given as "" counts as not set."""
        return subprocess.run(
            hookline(*words), cwd=ROOT, env={**self.environ, **environ}, capture_output=True, text=True, timeout=60.0
        )

    def release(self) -> str:
        """Run `hookline release`, and return what it printed."""
        done = self.run("release")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str, *options: str, **environ: str) -> Role:
        """Start a process, and wait until it works."""
        output = self.directory / f"{name}.{len(self.roles)}.out"
        role = Role(name, hookline(name, *options), {**self.environ, **environ}, output)
        self.roles.append(role)
        processes = int(options[options.index("--processes") + 1]) if "--processes" in options else 1
        role.wait_for(READY[name], processes)
        if name == "web":
            eventually(lambda: self.is_ready() or role.process.poll() is not None, START_S)
            assert role.process.poll() is None, role.text()
        return role

    def is_ready(self) -> bool:
        """Return whether /readyz says so."""
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=10.0).ok
        return False

    def clear(self) -> None:
        """Empty the tables that tests fill."""
        for table in "webhook", "event", "delivery", "webhook_log":
            self.query(f"DELETE FROM {table}")

    def client(self) -> Client:
        """Return a client that calls it as the first administrator."""
        return Client(f"http://127.0.0.1:{self.port}", user="admin", password=PASSWORD, use_proxy=False, retry=NO_RETRY)

    def text(self) -> str:
        """Return all that the processes have printed."""
        return "".join(role.text() for role in self.roles)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, its parameters written as `?`, on a connection of its own."""
        return query(self.database_url, sql, *parameters)

    def owed(self) -> int:
        """Return how many deliveries the outbox holds, given up ones included."""
        return int(self.query("SELECT count(*) FROM delivery")[0][0])

    def stop(self) -> list[int]:
        """Ask every process to end, all at once, and return their exit codes in the order of their start."""
        for role in self.roles:
            role.send(signal.SIGTERM)
        return [role.process.wait(STOP_S) for role in self.roles]

    def close(self) -> None:
        """Kill what still runs."""
        for role in self.roles:
            role.kill()


@contextlib.contextmanager
def production(directory: Path, database_url: str, redis_url: str, **environ: str) -> Iterator[Production]:
    """Give production to the block, nothing of it started, and kill whatever runs after it."""
    made = Production(directory, database_url, redis_url, **environ)
    try:
        yield made
    finally:
        made.close()


def hookline(*words: str) -> list[str]:
    """Return the command line of `hookline`."""
    return [sys.executable, "-m", "app.cli", *words]


@contextlib.contextmanager
def fresh_database(place: Place, directory: Path) -> Iterator[str]:
    """Give the URL of a new and empty database at `place`."""
    if place.url is None:
        yield f"sqlite:///{directory / 'fresh.db'}"
        return
    name = f"fresh_{secrets.token_hex(4)}"
    query(place.url, f"CREATE DATABASE {name}")
    try:
        yield urlsplit(place.url)._replace(path=f"/{name}").geturl()
    finally:
        query(place.url, f"DROP DATABASE {name}{' WITH (FORCE)' if place.kind == 'postgres' else ''}")


@contextlib.contextmanager
def database_server(kind: str, *, durable: bool = True) -> Iterator[backends.Running]:
    """Give a database server of the test's own. Where there is none to start, skip or fail as `missing` does."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(SERVERS[kind](durable=durable))
        except backends.BackendError as error:
            missing(error)
        yield running


def query(url: str, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, its parameters written as `?`, on a connection of its own."""
    if url.startswith("sqlite:"):
        opened = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=15, isolation_level=None)
        with contextlib.closing(opened) as connection:
            return connection.execute(sql, parameters).fetchall()
    with contextlib.closing(_connection(url)) as connection, connection.cursor() as cursor:
        cursor.execute(sql.replace("?", "%s"), parameters)
        return list(cursor.fetchall()) if cursor.description else []


def _connection(url: str) -> Any:
    parts = urlsplit(url)
    common = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": unquote(parts.password or ""),
        "connect_timeout": 10,
    }
    if parts.scheme == "mysql":
        return pymysql.connect(**common, database=parts.path[1:], autocommit=True)
    connection = psycopg2.connect(**common, dbname=parts.path[1:])
    connection.autocommit = True
    return connection
