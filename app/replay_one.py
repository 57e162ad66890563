"""Replaying one event to one webhook that never got it."""

import logging

from app import models
from app.authentication import Caller
from app.database import repeat_on_conflict, write_transaction
from app.errors import BadRequest
from app.event_query import find_event
from app.fields import INVALID
from app.recovery import require_sendable
from app.registry import lock_webhooks
from app.replay import Seen, is_replayable, matching, oldest_replayed, owe
from app.services import Services
from app.stored_events import passing
from app.webhooks import find_webhook

log = logging.getLogger(__name__)


def replay_one(services: Services, caller: Caller, event_id: str, webhook_id: str, *, now: int) -> bool:
    """Owe an accepted event to a webhook from `now` on, and return whether that is new: asking twice does it once.

    Raises NotFound for what `caller` may not see and for a deleted webhook, and BadRequest where the webhook is
    disabled or does not match, where the service made the event itself, or where pruning may remove it at any moment.
    """
    event = find_event(caller, event_id)
    find_webhook(caller, webhook_id, with_deleted=True)
    refusal = why_not(event, services.settings.log_retention_days, now)
    if refusal is not None:
        raise refusal
    seen = Seen(event.id, event.accepted_at, event.type, event.project_id, event.repo_name, event.resource_key)
    is_new = _owe(services, caller, seen, webhook_id, now=now)
    log.info("event=%s replay webhook=%s asked for by user=%s new=%s", event_id, webhook_id, caller.user_id, is_new)
    return is_new


def why_not(event: models.Event, retention_days: int, now: int) -> BadRequest | None:
    """Return why an event is replayed to nobody, None where it may be. Pure."""
    if not is_replayable(event.type):
        return BadRequest(INVALID, "replay_own_event", field="id")
    if event.accepted_at < oldest_replayed(retention_days, now):
        return BadRequest(INVALID, "replay_too_old", field="id")
    return None


@repeat_on_conflict
def _owe(services: Services, caller: Caller, seen: Seen, webhook_id: str, *, now: int) -> bool:
    with write_transaction():
        lock_webhooks([webhook_id])  # what is read of it from here on stays so up to the commit
        require_sendable(find_webhook(caller, webhook_id, with_deleted=True), field="webHookId")
        webhook = services.registry.refresh().get(webhook_id)
        if webhook is None or not matching(webhook, [seen]) or not passing(webhook.filter, [seen.id]):
            raise BadRequest(INVALID, "replay_unmatched", field="webHookId")
        return bool(owe(webhook, [seen], now))
