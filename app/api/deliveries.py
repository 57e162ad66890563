"""Deliveries: where they are, and having them sent again, one or many."""

from flask import Blueprint, Response, request

from app.api.body import read_object
from app.api.context import authenticate, caller, services
from app.api.envelope import ok
from app.api.params import query_parameters
from app.clock import now_ms
from app.delivery_query import (
    PARAMETERS,
    DetailedDelivery,
    detailed_record,
    filter_of,
    find_delivery,
    listed_record,
    page_of_deliveries,
    position_of,
    states_of,
)
from app.fields import filled, required
from app.job_control import (
    LIST_PARAMETERS,
    cancel_job,
    find_job,
    job_record,
    page_of_jobs,
    start_job,
)
from app.job_control import position_of as job_position_of
from app.job_request import KEY_HEADER, resend_request
from app.log_query import Frame
from app.models import Webhook
from app.query_fields import page_size_of
from app.recovery import resend
from app.webhooks import find_webhook, trigger_types

deliveries = Blueprint("deliveries", __name__, url_prefix="/webhook/api/delivery")
deliveries.before_request(authenticate)


@deliveries.get("/list")
def list_() -> Response:
    """List what the outbox holds for a webhook."""
    given = query_parameters(PARAMETERS)
    webhook = _asked_for(given)
    settings = services().settings
    frame = Frame(settings.timezone, now_ms(), trigger_types(settings))
    wanted, states = filter_of(webhook.id, given, frame), states_of(given)
    page = page_of_deliveries(wanted, states, page_size_of(given), position_of(given))
    records = [listed_record(row, webhook, settings.timezone) for row in page.rows]
    return ok({"records": records, "nextCursor": page.following})


@deliveries.get("/<delivery_id>")
def get(delivery_id: str) -> Response:
    """Show a delivery and its logs."""
    return ok(_shown(delivery_id))


@deliveries.post("/resend/<delivery_id>")
def resend_one(delivery_id: str) -> Response:
    """Have a delivery sent again."""
    resend(caller(), delivery_id, now_ms())
    return ok(_shown(delivery_id))


@deliveries.post("/resend")
def resend_many() -> Response:
    """Have what failed sent again, as a job."""
    settings, now = services().settings, now_ms()
    frame = Frame(settings.timezone, now, trigger_types(settings))
    asked = resend_request(read_object(), request.headers.get(KEY_HEADER), frame)
    return ok(job_record(start_job(caller(), asked, now), settings.timezone), 202)


@deliveries.get("/job/<job_id>")
def job(job_id: str) -> Response:
    """Show a job."""
    return ok(job_record(find_job(caller(), job_id), services().settings.timezone))


@deliveries.get("/job/list")
def jobs() -> Response:
    """List the jobs of a webhook."""
    given = query_parameters(LIST_PARAMETERS)
    page = page_of_jobs(_asked_for(given).id, page_size_of(given), job_position_of(given))
    records = [job_record(row, services().settings.timezone) for row in page.jobs]
    return ok({"records": records, "nextCursor": page.following})


@deliveries.post("/job/cancel/<job_id>")
def cancel(job_id: str) -> Response:
    """Cancel a job."""
    return ok(job_record(cancel_job(caller(), job_id, now_ms()), services().settings.timezone))


def _asked_for(given: dict[str, str]) -> Webhook:
    """Return the webhook that `webHookId` names, a deleted one too."""
    webhook_id = filled("webHookId", required("webHookId", given.get("webHookId")), limit=64)
    return find_webhook(caller(), webhook_id, with_deleted=True)


def _shown(delivery_id: str) -> DetailedDelivery:
    found, webhook = find_delivery(caller(), delivery_id)
    return detailed_record(found, webhook, services().settings.timezone)
