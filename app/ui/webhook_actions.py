"""What can be done to a webhook from its page: test it, enable and disable it, delete it, see and rotate its secret."""

import hashlib
import json

from flask import redirect, request, session, url_for
from werkzeug.wrappers import Response

from app.api.context import caller, services
from app.api.tracing import origin
from app.by_hand import send_test
from app.clock import now_ms
from app.delivery import LOG_NOT_FOUND
from app.errors import BadRequest, Conflict, NotFound
from app.logs import read_log
from app.models import Webhook
from app.rotation import rotate_secret, show_secrets
from app.shown_text import shown
from app.ui.pages import fragment, page, say
from app.ui.session import is_fragment
from app.ui.texts import error_text, gettext
from app.ui.webhook_check import place_of
from app.webhook_view import show
from app.webhooks import OVERLAP_HOURS, WEBHOOK_CHANGED, delete_webhook, find_webhook, update_webhook

_MOST_SHOWN = 64 * 1024
_REVEALED = "revealed"  # the webhook whose secret the next page shows


def test(webhook_id: str) -> Response:
    """Send WEBHOOK_TEST now, and show request and answer."""
    described = show(services(), find_webhook(caller(), webhook_id))
    log_id = send_test(services(), webhook_id, described, origin("page"), now_ms())
    if not is_fragment():
        return redirect(f"/logs/{log_id}", 303)
    entry = read_log(log_id)
    if entry is None:
        raise NotFound(LOG_NOT_FOUND, "log_not_found")
    return fragment(
        "webhooks/tested.html",
        log=entry.log,
        request_headers=_lines(entry.log.request_headers),
        request_body=shown(entry.payload, _MOST_SHOWN).text,
        response_headers=_lines(entry.log.response_headers),
        response_body=shown(entry.log.response_body or "", _MOST_SHOWN).text,
    )


def enable(webhook_id: str) -> Response:
    """Enable a webhook, or close its circuit; what was held is sent or dropped, as the form says."""
    raw = {"id": webhook_id, "enabled": True, "pending": request.form.get("pending") or None}
    update_webhook(services(), caller(), raw, now_ms())
    say(gettext("The webhook is enabled. Deliveries go out again."))
    return _back(webhook_id)


def disable(webhook_id: str) -> Response:
    """Disable a webhook."""
    update_webhook(services(), caller(), {"id": webhook_id, "enabled": False}, now_ms())
    say(gettext("The webhook is disabled. Nothing is sent to it any more."))
    return _back(webhook_id)


def delete(webhook_id: str) -> Response:
    """Delete a webhook and what is owed to it."""
    url = find_webhook(caller(), webhook_id).url
    delete_webhook(caller(), webhook_id, now_ms())
    say(gettext("The webhook for %s was deleted. Its logs stay until they are pruned.") % url)
    return redirect(url_for(".list_"), 303)


def secret(webhook_id: str) -> Response:
    """Show how deliveries are signed; the secret only right after it was made."""
    row = find_webhook(caller(), webhook_id)
    return _secret(row, is_shown=session.pop(_REVEALED, None) == webhook_id)


def reveal(webhook_id: str) -> Response:
    """Show the secret."""
    return _secret(find_webhook(caller(), webhook_id), is_shown=True)


def rotate(webhook_id: str) -> Response:
    """Make a new secret, unless someone else has done so since the form was made, and show it once."""
    row = find_webhook(caller(), webhook_id)
    if request.form.get("seen") != _mark(row):
        raise Conflict(WEBHOOK_CHANGED, "webhook_changed")
    hours = request.form.get("overlapHours", "").strip()
    raw = {
        "overlapHours": int(hours) if hours.isascii() and hours.isdigit() and len(hours) < 5 else hours or None,
        "secret": request.form.get("secret", "").strip() or None,
    }
    try:
        rotate_secret(services(), caller(), webhook_id, raw, now_ms())
    except BadRequest as error:
        return _secret(row, is_shown=False, errors={place_of(error): error_text(error)})
    say(gettext("The webhook has a new secret. Give it to the receiver."))
    return to_secret(webhook_id)


def to_secret(webhook_id: str) -> Response:
    """Go to the page of a secret that was made just now, which shows it once."""
    session[_REVEALED] = webhook_id
    return redirect(url_for(".secret", webhook_id=webhook_id), 303)


def _secret(row: Webhook, *, is_shown: bool, errors: dict[str, str] | None = None) -> Response:
    return page(
        "webhooks/secret.html",
        status=400 if errors else 200,
        row=row,
        secrets=show_secrets(services(), row, now_ms()),
        is_shown=is_shown,
        errors=errors or {},
        typed={name: request.form.get(name, "") for name in ("overlapHours", "secret")} if errors else {},
        hours=OVERLAP_HOURS,
        seen=_mark(row),
    )


def _mark(row: Webhook) -> str:
    """Return what tells a webhook's secret from the one before, without telling the secret."""
    return hashlib.sha256(row.secret.encode()).hexdigest()[:16]


def _lines(headers: str | None) -> str:
    return "\n".join(f"{name}: {value}" for name, value in json.loads(headers or "{}").items())


def _back(webhook_id: str) -> Response:
    return redirect(url_for(".detail", webhook_id=webhook_id), 303)
