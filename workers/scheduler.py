"""The clockwork: sweeping every second, counting logs every minute, pruning every hour.

Several schedulers may run at once: one holds the lease and works, the others wait for it.
"""

import logging
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler

from app.clock import now_ms
from app.errors import ServiceUnavailable
from app.log_counts import count_logs
from app.retention import prune
from app.services import Services
from app.sweep import sweep
from workers.lease import RENEW_S, Lease

log = logging.getLogger(__name__)

ROLE = "scheduler"
SWEEP_S = 1
COUNT_S = 60
PRUNE_S = 3_600

Job = Callable[[Services], None]


def start_scheduler(services: Services, lease: Lease | None = None) -> BackgroundScheduler:
    """Start the jobs in threads of their own, each at once, and return the scheduler, to be shut down.

    With a `lease` they do something only while this process holds it; without one it must be the only process.
    """
    # One run of a job at a time; runs missed while one was late are run once, not each.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns of each run that a slow one delays
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1})
    first = datetime.now(UTC)
    jobs: tuple[tuple[Job, int], ...] = ((sweep_once, SWEEP_S), (count_once, COUNT_S), (prune_once, PRUNE_S))
    if lease is not None:
        renew_once(lease)
        scheduler.add_job(renew_once, "interval", (lease,), seconds=RENEW_S, id="lease")
        # Whoever takes over finds out within a moment what has been missed, not at the next full hour.
        jobs = tuple((partial(_if_held, lease, job), seconds) for job, seconds in jobs)
    for job, seconds in jobs:
        scheduler.add_job(job, "interval", (services,), seconds=seconds, next_run_time=first)
    scheduler.start()
    return scheduler


def _if_held(lease: Lease, job: Job, services: Services) -> None:
    if lease.is_held():
        job(services)


def renew_once(lease: Lease) -> None:
    """Take or renew the lease, and say where it changes hands."""
    before = lease.is_held()
    try:
        held = lease.take()
    except ServiceUnavailable as error:
        log.error("lease=%s waits: %s", lease.name, error)
        return
    if held != before:
        log.info("lease=%s holder=%s %s", lease.name, lease.holder, "taken" if held else "lost")


def sweep_once(services: Services) -> None:
    """Sweep, and say so where it found something."""
    try:
        swept = sweep(services.broker, now_ms())
    except ServiceUnavailable as error:
        log.error("sweep waits: %s", error)
    else:
        if swept:
            log.info("swept=%d deliveries enqueued", swept)


def count_once(services: Services) -> None:
    """Bring the counts of logs up to date."""
    try:
        count_logs(now_ms())
    except ServiceUnavailable as error:
        log.error("counting waits: %s", error)


def prune_once(services: Services) -> None:
    """Prune, and say what was removed."""
    try:
        pruned = prune(services.settings.log_retention_days, now_ms())
    except ServiceUnavailable as error:
        log.error("prune waits: %s", error)
    else:
        if pruned.logs or pruned.events:
            log.info("pruned logs=%d events=%d webhooks=%d", *pruned)


def run(services: Services) -> None:
    """Run the scheduler until SIGTERM or Ctrl-C, then give the lease up, so that another takes over at once."""
    stopping = threading.Event()
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: stopping.set())
    lease = Lease(ROLE)
    scheduler = start_scheduler(services, lease)
    log.info("scheduler holder=%s is running", lease.holder)
    stopping.wait()
    scheduler.shutdown()
    lease.release()
    services.close()


if __name__ == "__main__":
    from app.cli import main

    main(["scheduler"], prog_name="hookline")
