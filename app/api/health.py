"""For whoever watches the process: is it alive, is it ready to work. No credentials, no envelope."""

import msgspec
from flask import Blueprint, Response

from app.database import is_available
from app.schema import state

health = Blueprint("health", __name__)


@health.get("/healthz")
def alive() -> Response:
    """Answer that the process runs."""
    return _answer(200, {"status": "ok"})


@health.get("/readyz")
def ready() -> Response:
    """Answer whether the database can be used as it is."""
    checks = {"database": is_available(), "migrations": False}
    if checks["database"]:
        checks["migrations"] = not any(state())
    is_ready = all(checks.values())
    return _answer(200 if is_ready else 503, {"status": "ok" if is_ready else "unavailable", "checks": checks})


def _answer(status: int, body: object) -> Response:
    return Response(msgspec.json.encode(body), status, mimetype="application/json")
