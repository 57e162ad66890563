"""Webhooks: made, changed, deleted and found (contract §3). Each change raises the version that all processes watch."""

import json
import logging
import re
from collections.abc import Collection, Mapping
from typing import Any

from app import outbox
from app.authentication import Caller
from app.database import repeat_on_conflict, unavailable, write_transaction
from app.errors import BadRequest, Conflict, NotFound
from app.event_types import EVENT_TYPES
from app.fields import EMPTY, INVALID, required
from app.ids import new_id
from app.messages import shown
from app.models import Webhook
from app.payload_fields import payload_columns
from app.permissions import REPO, SYSTEM, Association, may_manage, require_manage, visible
from app.registry import lock_webhooks, raise_version
from app.services import Services
from app.signing import V1, new_secret
from app.webhook_edition import changed_fields
from app.webhook_fields import DROP, RELEASE, Fields, association_of, clean, clean_new
from app.webhook_secrets import columns, renewed, stored_headers, stored_token, unmask
from config.settings import Settings

log = logging.getLogger(__name__)

WEBHOOK_NOT_FOUND = 251401
WEBHOOK_CHANGED = 250125
OVERLAP_HOURS = 24  # how long the secret before a new one signs too

HOUR_MS = 3_600_000

_ID = re.compile("[0-9a-f]{32}")
_HEALTHY = {
    "failures": 0,
    "failing_since": None,
    "failed_at": None,
    "circuit_until": None,
    "failed_probes": 0,
    "probe": None,
}


def trigger_types(settings: Settings) -> Collection[str]:
    """Return the event types that may be triggers. Which of them may be published, `event_from` says."""
    return settings.extra_event_types | EVENT_TYPES.keys()


def create_webhook(services: Services, caller: Caller, raw: Mapping[str, Any], now: int) -> str:
    """Make a webhook of the raw fields and return its id. Raises BadRequest naming a field, or Forbidden."""
    fields = unmask(clean_new(raw, trigger_types(services.settings)), None, {})
    association = association_of(fields["association_type"], fields.get("association_id"))
    require_manage(caller, association)
    check_triggers(association, fields["triggers"])
    webhook_id = new_id()
    scheme = fields.get("signing", V1)
    row = {
        "id": webhook_id,
        "signing": scheme,
        "secret": services.vault.encrypt(new_secret(scheme)),
        "association_type": association.type,
        "association_id": association.id,
        "created_by": caller.user_id,
        "created_at": now,
        **stamp(caller, now),
        **columns(fields, services.vault),
        **payload_columns(fields),
    }
    with write_transaction():
        Webhook.insert(**row, version=raise_version()).execute()
    log.info("webhook=%s created by user=%s for %s", webhook_id, caller.user_id, association)
    return webhook_id


def update_webhook(
    services: Services, caller: Caller, raw: Mapping[str, Any], now: int, *, edition: str | None = None
) -> None:
    """Change the fields that `raw` gives of the webhook `raw["id"]`.

    Raises BadRequest naming a field, NotFound, Forbidden where the webhook would move out of the caller's hands, or
    Conflict where it is not any more what it was in `edition` (see app.webhook_edition).
    """
    webhook_id = required("id", raw.get("id"))
    if not isinstance(webhook_id, str):
        raise BadRequest(INVALID, "not_string", field="id")
    if not webhook_id:
        raise BadRequest(EMPTY, "empty", field="id")
    fields = clean(raw, trigger_types(services.settings))
    while True:
        row = find_webhook(caller, webhook_id)
        if edition is not None and changed_fields(edition, row, services.vault):
            raise Conflict(WEBHOOK_CHANGED, "webhook_changed")
        if _is_updated(services, caller, row, fields, now=now):
            break  # else it was changed between reading and writing: judge again, by what it is now
    log.info("webhook=%s updated by user=%s", webhook_id, caller.user_id)


def delete_webhook(caller: Caller, webhook_id: str, now: int) -> None:
    """Delete a webhook and what is still owed to it; its logs stay until they are pruned. Raises NotFound."""
    while not _is_deleted(caller, find_webhook(caller, webhook_id), now):
        continue
    log.info("webhook=%s deleted by user=%s", webhook_id, caller.user_id)


def find_webhook(caller: Caller, webhook_id: str, *, with_deleted: bool = False) -> Webhook:
    """Return the webhook that `caller` may manage. Raises NotFound where there is none, whatever the reason."""
    row: Webhook | None = None
    if _ID.fullmatch(webhook_id):
        with unavailable():
            row = Webhook.get_or_none(Webhook.id == webhook_id)
    if row is None or (row.deleted_at is not None and not with_deleted) or not may_manage(caller, _association(row)):
        raise NotFound(WEBHOOK_NOT_FOUND, "webhook_not_found")
    return row


