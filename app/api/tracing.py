"""The trace of a request, taken over from its `traceparent` or made anew, and its span where traces are recorded."""

import logging
from typing import Any

from flask import Flask, Response, g, has_request_context, request

from app import tracing
from app.api.context import caller
from app.origin import Origin
from app.traceparent import made, parsed

# What platforms, Prometheus and browsers ask for all the time.
_UNRECORDED = ("/healthz", "/readyz", "/metrics", "/static/")


def traceparent() -> str:
    """Return what the request's own doings belong to, the same at every call."""
    known: str | None = g.get("traceparent")
    if known is None:
        known = g.traceparent = parsed(request.environ.get("HTTP_TRACEPARENT")) or made()
    return known


def trace_id() -> str:
    """Return the trace id of the request: 32 hexadecimal digits, the same at every call."""
    return traceparent()[3:35]


def origin(source: str) -> Origin:
    """Return where events come from that the caller publishes by this request."""
    return Origin(source, caller().user_id, traceparent())


def register_tracing(app: Flask) -> None:
    """Have `app` record a span for each request, as far as traces are recorded."""
    app.before_request(_begin)
    app.after_request(_answered)
    app.teardown_request(_end)


def _begin() -> None:
    if request.path.startswith(_UNRECORDED):
        return
    route = request.url_rule.rule if request.url_rule else None
    given = parsed(request.environ.get("HTTP_TRACEPARENT"))
    serving = tracing.serving(request.method, route, request.path, given)
    if serving is not None:
        g.serving, g.traceparent = serving, serving.traceparent


def _answered(answer: Response) -> Response:
    if "serving" in g:
        g.serving.answered(answer.status_code)
    return answer


def _end(_: BaseException | None) -> None:
    if "serving" in g:
        g.pop("serving").end()


class TracedRecord(logging.LogRecord):
    """A log record that names the trace id of the request it belongs to."""

    def getMessage(self) -> str:
        """Return the message, and the trace id where the record was made in a request."""
        traced: str | None = self.__dict__.get("trace_id")
        return super().getMessage() + (f" traceId={traced}" if traced else "")


def traced_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """Make a record, with the trace id of the request if there is one."""
    record = TracedRecord(*args, **kwargs)
    if has_request_context():
        record.__dict__["trace_id"] = trace_id()
    return record


def trace_log_records() -> None:
    """Have every log line that is written during a request name its trace id, whatever handler writes it."""
    logging.setLogRecordFactory(traced_record)
