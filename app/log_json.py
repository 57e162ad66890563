"""A log as answers show it: the record of pages, tests and retries, and the seed document's row (contract §3)."""

import json
from typing import Annotated, TypedDict
from zoneinfo import ZoneInfo

from app.dates import to_iso
from app.logs import LogEntry
from app.models import ERROR, FAIL, SUCCESS
from app.schema_hints import Date, EventId, Id, choice, said

Status = Annotated[str, choice(SUCCESS, FAIL, ERROR)]


class Timing(TypedDict):
    """Microseconds from the start of the request to the end of each phase; null for one that was not reached."""

    dns: int | None
    connect: int | None
    tls: int | None
    firstByte: int | None
    total: int | None


class LogRecord(TypedDict):
    """One attempt at a delivery."""

    id: Id
    webHookId: Id
    webHookUrl: str
    triggeredEvent: str
    requestHeaders: dict[str, str]
    requestPayload: Annotated[str, said("What was sent; where it could not be built, the raw event")]
    status: Status
    responseStatus: int | None
    responseHeaders: dict[str, str] | None
    responseBody: str | None
    requestDuration: Annotated[int, said("Milliseconds")]
    requestTime: Date
    errorMsg: str | None
    eventId: EventId
    deliveryId: Id
    attempt: Annotated[int, said("0 for one that was made by hand")]
    nextAttemptTime: Date | None
    timing: Timing | None


class SeedRow(TypedDict):
    """One attempt at a delivery, with the seed document's names and types."""

    id: Id
    webhookUrl: str
    triggeredEvent: str
    requestHeaders: Annotated[str, said("A JSON object")]
    requestPayload: str
    status: Status
    responseHeaders: Annotated[str | None, said("A JSON object")]
    responseBody: str | None
    requestDuration: Annotated[str, said("Milliseconds")]
    requestTime: Date
    errorMsg: str | None


def log_record(entry: LogEntry, zone: ZoneInfo) -> LogRecord:
    """Return a log with its own types: headers are objects, the duration is a number of milliseconds."""
    row = entry.log
    return {
        "id": row.id,
        "webHookId": row.webhook_id,
        "webHookUrl": row.url,
        "triggeredEvent": row.triggered_event,
        "requestHeaders": json.loads(row.request_headers),
        "requestPayload": entry.payload,
        "status": row.status,
        "responseStatus": row.response_status,
        "responseHeaders": json.loads(row.response_headers) if row.response_headers else None,
        "responseBody": row.response_body,
        "requestDuration": row.duration_ms,
        "requestTime": to_iso(row.requested_at, zone),
        "errorMsg": row.error,
        "eventId": row.event_id,
        "deliveryId": row.delivery_id,
        "attempt": row.attempt,
        "nextAttemptTime": None if row.next_attempt_at is None else to_iso(row.next_attempt_at, zone),
        "timing": json.loads(row.timing) if row.timing else None,
    }


def seed_row(entry: LogEntry, zone: ZoneInfo) -> SeedRow:
    """Return a log with the seed document's names and types, all of them strings; the id lets it be sent again."""
    row = entry.log
    return {
        "id": row.id,
        "webhookUrl": row.url,
        "triggeredEvent": row.triggered_event,
        "requestHeaders": row.request_headers,
        "requestPayload": entry.payload,
        "status": row.status,
        "responseHeaders": row.response_headers,
        "responseBody": row.response_body,
        "requestDuration": str(row.duration_ms),
        "requestTime": to_iso(row.requested_at, zone),
        "errorMsg": row.error,
    }