def list_webhooks(caller: Caller, association_type: str, association: Association | None) -> list[Webhook]:
    """Return the webhooks of `association`, newest first; without one, those of the type that `caller` may manage.

    Raises Forbidden where the caller may manage none of what is asked for.
    """
    if association is not None:
        require_manage(caller, association)
        wanted = (Webhook.association_type == association.type) & (Webhook.association_id == association.id)
    else:
        wanted = visible(caller, association_type)
    with unavailable():
        return list(Webhook.select().where(wanted, Webhook.deleted_at.is_null()).order_by(Webhook.id.desc()))


@repeat_on_conflict
def _is_updated(services: Services, caller: Caller, row: Webhook, fields: Fields, *, now: int) -> bool:
    """Write `fields` over `row`, unless someone has changed it since it was read; return whether it was written."""
    meant = unmask(fields, stored_token(row, services.vault), stored_headers(row, services.vault))
    association = _moved(row, fields)
    if association != _association(row):
        require_manage(caller, association)
    check_triggers(association, fields.get("triggers") or json.loads(row.triggers))
    changes = {
        **stamp(caller, now),
        **columns(meant, services.vault),
        **payload_columns(fields, {"payload_format": row.payload_format, "payload_template": row.payload_template}),
        "association_type": association.type,
        "association_id": association.id,
        **_enabling(row, fields),
    }
    scheme = fields.get("signing", row.signing)
    if scheme != row.signing:
        changes |= renewed(row, new_secret(scheme), services.vault, now + OVERLAP_HOURS * HOUR_MS)
    with write_transaction():
        lock_webhooks([row.id])
        written = Webhook.update(**changes, version=raise_version()).where(*unchanged(row)).execute()
        if written and fields.get("pending") == DROP:
            outbox.drop_held(row.id)
    return bool(written)


def _enabling(row: Webhook, fields: Fields) -> dict[str, Any]:
    """Return what else changes where `fields` enable a webhook: its health begins anew, and app.feeder sends what
    was held, unless it is to be dropped."""
    if not fields.get("enabled"):
        return {}
    was_stopped = not row.enabled or row.circuit_until is not None
    pending = fields.get("pending", RELEASE if was_stopped else None)
    return _HEALTHY | ({"backlog": True} if pending == RELEASE else {})


@repeat_on_conflict
def _is_deleted(caller: Caller, row: Webhook, now: int) -> bool:
    # What is left says that there was a webhook and who may read its logs; it keeps no secrets.
    secrets = dict.fromkeys(
        ("token", "headers", "previous_secret", "previous_until", "client_certificate", "payload_template")
    )
    tombstone = {"deleted_at": now, "secret": "", **secrets, **stamp(caller, now)}
    with write_transaction():
        lock_webhooks([row.id])
        written = Webhook.update(**tombstone, version=raise_version()).where(*unchanged(row)).execute()
        if written:
            outbox.cancel_pending(row.id)
    return bool(written)


def unchanged(row: Webhook) -> tuple[Any, ...]:
    """Return the conditions that nobody has changed `row` since it was read."""
    return Webhook.id == row.id, Webhook.version == row.version


def _moved(row: Webhook, fields: Fields) -> Association:
    """Return the association of `row` once `fields` are written; a half that is not given stays as it is."""
    association_type = fields.get("association_type", row.association_type)
    stays = row.association_id if association_type != SYSTEM else ""
    return association_of(association_type, fields.get("association_id", stays))


def check_triggers(association: Association, triggers: Collection[str]) -> None:
    """Raise BadRequest where `triggers` name an event type that webhooks of `association` may not subscribe to.

    What happens to webhooks is not for those who manage a repository only: the webhook may be another's.
    """
    if association.type != REPO:
        return
    for position, trigger in enumerate(triggers):
        if trigger in EVENT_TYPES and EVENT_TYPES[trigger].operational:
            raise BadRequest(INVALID, "trigger_operational", field=f"triggers[{position}]", value=shown(trigger))


def _association(row: Webhook) -> Association:
    return Association(row.association_type, row.association_id)


def stamp(caller: Caller, now: int) -> dict[str, Any]:
    """Return the columns that say who changed a webhook, and when."""
    return {"last_modified_by": caller.user_id, "last_modified_at": now}
