"""The server under test in processes of its own, on fresh data, with webhooks for the receiver: the embedded one, or
the production set as the Procfile starts it."""

import base64
import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import requests
from hookline_client import NO_RETRY, Client

from scripts.backends import free_port

from .backing import Backing, backing
from .context import Context
from .databases import LogTable, Table
from .driver import Load
from .events import PROJECT, TRIGGER, repository
from .measure import WARM_UP, Watched
from .parts import Receiver, driving
from .processes import BIN, BenchError, Process, plain_environ, tail, undisturbed, wait_for_port

USER = "admin"
WARM_UP_PATIENCE_S = 30.0
RELEASE_PATIENCE_S = 60.0
Command = list[str | Path]


class Server:
    """A server that may send to loopback addresses. What differs is the processes that it is made of."""

    entrance: str  # the process that listens

    def __init__(self, context: Context, data: Path, backing: Backing, environ: Mapping[str, str]) -> None:
        self.data = data
        self.database = backing.database
        self.redis_url = backing.redis_url
        self.log_table = LogTable(backing.database, "webhook_log")
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self._backing = backing
        self._password = secrets.token_urlsafe(16)
        self._processes: dict[str, Process] = {}
        self._commands = self._commands_of(context)
        self._environ = {
            "HOOKLINE_DATA": str(data),
            "HOOKLINE_ADMIN_PASSWORD": self._password,
            "HOOKLINE_SECRET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "ALLOW_NETWORKS": "127.0.0.0/8",
            "DATABASE_URL": backing.database.url,
            **environ,
        }

    def _commands_of(self, context: Context) -> dict[str, Command]:
        """Return the command of each process by its name."""
        raise NotImplementedError

    def start(self) -> None:
        """Start every process, and wait until it listens."""
        for name in self._commands:
            self._run(name)
        wait_for_port(self._processes[self.entrance], self.port)

    def stop(self) -> None:
        """End every process at once: its data is thrown away, and closing down in order takes seconds."""
        for process in self._processes.values():
            process.stop(ask_first=False)
        self._processes.clear()

    def pause(self, name: str) -> None:
        """End the process of that name, in order, or the one that does its work."""
        self._processes.pop(self._name(name)).stop()

    def resume(self, name: str, **environ: str) -> None:
        """Start it again, with `environ` added to the environment."""
        self._environ.update(environ)
        self._run(self._name(name))
        if self._name(name) == self.entrance:
            wait_for_port(self._processes[self.entrance], self.port)

    def _run(self, name: str) -> None:
        log = self.data.with_name(f"{self.data.name}.{name}.log")
        self._processes[name] = Process(self._commands[name], log, self._environ)

    def _name(self, name: str) -> str:
        return name if name in self._commands else self.entrance

    @property
    def parts(self) -> Watched:
        """Its processes by name, those of its database and Redis included, for their shares of a core."""
        return {**self._processes, **self._backing.parts}

    @property
    def own_parts(self) -> set[str]:
        """The names of its own processes."""
        return set(self._processes)

    def rss_mb(self, name: str) -> float:
        """Return the resident memory of the process of that name, or of the one that does its work."""
        return self._processes[self._name(name)].rss_mb()

    def check_alive(self) -> None:
        """Raise BenchError where one of its processes has ended."""
        for process in self._processes.values():
            process.check_alive()

    def ends_of_logs(self, said: str) -> str:
        """Return `said` and the last lines that each process wrote, unless it has them."""
        logs = sorted(self.data.parent.glob(f"{self.data.name}.*.log"))
        ends = {log.suffixes[-2][1:]: tail(log) for log in logs}
        return "\n".join(
            [said, *(f"The end of the log of {name}:\n{end}" for name, end in ends.items() if end not in said)]
        )

    def aim(self, load: Load) -> Load:
        """Return `load`, to be published to this server."""
        credentials = base64.b64encode(f"{USER}:{self._password}".encode()).decode()
        return replace(load, url=f"{self.base}/webhook/api/event/publish", authorization=f"Basic {credentials}")

    def session(self) -> requests.Session:
        """Return a session for calls of the API, as the administrator."""
        session = requests.Session()
        session.trust_env = False
        session.auth = USER, self._password
        return session

    def register(self, webhooks: Iterable[tuple[str, int]], **fields: object) -> list[str]:
        """Register webhooks over the API: the URL of each, and the number of the repository that it looks at.

        All have `fields` too. Return their ids.
        """
        with Client(self.base, user=USER, password=self._password, use_proxy=False, retry=NO_RETRY) as client:
            return [
                client.create(
                    url=url,
                    triggers=[TRIGGER],
                    associationType="REPO",
                    associationId=f"{PROJECT}:{repository(number)}",
                    **fields,
                )
                for url, number in webhooks
            ]

    def warm_up(self, receiver: Receiver) -> None:
        """Register a webhook for the WARM_UP events, publish them, and wait until they are on record."""
        self.register([(receiver.url(WARM_UP.first_repository), WARM_UP.first_repository)])
        with driving(self.aim(WARM_UP)) as driver:
            driver.start()
            driver.finish()
        self.log_table.wait(WARM_UP.events, WARM_UP_PATIENCE_S)

    def multiply(self, webhooks: int) -> None:
        """Make it `webhooks` webhooks in all: copies of the first, that look at other repositories.

        They are written straight to the database. Over the API each takes milliseconds, too long for a hundred
        thousand.
        """
        original = self.database.first_row("webhook")
        ((present,),) = self.database.rows("SELECT count(*) FROM webhook")
        ((version,),) = self.database.rows("SELECT value FROM counter WHERE name = 'webhooks'")
        original["version"] = version + 1
        copies = (
            {**original, "id": secrets.token_hex(16), "association_id": f"{PROJECT}:other-{number}"}
            for number in range(present, webhooks)
        )
        table = Table("webhook", tuple(original))
        self.database.load(table, (tuple(copy.values()) for copy in copies))
        # Last: who reads the counter then finds all of them.
        self.database.execute("UPDATE counter SET value = ? WHERE name = 'webhooks'", version + 1)


