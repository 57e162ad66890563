"""`hookline health`: what a container's probe runs."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from app.commands.health import verdict
from app.models import RunningProcess
from app.presence import ALIVE_MS, SCHEDULER, SERVE, WORKER, Process
from app.services import Services
from tests.database_clock import database_now


def process(role: str, silent_ms: int, host: str = "here") -> Process:
    return Process(role, host, 1, "0.1", 0, 0, silent_ms)


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("processes", "is_alive", "text"),
    [
        ([process(WORKER, 4_000), process(WORKER, 9_000)], True, "worker: 2 alive, seen 4 s ago"),
        ([process(SERVE, 4_000)], True, "worker: 1 alive, seen 4 s ago"),
        ([process(WORKER, ALIVE_MS + 1_000)], False, "worker: ended or stuck, seen 31 s ago"),
        (
            [process(WORKER, 0, "elsewhere"), process(SCHEDULER, 0)],
            False,
            "worker: no process of this host has been seen within the last hour",
        ),
    ],
)
def test_it_counts_the_processes_of_this_host(processes: list[Process], is_alive: bool, text: str) -> None:
    assert verdict(processes, WORKER, "here") == (is_alive, text)


def test_the_exit_status_tells_whether_the_role_is_done_here(
    services: Services, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = database_now()
    host = socket.gethostname()
    RunningProcess.insert(id="a", role=WORKER, host=host, pid=1, version="0.1", started_at=at, seen_at=at).execute()
    runner = CliRunner(env=environ)
    alive = runner.invoke(main, ["health", "--role", "worker"])
    assert (alive.exit_code, alive.output.split(",")[0]) == (0, "worker: 1 alive")
    assert runner.invoke(main, ["health", "--role", "scheduler"]).exit_code == 1


@pytest.mark.sqlite_only
def test_a_database_that_is_away_says_nothing_about_the_process(services: Services, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    away = {
        "HOOKLINE_DATA": str(tmp_path),
        "DATABASE_URL": f"sqlite:///{tmp_path}/file/x.db",
        "HOOKLINE_SECRET_KEY": "x",
    }
    done = CliRunner(env=away).invoke(main, ["health", "--role", "worker"])
    assert done.exit_code == 2
    assert done.output.startswith("worker: unknown: DATABASE_URL: ")
