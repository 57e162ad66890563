"""The clockwork: sweeping every second, pruning every hour."""

import logging
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler

from app.clock import now_ms
from app.errors import ServiceUnavailable
from app.retention import prune
from app.services import Services
from app.sweep import sweep

log = logging.getLogger(__name__)

SWEEP_S = 1
PRUNE_S = 3_600


def start_scheduler(services: Services) -> BackgroundScheduler:
    """Start the jobs in threads of their own, the sweep at once, and return the scheduler, to be shut down."""
    # One run of a job at a time; runs missed while one was late are run once, not each.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns of each run that a slow one delays
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1})
    first = datetime.now(UTC)
    scheduler.add_job(sweep_once, "interval", (services,), seconds=SWEEP_S, next_run_time=first, id="sweep")
    scheduler.add_job(prune_once, "interval", (services,), seconds=PRUNE_S, next_run_time=first, id="prune")
    scheduler.start()
    return scheduler


def sweep_once(services: Services) -> None:
    """Sweep, and say so where it found something."""
    try:
        swept = sweep(services.broker, now_ms())
    except ServiceUnavailable as error:
        log.error("sweep waits: %s", error)
    else:
        if swept:
            log.info("swept=%d deliveries enqueued", swept)


def prune_once(services: Services) -> None:
    """Prune, and say what was removed."""
    try:
        pruned = prune(services.settings.log_retention_days, now_ms())
    except ServiceUnavailable as error:
        log.error("prune waits: %s", error)
    else:
        if pruned.logs or pruned.events:
            log.info("pruned logs=%d events=%d webhooks=%d", *pruned)