class Embedded(Server):
    """`hookline serve`: everything in one process, with the queue in its memory."""

    entrance = "server"

    def _commands_of(self, context: Context) -> dict[str, Command]:
        return {"server": [BIN / "hookline", "serve", "--host", "127.0.0.1", "--port", str(self.port)]}


class Production(Server):
    """Web, worker and scheduler around Redis, after `hookline release`."""

    entrance = "web"

    def __init__(self, context: Context, data: Path, backing: Backing, environ: Mapping[str, str]) -> None:
        processes = {"REDIS_URL": backing.redis_url or "", "WEB_CONCURRENCY": str(context.deployment.web)}
        super().__init__(context, data, backing, {**processes, **environ})

    def _commands_of(self, context: Context) -> dict[str, Command]:
        processes = str(context.deployment.workers)
        return {
            "web": [BIN / "hookline", "web", "--host", "127.0.0.1", "--port", str(self.port)],
            "worker": [BIN / "dramatiq", "workers.main", "--processes", processes, "--threads", "1"],
            "scheduler": [sys.executable, "-m", "workers.scheduler"],
        }

    def start(self) -> None:
        """Prepare the database, then start every process, and wait until it listens."""
        done = subprocess.run(
            [BIN / "hookline", "release"],
            env=plain_environ(self._environ),
            capture_output=True,
            text=True,
            timeout=RELEASE_PATIENCE_S,
        )
        if done.returncode:
            raise BenchError(f"hookline release failed:\n{(done.stderr or done.stdout)[-2_000:]}")
        super().start()


@contextlib.contextmanager
def serving(context: Context, **environ: str) -> Iterator[Server]:
    """Give a fresh server to the block; end it and delete its data after. `environ` goes to its processes.

    A BenchError then shows the ends of the logs. Raises BackendError where its database or Redis can't be had.
    """
    data = context.scratch / f"data-{secrets.token_hex(8)}"
    data.mkdir()
    try:
        with backing(context, data) as backed:
            kind = Production if backed.redis_url else Embedded
            server = kind(context, data, backed, environ)
            try:
                server.start()
                yield server
            except BenchError as error:
                raise BenchError(server.ends_of_logs(str(error))) from error
            finally:
                with undisturbed():
                    server.stop()
    finally:
        shutil.rmtree(data, ignore_errors=True)
