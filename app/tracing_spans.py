"""What app.tracing records: spans of OpenTelemetry. Loaded only where TRACING is on.

The span of an attempt gets its id before the request is sent, since the receiver is told of it, and is made when the
attempt is on record. So nothing is held for requests that are under way.
"""

import os
import threading
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from app.attempts import Attempt, Due
from app.event_types import Event
from app.exchange import Request
from app.failure_reasons import reason_of
from app.log_lines import host_of
from app.origin import Origin
from app.traceparent import HEADER, parsed

SERVICE = "hookline"
FLUSH_S = 3.0
_METHOD = "POST"
_NS = 1_000_000  # of a millisecond


def open_spans(role: str) -> "Spans":
    """Return spans that go where the OTEL_* variables say, in batches, from a thread of their own."""
    return Spans(BatchSpanProcessor(OTLPSpanExporter()), role)


class _Ids(RandomIdGenerator):
    """Random ids, unless the next ones of a thread are given."""

    def __init__(self) -> None:
        self._given = threading.local()

    def give(self, trace_id: int, span_id: int) -> None:
        """Have the next span that this thread makes get these ids."""
        self._given.ids = [trace_id, span_id]

    def generate_trace_id(self) -> int:
        ids = getattr(self._given, "ids", None)
        return ids[0] if ids else super().generate_trace_id()

    def generate_span_id(self) -> int:
        ids, self._given.ids = getattr(self._given, "ids", None), None
        return ids[1] if ids else super().generate_span_id()


class Spans:
    """Makes spans, and hands them to `processor`."""

    def __init__(self, processor: SpanProcessor, role: str) -> None:
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
        about: dict[str, Any] = {
            **named,
            "service.version": version("hookline"),
            "process.pid": os.getpid(),
            "hookline.role": role,
        }
        self._ids = _Ids()
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False, id_generator=self._ids)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(SERVICE)

    def close(self) -> None:
        """Hand over what is left, within a few seconds: a collector that is away must not hold up the end."""
        closing = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
        closing.start()
        closing.join(FLUSH_S)

    def serving(self, method: str, route: str | None, path: str, traceparent: str | None) -> "Serving":
        """See app.tracing."""
        about = {"http.request.method": method, "url.path": path, **({"http.route": route} if route else {})}
        name = f"{method} {route}" if route else method
        return Serving(self._tracer.start_span(name, _context(traceparent), SpanKind.SERVER, about))

    def publishing(self, events: Sequence[Event], origin: Origin) -> "Traced":
        """See app.tracing."""
        return Traced(self._tracer, events, origin)

    def traced(self, request: Request, due: Due) -> Request:
        """See app.tracing."""
        parent = _context(due.traceparent)
        trace_id = _context_of(due.traceparent).trace_id or self._ids.generate_trace_id()
        decided = self._provider.sampler.should_sample(parent, trace_id, _METHOD, SpanKind.CLIENT)
        flags = int(decided.decision is Decision.RECORD_AND_SAMPLE)
        told = f"00-{trace_id:032x}-{self._ids.generate_span_id():016x}-{flags:02x}"
        is_own = any(name.lower() == HEADER for name in request.headers)
        headers = request.headers if is_own else {**request.headers, HEADER: told}
        return msgspec.structs.replace(request, headers=headers, traceparent=told)

    def attempted(self, request: Request | None, attempt: Attempt) -> None:
        """See app.tracing."""
        told = _context_of(request.traceparent if request else None)
        if told.is_valid and not told.trace_flags.sampled:
            return
        if told.is_valid:
            self._ids.give(told.trace_id, told.span_id)
        kind, name = (SpanKind.CLIENT, _METHOD) if request else (SpanKind.INTERNAL, "payload")
        began = attempt.started_at * _NS
        about = _about(attempt) | (_about_request(request, attempt) if request else {})
        span = self._tracer.start_span(name, _context(attempt.due.traceparent), kind, about, start_time=began)
        if attempt.has_failed:
            span.set_status(Status(StatusCode.ERROR, attempt.error))
        span.end(attempt.ended_at * _NS)


class Serving:
    """The span of an HTTP request that is being served."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.traceparent = _traceparent(span)

    def answered(self, status: int) -> None:
        """Say how it was answered."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """Say that it is over."""
        self._span.end()


class Traced:
    """A call of publish: a span for each trace that its events belong to."""

    def __init__(self, tracer: trace.Tracer, events: Sequence[Event], origin: Origin) -> None:
        self._origin = origin
        self._spans: dict[str | None, trace.Span] = {}
        self._told: dict[str | None, str] = {}
        for parent, count in Counter(self._parent(event) for event in events).items():
            about: dict[str, Any] = {"hookline.source": origin.source, "hookline.events": count}
            span = tracer.start_span("publish", _context(parent), SpanKind.PRODUCER, about)
            self._spans[parent], self._told[parent] = span, _traceparent(span)

    def _parent(self, event: Event) -> str | None:
        return parsed(event.traceparent) or self._origin.traceparent

    def traceparent_of(self, event: Event) -> str | None:
        """See app.tracing.Publishing."""
        return self._told[self._parent(event)]

    def ended(self, accepted: int, duplicates: int, matched: int) -> None:
        """See app.tracing.Publishing. The counts are of the whole call."""
        for span in self._spans.values():
            span.set_attribute("hookline.accepted", accepted)
            span.set_attribute("hookline.duplicates", duplicates)
            span.set_attribute("hookline.matched", matched)
            span.end()

    def failed(self, error: BaseException) -> None:
        """See app.tracing.Publishing."""
        for span in self._spans.values():
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            span.end()


def _about(attempt: Attempt) -> dict[str, Any]:
    due = attempt.due
    about: dict[str, Any] = {
        "hookline.webhook.id": due.webhook_id,
        "hookline.delivery.id": due.id,
        "hookline.event.id": due.event_id,
        "hookline.event.type": due.type,
        "hookline.attempt": attempt.number,
        "hookline.queue_ms": max(0, attempt.started_at - due.accepted_at),
    }
    if attempt.has_failed:
        answer = attempt.response_status
        about["error.type"] = str(answer or reason_of(attempt.status, answer, attempt.error))
    return about


def _about_request(request: Request, attempt: Attempt) -> dict[str, Any]:
    """Return HTTP's attributes. Of the URL they give no more than the origin: the path of many bots is their secret."""
    host, scheme = host_of(request.url), request.url.partition(":")[0].lower()
    name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "")
    about: dict[str, Any] = {
        "http.request.method": _METHOD,
        "url.full": f"{scheme}://{host}/",
        "server.address": name.strip("[]"),
        "server.port": int(port or (443 if scheme == "https" else 80)),
    }
    if attempt.response_status is not None:
        about["http.response.status_code"] = attempt.response_status
    return about


def _context_of(traceparent: str | None) -> SpanContext:
    """Return what a `traceparent` in the form of version 00 names; where it is None, nothing."""
    if traceparent is None:
        return trace.INVALID_SPAN_CONTEXT
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def _context(traceparent: str | None) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(_context_of(traceparent)), Context())


def _traceparent(span: trace.Span) -> str:
    told = span.get_span_context()
    return f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags & 1:02x}"
