"""The endpoints for whoever watches the process, and for whoever writes programs against it."""

from typing import Any, Final

from app.api.openapi.answers import Alive, Check, Readiness
from app.api.openapi.endpoint import NOBODY, Answer, Endpoint, Parameter

TAG = "Service"

_OK: Check = {"status": "ok"}
_READY: Readiness = {"status": "ok", "checks": {"database": _OK, "migrations": _OK}}
_NOT_READY: Readiness = {
    "status": "unavailable",
    "checks": {"database": _OK, "migrations": {"status": "failed", "reason": "missing: 1 (run hookline migrate)"}},
}
_METRICS = "# TYPE hookline_events_published_total counter\nhookline_events_published_total 42.0\n"


def _plain(type_: Any, example: Any, description: str, status: int = 200, media: str = "application/json") -> Answer:
    return Answer(type_, {"answer": example}, description, status, is_enveloped=False, media_type=media)


SERVICE: Final = {
    "health.alive": Endpoint(
        operation="getHealth",
        tag=TAG,
        answers=(_plain(Alive, {"status": "ok"}, "It runs"),),
        security=NOBODY,
    ),
    "health.ready": Endpoint(
        operation="getReadiness",
        tag=TAG,
        parameters=(
            Parameter("exclude", str, "A check that does not matter; may be given several times", "redis"),
            Parameter("verbose", str, "Show the signs of life of all processes", ""),
        ),
        answers=(_plain(Readiness, _READY, "It can work"), _plain(Readiness, _NOT_READY, "It can't", 503)),
        security=NOBODY,
    ),
    "metrics.show": Endpoint(
        operation="getMetrics",
        tag=TAG,
        answers=(
            _plain(str, _METRICS, "Prometheus' text format, or OpenMetrics by Accept", media="text/plain"),
            _plain(str, "the bearer token METRICS_TOKEN is wanted\n", "The token is wanted", 401, "text/plain"),
            _plain(str, "metrics are off (see METRICS)\n", "Nothing is counted", 404, "text/plain"),
        ),
        security=({}, {"metricsToken": []}),
    ),
    "openapi.show": Endpoint(
        operation="getDocument",
        tag=TAG,
        answers=(_plain(dict[str, Any], {"openapi": "3.1.0"}, "This document"),),
        note="It can be cached: send If-None-Match with its ETag.",
        security=NOBODY,
    ),
}
