"""The server that the demo shows: `hookline serve` as a child process, and a user to call it as."""

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click
import requests
from hookline_client import NO_RETRY, Client, ClientError

from app import accounts
from app.clock import now_ms
from app.commands.options import open_database
from app.errors import OperatorError
from config.settings import Settings

HOST = "127.0.0.1"
LOOPBACK = "127.0.0.0/8,::1/128"
START_S = 30.0
STOP_S = 45.0  # `serve` finishes what is in flight first
LISTENING = "Hookline is listening"
UNAUTHENTICATED = 401


@contextmanager
def running_server(settings: Settings, port: int) -> Iterator[str]:
    """Run `hookline serve` on `port` of the loopback interface, and yield its address once it answers.

    It may deliver to the loopback interface. Its log goes to `serve.log` in the data directory. Raises OperatorError
    with the server's own reason where it does not start.
    """
    log = settings.data_dir / "serve.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    allowed = ",".join(filter(None, (os.environ.get("ALLOW_NETWORKS"), LOOPBACK)))
    command = [sys.executable, "-P", "-m", "app.cli", "serve", "--host", HOST, "--port", str(port)]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            env={**os.environ, "HOOKLINE_DATA": str(settings.data_dir), "ALLOW_NETWORKS": allowed},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # a Ctrl-C in the terminal is the demo's, which then stops it in order
        )
    try:
        _wait_until_ready(process, log, f"http://{HOST}:{port}")
        yield f"http://{HOST}:{port}"
    finally:
        _stop(process)


def _wait_until_ready(process: "subprocess.Popen[str]", log: Path, server: str) -> None:
    listening = threading.Event()
    threading.Thread(target=_forward, args=(process.stdout, listening), daemon=True).start()
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise OperatorError(_last_line(log))
        if listening.wait(0.05) and _answers(server):
            return
    raise OperatorError(f"hookline serve did not start within {START_S:.0f} s; see {log}")


def _forward(output: IO[str], listening: threading.Event) -> None:
    """Show what the server prints (its first administrator), and tell when it listens."""
    with output:
        for line in output:
            if line.startswith(LISTENING):
                listening.set()
            else:
                click.echo(line.rstrip())


def _answers(server: str) -> bool:
    try:
        with requests.Session() as session:
            session.trust_env = False
            session.get(server + "/healthz", timeout=5)
    except requests.RequestException:
        return False
    return True


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("Error: ") if lines else f"hookline serve ended at once; see {log}"


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def demo_client(settings: Settings, server: str) -> tuple[Client, str, str]:
    """Return a client that calls as the demo's own administrator, and that user's name and password.

    They are kept in the data directory, beside the key that guards everything there, so that the next run finds them.
    """
    kept = settings.data_dir / "demo-user.json"
    if kept.exists():
        user, password = json.loads(kept.read_text())
        client = Client(server, user=user, password=password, use_proxy=False, retry=NO_RETRY)
        try:
            client.list("SYSTEM")
        except ClientError as error:
            if error.status != UNAUTHENTICATED:
                raise
        else:
            return client, user, password
    user, password = _make_user(settings)
    with open(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump([user, password], file)
    return Client(server, user=user, password=password, use_proxy=False, retry=NO_RETRY), user, password


def _make_user(settings: Settings) -> tuple[str, str]:
    name, password = "demo", secrets.token_hex(8)
    with open_database(settings):
        try:
            accounts.create_user(name, password, admin=True, now=now_ms())
        except OperatorError:  # someone else's `demo`
            name = f"demo-{secrets.token_hex(3)}"
            accounts.create_user(name, password, admin=True, now=now_ms())
    return name, password
