"""The examples, run against a server in a virtual environment that has the client and nothing else of Hookline."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hookline_client import Client

from scripts import backends
from tests.server import PASSWORD, Server, eventually, free_port

pytestmark = [pytest.mark.sqlite_only, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
ALONE = {"hookline-client", "requests", "certifi", "charset-normalizer", "idna", "urllib3", "pip", "setuptools"}
PATIENCE_S = 15.0


class Environment:
    """A virtual environment, and the examples beside it."""

    def __init__(self, directory: Path) -> None:
        self.examples = directory / "client" / "examples"
        self._python = directory / "venv" / "bin" / "python"
        shutil.copytree(ROOT / "app" / "client", directory / "client")  # building leaves files beside the source
        subprocess.run([sys.executable, "-m", "venv", directory / "venv"], check=True)
        self.install(str(directory / "client"))

    def install(self, *packages: str) -> None:
        self._pip("install", "--quiet", *packages)

    def packages(self) -> set[str]:
        return {found["name"] for found in json.loads(self._pip("list", "--format=json"))}

    def _pip(self, *arguments: str) -> str:
        command = [self._python, "-m", "pip", "--disable-pip-version-check", *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=100).stdout

    def run(self, example: str, *arguments: str, **environ: str) -> str:
        """Run an example to its end, and return what it prints."""
        done = subprocess.run(
            [self._python, example, *arguments],
            cwd=self.examples, env=_environ(environ), capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    @contextlib.contextmanager
    def running(self, example: str, port: int, **environ: str) -> Iterator[Path]:
        """Run an example that listens on `port` for the block, and give the file that it prints into."""
        output = self.examples / f"{example}.out"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [self._python, example],
                cwd=self.examples, env=_environ({"PORT": str(port), **environ}), stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            eventually(lambda: process.poll() is not None or _listens(port), PATIENCE_S)
            assert process.poll() is None, output.read_text()
            yield output
        finally:
            process.terminate()
            process.wait(10)


def _environ(given: dict[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": "1", **given}


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment in which only the client has been installed."""
    made = Environment(tmp_path_factory.mktemp("bare"))
    assert made.packages() <= ALONE
    return made


@pytest.fixture(scope="module")
def full(bare: Environment) -> Environment:
    """The same with what the other examples need."""
    bare.install("flask", "dramatiq[redis]")
    return bare


def receives(example: str, environment: Environment, client: Client) -> None:
    """See that a receiver deals with each delivery once, and refuses what was not signed."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/hook"
    webhook_id = client.create(
        url=url, triggers=["NODE_CREATED"], association_type="REPO", association_id=f"shop:{example}"
    )
    secret = client.secret(webhook_id)
    event = {"type": "NODE_CREATED", "projectId": "shop", "repoName": example, "userId": "ann"}
    with environment.running(
        example, port, HOOKLINE_SIGNING_SECRET=f"whsec_b2xk {secret}", INBOX=f"{example}.db"
    ) as said:
        client.publish({**event, "resourceKey": "/first"})
        eventually(lambda: client.logs(webhook_id))
        [log] = client.iter_logs(webhook_id)
        assert client.retry(log.id).response_status == 204
        client.publish({**event, "resourceKey": "/second"})
        eventually(lambda: "/second" in said.read_text())
        assert requests.post(url, b"{}", headers=log.request_headers, timeout=5).status_code == 401
    lines = [line for line in said.read_text().splitlines() if "NODE_CREATED" in line]
    assert [line.partition(" ")[2] for line in lines] == ["NODE_CREATED /first", "NODE_CREATED /second"]
    assert lines[0].startswith(log.delivery_id)
    client.delete(webhook_id)


def test_the_client_alone_is_enough_for_a_receiver_and_a_first_program(
    bare: Environment, service: Server, caller: Client
) -> None:
    receives("receiver_wsgi.py", bare, caller)
    said = bare.run(
        "quickstart.py", "http://127.0.0.1:1/", HOOKLINE_SERVER=caller.base, HOOKLINE_PASSWORD=PASSWORD
    ).splitlines()  # fmt: skip
    assert said[0] == "1 event accepted, 1 delivery made"
    assert said[1].startswith("FAIL None ")


def test_a_receiver_in_flask_deals_with_each_delivery_once(full: Environment, caller: Client) -> None:
    receives("receiver_flask.py", full, caller)


def test_an_app_in_flask_publishes_what_it_is_given(full: Environment, service: Server, caller: Client) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "app.cli", "key", "create", "files", "--scope", "event:publish", "--data", service.data],
        check=True, capture_output=True, text=True, cwd=ROOT,
    ).stdout  # fmt: skip
    access_key, secret_key = (line.partition(": ")[2] for line in made.splitlines())
    port = free_port()
    keys = {"HOOKLINE_ACCESS_KEY": access_key, "HOOKLINE_ACCESS_SECRET": secret_key, "HOOKLINE_SERVER": caller.base}
    with full.running("publishing_flask.py", port, **keys):
        answer = requests.put(f"http://127.0.0.1:{port}/shop/files/a/b.apk", b"12345", timeout=5)
        assert answer.status_code == 201
        eventually(lambda: caller.events(project_id="shop", repo_name="files").records)
    [found] = caller.events(project_id="shop", repo_name="files")
    assert (found.resource_key, found.user_id) == ("/a/b.apk", "anonymous")
    assert '"size":5' in (caller.event(found.id).payload or "")


@pytest.mark.parametrize("example", ["producer_dramatiq.py", "producer_redis.py"])
def test_producers_on_redis_publish(
    full: Environment, service: Server, caller: Client, queue: backends.Running, example: str
) -> None:
    full.run(example, f"/{example}", REDIS_URL=queue.url)
    eventually(lambda: caller.events(project_id="shop", resource_key=f"/{example}").records)
    [found] = caller.events(project_id="shop", resource_key=f"/{example}")
    assert (found.type, found.user_id) == ("NODE_CREATED", "ci-bot")
