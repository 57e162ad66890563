"""The log of attempts (contract §3)."""

from flask import Blueprint, Response

from app.api.context import authenticate, caller, services
from app.api.envelope import ok
from app.api.params import query_parameters
from app.clock import now_ms
from app.log_json import log_record, seed_row
from app.log_query import PARAMETERS, Frame, filter_of, place_of
from app.log_search import find_log
from app.logs import newest_logs, page_of_logs
from app.webhooks import find_webhook, trigger_types

logs = Blueprint("logs", __name__, url_prefix="/webhook/api/log")
logs.before_request(authenticate)


@logs.get("/list/<webhook_id>")
def list_(webhook_id: str) -> Response:
    """List the newest logs in the seed document's form, or a page of those that the parameters ask for."""
    given = query_parameters(PARAMETERS)
    find_webhook(caller(), webhook_id, with_deleted=True)
    if given:
        return _page(webhook_id, given)
    zone = services().settings.timezone
    return ok([seed_row(entry, zone) for entry in newest_logs(webhook_id, now_ms())])


@logs.get("/<log_id>")
def get(log_id: str) -> Response:
    """Show a log."""
    entry, _ = find_log(caller(), log_id)
    return ok(log_record(entry, services().settings.timezone))


def _page(webhook_id: str, given: dict[str, str]) -> Response:
    settings = services().settings
    place = place_of(given)
    frame = Frame(settings.timezone, now_ms(), trigger_types(settings))
    page = page_of_logs(filter_of(webhook_id, given, frame), *place)
    return ok(
        {
            "pageNumber": place.number,
            "pageSize": place.size,
            "totalRecords": page.total,
            "totalPages": -(-page.total // place.size),
            "records": [log_record(entry, settings.timezone) for entry in page.entries],
        }
    )
