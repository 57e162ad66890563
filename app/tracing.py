"""Traces, for OpenTelemetry: functions named by what has happened.

Until `open_tracing` has been called, and with TRACING=off, they do next to nothing, and nothing of OpenTelemetry is
loaded. An event keeps its `traceparent` in any case.
"""

import os
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Protocol

from app.errors import OperatorError
from app.traceparent import parsed
from config.settings import Settings

if TYPE_CHECKING:
    from app.attempts import Attempt, Due
    from app.event_types import Event
    from app.exchange import Request
    from app.origin import Origin
    from app.tracing_spans import Serving, Spans

_PACKAGES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")

_spans: "Spans | None" = None


class Publishing(Protocol):
    """A call of publish that is under way."""

    def traceparent_of(self, event: "Event") -> str | None:
        """Return what is kept with `event`, and becomes the parent of its attempts."""

    def ended(self, accepted: int, duplicates: int, matched: int) -> None:
        """Say that the events are durable."""

    def failed(self, error: BaseException) -> None:
        """Say that none is accepted."""


class Untraced:
    """A call of publish that nobody records. An event's own trace goes before that of the call."""

    __slots__ = ("_traceparent",)

    def __init__(self, traceparent: str | None) -> None:
        self._traceparent = traceparent

    def traceparent_of(self, event: "Event") -> str | None:
        """See Publishing."""
        return self._traceparent if event.traceparent is None else parsed(event.traceparent) or self._traceparent

    def ended(self, accepted: int, duplicates: int, matched: int) -> None:
        """See Publishing."""

    def failed(self, error: BaseException) -> None:
        """See Publishing."""


def require_packages(settings: Settings) -> None:
    """Raise OperatorError where TRACING is on and OpenTelemetry is not installed."""
    if settings.tracing and not all(_is_there(package) for package in _PACKAGES):
        raise OperatorError("TRACING=on needs OpenTelemetry: pip install 'hookline[tracing]'")


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ImportError:  # of a package above it
        return False


def open_tracing(settings: Settings, role: str) -> None:
    """Begin to record traces where TRACING says so, as a process of `role`. Call it once, after any fork.

    Raises OperatorError where OpenTelemetry is not installed, or its own variables can't be used.
    """
    if not settings.tracing or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return
    require_packages(settings)
    from app.tracing_spans import open_spans

    try:
        record_with(open_spans(role))
    except ValueError as error:
        raise OperatorError(f"TRACING=on, and a variable of OpenTelemetry (OTEL_…) is not usable: {error}") from error
    # Neither Granian nor Dramatiq has a hook for the very end of a process.
    Finalize(None, close_tracing, exitpriority=0)


def record_with(spans: "Spans | None") -> None:
    """Have what happens from now on recorded by `spans`, or by nobody."""
    global _spans
    _spans = spans


def close_tracing() -> None:
    """Hand over what is recorded, within a bounded time, and record no more. Again is fine."""
    global _spans
    spans, _spans = _spans, None
    if spans is not None:
        spans.close()


def serving(method: str, route: str | None, path: str, traceparent: str | None) -> "Serving | None":
    """An HTTP request is being served: return its span, to be ended; None where nothing is recorded."""
    return None if _spans is None else _spans.serving(method, route, path, traceparent)


def publishing(events: "Sequence[Event]", origin: "Origin") -> Publishing:
    """Events are about to be published."""
    return Untraced(origin.traceparent) if _spans is None else _spans.publishing(events, origin)


def traced(request: "Request", due: "Due") -> "Request":
    """Return the request of an attempt with the `traceparent` of the attempt's span, as far as traces are recorded.

    Where the webhook has a header of that name itself, that one is sent.
    """
    return request if _spans is None else _spans.traced(request, due)


def attempted(made: "Iterable[tuple[Request | None, Attempt]]") -> None:
    """Attempts have been recorded, with the requests that were `traced`; None where there could be none."""
    if _spans is not None:
        for request, attempt in made:
            _spans.attempted(request, attempt)
