"""The trace id of a request: W3C Trace Context level 1, taken over from `traceparent` or made anew."""

import logging
import os
import re
from typing import Any

from flask import g, has_request_context, request

# Level 1 §3.2.2. Version 00 has these four fields only; a later version may add more behind a dash.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace id that a `traceparent` header names, None where it is missing or invalid. Pure."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None or (found[1] == "00" and found[3] is not None):
        return None
    return found[2]


def trace_id() -> str:
    """Return the trace id of the request: 32 hexadecimal digits, the same at every call."""
    known: str | None = g.get("trace_id")
    if known is None:
        known = g.trace_id = trace_id_of(request.environ.get("HTTP_TRACEPARENT")) or os.urandom(16).hex()
    return known


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
