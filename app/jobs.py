"""Bulk actions as jobs: asked for by callers, worked off in batches by the scheduler.

A batch is one transaction with the job's cursor and counts, under the condition that the job still runs and its cursor
is where the batch began. So a crash repeats nothing and loses nothing, a cancelled job stops at its next batch, and of
two schedulers one works.
"""

import logging
from collections.abc import Callable
from typing import Any

from app.database import repeat_on_conflict, unavailable, write_transaction
from app.errors import ServiceUnavailable
from app.job_plan import Plan
from app.job_request import RESEND
from app.matching import Webhook
from app.models import Job
from app.recovery import count_resend, plan_resend
from app.replay import plan_replay
from app.services import Services

log = logging.getLogger(__name__)

PENDING = "PENDING"
RUNNING = "RUNNING"
SUCCEEDED = "SUCCEEDED"
CANCELLED = "CANCELLED"
FAILED = "FAILED"
UNFINISHED = (PENDING, RUNNING)

BATCH = 500  # deliveries in one transaction
ROUNDS = 20  # batches of one job in one call
JOBS_AT_ONCE = 100

DELETED = "the webhook was deleted"
DISABLED = "the webhook was disabled"
UNEXPECTED = "unexpected error; the service's log has the details"


def work(services: Services, now: int, is_ending: Callable[[], bool] = lambda: False) -> int:
    """Make up to JOB_RATE deliveries due, and return how many; call it once a second.

    The jobs take turns, those first that have waited longest. Where `is_ending` it stops after the batch under way.
    Raises DatabaseUnavailable; what was committed until then stays done.
    """
    jobs = _unfinished()
    total = 0
    for _ in range(ROUNDS):
        share = max(1, min(BATCH, (services.settings.job_rate - total) // max(len(jobs), 1)))
        going_on = []
        for job in jobs:
            if total >= services.settings.job_rate or is_ending():
                return total
            done, goes_on = _turn(services, job, min(share, services.settings.job_rate - total), now)
            total += done
            going_on += [job] if goes_on else []
        jobs = going_on
        if not jobs:
            break
    return total


@repeat_on_conflict
def finish(job_id: str, state: str, now: int, error: str | None = None) -> bool:
    """End a job, unless it has ended already, and return whether that was done here. Raises DatabaseUnavailable."""
    changes = {"state": state, "error": error, "updated_at": now, "finished_at": now}
    with write_transaction():
        return bool(Job.update(**changes).where(Job.id == job_id, Job.state.in_(UNFINISHED)).execute())


def _unfinished() -> list[Job]:
    query = Job.select().where(Job.state.in_(UNFINISHED)).order_by(Job.updated_at, Job.id).limit(JOBS_AT_ONCE)
    with unavailable():
        return list(query)


def _turn(services: Services, job: Job, limit: int, now: int) -> tuple[int, bool]:
    """Work off a batch of a job; return how many deliveries are due by that, and whether the job goes on."""
    try:
        webhook = _sendable(services, job, now)
        if webhook is None or not _is_begun(job, now):
            return 0, False
        plan = _plan(services, job, webhook, limit, now=now)
        done = _commit(job, plan, now)
    except ServiceUnavailable:
        raise
    except Exception:  # of ours; the other jobs go on, and this one's caller is told
        log.exception("job=%s failed", job.id)
        finish(job.id, FAILED, now, UNEXPECTED)
        return 0, False
    if done is not None and plan.cursor is None:
        log.info("job=%s %s done=%d skipped=%d", job.id, job.kind, job.done, job.skipped)
    return done or 0, done is not None and plan.cursor is not None


def _plan(services: Services, job: Job, webhook: Webhook, limit: int, *, now: int) -> Plan:
    if job.kind == RESEND:
        return plan_resend(job, limit, now)
    return plan_replay(job, webhook, limit, retention_days=services.settings.log_retention_days, now=now)


def _sendable(services: Services, job: Job, now: int) -> Webhook | None:
    """Return the job's webhook; where it can't be sent to any more, end the job and return None."""
    with unavailable():
        webhook = services.registry.refresh().get(job.webhook_id)
    if webhook is not None and webhook.enabled:
        return webhook
    finish(job.id, FAILED, now, DELETED if webhook is None else DISABLED)
    return None


def _is_begun(job: Job, now: int) -> bool:
    """Have a job run, its total counted where that is cheap; return whether it runs."""
    if job.state == RUNNING:
        return True
    total = count_resend(job) if job.kind == RESEND else None
    with write_transaction():
        changes = {"state": RUNNING, "total": total, "updated_at": now}
        begun = Job.update(**changes).where(Job.id == job.id, Job.state == PENDING).execute()
    job.state = RUNNING
    return bool(begun)


@repeat_on_conflict
def _commit(job: Job, plan: Plan, now: int) -> int | None:
    """Apply a plan, and move the job on; return how many deliveries are due by that.

    Returns None, with nothing changed, where the job was cancelled or has been moved on by another process.
    """
    here = Job.cursor.is_null() if job.cursor is None else Job.cursor == job.cursor
    mine = (Job.id == job.id) & (Job.state == RUNNING) & here
    changes: dict[str, Any] = {"cursor": plan.cursor, "updated_at": now}
    if plan.cursor is None:
        changes |= {"state": SUCCEEDED, "finished_at": now}
    with write_transaction():
        if not Job.update(**changes).where(mine).execute():
            return None
        done = plan.apply()
        counts = {"done": job.done + done, "skipped": job.skipped + plan.examined - done}
        if plan.cursor is None:
            counts["total"] = job.done + job.skipped + plan.examined
        Job.update(**counts).where(Job.id == job.id).execute()
    job.cursor, job.done, job.skipped = plan.cursor, counts["done"], counts["skipped"]
    return done
