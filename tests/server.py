"""A real `hookline serve` process for tests: start it, call it, end it, and look at what it left."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hookline_client import NO_RETRY, Client

PASSWORD = "a password of the tests"
START_S = 30.0
STOP_S = 30.0

ENVIRON = {
    "HOOKLINE_ADMIN_PASSWORD": PASSWORD,
    "ALLOW_NETWORKS": "127.0.0.0/8",
    "RETRY_SCHEDULE": "200ms,200ms,1s",
    "RETRY_JITTER": "0",
}


class Server:
    """Runs `hookline serve` on the data directory `data`; what it prints is added to the file `output`."""

    def __init__(self, data: Path, **environ: str) -> None:
        self.data = data
        self.port = free_port()
        self.output = data.with_name(f"{data.name}.out")
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self._environ = {**kept, **ENVIRON, **environ, "HOOKLINE_DATA": str(data)}
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> "subprocess.Popen[bytes]":
        """Start the process, and return it without waiting for anything."""
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve", "--port", str(self.port)],
                cwd=Path(__file__).parents[1],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self._process

    def start(self) -> None:
        """Start the process, and wait until it listens."""
        process = self.run()
        eventually(lambda: process.poll() is not None or self._listens(), START_S)
        assert process.poll() is None, self.text()

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self._end(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        return self._end(number)

    def text(self) -> str:
        """Return all it has printed."""
        return self.output.read_text()

    def client(self) -> Client:
        """Return a client that calls it as the first administrator."""
        return Client(f"http://127.0.0.1:{self.port}", user="admin", password=PASSWORD, use_proxy=False, retry=NO_RETRY)

    def query(self, sql: str, *parameters: Any) -> list[Any]:
        """Return the rows of a statement that only reads its database."""
        with contextlib.closing(sqlite3.connect(self.data / "hookline.db", timeout=15)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def owed(self) -> int:
        """Return how many deliveries its outbox holds, given up ones included."""
        return int(self.query("SELECT count(*) FROM delivery")[0][0])

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
            return True
        return False

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        try:
            return self._process.wait(STOP_S)
        finally:
            self._process.kill()


@contextlib.contextmanager
def serving(data: Path, **environ: str) -> Iterator[Server]:
    """Give a started server to the block, and end whichever process it runs after."""
    server = Server(data, **environ)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def eventually(is_so: Callable[[], object], timeout: float = 10.0) -> None:
    """Wait until `is_so` returns something true. Raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, f"it is not so after {timeout} s"
        time.sleep(0.02)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
