"""The webhooks that need somebody: disabled by the service, stopped by their circuit, failing; the worst first."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from peewee import fn

from app.database import unavailable
from app.log_counts import with_status
from app.models import DEAD, FAIL, Delivery, Webhook, WebhookLog
from app.statistics import Scope

MOST = 1_000  # that are looked at
SHOWN = 10
MOST_OWED = 1_000

_COLUMNS = (
    *(Webhook.id, Webhook.url, Webhook.association_type, Webhook.association_id, Webhook.enabled),
    *(Webhook.disabled_reason, Webhook.failures, Webhook.failing_since, Webhook.failed_at, Webhook.circuit_until),
)


class Failing(NamedTuple):
    """A failing webhook, its last failure, None where that is not on record any more, and how many deliveries are owed
    to it; 1,001 stands for more than 1,000."""

    webhook: Webhook
    last: WebhookLog | None
    owed: int


class Trouble(NamedTuple):
    """The worst of the failing webhooks, and how many there are, 1,000 at most."""

    worst: list[Failing]
    number: int


def failing_webhooks(scope: Scope) -> Trouble:
    """Return the failing webhooks of `scope`: those that the service has disabled, those with an open circuit, then by
    failures in a row. Those that people have disabled are left out. Raises DatabaseUnavailable."""
    is_meant = Webhook.enabled | Webhook.disabled_reason.is_null(False)
    failing = _select(scope, Webhook.failures > 0, is_meant).order_by(Webhook.failures.desc())
    # One that succeeded when it had been disabled already has no failures on record. Disabled ones are in backlog.
    disabled = _select(scope, Webhook.backlog == 1, ~Webhook.enabled, Webhook.disabled_reason.is_null(False))
    with unavailable():
        found = {row.id: row for query in (failing, disabled) for row in query}
    worst = sorted(found.values(), key=_rank)[:SHOWN]
    last = _last_failures([row.id for row in worst]) if worst else {}
    return Trouble([Failing(row, last.get(row.id), _owed(row.id)) for row in worst], len(found))


def _select(scope: Scope, *conditions: Any) -> Any:
    mine = (*conditions, Webhook.deleted_at.is_null(), *scope.holds(Webhook.id))
    return Webhook.select(*_COLUMNS).where(*mine).limit(MOST)


def _rank(row: Webhook) -> tuple[bool, bool, int, str]:
    return bool(row.enabled), row.circuit_until is None, -row.failures, row.id


def _last_failures(webhook_ids: Sequence[str]) -> dict[str, WebhookLog]:
    """Return the last failure of each webhook."""
    newest = WebhookLog.select(fn.MAX(WebhookLog.id)).where(WebhookLog.webhook_id == Webhook.id, *with_status(FAIL))
    columns = WebhookLog.id, WebhookLog.webhook_id, WebhookLog.error, WebhookLog.response_status
    with unavailable():
        found = Webhook.select(newest).where(Webhook.id.in_(list(webhook_ids))).tuples()
        log_ids = [log_id for (log_id,) in found if log_id is not None]
        return {row.webhook_id: row for row in WebhookLog.select(*columns).where(WebhookLog.id.in_(log_ids))}


def _owed(webhook_id: str) -> int:
    mine = Delivery.select(Delivery.id).where(Delivery.webhook_id == webhook_id, Delivery.state != DEAD)
    with unavailable():
        return int(mine.limit(MOST_OWED + 1).count())
