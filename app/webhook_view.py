"""How answers show a webhook: its settings with secrets masked, and its health (contract §3)."""

import json
from typing import Any

from app.certificate_pem import describe_pem
from app.dates import to_iso
from app.delivery_fields import duration_text, seconds
from app.masking import mask, mask_headers
from app.models import Webhook
from app.services import Services
from app.webhook_secrets import stored_headers, stored_token


def show(services: Services, row: Webhook) -> dict[str, Any]:
    """Return a webhook as answers show it, its secrets masked. A setting that is null is what the settings say."""
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
        **_delivery(row),
        **_certificate(services, row),
        **_health(services, row),
    }


def _delivery(row: Webhook) -> dict[str, Any]:
    schedule = json.loads(row.retry_schedule) if row.retry_schedule else None
    return {
        "timeout": seconds(row.timeout_ms) if row.timeout_ms else None,
        "retrySchedule": [duration_text(delay) for delay in schedule] if schedule else None,
        "rateLimit": row.rate_limit,
        "rateBurst": row.rate_burst,
        "ordering": row.ordering,
        "signing": row.signing,
    }


def _certificate(services: Services, row: Webhook) -> dict[str, str | None]:
    if not row.client_certificate:
        return {"clientCertificateSubject": None, "clientCertificateExpires": None}
    shown = describe_pem(services.vault.decrypt(row.client_certificate))
    expires = to_iso(shown.expires_at, services.settings.timezone)
    return {"clientCertificateSubject": shown.subject, "clientCertificateExpires": expires}


def _health(services: Services, row: Webhook) -> dict[str, Any]:
    zone = services.settings.timezone
    return {
        "failures": row.failures,
        "failingSince": None if row.failing_since is None else to_iso(row.failing_since, zone),
        "circuit": "closed" if row.circuit_until is None else "open",
        "circuitProbeTime": None if row.circuit_until is None else to_iso(row.circuit_until, zone),
        "backlog": bool(row.backlog),
    }
