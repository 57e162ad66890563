"""Bulk actions as their callers see them: asked for, looked at, cancelled. app.jobs works them off."""

import logging
import re
from collections.abc import Mapping
from typing import Annotated, NamedTuple, NotRequired, TypedDict
from zoneinfo import ZoneInfo

from app.authentication import Caller
from app.database import repeat_on_conflict, unavailable, write_transaction
from app.dates import to_iso
from app.errors import BadRequest, NotFound, TooManyRequests
from app.fields import INVALID
from app.ids import new_id
from app.job_request import KEY_HEADER, REPLAY, RESEND, RESENDABLE, JobFilters, JobRequest, filters_from
from app.jobs import CANCELLED, FAILED, PENDING, RUNNING, SUCCEEDED, UNFINISHED, finish
from app.models import Job
from app.query_fields import cursor_of, cursor_text
from app.recovery import require_sendable
from app.registry import lock_webhooks
from app.schema_hints import Date, Id, choice, said
from app.statistics import Scope
from app.webhooks import find_webhook

log = logging.getLogger(__name__)

NOT_FOUND = 250108
TOO_MANY = 250124
RETRY_AFTER_S = 10
LIST_PARAMETERS = ("webHookId", "pageSize", "cursor")

_ID = "[0-9a-f]{32}"


class ShownFilters(TypedDict):
    """What a job works on. `state` and `triggeredEvent` are a resend's, `type` is a replay's."""

    startDate: Date | None
    endDate: Date | None
    state: NotRequired[list[Annotated[str, choice(*RESENDABLE)]]]
    triggeredEvent: NotRequired[str | None]
    type: NotRequired[str | None]


class JobRecord(TypedDict):
    """A bulk action."""

    id: Id
    kind: Annotated[str, choice(RESEND, REPLAY)]
    webHookId: Id
    state: Annotated[str, choice(PENDING, RUNNING, SUCCEEDED, CANCELLED, FAILED)]
    total: Annotated[int | None, said("How many there are to look at, null where that is not known")]
    done: Annotated[int, said("Deliveries made due")]
    skipped: Annotated[int, said("Looked at and left alone")]
    createdBy: str
    createdDate: Date
    lastModifiedDate: Date
    finishedDate: Date | None
    errorMsg: str | None
    filters: ShownFilters


class JobPage(NamedTuple):
    """Jobs, newest first, and the cursor of the next page."""

    jobs: list[Job]
    following: str | None


def start_job(caller: Caller, asked: JobRequest, now: int) -> Job:
    """Make the job that is asked for and return it, or the one that the same key has made.

    Raises NotFound, BadRequest where the webhook is disabled or the key was used for something else, and
    TooManyRequests where the webhook has an unfinished job of the kind.
    """
    webhook = find_webhook(caller, asked.webhook_id, with_deleted=True)
    known = _of_key(asked)
    if known is not None:
        return known
    require_sendable(webhook, field="webHookId")
    job = _make(asked, caller.user_id or "", now)
    log.info("job=%s %s webhook=%s asked for by user=%s", job.id, job.kind, job.webhook_id, job.created_by)
    return job


def find_job(caller: Caller, job_id: str) -> Job:
    """Return a job of a webhook that `caller` may manage, a deleted one too. Raises NotFound."""
    job: Job | None = None
    if re.fullmatch(_ID, job_id):
        with unavailable():
            job = Job.get_or_none(Job.id == job_id)
    try:
        if job is not None:
            find_webhook(caller, job.webhook_id, with_deleted=True)
            return job
    except NotFound:
        pass
    raise NotFound(NOT_FOUND, "job_not_found")


