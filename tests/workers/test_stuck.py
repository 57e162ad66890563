"""A process whose loop is stuck falls silent, however alive its other threads are."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app import presence, progress
from app.memory_broker import MemoryBroker
from app.presence import SCHEDULER, WORKER, present
from app.progress import stalled
from app.services import Services
from tests.server import eventually
from tests.workers.conftest import Desk
from workers.lease import Lease
from workers.scheduler import _keep, start_scheduler
from workers.serve import worker

pytestmark = pytest.mark.sqlite_only


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "BEAT_S", 0.05)
    monkeypatch.setattr(progress, "PATIENCE_S", 1.5)
    monkeypatch.setattr("workers.deliveries.TICK_S", 0.05)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What the stuck wait for; the test's end lets them go."""
    event = threading.Event()
    yield event
    event.set()


class Stuck(MemoryBroker):
    """A queue that never answers the sweeper."""

    def __init__(self, released: threading.Event) -> None:
        super().__init__()
        self._released = released
        for name in "deliveries", "events":
            self.declare_queue(name)

    def lost_before(self, queue_name: str, now: int, lease_ms: int) -> int:
        self._released.wait(30.0)
        return 0


def test_a_worker_whose_transport_is_stuck_falls_silent_and_says_so(
    desk: Desk, released: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    with worker(desk.services), present(WORKER):
        desk.services.transport.call_soon(released.wait)
        eventually(lambda: "role=worker falls silent: loop=transport is stuck" in caplog.text)
        assert "transport" in stalled()
        released.set()
        eventually(lambda: not stalled())
    assert caplog.text.count("loop=transport is stuck") == 1


def test_a_worker_whose_consumer_is_stuck_falls_silent(desk: Desk, released: threading.Event) -> None:
    with worker(desk.services):
        eventually(lambda: not stalled())
        held = threading.Thread(target=_hold, args=(desk.services, released))
        held.start()
        eventually(lambda: "consumer(deliveries)" in stalled())
        released.set()
        held.join()
        eventually(lambda: not stalled())


def _hold(services: Services, released: threading.Event) -> None:
    """Hold the queue, as a broker does that does not come back."""
    with services.broker.queues["deliveries"].mutex:  # type: ignore[attr-defined]
        released.wait(30.0)


def test_a_scheduler_whose_job_is_stuck_falls_silent_and_leaves_its_lease_to_others(
    services: Services, released: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    lease = Lease("scheduler", term_ms=1_000)
    running = start_scheduler(replace(services, broker=Stuck(released)), threading.Event(), lease)
    with present(SCHEDULER):
        eventually(lambda: "role=scheduler falls silent: loop=scheduler(sweep_once) is stuck" in caplog.text)
        _keep(lease, ())
        eventually(lambda: Lease("scheduler", term_ms=1_000).take())
        released.set()
        eventually(lambda: not stalled())
    running.shutdown()
    assert stalled() == []


def test_what_has_ended_is_not_stuck(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with worker(desk.services):
        eventually(lambda: len(progress._loops) >= 3)
    monkeypatch.setattr(progress, "PATIENCE_S", -1.0)
    assert stalled() == []
