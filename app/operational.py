"""Operational events: the service tells of its webhooks' troubles, to other webhooks. Pure.

They are ordinary events with ordinary deliveries, made by the service instead of a producer. Two rules keep them from
feeding themselves: none goes to the webhook that it is about (`recipients`), and a delivery of one that is given up
makes no further one (`is_operational`).
"""

from typing import ClassVar, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from app.dates import to_iso
from app.event_types import (
    DELIVERY_EXHAUSTED,
    EVENT_TYPES,
    WEBHOOK_DISABLED,
    WEBHOOK_FAILING,
    WEBHOOK_RECOVERED,
    Event,
)
from app.matching import Webhook, WebhookIndex
from app.payload_types import TroubledWebhook
from app.payloads import made_user

USER: Final = "system"
SOURCE: Final = "hookline"


class Health(NamedTuple):
    """How a webhook is when the event happens, the change that the event is about included."""

    enabled: bool
    disabled_reason: str | None
    failures: int  # in a row
    failing_since: int | None  # ms UTC


class Disabled(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The webhook gets no deliveries any more."""

    type: ClassVar[str] = WEBHOOK_DISABLED
    reason: str


class Failing(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Attempts at the webhook go on failing."""

    type: ClassVar[str] = WEBHOOK_FAILING
    failures: int
    last_error_msg: str | None
    last_response_status: int | None


class Recovered(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An attempt at the webhook has succeeded again, `failed_for` ms after the first of those that failed."""

    type: ClassVar[str] = WEBHOOK_RECOVERED
    failed_for: int


class GivenUp(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A delivery after its last attempt."""

    id: str
    event_id: str
    triggered_event: str
    attempts: int
    last_error_msg: str | None


class Exhausted(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A delivery to the webhook was given up."""

    type: ClassVar[str] = DELIVERY_EXHAUSTED
    delivery: GivenUp


Detail = Disabled | Failing | Recovered | Exhausted


class EventRow(NamedTuple):
    """A row of models.Event, in the order of its fields."""

    id: str
    type: str
    project_id: str | None
    repo_name: str | None
    resource_key: str
    user_id: str
    source: str
    payload: str
    error: str | None
    accepted_at: int


def is_operational(event_type: str) -> bool:
    """Return whether events of this type are about webhooks. Where a delivery of one is given up, make no other."""
    kind = EVENT_TYPES.get(event_type)
    return kind is not None and kind.operational


def operational_event(
    webhook: Webhook, health: Health, detail: Detail, *, event_id: str, zone: ZoneInfo, now: int
) -> EventRow:
    """Return the row of an event that tells `detail` of `webhook`. `now` is ms UTC, `zone` that of dates in payloads.

    Its project is the webhook's, and it has no repository, so it matches webhooks of SYSTEM and of that PROJECT alone.
    Its resource key is the webhook's id. The payload shows none of the webhook's secrets.
    """
    shown = {"eventType": detail.type, "user": made_user(USER), "webHook": _webhook(webhook, health, zone)}
    payload = msgspec.json.encode({**shown, **msgspec.to_builtins(detail)}).decode()
    return EventRow(
        id=event_id,
        type=detail.type,
        project_id=_project_of(webhook),
        repo_name=None,
        resource_key=webhook.id,
        user_id=USER,
        source=SOURCE,
        payload=payload,
        error=None,
        accepted_at=now,
    )


def recipients(index: WebhookIndex, event: EventRow) -> list[Webhook]:
    """Return the webhooks that an operational event goes to: those it matches, but not the one that it is about."""
    subject = Event(
        type=event.type,
        project_id=event.project_id,
        resource_key=event.resource_key,
        user_id=event.user_id,
        source=event.source,
    )
    return [webhook for webhook in index.match(subject, event.payload) if webhook.id != event.resource_key]


def _project_of(webhook: Webhook) -> str | None:
    """Return the project that a webhook belongs to: `p` of `p` and of `p:r`, None for SYSTEM."""
    return webhook.association_id.partition(":")[0] or None


def _webhook(webhook: Webhook, health: Health, zone: ZoneInfo) -> TroubledWebhook:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "associationType": webhook.association_type,
        "associationId": webhook.association_id or None,
        "enabled": health.enabled,
        "disabledReason": health.disabled_reason,
        "failures": health.failures,
        "failingSince": None if health.failing_since is None else to_iso(health.failing_since, zone),
    }
