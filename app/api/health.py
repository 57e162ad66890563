"""For whoever watches the process: is it alive, is it ready to work. No credentials, no envelope."""

import msgspec
from flask import Blueprint, Response, request

from app.api.context import services
from app.readiness import heartbeats, readiness

health = Blueprint("health", __name__)


@health.get("/healthz")
def alive() -> Response:
    """Answer that the process runs."""
    return _answer(200, {"status": "ok"})


@health.get("/readyz")
def ready() -> Response:
    """Answer whether the process can work. `exclude` names checks that do not matter to whoever asks, `verbose` asks
    for the signs of life of all processes."""
    uses_redis = services().settings.redis_url is not None
    checks = readiness(services().broker, redis=uses_redis, exclude=request.args.getlist("exclude"))
    is_ready = all(check.reason is None for check in checks.values())
    body: dict[str, object] = {
        "status": "ok" if is_ready else "unavailable",
        "checks": {name: check.shown for name, check in checks.items()},
    }
    if "verbose" in request.args:
        body["processes"] = heartbeats()
    return _answer(200 if is_ready else 503, body)


def _answer(status: int, body: object) -> Response:
    return Response(msgspec.json.encode(body), status, mimetype="application/json")
