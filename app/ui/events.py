"""Events: found by filter, id or resource key; one event's deliveries, and why others got none; replay."""

from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from app.api.context import caller, services
from app.clock import now_ms
from app.errors import BadRequest
from app.event_fanout import Fanout, fan_out
from app.event_query import EventFilter, find_event, following_text, page_of_events, position_of, search
from app.event_types import LIMITS, WEBHOOK_TEST
from app.fields import INVALID, text
from app.intake import may_publish
from app.match_reasons import Judged, elsewhere, judge
from app.models import Event
from app.query_fields import event_type_of
from app.recovery import resend
from app.rejected import has_rejected
from app.replay import is_replayable
from app.replay_one import replay_one, why_not
from app.shown_text import shown
from app.ui.pages import canonical_times, here, page, say
from app.ui.section import section
from app.ui.texts import error_text, gettext
from app.ui.times import instant
from app.ui.webhook_words import disabled_reason
from app.webhooks import find_webhook, trigger_types

PAGE = 50
SHOWN = 65_536  # characters of a payload

events_ui = section("events_ui", __name__, "/events")


@events_ui.get("")
def list_() -> Response:
    """List events, newest first."""
    try:
        target = canonical_times("from", "to") or _found()
        if target is not None:
            return redirect(target, 303)
        wanted = _wanted()
        found = page_of_events(wanted, PAGE, position_of(_given()))
    except BadRequest as error:
        return _list(status=error.status, error=error_text(error), page=None, following=None)
    return _list(error=None, page=found, following=following_text(found))


@events_ui.get("/view")
def view() -> Response:
    """Show an event: itself, its payload, its deliveries, and the webhooks that got none."""
    event = find_event(caller(), request.args.get("id", ""))
    fanout = fan_out(caller(), event)
    refusal = why_not(event, services().settings.log_retention_days, now_ms())
    return page(
        "events/view.html",
        event=event,
        fanout=fanout,
        refusal=None if refusal is None else error_text(refusal),
        is_test=event.type == WEBHOOK_TEST,
        again=_again(event),
        elsewhere=elsewhere(caller(), event) if "elsewhere" in request.args else None,
        asked=_asked(event, fanout),
        disabled_reason=disabled_reason,
        payload=shown(event.payload, SHOWN),
    )


@events_ui.get("/payload")
def payload() -> Response:
    """Send the payload of an event as a file, just as receivers get it."""
    event = find_event(caller(), request.args.get("id", ""))
    headers = {"Content-Disposition": 'attachment; filename="payload.json"'}
    return Response(event.payload, mimetype="application/json", headers=headers)


@events_ui.post("/resend")
def send_again() -> Response:
    """Have a delivery of an event sent again."""
    try:
        resend(caller(), request.form.get("delivery", ""), now_ms())
        say(gettext("The delivery is made again as soon as its webhook can take it."))
    except BadRequest as error:
        say(error_text(error), "error")
    return _back()


@events_ui.post("/replay")
def replay() -> Response:
    """Have an event sent to a webhook that never got it."""
    event_id, webhook_id = request.form.get("event", ""), request.form.get("webhook", "")
    try:
        if replay_one(services(), caller(), event_id, webhook_id, now=now_ms()):
            say(gettext("The event is replayed to this webhook: its delivery is in the list."))
        else:
            say(gettext("This webhook has got the event already; its delivery is in the list."), "warning")
    except BadRequest as error:
        say(error_text(error), "error")
    return _back()


def _again(event: Event) -> str | None:
    """Return the parameters of the form that publishes an event like this one, None where the viewer may not."""
    if not may_publish(caller()) or not is_replayable(event.type):
        return None
    fields = {
        "type": event.type,
        "projectId": event.project_id,
        "repoName": event.repo_name,
        "resourceKey": event.resource_key,
        "userId": event.user_id,
    }
    return urlencode({name: value for name, value in fields.items() if value})


def _asked(event: Event, fanout: Fanout) -> Judged | str | None:
    """Return what there is to say of the one webhook that the viewer asks about: a verdict, or a text."""
    webhook_id = request.args.get("webhook", "").strip()
    if not webhook_id:
        return None
    if any(each.webhook.id == webhook_id for each in fanout.reached):
        return gettext("This webhook has got the event: its delivery is in the list.")
    try:
        return judge(event, find_webhook(caller(), webhook_id, with_deleted=True))
    except BadRequest as error:
        return error_text(error)


def _back() -> Response:
    return redirect(url_for(".view", id=request.form.get("event", "")), 303)


def _given() -> dict[str, str]:
    """Return the parameters that say something."""
    return {name: value for name, value in request.args.items() if value}


def _found() -> str | None:
    """Return where a search leads to, None where nothing is searched for."""
    sought = text("q", request.args.get("q", "").strip(), LIMITS["resourceKey"])
    if not sought:
        return None
    found = search(caller(), sought, _wanted(searching=True))
    if isinstance(found, Event):
        return url_for(".view", id=found.id)
    return here(q=None, cursor=None, key=found.resource_key, part=found.key_part)


def _wanted(*, searching: bool = False) -> EventFilter:
    """Return what the URL asks for; where it searches, without the result of an earlier search."""
    given = _given()
    start, end = instant("from", given.get("from", "")), instant("to", given.get("to", ""))
    if start is not None and end is not None and start > end:
        raise BadRequest(INVALID, "dates_reversed", field="from", other="to")

    def limited(name: str, limit: int) -> str | None:
        return text(name, given[name], limit) if name in given else None

    return EventFilter(
        start=start or 0,
        end=now_ms() if end is None else end,
        type=event_type_of(given, "type", trigger_types(services().settings)),
        project_id=limited("project", LIMITS["projectId"]),
        repo_name=limited("repo", LIMITS["repoName"]),
        user_id=limited("user", LIMITS["userId"]),
        resource_key=None if searching else limited("key", LIMITS["resourceKey"]),
        key_part=None if searching else limited("part", LIMITS["resourceKey"]),
        viewer=None if caller().admin else caller().user_id,
    )


def _time(given: dict[str, str], name: str) -> int | None:
    """Return a time of the filter for its field, None where it is none."""
    with suppress(BadRequest):
        return instant(name, given.get(name, ""))
    return None


def _list(*, status: int = 200, **values: Any) -> Response:
    types = sorted(trigger_types(services().settings))
    given = _given()
    return page(
        "events/list.html",
        status=status,
        types=types,
        given=given,
        times={name: _time(given, name) for name in ("from", "to")},
        is_filtered=bool(given.keys() - {"cursor"}),
        has_rejected=caller().admin and has_rejected(),
        size=PAGE,
        **values,
    )
