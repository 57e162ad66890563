"""Why an event goes to a webhook or does not, as the webhook is now: for people who look at one event."""

import json
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from app import models
from app.authentication import Caller
from app.database import unavailable
from app.matching import scopes_of
from app.models import Webhook
from app.operational import is_operational
from app.pattern_test import fits
from app.permissions import PROJECT, REPO, Association, may_manage, visible
from app.stored_events import Sieve, subject_of
from app.text_search import contains

# What stands against a webhook.
DELETED: Final = "deleted"
DISABLED: Final = "disabled"
ELSEWHERE: Final = "elsewhere"  # it belongs to another project or repository than the event
TRIGGER: Final = "trigger"  # it does not subscribe to the event's type
PATTERN: Final = "pattern"  # its pattern does not match the whole resource key
FILTER: Final = "filter"  # its filter does not let the event pass
ITSELF: Final = "itself"  # the event is about this webhook

# What has happened since the event, so that what holds now need not have held then.
MADE: Final = "made"
CHANGED: Final = "changed"

SHOWN = 200  # webhooks
SCAN = 20_000  # webhooks that are looked at for those elsewhere

_COLUMNS = (
    *(Webhook.id, Webhook.url, Webhook.association_type, Webhook.association_id, Webhook.triggers),
    *(Webhook.resource_key_pattern, Webhook.filter, Webhook.enabled, Webhook.disabled_reason, Webhook.created_at),
    *(Webhook.last_modified_by, Webhook.last_modified_at, Webhook.deleted_at),
)


class Judged(NamedTuple):
    """A webhook that did not get an event, why it does not match it now (nothing where it does), and MADE or CHANGED
    where it became what it is after the event."""

    webhook: Webhook
    against: tuple[str, ...]
    since: str | None

    @property
    def matches(self) -> bool:
        """Whether the event would go to the webhook now."""
        return not self.against


class Bystanders(NamedTuple):
    """Webhooks that did not get an event, those that match it now first; `is_cut` where there are more."""

    judged: list[Judged]
    is_cut: bool


def judge(event: models.Event, webhook: Webhook, sieve: Sieve | None = None) -> Judged:
    """Return what stands between an event and a webhook, by their rows. `sieve` is of the event: one for many webhooks
    spares much. Pure."""
    subject = subject_of(event)
    checks = (
        (DELETED, webhook.deleted_at is not None),
        (DISABLED, not webhook.enabled),
        (ELSEWHERE, f"{webhook.association_type}/{webhook.association_id}" not in scopes_of(subject)),
        (TRIGGER, event.type not in json.loads(webhook.triggers)),
        (PATTERN, not fits(webhook.resource_key_pattern or "", event.resource_key)),
        (FILTER, not (sieve or Sieve(event)).passes(webhook.filter)),
        (ITSELF, is_operational(event.type) and event.resource_key == webhook.id),
    )
    return Judged(webhook, tuple(reason for reason, holds in checks if holds), _since(event, webhook))


def bystanders(caller: Caller, event: models.Event, reached: Collection[str]) -> Bystanders:
    """Return the webhooks of the system, the event's project and its repository that `caller` may manage, without
    those `reached` and those deleted before the event: up to 200, the newest. Raises DatabaseUnavailable."""
    found: list[Webhook] = []
    for place in _places(event):
        if may_manage(caller, place):
            found += _newest([_is_at(place)], event, reached)
    return _judged(event, found)


def elsewhere(caller: Caller, event: models.Event) -> Bystanders:
    """Return webhooks of other projects and repositories that subscribe to the event's type and that `caller` may
    manage: up to 200 of the newest 20,000 webhooks. Raises DatabaseUnavailable."""
    horizon = Webhook.select(Webhook.id).order_by(Webhook.id.desc()).limit(1).offset(SCAN)
    with unavailable():
        oldest = horizon.scalar()
    within = [] if oldest is None else [Webhook.id > oldest]
    others = [~_is_at(place) for place in _places(event)]
    subscribed = contains(Webhook.triggers, json.dumps(event.type))
    found = _judged(event, _newest([*within, *others, subscribed, *_manageable(caller)], event))
    return Bystanders([each for each in found.judged if TRIGGER not in each.against], found.is_cut or bool(within))


def _places(event: models.Event) -> list[Association]:
    """Return what webhooks that cover an event belong to."""
    scopes = (scope.partition("/") for scope in scopes_of(subject_of(event)))
    return [Association(kind, place) for kind, _, place in scopes]


def _is_at(place: Association) -> Any:
    return (Webhook.association_type == place.type) & (Webhook.association_id == place.id)


def _newest(conditions: list[Any], event: models.Event, reached: Collection[str] = ()) -> list[Webhook]:
    """Return one webhook more than are shown, where there are so many."""
    there_then = Webhook.deleted_at.is_null() | (Webhook.deleted_at > event.accepted_at)
    query = Webhook.select(*_COLUMNS).where(*conditions, there_then).order_by(Webhook.id.desc())
    with unavailable():
        return [row for row in query.limit(SHOWN + 1 + len(reached)) if row.id not in reached][: SHOWN + 1]


def _judged(event: models.Event, found: Sequence[Webhook]) -> Bystanders:
    newest = sorted(found, key=lambda row: str(row.id), reverse=True)[:SHOWN]
    sieve = Sieve(event)
    judged = [judge(event, row, sieve) for row in newest]
    return Bystanders(sorted(judged, key=lambda each: len(each.against)), len(found) > SHOWN)


def _manageable(caller: Caller) -> list[Any]:
    return [] if caller.admin else [visible(caller, PROJECT) | visible(caller, REPO)]


def _since(event: models.Event, webhook: Webhook) -> str | None:
    if webhook.created_at > event.accepted_at:
        return MADE
    return CHANGED if webhook.last_modified_at > event.accepted_at else None