def page_of_jobs(webhook_id: str, size: int, before: str | None = None) -> JobPage:
    """Return up to `size` jobs of a webhook that are older than `before`. Raises DatabaseUnavailable."""
    query = Job.select().where(Job.webhook_id == webhook_id)
    if before is not None:
        query = query.where(Job.id < before)
    with unavailable():
        found = list(query.order_by(Job.id.desc()).limit(size + 1))
    return JobPage(found[:size], cursor_text(found[size - 1].id) if len(found) > size else None)


def newest_jobs(scope: Scope, size: int) -> list[Job]:
    """Return the newest jobs of the webhooks in `scope`, newest first. Raises DatabaseUnavailable."""
    with unavailable():
        return list(Job.select().where(Job.id > "", *scope.holds(Job.webhook_id)).order_by(Job.id.desc()).limit(size))


def position_of(given: Mapping[str, str]) -> str | None:
    """Return the job before which the page begins. Raises BadRequest."""
    parts = cursor_of(given, _ID)
    return None if parts is None else parts[0]


def cancel_job(caller: Caller, job_id: str, now: int) -> Job:
    """Cancel a job: it stops before its next batch. Raises NotFound, and BadRequest where it has ended already."""
    job = find_job(caller, job_id)
    is_cancelled = finish(job.id, CANCELLED, now)
    job = find_job(caller, job_id)
    if not is_cancelled:
        raise BadRequest(INVALID, "job_finished", value=job.state)
    log.info("job=%s cancelled by user=%s", job.id, caller.user_id)
    return job


def job_record(job: Job, zone: ZoneInfo) -> JobRecord:
    """Return a job as answers show it."""
    return {
        "id": job.id,
        "kind": job.kind,
        "webHookId": job.webhook_id,
        "state": job.state,
        "total": job.total,
        "done": job.done,
        "skipped": job.skipped,
        "createdBy": job.created_by,
        "createdDate": to_iso(job.created_at, zone),
        "lastModifiedDate": to_iso(job.updated_at, zone),
        "finishedDate": None if job.finished_at is None else to_iso(job.finished_at, zone),
        "errorMsg": job.error,
        "filters": _shown(job.kind, filters_from(job.filters), zone),
    }


def _shown(kind: str, filters: JobFilters, zone: ZoneInfo) -> ShownFilters:
    dates: ShownFilters = {
        "startDate": None if filters.start is None else to_iso(filters.start, zone),
        "endDate": None if filters.end is None else to_iso(filters.end, zone),
    }
    if kind == RESEND:
        return {**dates, "state": list(filters.states), "triggeredEvent": filters.event_type}
    return {**dates, "type": filters.event_type}


def _of_key(asked: JobRequest) -> Job | None:
    if asked.key is None:
        return None
    job: Job | None
    with unavailable():
        job = Job.get_or_none(Job.webhook_id == asked.webhook_id, Job.request_key == asked.key)
    if job is not None and (job.kind, filters_from(job.filters)) != (asked.kind, asked.filters):
        raise BadRequest(INVALID, "key_reused", field=KEY_HEADER, value=job.id)
    return job


@repeat_on_conflict
def _make(asked: JobRequest, user_id: str, now: int) -> Job:
    row = {
        "id": new_id(),
        "kind": asked.kind,
        "webhook_id": asked.webhook_id,
        "state": PENDING,
        "filters": asked.filters.text(),
        "request_key": asked.key,
        "created_by": user_id,
        "created_at": now,
        "updated_at": now,
    }
    mine = (Job.webhook_id == asked.webhook_id) & (Job.kind == asked.kind) & Job.state.in_(UNFINISHED)
    with write_transaction():
        lock_webhooks([asked.webhook_id])  # so that of two calls one sees the other's job
        known = _of_key(asked)
        if known is not None:
            return known
        unfinished = Job.select(Job.id).where(mine).scalar()
        if unfinished is not None:
            raise TooManyRequests(TOO_MANY, "job_unfinished", value=unfinished, retry_after=RETRY_AFTER_S)
        Job.insert(**row).execute()
        made: Job = Job.get_by_id(row["id"])
    return made
