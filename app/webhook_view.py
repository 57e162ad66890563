"""How answers show a webhook: its settings with secrets masked, and its health (contract §3)."""

import json
from typing import Annotated, Any, TypedDict

from app.certificate_pem import describe_pem
from app.dates import to_iso
from app.delivery_fields import ORDERINGS, duration_text, seconds
from app.masking import mask, mask_headers
from app.models import Webhook
from app.payload_formats import FORMATS
from app.permissions import PROJECT, REPO, SYSTEM
from app.schema_hints import Date, Id, choice, said
from app.services import Services
from app.signing import SCHEMES
from app.webhook_secrets import stored_headers, stored_token


class DeliverySettings(TypedDict):
    """How a webhook is delivered to; null is what the settings say."""

    timeout: Annotated[float | None, said("Seconds")]
    retrySchedule: Annotated[list[str] | None, said("Delays before each further attempt, such as 5m")]
    rateLimit: Annotated[int | None, said("Requests a second")]
    rateBurst: int | None
    ordering: Annotated[str, choice(*ORDERINGS)]
    signing: Annotated[str, choice(*SCHEMES)]


class PayloadView(TypedDict):
    """What the receiver gets."""

    payloadFormat: Annotated[str, choice(*FORMATS)]
    payloadTemplate: Annotated[str | None, said("Jinja; of the format `template` alone")]


class CertificateView(TypedDict):
    """The certificate that receivers are shown."""

    clientCertificateSubject: str | None
    clientCertificateExpires: Date | None


class HealthView(TypedDict):
    """How a webhook is doing."""

    failures: Annotated[int, said("Attempts that failed in a row")]
    failingSince: Date | None
    circuit: Annotated[str, choice("closed", "open")]
    circuitProbeTime: Date | None
    backlog: Annotated[bool, said("Whether deliveries are held and sent in portions")]


class WebhookView(DeliverySettings, PayloadView, CertificateView, HealthView):
    """A webhook, its secrets masked."""

    id: Id
    url: str
    token: str | None
    headers: dict[str, str]
    triggers: list[str]
    associationType: Annotated[str, choice(SYSTEM, PROJECT, REPO)]
    associationId: str | None
    resourceKeyPattern: str | None
    filter: Annotated[dict[str, Any] | None, said("JSON conditions on the event, see docs/filters.md")]
    createdBy: str
    createdDate: Date
    lastModifiedBy: str
    lastModifiedDate: Date
    enabled: bool
    disabledReason: str | None


def show(services: Services, row: Webhook) -> WebhookView:
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
        "filter": json.loads(row.filter) if row.filter else None,
        "createdBy": row.created_by,
        "createdDate": to_iso(row.created_at, zone),
        "lastModifiedBy": row.last_modified_by,
        "lastModifiedDate": to_iso(row.last_modified_at, zone),
        "enabled": bool(row.enabled),
        "disabledReason": row.disabled_reason,
        **_delivery(row),
        "payloadFormat": row.payload_format,
        "payloadTemplate": row.payload_template,
        **_certificate(services, row),
        **_health(services, row),
    }


def _delivery(row: Webhook) -> DeliverySettings:
    schedule = json.loads(row.retry_schedule) if row.retry_schedule else None
    return {
        "timeout": seconds(row.timeout_ms) if row.timeout_ms else None,
        "retrySchedule": [duration_text(delay) for delay in schedule] if schedule else None,
        "rateLimit": row.rate_limit,
        "rateBurst": row.rate_burst,
        "ordering": row.ordering,
        "signing": row.signing,
    }


def _certificate(services: Services, row: Webhook) -> CertificateView:
    if not row.client_certificate:
        return {"clientCertificateSubject": None, "clientCertificateExpires": None}
    shown = describe_pem(services.vault.decrypt(row.client_certificate))
    expires = to_iso(shown.expires_at, services.settings.timezone)
    return {"clientCertificateSubject": shown.subject, "clientCertificateExpires": expires}


def _health(services: Services, row: Webhook) -> HealthView:
    zone = services.settings.timezone
    return {
        "failures": row.failures,
        "failingSince": None if row.failing_since is None else to_iso(row.failing_since, zone),
        "circuit": "closed" if row.circuit_until is None else "open",
        "circuitProbeTime": None if row.circuit_until is None else to_iso(row.circuit_until, zone),
        "backlog": bool(row.backlog),
    }
