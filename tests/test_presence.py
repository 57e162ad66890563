"""Which processes are running: rows that they renew, by the database's clock."""

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest

from app import presence
from app.models import Lease, RunningProcess, database
from app.presence import (
    ALIVE_MS,
    KEPT_MS,
    SCHEDULER,
    SERVE,
    WEB,
    WORKER,
    Presence,
    Process,
    missing_roles,
    present,
    running_processes,
    scheduler_lease,
)
from app.services import Services
from tests.database_clock import database_now
from tests.server import eventually

BEAT_S = 0.05


@pytest.fixture(autouse=True)
def quick(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "BEAT_S", BEAT_S)


def add(name: str, silent_ms: int, role: str = WORKER) -> None:
    at = database_now() - silent_ms
    RunningProcess.insert(id=name, role=role, host=name, pid=1, version="0.1", started_at=at - 5, seen_at=at).execute()


def hosts() -> list[str]:
    return [process.host for process in running_processes()]


def test_a_process_is_seen_from_its_start_to_its_end_and_no_longer() -> None:
    begin = database_now()
    with present(WORKER):
        eventually(running_processes)
        [first] = running_processes()
        assert (first.role, first.pid, first.is_alive) == (WORKER, os.getpid(), True)
        assert begin - 1_000 <= first.started_at <= first.seen_at <= database_now()
        eventually(lambda: running_processes()[0].seen_at > first.seen_at)
        [later] = running_processes()
        assert later.started_at == first.started_at
    assert running_processes() == []


def test_it_is_there_again_after_others_took_it_for_gone_and_has_not_started_anew() -> None:
    with present(WEB):
        eventually(running_processes)
        [first] = running_processes()
        with database.atomic():
            RunningProcess.delete().execute()
        eventually(running_processes)
        [again] = running_processes()
        assert again.started_at == pytest.approx(first.started_at, abs=500)


def test_who_fell_silent_is_shown_for_an_hour_and_then_forgotten_by_whoever_writes() -> None:
    for name, silent_ms in ("quiet", 10_000), ("dead", ALIVE_MS + 5_000), ("long-dead", KEPT_MS + 5_000):
        add(name, silent_ms)
    assert [(process.host, process.is_alive) for process in running_processes()] == [
        ("quiet", True),
        ("dead", False),
        ("long-dead", False),
    ]
    with present(SCHEDULER):
        eventually(lambda: "long-dead" not in hosts())
    assert hosts() == ["quiet", "dead"]


@pytest.mark.sqlite_only
def test_a_database_that_refuses_leaves_a_gap_and_nothing_worse(
    services: Services, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database.obj.timeout = 0.05
    alive = Presence(WEB)
    with contextlib.closing(sqlite3.connect(tmp_path / "hookline.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        alive.start()
        eventually(lambda: "presence role=web is not told: database is locked" in caplog.text)
        other.rollback()
    eventually(running_processes)
    alive.stop()
    assert running_processes() == []


def process(role: str, silent_ms: int = 0) -> Process:
    return Process(role, "h", 1, "0.1", 0, 0, silent_ms)


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("processes", "missing"),
    [
        ([], [WEB, WORKER, SCHEDULER]),
        ([process(SERVE)], []),
        ([process(SERVE, ALIVE_MS + 1)], [WEB, WORKER, SCHEDULER]),
        ([process(WEB), process(WORKER), process(WORKER, ALIVE_MS + 1)], [SCHEDULER]),
    ],
)
def test_it_tells_which_roles_nobody_has(processes: list[Process], missing: list[str]) -> None:
    assert missing_roles(processes) == missing


def test_it_tells_who_has_the_schedulers_role_and_whether_it_still_has() -> None:
    assert scheduler_lease() is None
    Lease.update(holder="db:1.example:42:0f0f", until_at=database_now() + 9_000, epoch=3).execute()
    holding = scheduler_lease()
    assert holding is not None
    assert (holding.host, holding.pid, holding.epoch, holding.is_held) == ("db:1.example", "42", 3, True)
    Lease.update(until_at=database_now() - 1).execute()
    holding = scheduler_lease()
    assert holding is not None
    assert not holding.is_held
