"""The server under test: `hookline serve` in a process of its own, on fresh data, with webhooks for the receiver."""

import base64
import contextlib
import secrets
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from app.client import Client

from .driver import Load
from .events import PROJECT, TRIGGER, repository
from .measure import WARM_UP, LogTable
from .parts import Receiver, driving
from .processes import BIN, BenchError, Process, end_group, free_port, running, tail, wait_for_port

USER = "admin"
WARM_UP_PATIENCE_S = 30.0


class Server(Process):
    """A server that may send to loopback addresses; its database is made when it listens."""

    def __init__(self, scratch: Path) -> None:
        self.data = scratch / f"data-{secrets.token_hex(8)}"
        self._password = secrets.token_urlsafe(16)
        self.port = free_port()
        super().__init__(
            [BIN / "hookline", "serve", "--host", "127.0.0.1", "--port", str(self.port)],
            scratch / f"{self.data.name}.log",
            {
                "HOOKLINE_DATA": str(self.data),
                "HOOKLINE_ADMIN_PASSWORD": self._password,
                "ALLOW_NETWORKS": "127.0.0.0/8",
            },
        )
        self.base = f"http://127.0.0.1:{self.port}"
        self.log_table = LogTable(self.data / "hookline.db", "webhook_log")

    def aim(self, load: Load) -> Load:
        """Return `load`, to be published to this server."""
        credentials = base64.b64encode(f"{USER}:{self._password}".encode()).decode()
        return replace(load, url=f"{self.base}/webhook/api/event/publish", authorization=f"Basic {credentials}")

    def stop(self) -> None:
        """End it at once: its data is thrown away, and closing down in order takes two seconds."""
        end_group(self._popen, ask_first=False)

    def register(self, webhooks: Iterable[tuple[str, int]]) -> None:
        """Register webhooks over the API: the URL of each, and the number of the repository that it looks at."""
        with Client(self.base, user=USER, password=self._password, use_proxy=False) as client:
            for url, number in webhooks:
                client.create(
                    url=url,
                    triggers=[TRIGGER],
                    associationType="REPO",
                    associationId=f"{PROJECT}:{repository(number)}",
                )

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
        with contextlib.closing(sqlite3.connect(self.data / "hookline.db", timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            original = dict(connection.execute("SELECT * FROM webhook LIMIT 1").fetchone())
            present = connection.execute("SELECT count(*) FROM webhook").fetchone()[0]
            columns = ", ".join(original)
            marks = ", ".join(f":{name}" for name in original)
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE counter SET value = value + 1 WHERE name = 'webhooks'")
                original["version"] = connection.execute("SELECT value FROM counter").fetchone()[0]
                connection.executemany(
                    f"INSERT INTO webhook ({columns}) VALUES ({marks})",
                    (
                        {**original, "id": secrets.token_hex(16), "association_id": f"{PROJECT}:other-{number}"}
                        for number in range(present, webhooks)
                    ),
                )


@contextlib.contextmanager
def serving(scratch: Path) -> Iterator[Server]:
    """Give a fresh server to the block; end it and delete its data after. A BenchError then shows the server's log."""
    server = Server(scratch)
    try:
        with running(server):
            wait_for_port(server, server.port)
            yield server
    except BenchError as error:
        raise BenchError(f"{error}\nThe end of the server's log:\n{tail(server.log)}") from error
    finally:
        shutil.rmtree(server.data, ignore_errors=True)
