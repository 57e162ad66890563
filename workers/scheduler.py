"""The clockwork: sweeping and working off jobs every second, feeding twice, counting logs every minute, pruning
every hour.

Several schedulers may run at once: one holds the lease and works, the others wait for it.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest

from apscheduler.events import EVENT_SCHEDULER_SHUTDOWN
from apscheduler.job import Job as ScheduledJob
from apscheduler.schedulers.background import BackgroundScheduler

from app import metrics
from app.clock import now_ms
from app.errors import ServiceUnavailable
from app.feeder import FEED_MS, Feeder
from app.jobs import work
from app.log_counts import count_logs
from app.log_stats import measure_logs
from app.presence import SCHEDULER, present
from app.progress import Loop, stalled
from app.retention import prune
from app.services import Services
from app.strays import recover_strays
from app.sweep import sweep
from workers.lease import RENEW_S, Lease
from workers.metrics_port import answer_at_port

log = logging.getLogger(__name__)

ROLE = "scheduler"
SWEEP_S = 1
WORK_S = 1
COUNT_S = 60
RECOVER_S = 60
PRUNE_S = 3_600
JOB_DEFAULTS = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}

Job = Callable[[Services], None]


def start_scheduler(services: Services, ending: threading.Event, lease: Lease | None = None) -> BackgroundScheduler:
    """Start the jobs in threads of their own, each at once, and return the scheduler, to be shut down.

    Set `ending` before that, else it waits for pruning and counting to come to their end. With a `lease` the jobs do
    something only while this process holds it; without one it must be the only process.
    """
    # One run of a job at a time; runs missed while one was late are run once, not each, however late that is.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns of each run that a slow one delays
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults=JOB_DEFAULTS)
    prune_until, count_until = partial(prune_once, ending=ending), partial(count_once, ending=ending)
    measure_until = partial(measure_once, ending=ending)
    jobs: tuple[tuple[Job, float], ...] = (
        (sweep_once, SWEEP_S),
        (partial(work_once, ending=ending), WORK_S),
        (partial(feed_once, feeder=Feeder()), FEED_MS / 1000),
        (recover_once, RECOVER_S),
        (count_until, COUNT_S),
        (measure_until, COUNT_S),
        (prune_until, PRUNE_S),
    )
    loops = [Loop(f"scheduler({getattr(job, 'func', job).__name__})") for job, seconds in jobs if seconds <= SWEEP_S]
    if lease is not None:
        renew_once(lease)
        jobs = tuple((partial(_if_held, lease, job), seconds) for job, seconds in jobs)
    # Those that run each second: the others may take their time.
    jobs = tuple((_watched(job, loop), seconds) for (job, seconds), loop in zip_longest(jobs, loops))
    scheduler.add_listener(partial(_end, loops), EVENT_SCHEDULER_SHUTDOWN)
    first = datetime.now(UTC)
    added = [
        scheduler.add_job(job, "interval", (services,), seconds=seconds, next_run_time=first) for job, seconds in jobs
    ]
    if lease is not None:
        scheduler.add_job(_keep, "interval", (lease, added), seconds=RENEW_S)
    scheduler.start()
    return scheduler


def _keep(lease: Lease, jobs: Sequence[ScheduledJob]) -> None:
    """Renew the lease. Whoever takes it over finds out at once what has been missed, not at the next full hour.

    A process that is stuck leaves it to others.
    """
    if not stalled() and renew_once(lease):
        for job in jobs:
            job.modify(next_run_time=datetime.now(UTC))


def _watched(job: Job, loop: Loop | None) -> Job:
    """Have `loop` move whenever `job` has run."""

    def run(services: Services) -> None:
        try:
            job(services)
        finally:
            if loop is not None:
                loop.moved()

    return run


def _end(loops: Sequence[Loop], _: object) -> None:
    for loop in loops:
        loop.end()


def _if_held(lease: Lease, job: Job, services: Services) -> None:
    if lease.is_held():
        job(services)


def renew_once(lease: Lease) -> bool:
    """Take or renew the lease, say where it changes hands, and return whether it is newly taken."""
    before = lease.is_held()
    try:
        held = lease.take()
    except ServiceUnavailable as error:
        log.error("lease=%s waits: %s", lease.name, error)
        return False
    if held != before:
        log.info("lease=%s holder=%s %s", lease.name, lease.holder, "taken" if held else "lost")
    return held and not before


def sweep_once(services: Services) -> None:
    """Sweep, and say so where it found something."""
    try:
        swept = sweep(services.broker, now_ms())
    except ServiceUnavailable as error:
        log.error("sweep waits: %s", error)
    else:
        metrics.scheduled("swept", swept)
        if swept:
            log.info("swept=%d deliveries enqueued", swept)


def feed_once(services: Services, feeder: Feeder) -> None:
    """Feed held deliveries."""
    try:
        metrics.scheduled("fed", feeder.feed(services.broker, now_ms()))
    except ServiceUnavailable as error:
        log.error("feeding waits: %s", error)


def recover_once(services: Services) -> None:
    """Recover deliveries that nobody would see to, and say so: there should be none."""
    try:
        recovered = recover_strays(now_ms())
    except ServiceUnavailable as error:
        log.error("recovering waits: %s", error)
    else:
        metrics.scheduled("recovered", recovered)
        if recovered:
            log.warning("recovered=%d deliveries that nobody saw to", recovered)


def work_once(services: Services, ending: threading.Event | None = None) -> None:
    """Work off callers' bulk actions. Where `ending` is set, stop after the batch that is under way."""
    try:
        metrics.scheduled("resent", work(services, now_ms(), (ending or threading.Event()).is_set))
    except ServiceUnavailable as error:
        log.error("jobs wait: %s", error)


