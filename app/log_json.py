"""A log as answers show it: the record of pages, tests and retries, and the seed document's row (contract §3)."""

import json
from typing import Any
from zoneinfo import ZoneInfo

from app.dates import to_iso
from app.logs import LogEntry


def log_record(entry: LogEntry, zone: ZoneInfo) -> dict[str, Any]:
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


def seed_row(entry: LogEntry, zone: ZoneInfo) -> dict[str, Any]:
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
