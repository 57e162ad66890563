"""The lease: one process at a time has the role, by the database's clock, and another takes it over."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import models
from app.clock import now_ms
from app.errors import DatabaseUnavailable
from app.models import Delivery, database
from app.queue import DELIVERIES
from tests.database_clock import database_now
from tests.production import Production, database_server, production
from tests.redis_server import redis_broker, redis_server
from tests.server import eventually
from tests.workers.conftest import Desk
from tests.workers.test_scheduler import add_old_log, empty_queue
from workers import scheduler as clockwork
from workers.lease import TERM_MS, Lease
from workers.scheduler import ROLE, renew_once, start_scheduler
from workers.serve import scheduler

SHORT_MS = 400
TAKEOVER_S = 15.0
CONTENDERS = 6
with_rows = pytest.mark.usefixtures("services")


def row() -> models.Lease:
    found: models.Lease = models.Lease.get_by_id(ROLE)
    return found


@with_rows
def test_one_has_it_and_keeps_it_by_renewing() -> None:
    mine, other = Lease(ROLE), Lease(ROLE)
    assert not mine.is_held()
    assert mine.take()
    assert (mine.is_held(), other.take(), other.is_held()) == (True, False, False)
    ends = row().until_at
    assert ends == pytest.approx(database_now() + TERM_MS, abs=2_000)
    eventually(lambda: database_now() > ends - TERM_MS)
    assert mine.take()
    assert (row().holder, row().epoch, row().until_at > ends) == (mine.holder, 1, True)
    assert not other.take()


@with_rows
def test_who_gives_it_up_gives_it_over_at_once() -> None:
    mine, other = Lease(ROLE), Lease(ROLE)
    assert mine.take()
    mine.release()
    assert not mine.is_held()
    assert other.take()
    assert (row().holder, row().epoch) == (other.holder, 2)
    mine.release()  # it is not mine any more
    assert (row().holder, other.take(), mine.take()) == (other.holder, True, False)


@with_rows
def test_it_ends_by_itself_and_not_before_its_holder_knows() -> None:
    mine, other = Lease(ROLE, SHORT_MS), Lease(ROLE, SHORT_MS)
    begin = time.monotonic()
    assert mine.take()
    overlaps = []

    def is_taken() -> bool:
        held_before = mine.is_held()
        taken = other.take()
        overlaps.append(taken and held_before and mine.is_held())
        return taken

    eventually(is_taken)
    assert time.monotonic() - begin >= SHORT_MS / 1000
    assert not any(overlaps)
    assert (mine.is_held(), mine.take(), row().epoch) == (False, False, 2)


@with_rows
def test_the_end_is_by_the_databases_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = Lease(ROLE), Lease(ROLE)
    assert mine.take()
    models.Lease.update(until_at=database_now() + 60_000).execute()
    monkeypatch.setattr(time, "time", lambda: 4e9)  # a process whose own clock is decades ahead
    assert not other.take()
    models.Lease.update(until_at=database_now() - 1).execute()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert other.take()


@with_rows
def test_of_those_that_ask_at_once_one_gets_it() -> None:
    leases = [Lease(ROLE) for _ in range(CONTENDERS)]
    barrier = threading.Barrier(CONTENDERS)
    winners: list[Lease] = []

    def contend(lease: Lease) -> None:
        for _ in range(10):
            barrier.wait(10.0)
            if lease.take():
                winners.append(lease)
            barrier.wait(10.0)
            if lease.is_held():
                lease.release()
        database.close()

    threads = [threading.Thread(target=contend, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert len(winners) == 10
    assert row().epoch <= 10  # who wins twice running is no new holder


@pytest.mark.sqlite_only
@pytest.mark.usefixtures("impatient")
def test_a_database_that_refuses_leaves_it_held_until_its_end_and_no_longer(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    lease = Lease(ROLE, SHORT_MS)
    assert lease.take()
    with desk.database_locked():
        renew_once(lease)
        with pytest.raises(DatabaseUnavailable):
            lease.take()
        eventually(lambda: not lease.is_held(), 2 * SHORT_MS / 1000)
    assert "lease=scheduler waits: database is locked" in caplog.text
    renew_once(lease)
    assert lease.is_held()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the lease be asked for often; how often the jobs run stays as it is."""
    monkeypatch.setattr(clockwork, "RENEW_S", 0.2)


@pytest.mark.usefixtures("quick")
def test_who_waits_does_nothing_and_who_takes_over_finds_out_what_was_missed(desk: Desk) -> None:
    add_old_log(desk, 1_000 * 86_400_000)
    desk.publish(3)
    empty_queue(desk)
    Delivery.update(queued_at=None).execute()
    holder = Lease(ROLE)
    assert holder.take()
    ending = threading.Event()
    waiting = start_scheduler(desk.services, ending, Lease(ROLE))
    try:
        eventually(lambda: all(job.next_run_time.timestamp() * 1000 > now_ms() for job in waiting.get_jobs()))
        assert (desk.queued(), len(desk.logs())) == (0, 1)
        holder.release()
        eventually(lambda: desk.queued() == 3)
        eventually(lambda: not desk.logs())  # pruned now, not at the next full hour
    finally:
        ending.set()
        waiting.shutdown()


def test_pruning_does_not_hold_up_the_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.retention.PAUSE_S", 20.0)  # as long as a great many batches take
    add_old_log(desk, 1_000 * 86_400_000)
    with scheduler(desk.services):
        eventually(lambda: not desk.logs())
        began = time.monotonic()
    assert time.monotonic() - began < 10.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Production]:
    with (
        redis_server() as redis,
        database_server("postgres", durable=False) as database,
        production(tmp_path / "site", database.url, redis.url) as made,
    ):
        yield made


@pytest.mark.slow
def test_a_killed_scheduler_is_replaced_by_the_one_that_waits(site: Production) -> None:
    site.release()
    first = site.start("scheduler")
    first.wait_for(" taken")
    second = site.start("scheduler")
    insert = "INSERT INTO delivery (id, webhook_id, event_id, state, attempt, next_attempt_at, created_at) VALUES "
    with redis_broker(site.environ["REDIS_URL"]) as broker:
        site.query(insert + "('a', 'w', 'e', 'PENDING', 1, 1, 1)")
        eventually(lambda: broker.waiting(DELIVERIES) == 1)
        assert " taken" not in second.text()
        first.kill()
        killed_at = time.monotonic()
        site.query(insert + "('b', 'w', 'e', 'PENDING', 1, 1, 1)")
        eventually(lambda: broker.waiting(DELIVERIES) == 2, TAKEOVER_S)
        assert time.monotonic() - killed_at <= TAKEOVER_S
        assert second.text().count(" taken") == 1
        assert site.query("SELECT epoch FROM lease") == [(2,)]

        third = site.start("scheduler")
        second.send(signal.SIGTERM)
        third.wait_for(" taken", timeout=6.0)  # given up, not run out
        assert second.process.wait(10.0) == 0
    assert "Traceback" not in site.text()
