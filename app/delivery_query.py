"""What the outbox holds for a webhook: lists by filter, and the steps in which bulk actions walk it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

from app.authentication import Caller
from app.database import unavailable
from app.dates import to_iso
from app.delivery_status import (
    AFTER_MS,
    BEFORE_MS,
    DeliveryRecord,
    StateRecord,
    Tracked,
    delivery_record,
    manageable,
    state_record,
    track,
)
from app.errors import NotFound
from app.fields import one_of
from app.ids import first_id_at
from app.log_query import Frame
from app.models import DEAD, HELD, PENDING, WAITING, Delivery, Event, Webhook
from app.query_fields import cursor_of, cursor_text, event_type_of, range_of
from app.schema_hints import Date, EventId, Id, said

NOT_FOUND = 250108
PARAMETERS = ("webHookId", "state", "startDate", "endDate", "triggeredEvent", "pageSize", "cursor")
STATES = (PENDING, HELD, WAITING, DEAD)
SHOWN_LOGS = 100
SCAN = 20_000  # rows that one step looks at where filters pass most of them over

_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries of a webhook; None is for any. Times are milliseconds UTC, both ends belong to the range."""

    webhook_id: str
    start: int | None = None
    end: int | None = None
    triggered_event: str | None = None
    attempted: bool = False  # only those with an attempt in their present round


class DetailedDelivery(DeliveryRecord):
    """A delivery, its event, and the ids of its newest logs."""

    eventId: EventId
    triggeredEvent: str | None
    createdDate: Date | None
    logs: Annotated[list[Id], said(f"At most {SHOWN_LOGS}, newest first")]


class ListedDelivery(StateRecord):
    """A delivery as lists show it: what the outbox knows."""

    deliveryId: Id
    webHookId: Id
    webhookUrl: str
    eventId: EventId
    triggeredEvent: str
    attempts: Annotated[int, said("How many were made so far; those by hand don't count")]
    createdDate: Date


class Stretch(NamedTuple):
    """Rows in the order of their ids, and the last id that was looked at; None where there are no more."""

    rows: list[Any]
    end: str | None


class Number(NamedTuple):
    """How many, at least that where `is_cut`."""

    value: int
    is_cut: bool = False


class DeliveryPage(NamedTuple):
    """Deliveries, each with its event's `type`, and the cursor of the next page."""

    rows: list[Any]
    following: str | None


