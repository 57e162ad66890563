"""What people have sent at once, from a page or by the API: tests, and logs' payloads once more."""

import json
from collections.abc import Mapping
from typing import Any

from app import log_lines, metrics, models, outbox, tracing
from app.attempts import Due, sent_by_hand, unbuildable
from app.clock import now_ms
from app.database import insert_rows, write_transaction
from app.delivery import LOG_NOT_FOUND, WEBHOOK_NOT_FOUND, request_of
from app.errors import NotFound
from app.event_types import EVENT_TYPES, WEBHOOK_TEST, event_from
from app.exchange import Request
from app.ids import new_id
from app.matching import Webhook
from app.models import SUCCESS, WebhookLog
from app.origin import Origin
from app.payloads import PayloadError, build_payload, build_test_payload
from app.services import Services
from app.users import describe_users


def send_test(services: Services, webhook_id: str, shown: Mapping[str, Any], origin: Origin, now: int) -> str:
    """Send WEBHOOK_TEST about the webhook, as `shown` to API callers, for `origin`, and return the id of the log.

    Raises NotFound where the webhook is gone, DatabaseUnavailable where the attempt can't be recorded.
    """
    webhook = _present(services, webhook_id)
    user_id, event_id = origin.user or "", new_id()
    user = describe_users([user_id], services.settings.timezone).get(user_id)
    payload = build_test_payload(shown, user or {"userId": user_id}).decode()
    event = (event_id, WEBHOOK_TEST, None, None, None, user_id, None, payload, None, now, origin.traceparent)
    with write_transaction():
        insert_rows(models.Event, [event])
    due = Due(new_id(), webhook_id, event_id, 0, WEBHOOK_TEST, payload, None, accepted_at=now, user_id=user_id)
    return _send_now(services, due._replace(traceparent=origin.traceparent), webhook, now)


def retry_log(services: Services, log: WebhookLog, now: int) -> str:
    """Send a log's payload again, now, to the webhook's present URL, and return the id of the new log.

    Automatic attempts go on as scheduled. A payload that could not be built is built again first. Raises NotFound
    where the webhook or the event is gone.
    """
    webhook = _present(services, log.webhook_id)
    event = models.Event.get_or_none(models.Event.id == log.event_id)
    if event is None:
        raise NotFound(LOG_NOT_FOUND, "log_not_found")
    payload, error = (event.payload, None) if event.error is None else _rebuild(services, event)
    due = Due(log.delivery_id, log.webhook_id, log.event_id, 0, log.triggered_event, payload, error, **_origin(event))
    return _send_now(services, due, webhook, now)


def _origin(event: models.Event) -> dict[str, Any]:
    """Return the fields of Due that are of its event."""
    names = ("accepted_at", "project_id", "repo_name", "resource_key", "user_id", "source", "traceparent")
    return {name: getattr(event, name) for name in names}


def _send_now(services: Services, due: Due, webhook: Webhook, now: int) -> str:
    """Make an attempt by hand, which counts as number 0, and return the id of its log."""
    request, due = _request(services, due, webhook, now)
    if request is None:
        outcome, attempt = None, unbuildable(due, webhook.url, now, attempt=0)
    else:
        outcome = services.transport.send(request)
        attempt = sent_by_hand(due, request, outcome, now=now_ms())
    with write_transaction():
        insert_rows(WebhookLog, [attempt.log_row])
        if attempt.status == SUCCESS:
            outbox.finish_dead(due.id)
    metrics.attempted_by_hand(attempt.status, outcome)
    log_lines.attempted([attempt])
    tracing.attempted([(request, attempt)])
    return str(attempt.log_row[0])


def _request(services: Services, due: Due, webhook: Webhook, now: int) -> tuple[Request | None, Due]:
    """Return the request of `due`, None and why where it can't be built."""
    if due.error is not None:
        return None, due
    try:
        return request_of(services, due, webhook, now), due
    except PayloadError as reason:
        return None, due._replace(error=str(reason))


def _present(services: Services, webhook_id: str) -> Webhook:
    webhook = services.registry.refresh().get(webhook_id)
    if webhook is None:
        raise NotFound(WEBHOOK_NOT_FOUND, "webhook_not_found")
    return webhook


def _rebuild(services: Services, event: models.Event) -> tuple[str, str | None]:
    """Build the payload of a raw event again, and keep it where that succeeds; else return the raw event and why."""
    raw = event_from(json.loads(event.payload), services.settings.extra_event_types | EVENT_TYPES.keys())
    users = describe_users([raw.user_id] if raw.user_id else [], services.settings.timezone)
    try:
        payload = build_payload(raw, users.get(raw.user_id or "")).decode()
    except PayloadError as reason:
        return event.payload, str(reason)
    with write_transaction():
        models.Event.update(payload=payload, error=None).where(models.Event.id == event.id).execute()
    return payload, None
