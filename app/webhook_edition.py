"""What the editable fields of a webhook hold, as a short text that a form keeps: later it tells which have changed.

The row's version would not do: it rises with the backlog too, which nobody edits. Secrets count, so the digests are
keyed: nobody can try out values on them.
"""

import hashlib
import hmac
import json
from itertools import zip_longest

from app.models import Webhook
from app.vault import Vault
from app.webhook_secrets import stored_headers, stored_token

_DIGITS = 12


def edition_of(row: Webhook, vault: Vault) -> str:
    """Return the edition of `row`."""
    key = vault.derive("webhook editions")[0]
    return ".".join(_digest(key, *field) for field in _contents(row, vault).items())


def changed_fields(edition: str, row: Webhook, vault: Vault) -> list[str]:
    """Return the fields of `row`, by their names in the API, that differ from what they were in `edition`."""
    pairs = zip_longest(_contents(row, vault), edition.split("."), edition_of(row, vault).split("."))
    return [field for field, before, after in pairs if field is not None and before != after]


def _contents(row: Webhook, vault: Vault) -> dict[str, object]:
    return {
        "url": row.url,
        "token": stored_token(row, vault),
        "headers": stored_headers(row, vault),
        "triggers": sorted(json.loads(row.triggers)),
        "associationType": row.association_type,
        "associationId": row.association_id,
        "resourceKeyPattern": row.resource_key_pattern,
        "filter": row.filter,
        "enabled": bool(row.enabled),
        "timeout": row.timeout_ms,
        "retrySchedule": row.retry_schedule,
        "rateLimit": row.rate_limit,
        "rateBurst": row.rate_burst,
        "ordering": row.ordering,
        "signing": row.signing,
        "payloadFormat": row.payload_format,
        "payloadTemplate": row.payload_template,
        "clientCertificate": vault.decrypt(row.client_certificate) if row.client_certificate else None,
    }


def _digest(key: bytes, field: str, value: object) -> str:
    return hmac.digest(key, json.dumps([field, value]).encode(), hashlib.sha256).hex()[:_DIGITS]