def states_of(given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the states asked for, all by default. Raises BadRequest."""
    return (one_of("state", given["state"], STATES),) if "state" in given else STATES


def filter_of(webhook_id: str, given: Mapping[str, str], frame: Frame) -> DeliveryFilter:
    """Return the deliveries asked for. Raises BadRequest naming the parameter."""
    start, end = range_of(given, frame.zone, frame.now)
    trigger = event_type_of(given, "triggeredEvent", frame.event_types)
    return DeliveryFilter(webhook_id=webhook_id, start=start, end=end, triggered_event=trigger)


def position_of(given: Mapping[str, str]) -> str:
    """Return the id after which the page begins. Raises BadRequest."""
    parts = cursor_of(given, _ID.pattern)
    return "" if parts is None else parts[0]


def page_of_deliveries(wanted: DeliveryFilter, states: tuple[str, ...], size: int, after: str = "") -> DeliveryPage:
    """Return up to `size` deliveries after the id `after`, oldest first. Raises DatabaseUnavailable.

    It looks at 20,000 rows of a state at most: then it returns what it has found, and where to go on.
    """
    return merged([stretch(wanted, state, size + 1, after) for state in states], size)


def merged(found: Sequence[Stretch], size: int, *, backwards: bool = False) -> DeliveryPage:
    """Return the page that stretches from one place on make together. Pure."""
    # Beyond the nearest end, one stretch's rows are known and another's are not.
    ends = [part.end for part in found if part.end is not None]
    end = (max if backwards else min)(ends, default=None)
    known = (row for part in found for row in part.rows if end is None or row.id == end or (row.id > end) == backwards)
    rows = sorted(known, key=_id, reverse=backwards)
    if len(rows) > size:
        return DeliveryPage(rows[:size], cursor_text(rows[size - 1].id))
    return DeliveryPage(rows, None if end is None else cursor_text(end))


def stretch(
    wanted: DeliveryFilter, state: str, size: int, after: str = "", *, backwards: bool = False, scan: int | None = None
) -> Stretch:
    """Return up to `size` rows in `state` after the id `after`, of at most `scan` looked at, 20,000 by default.

    Where `backwards` they are the newest before it, newest first. Raises DatabaseUnavailable.
    """
    within = [*_range(wanted, state), Delivery.id < after if backwards else Delivery.id > after]
    order = Delivery.id.desc() if backwards else Delivery.id
    query = Delivery.select(Delivery, Event.type.alias("type")).join(Event, on=Delivery.event_id == Event.id)
    last = None
    if wanted.triggered_event is not None or wanted.attempted:
        last = _last_looked_at(within, order, scan or SCAN)
        # Joined: a few rows in the order of their ids would be looked for among those of all webhooks.
        looked_at = Delivery.select(Delivery.id).where(*within).order_by(order).limit(scan or SCAN).alias("looked_at")
        query = query.switch(Delivery).join(looked_at, on=looked_at.c.id == Delivery.id).where(*_filters(wanted))
    else:
        query = query.where(*within, *_own_filters(wanted))
    with unavailable():
        rows = list(query.order_by(order).limit(size + 1).objects())
    if len(rows) > size:
        return Stretch(rows[:size], rows[size - 1].id)
    return Stretch(rows, last)


def count(wanted: DeliveryFilter, state: str) -> int:
    """Return how many rows in `state` there are, whatever their event's type. Raises DatabaseUnavailable."""
    query = Delivery.select(Delivery.id).where(*_range(wanted, state), *_own_filters(wanted))
    with unavailable():
        return int(query.count())


def count_some(wanted: DeliveryFilter, state: str) -> Number:
    """Return how many of the first 20,000 rows in `state` are meant. Raises DatabaseUnavailable."""
    within = _range(wanted, state)
    last = _last_looked_at(within, Delivery.id, SCAN)
    if last is not None:
        within.append(Delivery.id <= last)
    query = Delivery.select(Delivery.id).where(*within, *_filters(wanted))
    if wanted.triggered_event is not None:
        query = query.join(Event, on=Delivery.event_id == Event.id)
    with unavailable():
        return Number(int(query.count()), is_cut=last is not None)


def find_delivery(caller: Caller, delivery_id: str) -> tuple[Tracked, Webhook]:
    """Return a delivery and its webhook, which `caller` may manage and which may be deleted. Raises NotFound."""
    found = track(delivery_id) if _ID.fullmatch(delivery_id) else None
    webhooks = manageable(caller, {found.webhook_id}) if found is not None else {}
    if found is None or not webhooks:
        raise NotFound(NOT_FOUND, "delivery_not_found")
    return found, webhooks[found.webhook_id]


def detailed_record(found: Tracked, webhook: Webhook, zone: ZoneInfo) -> DetailedDelivery:
    """Return a delivery as it is shown alone: with its event, and the ids of its newest logs, at most 100."""
    with unavailable():
        event = Event.select(Event.type, Event.accepted_at).where(Event.id == found.event_id).first()
    return {
        **delivery_record(found, webhook, zone),
        "eventId": found.event_id,
        "triggeredEvent": event and event.type,
        "createdDate": event and to_iso(event.accepted_at, zone),
        "logs": [log.id for log in found.logs[:SHOWN_LOGS]],
    }


def listed_record(row: Any, webhook: Webhook, zone: ZoneInfo) -> ListedDelivery:
    """Return a delivery as lists show it: what the outbox knows, without looking into logs."""
    return {
        "deliveryId": row.id,
        "webHookId": row.webhook_id,
        "webhookUrl": webhook.url,
        "eventId": row.event_id,
        "triggeredEvent": row.type,
        **state_record(row.state, row, webhook, zone),
        "attempts": row.attempt,
        "createdDate": to_iso(row.created_at, zone),
    }


def _range(wanted: DeliveryFilter, state: str) -> list[Any]:
    """Return the conditions that the index serves; ids are stamped right after `created_at`."""
    conditions = [Delivery.webhook_id == wanted.webhook_id, Delivery.state == state]
    if wanted.start is not None:
        conditions.append(Delivery.id >= first_id_at(wanted.start - BEFORE_MS))
    if wanted.end is not None:
        conditions.append(Delivery.id < first_id_at(wanted.end + AFTER_MS))
    return conditions


def _own_filters(wanted: DeliveryFilter) -> list[Any]:
    conditions = []
    if wanted.start is not None:
        conditions.append(Delivery.created_at >= wanted.start)
    if wanted.end is not None:
        conditions.append(Delivery.created_at <= wanted.end)
    if wanted.attempted:
        conditions.append(Delivery.attempt > Delivery.earlier_attempts)
    return conditions


def _filters(wanted: DeliveryFilter) -> list[Any]:
    own = _own_filters(wanted)
    return own if wanted.triggered_event is None else [*own, Event.type == wanted.triggered_event]


def _last_looked_at(within: list[Any], order: Any, scan: int) -> str | None:
    with unavailable():
        found = Delivery.select(Delivery.id).where(*within).order_by(order).limit(1).offset(scan - 1).scalar()
    return None if found is None else str(found)


def _id(row: Any) -> str:
    return str(row.id)
