"""Sending many deliveries again, and replaying what is missing: a form, a preview, and the job that does it."""

import re
from contextlib import suppress
from typing import Any

from flask import redirect, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from app.api.context import caller, services
from app.clock import now_ms
from app.errors import BadRequest, TooManyRequests
from app.fields import INVALID, MISSING, one_of, required
from app.ids import new_id
from app.job_control import cancel_job, find_job, start_job
from app.job_request import REPLAY, RESEND, RESENDABLE, JobFilters, JobRequest, filters_from
from app.jobs import UNFINISHED
from app.query_fields import event_type_of
from app.recovery import preview_resend, require_sendable
from app.replay import preview_replay
from app.ui import recovery_words
from app.ui.pages import canonical_times, page, say
from app.ui.texts import error_text, gettext
from app.ui.times import instant, iso
from app.ui.webhook_choice import webhook_choice
from app.webhooks import find_webhook, trigger_types

LATE_MS = 15_000  # a job that has not begun by then waits for a scheduler

Form = MultiDict[str, str]

_KEY = re.compile("[0-9a-f]{32}")


def resend_form() -> Response:
    """Ask what to send again, and say how much that is once it is known."""
    return _ask(RESEND)


def start_resend() -> Response:
    """Begin to send many again."""
    return _start(RESEND)


def replay_form() -> Response:
    """Ask what to replay, and say how much is looked at once it is known."""
    return _ask(REPLAY)


def start_replay() -> Response:
    """Begin to replay what is missing."""
    return _start(REPLAY)


def job(job_id: str) -> Response:
    """Show how far a job is."""
    found, now = find_job(caller(), job_id), now_ms()
    return page(
        "recovery/job.html",
        job=found,
        webhook=find_webhook(caller(), found.webhook_id, with_deleted=True),
        filters=filters_from(found.filters),
        is_running=found.state in UNFINISHED,
        since=iso(found.created_at),
        is_late=found.state == UNFINISHED[0] and now - found.created_at > LATE_MS,
        error=recovery_words.job_errors().get(found.error, found.error),
        choices=dict(recovery_words.resend_choices()),
        kinds=recovery_words.job_kinds(),
        states=recovery_words.job_states(),
    )


def cancel(job_id: str) -> Response:
    """Cancel a job."""
    try:
        cancel_job(caller(), job_id, now_ms())
        say(gettext("The job is cancelled. What it has done already stays done."))
    except BadRequest as error:
        if error.status == 404:
            raise
        say(gettext("The job had ended already; there was nothing to cancel."), "warning")
    return redirect(url_for("recovery.job", job_id=job_id), 303)


def _ask(kind: str) -> Response:
    with suppress(BadRequest):  # the form says what is wrong with a time
        target = canonical_times("from", "to")
        if target is not None:
            return redirect(target, 303)
    return _form(kind, request.args)


def _start(kind: str) -> Response:
    """Begin a job. Sent twice, the form begins one: the preview has given it a key."""
    now = now_ms()
    try:
        if not _KEY.fullmatch(request.form.get("key", "")):
            raise BadRequest(INVALID, "invalid", field="key")
        asked = _asked(kind, request.form, now)
        begun = start_job(caller(), asked, now)
    except BadRequest as error:
        if error.status in (403, 404):
            raise
        return _form(kind, request.form, error)
    if begun.created_at == now:
        say(gettext("The job has begun."))
    return redirect(url_for("recovery.job", job_id=begun.id), 303)


def _form(kind: str, given: Form, error: BadRequest | None = None) -> Response:
    """Show the form as it was filled in, with a preview where that was asked for and can be had."""
    now, values = now_ms(), dict[str, Any](preview=None, asked=None, hidden=None)
    chosen = find_webhook(caller(), given["webhook"]) if given.get("webhook") else None
    if "preview" in given and error is None:
        try:
            values = _preview(kind, given, now)
        except BadRequest as refused:
            error = refused
    return page(
        "recovery/start.html",
        status=200 if error is None else error.status,
        kind=kind,
        given=given,
        chosen=chosen,
        times={name: _time(name, given) for name in ("from", "to")},
        states=given.getlist("state") if "preview" in given or "state" in given else list(RESENDABLE),
        error=None if error is None else error_text(error),
        unfinished=error.params.get("value") if isinstance(error, TooManyRequests) else None,
        choice=webhook_choice(chosen),
        choices=recovery_words.resend_choices(),
        types=sorted(trigger_types(services().settings)),
        **values,
    )


def _preview(kind: str, given: Form, now: int) -> dict[str, Any]:
    asked = _asked(kind, given, now)
    webhook = find_webhook(caller(), asked.webhook_id)
    require_sendable(webhook, field="webhook")
    if kind == RESEND:
        number = preview_resend(asked.webhook_id, asked.filters, now)
    else:
        number = preview_replay(asked.filters, services().settings.log_retention_days, now)
    return {"preview": number, "asked": asked, "hidden": _hidden(asked)}


def _hidden(asked: JobRequest) -> list[tuple[str, str]]:
    """Return the fields of the form that begins what was previewed."""
    start, end, event_type, states = asked.filters
    times = [(name, iso(at)) for name, at in (("from", start), ("to", end)) if at is not None]
    trigger = [("trigger", event_type)] if event_type else []
    return [("key", new_id()), ("webhook", asked.webhook_id), *times, *trigger, *(("state", each) for each in states)]


def _asked(kind: str, given: Form, now: int) -> JobRequest:
    """Return the job that a form asks for. Raises BadRequest naming the field."""
    webhook_id = required("webhook", given.get("webhook") or None)
    start, end = instant("from", given.get("from", "")), instant("to", given.get("to", ""))
    if kind == REPLAY:
        required("from", start)
    if start is not None and end is not None and start > end:
        raise BadRequest(INVALID, "dates_reversed", field="from", other="to")
    trigger = {"trigger": given["trigger"]} if given.get("trigger") else {}
    event_type = event_type_of(trigger, "trigger", trigger_types(services().settings))
    # The end is fixed, so that what begins is what was previewed.
    filters = JobFilters(start, now if end is None else end, event_type, _states(kind, given))
    return JobRequest(kind, webhook_id, filters, given.get("key") or None)


def _states(kind: str, given: Form) -> tuple[str, ...]:
    if kind == REPLAY:
        return ()
    asked = {one_of("state", state, RESENDABLE) for state in given.getlist("state")}
    if not asked:
        raise BadRequest(MISSING, "missing", field="state")
    return tuple(state for state in RESENDABLE if state in asked)


def _time(name: str, given: Form) -> int | None:
    """Return a time for its field, None where it is none."""
    with suppress(BadRequest):
        return instant(name, given.get(name, ""))
    return None
