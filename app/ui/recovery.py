"""Recovery: where deliveries are in trouble, which they are, and sending one of them again."""

from dataclasses import dataclass

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from app.api.context import caller, services
from app.clock import now_ms
from app.delivery_query import position_of
from app.delivery_status import held_reason
from app.errors import BadRequest
from app.fields import INVALID, one_of
from app.job_control import newest_jobs
from app.models import Webhook
from app.query_fields import event_type_of
from app.recovery import resend
from app.recovery_list import (
    NEWEST,
    OTHERS,
    STATES,
    Part,
    RecoveryFilter,
    last_failures,
    page_of_trouble,
    parts_of,
    state_of,
)
from app.statistics import scope_of
from app.trouble import trouble
from app.ui import recovery_jobs
from app.ui.pages import canonical_times, page, say
from app.ui.recovery_words import held_reasons, job_kinds, job_states, resend_states, states
from app.ui.section import section
from app.ui.session import inside
from app.ui.texts import error_text, gettext
from app.ui.times import instant
from app.ui.webhook_choice import webhook_choice
from app.webhooks import find_webhook, trigger_types

SIZE = 25
WORST = 10  # webhooks that are shown before all of them are asked for
JOBS = 5

recovery = section("recovery", __name__, "/recovery")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the URL asks for."""

    webhook: Webhook | None
    state: str | None
    filters: RecoveryFilter


@recovery.get("")
def show() -> Response:
    """Show the webhooks in trouble, and their deliveries by filter."""
    target = canonical_times("from", "to")
    if target is not None:
        return redirect(target, 303)
    asked, scope = _asked(), scope_of(caller())
    found = trouble(scope)
    filters = asked.filters
    if asked.webhook is None:
        parts = parts_of(found.webhooks, filters.states)
    else:
        parts = [Part(asked.webhook.id, state) for state in filters.states]
    shown = page_of_trouble(parts, filters, SIZE, position_of(_given()) or NEWEST)
    return page(
        "recovery/show.html",
        found=found,
        worst=found.webhooks if "all" in request.args else found.webhooks[:WORST],
        has_more=scope.is_cut,
        asked=asked,
        webhooks={each.webhook.id: each.webhook for each in found.webhooks}
        | ({asked.webhook.id: asked.webhook} if asked.webhook is not None else {}),
        shown=shown,
        size=SIZE,
        failures=last_failures(shown.rows),
        state_of=state_of,
        resend_states=resend_states(filters.states),
        resend_states_of=lambda each: resend_states([part.state for part in parts_of([each], STATES)]),
        states=states(),
        others=OTHERS,
        held_reason=lambda webhook: held_reasons()[held_reason(webhook)],
        choice=webhook_choice(asked.webhook),
        types=sorted(trigger_types(services().settings)),
        jobs=newest_jobs(scope, JOBS),
        job_kinds=job_kinds(),
        job_states=job_states(),
        is_filtered=bool(_given().keys() - {"cursor", "all"}),
    )


@recovery.post("/resend-one")
def resend_one() -> Response:
    """Have one delivery sent again."""
    try:
        resend(caller(), request.form.get("delivery", ""), now_ms())
        say(gettext("The delivery is made again as soon as its webhook can take it."))
    except BadRequest as error:
        say(error_text(error), "error")
    back = request.form.get("back", "")
    return redirect(inside(back) if back.startswith("/recovery") else url_for(".show"), 303)


def _given() -> dict[str, str]:
    """Return the parameters that say something."""
    return {name: value for name, value in request.args.items() if value}


def _asked() -> Asked:
    """Return what the URL asks for. Raises BadRequest, and NotFound for a webhook that the viewer may not see."""
    given = _given()
    start, end = instant("from", given.get("from", "")), instant("to", given.get("to", ""))
    if start is not None and end is not None and start > end:
        raise BadRequest(INVALID, "dates_reversed", field="from", other="to")
    state = one_of("state", given["state"], (*STATES, *OTHERS)) if "state" in given else None
    webhook = find_webhook(caller(), given["webhook"], with_deleted=True) if "webhook" in given else None
    trigger = event_type_of(given, "trigger", trigger_types(services().settings))
    meant = STATES if state is None else (state,)
    return Asked(webhook, state, RecoveryFilter(states=meant, start=start, end=end, triggered_event=trigger))


for path, methods, view in (
    ("/resend", ["GET"], recovery_jobs.resend_form),
    ("/resend", ["POST"], recovery_jobs.start_resend),
    ("/replay", ["GET"], recovery_jobs.replay_form),
    ("/replay", ["POST"], recovery_jobs.start_replay),
    ("/jobs/<job_id>", ["GET"], recovery_jobs.job),
    ("/jobs/<job_id>/cancel", ["POST"], recovery_jobs.cancel),
):
    recovery.add_url_rule(path, view.__name__, view, methods=methods)
