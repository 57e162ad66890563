"""Webhooks: made, changed, deleted and found (contract §3). Each change raises the version that all processes watch."""

import json
import logging
import re
from collections.abc import Collection, Mapping
from typing import Any

from app import outbox
from app.authentication import Caller
from app.database import repeat_on_conflict, unavailable, write_transaction
from app.dates import to_iso
from app.errors import BadRequest, NotFound
from app.event_types import EVENT_TYPES
from app.fields import EMPTY, INVALID, required
from app.ids import new_id
from app.masking import mask, mask_headers
from app.models import Webhook
from app.permissions import SYSTEM, Association, may_manage, require_manage, visible
from app.registry import raise_version
from app.services import Services
from app.signing import new_secret
from app.webhook_fields import Fields, association_of, clean, clean_new
from app.webhook_secrets import columns, stored_headers, stored_token, unmask
from config.settings import Settings

log = logging.getLogger(__name__)

WEBHOOK_NOT_FOUND = 251401
SIGNING_SCHEME = "v1"

_ID = re.compile("[0-9a-f]{32}")


def trigger_types(settings: Settings) -> Collection[str]:
    """Return the event types that may be triggers. Which of them may be published, `event_from` says."""
    return settings.extra_event_types | EVENT_TYPES.keys()


def create_webhook(services: Services, caller: Caller, raw: Mapping[str, Any], now: int) -> str:
    """Make a webhook of the raw fields and return its id. Raises BadRequest naming a field, or Forbidden."""
    fields = unmask(clean_new(raw, trigger_types(services.settings)), None, {})
    association = association_of(fields["association_type"], fields.get("association_id"))
    require_manage(caller, association)
    webhook_id = new_id()
    row = {
        "id": webhook_id,
        "secret": services.vault.encrypt(new_secret()),
        "association_type": association.type,
        "association_id": association.id,
        "created_by": caller.user_id,
        "created_at": now,
        **_stamp(caller, now),
        **columns(fields, services.vault),
    }
    with write_transaction():
        Webhook.insert(**row, version=raise_version()).execute()
    log.info("webhook=%s created by user=%s for %s", webhook_id, caller.user_id, association)
    return webhook_id


def update_webhook(services: Services, caller: Caller, raw: Mapping[str, Any], now: int) -> None:
    """Change the fields that `raw` gives of the webhook `raw["id"]`.

    Raises BadRequest naming a field, NotFound, or Forbidden where the webhook would move out of the caller's hands.
    """
    webhook_id = required("id", raw.get("id"))
    if not isinstance(webhook_id, str):
        raise BadRequest(INVALID, "not_string", field="id")
    if not webhook_id:
        raise BadRequest(EMPTY, "empty", field="id")
    fields = clean(raw, trigger_types(services.settings))
    while not _is_updated(services, caller, find_webhook(caller, webhook_id), fields, now=now):
        continue  # it was changed between reading and writing: judge again, by what it is now
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


def signing_secret(services: Services, row: Webhook) -> str:
    """Return the secret that the webhook's deliveries are signed with."""
    return services.vault.decrypt(row.secret)


def show(services: Services, row: Webhook) -> dict[str, Any]:
    """Return a webhook as answers show it, its secrets masked."""
    zone = services.settings.timezone
    token = stored_token(row, services.vault)
    return {
        "id": row.id,
        "url": row.url,
        "token": mask(token) if token else None,
        "headers": mask_headers(stored_headers(row, services.vault)),
        "triggers": json.loads(row.triggers),
        "associationType": row.association_type,
        "associationId": row.association_id or None,
        "resourceKeyPattern": row.resource_key_pattern,
        "createdBy": row.created_by,
        "createdDate": to_iso(row.created_at, zone),
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedDate": to_iso(row.last_modified_at, zone),
        "enabled": bool(row.enabled),
        "disabledReason": row.disabled_reason,
        "signing": SIGNING_SCHEME,
    }


@repeat_on_conflict
def _is_updated(services: Services, caller: Caller, row: Webhook, fields: Fields, *, now: int) -> bool:
    """Write `fields` over `row`, unless someone has changed it since it was read; return whether it was written."""
    meant = unmask(fields, stored_token(row, services.vault), stored_headers(row, services.vault))
    association = _moved(row, fields)
    if association != _association(row):
        require_manage(caller, association)
    changes = {
        **_stamp(caller, now),
        **columns(meant, services.vault),
        "association_type": association.type,
        "association_id": association.id,
    }
    with write_transaction():
        written = Webhook.update(**changes, version=raise_version()).where(*_unchanged(row)).execute()
        if written and fields.get("enabled"):
            outbox.release_parked(row.id, now)
    return bool(written)


@repeat_on_conflict
def _is_deleted(caller: Caller, row: Webhook, now: int) -> bool:
    # What is left says that there was a webhook and who may read its logs; it keeps no secrets.
    tombstone = {"deleted_at": now, "token": None, "headers": None, "secret": "", **_stamp(caller, now)}
    with write_transaction():
        written = Webhook.update(**tombstone, version=raise_version()).where(*_unchanged(row)).execute()
        if written:
            outbox.cancel_pending(row.id)
    return bool(written)


def _unchanged(row: Webhook) -> tuple[Any, ...]:
    return Webhook.id == row.id, Webhook.version == row.version


def _moved(row: Webhook, fields: Fields) -> Association:
    """Return the association of `row` once `fields` are written; a half that is not given stays as it is."""
    association_type = fields.get("association_type", row.association_type)
    stays = row.association_id if association_type != SYSTEM else ""
    return association_of(association_type, fields.get("association_id", stays))


def _association(row: Webhook) -> Association:
    return Association(row.association_type, row.association_id)


def _stamp(caller: Caller, now: int) -> dict[str, Any]:
    return {"last_modified_by": caller.user_id, "last_modified_at": now}
