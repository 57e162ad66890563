"""GET /metrics, and every request counted by the template of its URL."""

import time

from flask import Blueprint, Response, g, request
from flask.blueprints import BlueprintSetupState

from app import metrics as counted
from app.api.context import services

metrics = Blueprint("metrics", __name__)


@metrics.get("/metrics")
def show() -> Response:
    """Show the metrics of this machine's processes."""
    from app.metrics_page import metrics_page  # loads prometheus_client, see app.metrics

    page = metrics_page(services(), counted.book(), request.headers.get("Accept"), request.headers.get("Authorization"))
    return Response(page.body, page.status, page.headers)


@metrics.record
def _count_requests(state: BlueprintSetupState) -> None:
    state.app.before_request(_begin)
    state.app.after_request(_end)


def _begin() -> None:
    g.begun_at = time.perf_counter()


def _end(response: Response) -> Response:
    rule = request.url_rule
    now = time.perf_counter()
    seconds = now - g.get("begun_at", now)
    counted.requested(request.method, None if rule is None else rule.rule, response.status_code, seconds)
    return response
