"""Delivering: what becomes of deliveries that are due. What people have sent at once is in app.by_hand."""

import logging
import random
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from app import outbox, tracing
from app.attempts import Attempt, Due, Policy, judge, request_for, unbuildable
from app.clock import now_ms
from app.database import unavailable
from app.errors import QueueUnavailable
from app.exchange import Outcome, Request
from app.matching import Webhook, WebhookIndex
from app.ordering import in_turn
from app.pacing import Wish, default_burst
from app.payloads import PayloadError
from app.services import Services
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
        tracing.attempted((None, attempt) for attempt in found.unbuildable)
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
    following = services.recorder.record(attempts, now, in_doubt=in_doubt)
    pairs = zip(made, attempts, strict=True)
    tracing.attempted((each.request if each.due.error is None else None, attempt) for each, attempt in pairs)
    return Recorded(attempts, following)


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
        made = _made(services, due, webhook, now)
        outbox.enqueue_turns(services.broker, record(services, [made], now_ms()).following, now_ms())


def _made(services: Services, due: Due, webhook: Webhook, now: int) -> Made:
    try:
        request = request_of(services, due, webhook, now)
    except PayloadError as reason:
        return spoilt(due, webhook, reason, now)
    return Made(due, webhook, request, services.transport.send(request))


def spoilt(due: Due, webhook: Webhook, reason: PayloadError, now: int) -> Made:
    """Return what there is to record where the webhook's template fails: no request was made. Pure."""
    nothing = Outcome(None, {}, b"", str(reason), now, 0)
    return Made(due._replace(error=str(reason)), webhook, Request(webhook.url, {}, b"", 0), nothing)


def request_of(services: Services, due: Due, webhook: Webhook, now: int) -> Request:
    """Return the request of an attempt that is made at once. Raises PayloadError where the webhook's template fails."""
    credentials, settings = services.registry.credentials(webhook), services.settings
    request = request_for(due, webhook, credentials, now, settings.request_timeout_ms, base=settings.public_url)
    return tracing.traced(request, due)
