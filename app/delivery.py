"""Delivering: what becomes of deliveries that are due, and the sends made at once (tests and retries by hand)."""

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app import models, outbox
from app.attempts import Attempt, Due, Policy, judge, log_row, request_for, status_of, unbuildable
from app.clock import now_ms
from app.database import insert_rows, unavailable, write_transaction
from app.errors import NotFound
from app.event_types import EVENT_TYPES, WEBHOOK_TEST, event_from
from app.exchange import Outcome, Request
from app.ids import new_id
from app.matching import Webhook, WebhookIndex
from app.models import ERROR, SUCCESS, WebhookLog
from app.payloads import PayloadError, build_payload, build_test_payload
from app.services import Services
from app.users import describe_users
from config.settings import Settings

WEBHOOK_NOT_FOUND = 251401
LOG_NOT_FOUND = 251402


class Triage(NamedTuple):
    """Deliveries that are due, by what is to be done with them."""

    ready: list[tuple[Due, Webhook]]
    unbuildable: list[Attempt]
    disabled: list[str]
    deleted: list[str]


def triage(dues: Sequence[Due], index: WebhookIndex, now: int) -> Triage:
    """Sort `dues` into those to send and those whose payload, webhook or its state stands against that. Pure."""
    sorted_ = Triage([], [], [], [])
    for due in dues:
        webhook = index.get(due.webhook_id)
        if webhook is None:
            sorted_.deleted.append(due.id)
        elif not webhook.enabled:
            sorted_.disabled.append(due.id)
        elif due.error is not None:
            sorted_.unbuildable.append(unbuildable(due, webhook.url, now, attempt=due.attempt + 1))
        else:
            sorted_.ready.append((due, webhook))
    return sorted_


def settle(found: Triage) -> None:
    """Record what needs no request. Raises DatabaseUnavailable."""
    if found.unbuildable:
        outbox.record(found.unbuildable)
    if found.disabled:
        outbox.park(found.disabled)
    if found.deleted:
        outbox.cancel(found.deleted)


def look_up(services: Services, delivery_ids: Sequence[str], now: int) -> list[tuple[Due, Webhook]]:
    """Return those of the deliveries that are to be sent now, and settle those that need no request.

    Raises DatabaseUnavailable; then some may be settled, and the call can be repeated.
    """
    dues, version = outbox.load(delivery_ids)
    with unavailable():
        index = services.registry.refresh(version)
    found = triage(dues, index, now)
    settle(found)
    return found.ready


def record(settings: Settings, made: Sequence[tuple[Due, Request, Outcome]], now: int) -> list[Attempt]:
    """Judge what became of requests, and make the attempts durable together. Raises DatabaseUnavailable."""
    attempts = [judge(due, request, outcome, _policy(settings), now=now) for due, request, outcome in made]
    outbox.record(attempts)
    return attempts


def _policy(settings: Settings) -> Policy:
    """Return how the next attempt is made, with a fresh jitter."""
    jitter = random.uniform(-settings.retry_jitter, settings.retry_jitter)
    return Policy(settings.retry_schedule_ms, settings.request_timeout_ms, jitter)


def deliver(services: Services, delivery_id: str, now: int) -> None:
    """Make one attempt at a delivery, if it is due: the batch consumer's work for a worker that takes one by one.

    Raises DatabaseUnavailable; then the attempt may have been made and is made again.
    """
    for due, webhook in look_up(services, [delivery_id], now):
        request = _request(services, due, webhook, now)
        record(services.settings, [(due, request, services.transport.send(request))], now_ms())


def send_test(services: Services, webhook_id: str, shown: Mapping[str, Any], user_id: str, now: int) -> str:
    """Send WEBHOOK_TEST about the webhook, as `shown` to API callers, and return the id of the log.

    Raises NotFound where the webhook is gone, DatabaseUnavailable where the attempt can't be recorded.
    """
    webhook = _present(services, webhook_id)
    user = describe_users([user_id], services.settings.timezone).get(user_id)
    event_id = new_id()
    payload = build_test_payload(shown, user or {"userId": user_id}).decode()
    event = (event_id, WEBHOOK_TEST, None, None, None, user_id, None, payload, None, now)
    with write_transaction():
        insert_rows(models.Event, [event])
    return _send_now(services, Due(new_id(), webhook_id, event_id, 0, WEBHOOK_TEST, payload, None), webhook, now)


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
    due = Due(log.delivery_id, log.webhook_id, log.event_id, 0, log.triggered_event, payload, error)
    return _send_now(services, due, webhook, now)


def _send_now(services: Services, due: Due, webhook: Webhook, now: int) -> str:
    """Make an attempt by hand, which counts as number 0, and return the id of its log."""
    if due.error is not None:
        status, row = ERROR, unbuildable(due, webhook.url, now, attempt=0).log_row
    else:
        request = _request(services, due, webhook, now)
        outcome = services.transport.send(request)
        status = status_of(outcome)
        row = log_row(due, request, outcome, status=status, attempt=0, following=None, now=now_ms())
    with write_transaction():
        insert_rows(WebhookLog, [row])
        if status == SUCCESS:
            outbox.finish_dead(due.id)
    return str(row[0])


def _request(services: Services, due: Due, webhook: Webhook, now: int) -> Request:
    credentials = services.registry.credentials(webhook)
    return request_for(due, webhook, credentials, now, services.settings.request_timeout_ms)


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
