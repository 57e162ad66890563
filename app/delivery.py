"""Delivering: what becomes of deliveries that are due, and the sends made at once (tests and retries by hand)."""

import json
import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app import models, outbox
from app.attempts import Attempt, Due, Policy, judge, log_row, request_for, status_of, unbuildable
from app.clock import now_ms
from app.database import insert_rows, unavailable, write_transaction
from app.errors import NotFound, QueueUnavailable
from app.event_types import EVENT_TYPES, WEBHOOK_TEST, event_from
from app.exchange import Outcome, Request
from app.ids import new_id
from app.matching import Webhook, WebhookIndex
from app.models import ERROR, SUCCESS, WebhookLog
from app.ordering import in_turn
from app.pacing import Wish, default_burst
from app.payloads import PayloadError, build_payload, build_test_payload
from app.services import Services
from app.users import describe_users
from config.settings import Settings

log = logging.getLogger(__name__)

WEBHOOK_NOT_FOUND = 251401
LOG_NOT_FOUND = 251402


class Ready(NamedTuple):
    """A delivery to send, `delay_ms` from now where its webhook's rate limit says so."""

    due: Due
    webhook: Webhook
    delay_ms: int = 0


class Made(NamedTuple):
    """A request that was made for a delivery, and what became of it."""

    due: Due
    webhook: Webhook
    request: Request
    outcome: Outcome


class Triage(NamedTuple):
    """Deliveries that are due, by what is to be done with them."""

    ready: list[Ready]
    unbuildable: list[Attempt]
    held: list[Due]
    deleted: list[str]


def triage(dues: Sequence[Due], index: WebhookIndex, now: int) -> Triage:
    """Sort `dues` into those to send and those whose payload, webhook or its state stands against that. Pure."""
    sorted_ = Triage([], [], [], [])
    for due in dues:
        webhook = index.get(due.webhook_id)
        if webhook is None:
            sorted_.deleted.append(due.id)
        elif not is_sendable(due, webhook):
            sorted_.held.append(due)
        elif due.error is not None:
            sorted_.unbuildable.append(unbuildable(due, webhook.url, now, attempt=due.attempt + 1))
        else:
            sorted_.ready.append(Ready(due, webhook))
    return sorted_


def is_sendable(due: Due, webhook: Webhook) -> bool:
    """Return whether a delivery may be sent to its webhook now; where the circuit is open, only the probe. Pure."""
    return webhook.enabled and (not webhook.is_open or webhook.probe == due.id)


def look_up(
    services: Services, delivery_ids: Sequence[str], now: int, horizon_ms: int = 0, *, by_turn: bool = False
) -> list[Ready]:
    """Return those of the deliveries that are to be sent within `horizon_ms`, and settle the others.

    `by_turn` says how they were come by; see outbox.load.

    Raises DatabaseUnavailable; then some may be settled, and the call can be repeated.
    """
    dues, version = outbox.load(delivery_ids, by_turn=by_turn)
    with unavailable():
        index = services.registry.refresh(version)
    found = triage(dues, index, now)
    _settle(services, found, now)
    ordered = [ready.due for ready in found.ready if ready.due.order_key is not None]
    turns = in_turn(ordered) if ordered else ()
    ready = [ready for ready in found.ready if ready.due.order_key is None or ready.due.id in turns]
    return _paced(services, ready, now, horizon_ms)


def _settle(services: Services, found: Triage, now: int) -> None:
    """Record what needs no request."""
    if found.unbuildable:
        outbox.enqueue_turns(services.broker, services.recorder.record(found.unbuildable, now), now)
    if found.held:
        outbox.hold([due.id for due in found.held], {due.webhook_id for due in found.held}, now)
    if found.deleted:
        outbox.cancel(found.deleted)


def _paced(services: Services, found: Sequence[Ready], now: int, horizon_ms: int) -> list[Ready]:
    """Give deliveries under a rate limit their time, and hold those for which there is none within the horizon."""
    wanted = Counter(ready.webhook.id for ready in found if ready.webhook.rate_limit is not None)
    if not wanted:
        return list(found)
    limited = {ready.webhook.id: ready.webhook for ready in found if ready.webhook.id in wanted}
    try:
        delays = services.limits.reserve_many(
            {each: wish_of(webhook, wanted[each], horizon_ms) for each, webhook in limited.items()}, now
        )
    except QueueUnavailable as error:
        log.warning("deliveries=%d under a rate limit wait: %s", wanted.total(), error)
        delays = {}
    given = {each: iter(delays.get(each, ())) for each in limited}
    paced = [
        (ready, next(given[ready.webhook.id], None) if ready.webhook.id in given else ready.delay_ms) for ready in found
    ]
    late = [ready for ready, delay in paced if delay is None]
    if late:
        outbox.hold([ready.due.id for ready in late], {ready.webhook.id for ready in late}, now)
    return [ready._replace(delay_ms=delay) for ready, delay in paced if delay is not None]


def wish_of(webhook: Webhook, wanted: int, horizon_ms: int) -> Wish:
    """Return what to ask of the rate limits for so many requests to a webhook that has one. Pure."""
    rate = webhook.rate_limit or 1
    return Wish(rate, webhook.rate_burst or default_burst(rate), wanted, horizon_ms)


class Recorded(NamedTuple):
    """Attempts on record, and the deliveries whose turn has come by them."""

    attempts: list[Attempt]
    following: list[str]


def record(services: Services, made: Sequence[Made], now: int, *, in_doubt: bool = False) -> Recorded:
    """Judge what became of requests, and make the attempts durable; see Recorder.record. Raises DatabaseUnavailable."""
    attempts = [
        judge(each.due, each.request, each.outcome, _policy(services.settings, each.webhook), now=now) for each in made
    ]
    return Recorded(attempts, services.recorder.record(attempts, now, in_doubt=in_doubt))


def _policy(settings: Settings, webhook: Webhook) -> Policy:
    """Return how the next attempt is made, with a fresh jitter."""
    jitter = random.uniform(-settings.retry_jitter, settings.retry_jitter)
    return Policy(webhook.retry_schedule_ms or settings.retry_schedule_ms, settings.request_timeout_ms, jitter)


def deliver(services: Services, delivery_id: str, now: int) -> None:
    """Make one attempt at a delivery, if it is due: the batch consumer's work for a worker that takes one by one.

    Raises DatabaseUnavailable; then the attempt may have been made and is made again.
    """
    services.recorder.keep_up(now)
    for due, webhook, _ in look_up(services, [delivery_id], now):
        request = _request(services, due, webhook, now)
        made = Made(due, webhook, request, services.transport.send(request))
        outbox.enqueue_turns(services.broker, record(services, [made], now_ms()).following, now_ms())


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
