"""The Procfile as a platform runs it: each line in a shell, the variables set, SIGTERM to everything at the end."""

import contextlib
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.production import ROOT, START_S, Production, Role, database_server, production
from tests.receiver import Answer, Receiver
from tests.redis_server import redis_server
from tests.server import eventually
from tests.test_production import batches

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SLOW_S = 1.5
IN_FLIGHT = 20
GRACE_S = 30.0  # from SIGTERM to SIGKILL, as on Heroku
BIN = Path(sys.executable).parent


def lines() -> dict[str, str]:
    """Return the commands of the Procfile by their names."""
    return dict(re.findall(r"^(\w+): (.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Production]:
    with (
        redis_server() as redis,
        database_server("postgres", durable=False) as database,
        production(tmp_path / "site", database.url, redis.url, WEB_CONCURRENCY="2") as made,
    ):
        made.environ["PATH"] = f"{BIN}{os.pathsep}{made.environ['PATH']}"
        yield made


@contextlib.contextmanager
def honcho(site: Production) -> Iterator[Role]:
    """Run everything in the Procfile, the release too, at once."""
    command = [str(BIN / "honcho"), "start", "--no-colour", "-f", str(ROOT / "Procfile")]
    running = Role("honcho", command, site.environ, site.directory / "honcho.out")
    try:
        yield running
    finally:
        running.send(signal.SIGTERM)  # each process that it starts has a session of its own
        running.process.wait(GRACE_S)


def present(site: Production) -> list[str]:
    """Return the roles of the processes that say that they are alive."""
    return sorted(role for (role,) in site.query("SELECT role FROM running_process"))


def test_it_names_what_a_platform_is_to_run() -> None:
    assert list(lines()) == ["web", "worker", "scheduler", "release"]  # honcho counts PORT up from the first


def test_honcho_runs_it_on_an_empty_database_and_ends_it_in_order(site: Production, receiver: Receiver) -> None:
    with honcho(site) as running:
        eventually(site.is_ready, START_S)
        for text in "Worker process is ready for action.", "lease=scheduler":
            running.wait_for(text)
        eventually(lambda: present(site) == ["scheduler", "web", "web", "worker"])
        with site.client() as client:
            client.create(url=receiver.url, triggers=["NODE_CREATED"], associationType="SYSTEM")
            client.publish(batches(1)[0])
            receiver.wait_for(1)

            receiver.script.extend([Answer(delay=SLOW_S)] * IN_FLIGHT)
            client.publish(batches(IN_FLIGHT)[0])
            receiver.wait_for(1 + IN_FLIGHT)
        begin = time.monotonic()
        running.send(signal.SIGTERM)
        running.process.wait(GRACE_S)
        assert time.monotonic() - begin < GRACE_S
    printed = running.text()
    assert printed.count(" stopped (rc=-15)") == 4, printed  # the shells that honcho starts; it waits for what they ran
    assert "Traceback" not in printed
    assert "SIGKILL" not in printed, "honcho lost its patience, which lasts 5 s"
    assert present(site) == []

    # What was in flight is recorded, and so it is not repeated by those that start next.
    assert (site.owed(), site.query("SELECT count(*) FROM webhook_log WHERE status = 'SUCCESS'")) == (
        0,
        [(1 + IN_FLIGHT,)],
    )
    with honcho(site), site.client() as client:
        eventually(site.is_ready, START_S)
        client.publish(batches(1)[0])
        eventually(lambda: site.owed() == 0)
    assert len(receiver.received) == 1 + IN_FLIGHT + 1
    assert set(Counter(request.headers["webhook-id"] for request in receiver.received).values()) == {1}
