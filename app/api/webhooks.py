"""Webhooks (contract §3)."""

from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import MethodNotAllowed

from app.api.body import read_object
from app.api.context import authenticate, caller, services
from app.api.envelope import ok
from app.api.params import query_parameters
from app.api.tracing import origin
from app.by_hand import retry_log, send_test
from app.clock import now_ms
from app.fields import one_of, pick, required
from app.log_json import log_record
from app.log_search import find_log
from app.rotation import rotate_secret, show_secrets
from app.webhook_fields import ASSOCIATION_TYPES, ID_NAMES, TYPE_NAMES, association_of
from app.webhook_view import show
from app.webhooks import create_webhook, delete_webhook, find_webhook, list_webhooks, update_webhook

webhooks = Blueprint("webhooks", __name__, url_prefix="/webhook/api/webhook")
webhooks.before_request(authenticate)


@webhooks.post("/create")
def create() -> Response:
    """Make a webhook; its id is in the headers, since the seed document leaves the data empty."""
    webhook_id = create_webhook(services(), caller(), read_object(), now_ms())
    return ok(headers={"X-Webhook-Id": webhook_id, "Location": f"/webhook/api/webhook/{webhook_id}"})


@webhooks.put("/update")
def update() -> Response:
    """Change what the body gives of a webhook."""
    update_webhook(services(), caller(), read_object(), now_ms())
    return ok()


@webhooks.delete("/delete/<webhook_id>")
def delete(webhook_id: str) -> Response:
    """Delete a webhook."""
    delete_webhook(caller(), webhook_id, now_ms())
    return ok()


@webhooks.get("/<webhook_id>")
def get(webhook_id: str) -> Response:
    """Show a webhook."""
    return ok(show(services(), find_webhook(caller(), webhook_id)))


@webhooks.get("/list")
def list_() -> Response:
    """List the webhooks of an association, or all of a type that the caller may manage."""
    given = query_parameters((*TYPE_NAMES, *ID_NAMES))
    type_field, association_type = pick(given, TYPE_NAMES[::-1])
    association_type = one_of(type_field, required(type_field, association_type), ASSOCIATION_TYPES)
    id_field, association_id = pick(given, ID_NAMES[::-1])
    association = None if association_id is None else association_of(association_type, association_id, id_field)
    found = list_webhooks(caller(), association_type, association)
    return ok([show(services(), row) for row in found])


@webhooks.get("/secret/<webhook_id>")
def secret(webhook_id: str) -> Response:
    """Show what deliveries are verified by: the secret, or the public key of a pair."""
    return ok(show_secrets(services(), find_webhook(caller(), webhook_id), now_ms()))


@webhooks.post("/secret/rotate/<webhook_id>")
def rotate(webhook_id: str) -> Response:
    """Give a webhook a new secret; a body is optional."""
    return ok(rotate_secret(services(), caller(), webhook_id, _optional_object(), now_ms()))


@webhooks.route("/test/<webhook_id>", methods=["GET", "POST"])
def test(webhook_id: str) -> Response:
    """Send WEBHOOK_TEST now, and show the log of it."""
    _refuse_head()
    shown = show(services(), find_webhook(caller(), webhook_id))
    return _answer_log(send_test(services(), webhook_id, shown, origin("http"), now_ms()))


@webhooks.route("/retry/<log_id>", methods=["GET", "POST"])
def retry(log_id: str) -> Response:
    """Send a log's payload again now, and show the new log."""
    _refuse_head()
    entry, _ = find_log(caller(), log_id)
    return _answer_log(retry_log(services(), entry.log, now_ms()))


def _optional_object() -> dict[str, Any]:
    """Return the JSON object in the body; none at all is as good as an empty one."""
    has_body = request.content_length or "HTTP_TRANSFER_ENCODING" in request.environ
    return read_object() if has_body else {}


def _answer_log(log_id: str) -> Response:
    entry, _ = find_log(caller(), log_id)
    return ok(log_record(entry, services().settings.timezone))


def _refuse_head() -> None:
    # Flask answers HEAD wherever it answers GET; asking for headers must not send anything.
    if request.method == "HEAD":
        raise MethodNotAllowed(["GET", "POST"])
