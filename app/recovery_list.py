"""Deliveries in trouble, of one webhook or of several: newest first, by filter, each with what went wrong last."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from peewee import fn

from app.database import unavailable
from app.delivery_query import SCAN, DeliveryFilter, DeliveryPage, merged, stretch
from app.models import DEAD, HELD, PENDING, WAITING, WebhookLog
from app.trouble import Troubled

RETRYING = "RETRYING"  # PENDING, and an attempt of the present round has failed
STATES = (DEAD, RETRYING, HELD)
OTHERS = (PENDING, WAITING)  # of one webhook they are listed too
NEWEST = "g"  # behind every id
MOST_LOGS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryFilter:
    """Which deliveries; None is for any. Times are milliseconds UTC, both ends belong to the range."""

    states: tuple[str, ...] = STATES
    start: int | None = None
    end: int | None = None
    triggered_event: str | None = None


class Part(NamedTuple):
    """A webhook's deliveries in one of STATES, or of OTHERS."""

    webhook_id: str
    state: str


class Failure(NamedTuple):
    """The newest attempt at a delivery."""

    log_id: str
    status: str
    response_status: int | None
    error: str | None


def parts_of(found: Sequence[Troubled], states: Collection[str]) -> list[Part]:
    """Return where there are deliveries in `states` to webhooks in trouble. Pure."""
    return [
        Part(each.webhook.id, state)
        for each in found
        for state, number in ((DEAD, each.dead), (RETRYING, each.retrying), (HELD, each.held))
        if state in states and number.value
    ]


def state_of(row: Any) -> str:
    """Return which of STATES or OTHERS a delivery is in. Pure."""
    return RETRYING if row.state == PENDING and row.attempt > row.earlier_attempts else str(row.state)


def page_of_trouble(parts: Sequence[Part], wanted: RecoveryFilter, size: int, before: str = NEWEST) -> DeliveryPage:
    """Return up to `size` deliveries of `parts` before the id `before`, newest first. Raises DatabaseUnavailable.

    It looks at 20,000 of them at most: then it returns what it has found, and where to go on.
    """
    scan = max(SCAN // (len(parts) or 1), size + 1)
    found = [
        stretch(
            _meant(part, wanted),
            PENDING if part.state == RETRYING else part.state,
            size + 1,
            before,
            backwards=True,
            scan=scan,
        )
        for part in parts
    ]
    return merged(found, size, backwards=True)


def last_failures(rows: Sequence[Any]) -> dict[str, Failure]:
    """Return the newest attempt at each of the deliveries `rows` that has one on record, by their ids.

    It looks at 2,000 logs at most. Raises DatabaseUnavailable.
    """
    wanted = {row.id for row in rows if row.attempt}
    events = [row.event_id for row in rows if row.attempt]
    columns = (
        *(WebhookLog.delivery_id, WebhookLog.id, WebhookLog.status, WebhookLog.response_status),
        WebhookLog.error,
    )
    # COALESCE: the events lead to the logs, not the index of all logs of the webhooks.
    mine = fn.COALESCE(WebhookLog.webhook_id, "").in_({row.webhook_id for row in rows})
    query = WebhookLog.select(*columns).where(WebhookLog.event_id.in_(events), mine).order_by(WebhookLog.id.desc())
    newest: dict[str, Failure] = {}
    with unavailable():
        for delivery_id, *rest in query.limit(MOST_LOGS).tuples() if wanted else ():
            if delivery_id in wanted:
                newest.setdefault(delivery_id, Failure(*rest))
    return newest


def _meant(part: Part, wanted: RecoveryFilter) -> DeliveryFilter:
    return DeliveryFilter(
        webhook_id=part.webhook_id,
        start=wanted.start,
        end=wanted.end,
        triggered_event=wanted.triggered_event,
        attempted=part.state == RETRYING,
    )
