"""The form of every JSON answer (contract §1): `{"code", "message", "data", "traceId"}`."""

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response, request

from app.api.tracing import trace_id
from app.messages import LANGUAGES, text_of

_ENCODER = msgspec.json.Encoder()


def ok(data: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer of a call that succeeded."""
    return _answer(status, {"code": 0, "message": None, "data": data}, headers)


def err(
    status: int, code: int, reason: str, *, params: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    """Return the answer of a call that failed, `reason` and `params` put in words in the caller's language."""
    message = text_of(reason, language(), params)
    return _answer(status, {"code": code, "message": message, "data": None}, headers)


def language() -> str:
    """Return the language that Accept-Language likes best, whatever the region; English by default."""
    # Werkzeug's own best_match gives an exact `en;q=0.1` before a `zh-CN`.
    liked = (tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality > 0)
    return next((primary for primary in liked if primary in LANGUAGES), LANGUAGES[0])


def _answer(status: int, body: dict[str, Any], headers: Mapping[str, str] | None) -> Response:
    traced = trace_id()
    body["traceId"] = traced
    answer = Response(_ENCODER.encode(body), status, mimetype="application/json")
    # Answers hold secrets, and what strangers sent: no cache may keep them, no browser may guess at their type.
    answer.headers.extend({"X-Trace-Id": traced, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
    if headers:
        answer.headers.extend(headers)
    return answer
