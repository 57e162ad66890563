"""One server and one receiver for all tests of commands that call a server."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hookline_client import Client

from app.cli import main
from tests.receiver import Receiver
from tests.server import PASSWORD, Server, serving

CLEARED = {name: None for name in os.environ if name.startswith(("HOOKLINE_", "DATABASE_", "REDIS_"))}

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("cli") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def hook() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture
def bare(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run `hookline` in this process, with a home of its own and nothing that says which server."""
    home = tmp_path_factory.mktemp("home")

    def run(*arguments: str, stdin: str = "", **environ: str) -> Result:
        env = {**CLEARED, "XDG_CONFIG_HOME": str(home), "NO_PROXY": "*", "COLUMNS": "80", **environ}
        return CliRunner(env=env).invoke(main, arguments, input=stdin)

    return run


@pytest.fixture
def run(bare: Run, server: Server) -> Run:
    """Run `hookline` as the server's administrator."""

    def run(*arguments: str, **more: str) -> Result:
        known = {"HOOKLINE_SERVER": f"http://127.0.0.1:{server.port}", "HOOKLINE_USER": "admin"}
        return bare(*arguments, **{**known, "HOOKLINE_PASSWORD": PASSWORD, **more})

    return run


@pytest.fixture
def webhook(client: Client, hook: Receiver, request: pytest.FixtureRequest) -> Iterator[str]:
    """A webhook of a project that only this test knows."""
    project = f"p{abs(hash(request.node.nodeid))}"
    made = client.create(url=hook.url, triggers=["NODE_CREATED"], association_type="PROJECT", association_id=project)
    yield made
    client.delete(made)


def ok(result: Result) -> str:
    """Return what a command that succeeded printed as its result."""
    assert result.exit_code == 0, result.output
    return result.stdout


def parsed(result: Result) -> Any:
    """Return the JSON document that a command that succeeded printed."""
    return json.loads(ok(result))


def one_line(result: Result) -> str:
    """Return what a failed command printed: one line, no traceback."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("Error: ").strip()