def count_once(services: Services, ending: threading.Event | None = None) -> None:
    """Bring the counts of logs up to date. Where `ending` is set, stop after the hour that is under way."""
    try:
        count_logs(now_ms(), (ending or threading.Event()).is_set)
    except ServiceUnavailable as error:
        log.error("counting waits: %s", error)


def measure_once(services: Services, ending: threading.Event | None = None) -> None:
    """Bring the statistics of logs up to date. Where `ending` is set, stop after the step that is under way."""
    try:
        measure_logs(now_ms(), (ending or threading.Event()).is_set)
    except ServiceUnavailable as error:
        log.error("statistics wait: %s", error)


class _Ending(Exception):
    """The process is to end: the rest is for the next one."""


def prune_once(services: Services, ending: threading.Event | None = None) -> None:
    """Prune, and say what was removed. Where `ending` is set, stop after the batch that is under way."""

    def pause(seconds: float) -> None:
        if ending is None:
            time.sleep(seconds)
        elif ending.wait(seconds):
            raise _Ending

    try:
        pruned = prune(services.settings.log_retention_days, now_ms(), pause)
    except _Ending:
        log.info("pruning goes on later")
    except ServiceUnavailable as error:
        log.error("prune waits: %s", error)
    else:
        metrics.pruned(pruned)
        if pruned.logs or pruned.events:
            log.info("pruned logs=%d events=%d webhooks=%d", *pruned)


def run(services: Services) -> None:
    """Run the scheduler until SIGTERM or Ctrl-C, then give the lease up, so that another takes over at once."""
    stopping = threading.Event()
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: stopping.set())
    metrics.open_metrics(services.settings, SCHEDULER)
    answer_at_port(services)
    lease = Lease(ROLE)
    scheduler = start_scheduler(services, stopping, lease)
    with present(SCHEDULER):
        log.info("scheduler holder=%s is running", lease.holder)
        stopping.wait()
        scheduler.shutdown()
    give_up(lease)
    services.close()


def give_up(lease: Lease) -> None:
    """Release the lease; where the database is away it ends by itself."""
    try:
        lease.release()
    except ServiceUnavailable as error:
        log.warning("lease=%s is left to end by itself: %s", lease.name, error)


if __name__ == "__main__":
    from app.cli import main

    main(["scheduler"], prog_name="hookline")
