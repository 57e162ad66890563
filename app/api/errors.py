"""The one place that turns exceptions into answers (contract §1)."""

import logging

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.api.envelope import err
from app.database import AWAY
from app.errors import BadRequest, ServiceUnavailable, TooManyRequests, Unauthenticated

log = logging.getLogger(__name__)

UNEXPECTED = 250102
CHALLENGE = 'Basic realm="Hookline", charset="UTF-8"'

# What Flask and Werkzeug refuse by themselves: status -> (code, reason)
REFUSED = {
    404: (250108, "resource_not_found"),
    405: (250112, "method_not_allowed"),
    411: (250105, "length_required"),
    413: (250106, "body_too_large"),
    415: (250119, "body_type"),
}
_UNREADABLE = (250105, "request_refused")


def register_errors(app: Flask) -> None:
    """Have `app` answer every exception in the envelope."""
    app.register_error_handler(BadRequest, _bad_request)
    app.register_error_handler(ServiceUnavailable, _unavailable)
    for error in AWAY:
        app.register_error_handler(error, _unavailable)
    app.register_error_handler(HTTPException, refused)
    app.register_error_handler(Exception, _unexpected)


def _bad_request(error: BadRequest) -> Response:
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.params["retry_after"])
    return err(error.status, error.code, error.reason, params=error.params, headers=headers)


def _unavailable(error: Exception) -> Response:
    log.error("%s %r refused, unavailable: %s", request.method, request.path, error)
    return err(503, UNEXPECTED, "unavailable", params={})


def refused(error: HTTPException) -> Response:
    """Answer what Flask refuses by itself."""
    status = error.code or 500
    if status >= 500:
        return _unexpected(error)
    code, reason = REFUSED.get(status, _UNREADABLE)
    allowed = {name: value for name, value in error.get_headers() if name == "Allow"}
    return err(status, code, reason, params={}, headers=allowed)


def _unexpected(error: Exception) -> Response:
    log.error("%s %r failed", request.method, request.path, exc_info=error)
    return err(500, UNEXPECTED, "unexpected", params={})
