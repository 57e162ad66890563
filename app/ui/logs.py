"""Logs: found by filter, of one webhook or of all; one with its request and answer; and sending it again."""

from contextlib import suppress

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response

from app.api.context import caller, services
from app.by_hand import retry_log
from app.clock import now_ms
from app.errors import BadRequest
from app.fields import INVALID, filled, one_of
from app.log_query import MAX_EVENT_ID, MAX_TEXT
from app.log_search import LogPage, find_log, search_logs
from app.log_streams import AFTER_ALL, STATUSES, LogSearch
from app.models import SUCCESS, Webhook
from app.query_fields import cursor_of, cursor_text, event_type_of
from app.shown_text import visible
from app.ui.log_view import WIDTH, view_of
from app.ui.pages import canonical_times, fragment, here, page, say
from app.ui.section import section
from app.ui.session import is_fragment
from app.ui.texts import error_text, gettext
from app.ui.times import instant
from app.ui.webhook_choice import webhook_choice
from app.webhooks import find_webhook, trigger_types

logs_ui: Blueprint = section("logs_ui", __name__, "/logs")


@logs_ui.get("")
def list_() -> Response:
    """List logs, newest first; for htmx, the rows of the next page."""
    webhook = _webhook()
    try:
        target = here() if "" in request.args.values() else canonical_times("from", "to")
        if target is not None:
            return redirect(target, 303)
        found = search_logs(caller(), _wanted(), _before())
    except BadRequest as error:
        if error.status != BadRequest.status:
            raise
        return _list(webhook, LogPage([]), status=error.status, error=error_text(error))
    if is_fragment():
        return fragment("logs/rows.html", found=found, following=_cursor(found), webhook=webhook)
    return _list(webhook, found)


@logs_ui.get("/<log_id>")
def show(log_id: str) -> Response:
    """Show a log; for htmx, without the page around it."""
    view = view_of(*find_log(caller(), log_id))
    if is_fragment():
        return fragment("logs/detail.html", view=view, width=WIDTH)
    attempts = search_logs(caller(), LogSearch(delivery_id=view.log.delivery_id, event_id=view.log.event_id))
    return page("logs/show.html", view=view, width=WIDTH, attempts=attempts)


@logs_ui.post("/<log_id>/retry")
def retry(log_id: str) -> Response:
    """Send the payload of a log again, now, and show what became of it."""
    entry, _ = find_log(caller(), log_id)
    made = retry_log(services(), entry.log, now_ms())
    view = view_of(*find_log(caller(), made))
    if view.log.status == SUCCESS:
        say(gettext("Sent again, and delivered."))
    else:
        say(gettext("Sent again, without success: %s") % visible(view.log.error), "error")
    if is_fragment():
        return fragment("logs/retried.html", view=view, width=WIDTH)
    return redirect(url_for(".show", log_id=made), 303)


@logs_ui.get("/<log_id>/payload")
def payload(log_id: str) -> Response:
    """Send the payload of a log as a file, just as the receiver got it."""
    entry, _ = find_log(caller(), log_id)
    if entry.payload.lstrip().startswith(("{", "[")):
        return _file(entry.payload, "payload.json", "application/json")
    return _file(entry.payload, "payload.txt", "text/plain")  # of a webhook's own template


@logs_ui.get("/<log_id>/answer")
def answer(log_id: str) -> Response:
    """Send what was kept of the answer's body as a file."""
    entry, _ = find_log(caller(), log_id)
    return _file(entry.log.response_body or "", "answer.txt", "text/plain")


def _file(text: str, name: str, kind: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text.encode("utf-8", "surrogatepass"), mimetype=kind, headers=headers)


def _given() -> dict[str, str]:
    """Return the parameters that say something."""
    return {name: value.strip() for name, value in request.args.items() if value.strip()}


def _webhook() -> Webhook | None:
    """Return the one webhook whose logs are asked for. Raises NotFound where the viewer may not see it."""
    webhook_id = _given().get("webhook")
    return None if webhook_id is None else find_webhook(caller(), webhook_id, with_deleted=True)


def _wanted() -> LogSearch:
    given = _given()
    start, end = instant("from", given.get("from", "")), instant("to", given.get("to", ""))
    if start is not None and end is not None and start > end:
        raise BadRequest(INVALID, "dates_reversed", field="from", other="to")
    return LogSearch(
        webhook_id=given.get("webhook"),
        start=start,
        end=end,
        status=one_of("status", given["status"], STATUSES) if "status" in given else None,
        triggered_event=event_type_of(given, "trigger", trigger_types(services().settings)),
        event_id=filled("event", given["event"], MAX_EVENT_ID) if "event" in given else None,
        delivery_id=filled("delivery", given["delivery"], MAX_EVENT_ID) if "delivery" in given else None,
        text=filled("q", given["q"], MAX_TEXT) if "q" in given else None,
    )


def _before() -> str:
    """Return the id before which the page begins. Raises BadRequest."""
    parts = cursor_of(_given(), "[0-9a-f]{32}")
    return AFTER_ALL if parts is None else parts[0]


def _cursor(found: LogPage) -> str | None:
    return None if found.following is None else cursor_text(found.following)


def _time(given: dict[str, str], name: str) -> int | None:
    """Return a time of the filter for its field, None where it is none."""
    with suppress(BadRequest):
        return instant(name, given.get(name, ""))
    return None


def _list(webhook: Webhook | None, found: LogPage, *, status: int = 200, error: str | None = None) -> Response:
    given = _given()
    return page(
        "logs/list.html",
        status=status,
        webhook=webhook,
        given=given,
        times={name: _time(given, name) for name in ("from", "to")},
        types=sorted(trigger_types(services().settings)),
        choice=webhook_choice(webhook),
        is_filtered=bool(given.keys() - {"cursor"}),
        found=found,
        following=_cursor(found),
        error=error,
    )
