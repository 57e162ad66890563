"""Events that the queue brought and that could not be accepted: for administrators."""

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from app.api.context import services
from app.clock import now_ms
from app.ingest import accept_rejected
from app.rejected import discard, find_rejected, page_of_rejected, position_of
from app.ui.pages import page, say
from app.ui.section import section
from app.ui.session import require_admin
from app.ui.texts import gettext
from app.webhooks import trigger_types

PAGE = 20

rejected = section("rejected_events", __name__, "/events/rejected")
rejected.before_request(require_admin)


@rejected.get("")
def list_() -> Response:
    """List rejected events, the newest first."""
    given = {name: value for name, value in request.args.items() if value}
    return page("events/rejected.html", page=page_of_rejected(PAGE, position_of(given)))


@rejected.post("/<rejected_id>/retry")
def retry(rejected_id: str) -> Response:
    """Try to accept a rejected event, say after EXTRA_EVENT_TYPES has been extended."""
    row = find_rejected(rejected_id)
    if accept_rejected(services().publisher, row, trigger_types(services().settings), now_ms()):
        say(gettext("The event was accepted and goes to the webhooks that match it."))
    else:
        say(gettext("The event still can't be accepted: %s") % row.reason, "error")
    return redirect(url_for(".list_"), 303)


@rejected.post("/<rejected_id>/discard")
def remove(rejected_id: str) -> Response:
    """Delete a rejected event for good."""
    discard(find_rejected(rejected_id))
    say(gettext("The rejected event was deleted."))
    return redirect(url_for(".list_"), 303)
