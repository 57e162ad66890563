"""Where a delivery is: what the outbox says of it while it is there, and its logs after that."""

from collections.abc import Collection
from typing import Annotated, Any, NamedTuple, TypedDict
from zoneinfo import ZoneInfo

from app.authentication import Caller
from app.database import unavailable
from app.dates import to_iso
from app.ids import first_id_at, time_of
from app.models import DEAD, ERROR, FAIL, HELD, PENDING, SUCCESS, WAITING, Delivery, Event, Webhook, WebhookLog
from app.permissions import Association, may_manage
from app.schema_hints import Date, Id, choice, said

CANCELLED = "CANCELLED"  # no row, and no success: nothing more is sent
# An id is stamped when its row is made, right after the event's acceptance. Clocks differ, and commits may wait.
BEFORE_MS = 1_000
AFTER_MS = 60_000
MOST_LOGS = 10_000
MOST_OF_ONE = 1_000

_LINE = (
    *(WebhookLog.id, WebhookLog.webhook_id, WebhookLog.event_id, WebhookLog.delivery_id, WebhookLog.attempt),
    *(WebhookLog.status, WebhookLog.error, WebhookLog.response_status, WebhookLog.requested_at),
)


class StateRecord(TypedDict):
    """What the outbox says of a delivery."""

    state: Annotated[str, choice(PENDING, HELD, WAITING, DEAD, SUCCESS, CANCELLED)]
    heldReason: Annotated[str, choice("disabled", "circuit", "backlog")] | None
    inFlight: Annotated[bool, said("In the queue, or being sent just now")]
    nextAttemptTime: Date | None


class DeliveryRecord(StateRecord):
    """An event on its way to a webhook. Its id is the receiver's `webhook-id`."""

    deliveryId: Id
    webHookId: Id
    webhookUrl: str
    attempts: Annotated[int, said("How many were made so far; those by hand don't count")]
    lastStatus: Annotated[str, choice(SUCCESS, FAIL, ERROR)] | None
    lastErrorMsg: str | None
    lastResponseStatus: int | None
    lastAttemptTime: Date | None


class LogLine(NamedTuple):
    """What a log says of its delivery."""

    id: str
    webhook_id: str
    event_id: str
    delivery_id: str
    attempt: int
    status: str
    error: str | None
    response_status: int | None
    requested_at: int


class Tracked(NamedTuple):
    """A delivery: its row, None where it is not in the outbox, and its logs, newest first."""

    id: str
    webhook_id: str
    event_id: str
    row: Delivery | None
    logs: list[LogLine]

    @property
    def state(self) -> str:
        """A state of the outbox, else SUCCESS or CANCELLED."""
        if self.row is not None:
            return str(self.row.state)
        return SUCCESS if any(log.status == SUCCESS for log in self.logs) else CANCELLED

    @property
    def attempts(self) -> int:
        """How many were made so far; those by hand don't count."""
        return int(self.row.attempt) if self.row is not None else max(log.attempt for log in self.logs)


def deliveries_of(event: Event) -> list[Tracked]:
    """Return where the event went, in the order of the deliveries' ids. Raises DatabaseUnavailable."""
    # The outbox has no index of events: it would cost each delivery more than this range of ids costs here.
    first, last = first_id_at(event.accepted_at - BEFORE_MS), first_id_at(event.accepted_at + AFTER_MS)
    owed = Delivery.select().where(Delivery.id >= first, Delivery.id < last, Delivery.event_id == event.id)
    with unavailable():
        # The rows first: one that goes meanwhile leaves a log.
        rows = {row.id: row for row in owed}
    logs: dict[str, list[LogLine]] = {}
    for line in _lines(WebhookLog.event_id == event.id, MOST_LOGS):
        logs.setdefault(line.delivery_id, []).append(line)
    return [_tracked(rows.get(found), logs.get(found, [])) for found in sorted(rows.keys() | logs.keys())]


def track(delivery_id: str) -> Tracked | None:
    """Return a delivery, None where nothing is known of it. Raises DatabaseUnavailable."""
    with unavailable():
        row = Delivery.get_or_none(Delivery.id == delivery_id)
        event_id = _event_of(delivery_id) if row is None else row.event_id
    mine = (WebhookLog.event_id == event_id) & (WebhookLog.delivery_id == delivery_id)
    logs = [] if event_id is None else _lines(mine, MOST_OF_ONE)
    return _tracked(row, logs) if row is not None or logs else None


def manageable(caller: Caller, webhook_ids: Collection[str]) -> dict[str, Webhook]:
    """Return those of the webhooks, deleted ones too, that `caller` may manage, by id. Raises DatabaseUnavailable."""
    with unavailable():
        rows = list(Webhook.select().where(Webhook.id.in_(list(webhook_ids)))) if webhook_ids else []
    places = {_association(row) for row in rows}
    allowed = {place for place in places if may_manage(caller, place)}
    return {row.id: row for row in rows if _association(row) in allowed}


def held_reason(webhook: Webhook) -> str:
    """Return why the HELD deliveries of `webhook` are held."""
    if not webhook.enabled:
        return "disabled"
    return "circuit" if webhook.circuit_until is not None else "backlog"


def delivery_record(found: Tracked, webhook: Webhook, zone: ZoneInfo) -> DeliveryRecord:
    """Return a delivery as answers show it."""
    last = found.logs[0] if found.logs else None
    return {
        "deliveryId": found.id,
        "webHookId": found.webhook_id,
        "webhookUrl": webhook.url,
        **state_record(found.state, found.row, webhook, zone),
        "attempts": found.attempts,
        "lastStatus": last and last.status,
        "lastErrorMsg": last and last.error,
        "lastResponseStatus": last and last.response_status,
        "lastAttemptTime": last and to_iso(last.requested_at, zone),
    }


def state_record(state: str, row: Delivery | None, webhook: Webhook, zone: ZoneInfo) -> StateRecord:
    """Return what an answer says of the outbox: the state, why it is held, whether it is queued, when it is due."""
    due = None if row is None else row.next_attempt_at
    return {
        "state": state,
        "heldReason": held_reason(webhook) if state == HELD else None,
        "inFlight": row is not None and row.queued_at is not None,
        "nextAttemptTime": None if due is None else to_iso(due, zone),
    }


def _tracked(row: Delivery | None, logs: list[LogLine]) -> Tracked:
    known: Any = logs[0] if row is None else row
    return Tracked(logs[0].delivery_id if row is None else row.id, known.webhook_id, known.event_id, row, logs)


def _lines(condition: Any, limit: int) -> list[LogLine]:
    query = WebhookLog.select(*_LINE).where(condition).order_by(WebhookLog.id.desc()).limit(limit)
    with unavailable():
        return [LogLine(*row) for row in query.tuples()]


def _event_of(delivery_id: str) -> str | None:
    """Return the event of a delivery that has left the outbox. Logs have no index of deliveries; its event was accepted
    right before the time in its id, and has an index of logs."""
    made_at = time_of(delivery_id)
    for before in (BEFORE_MS, AFTER_MS):
        query = (
            Event.select(Event.id)
            .join(WebhookLog, on=WebhookLog.event_id == Event.id)
            .where(
                Event.accepted_at >= made_at - before,
                Event.accepted_at <= made_at + BEFORE_MS,
                WebhookLog.delivery_id == delivery_id,
            )
        )
        found = query.limit(1).scalar()
        if found is not None:
            return str(found)
    return None


def _association(row: Webhook) -> Association:
    return Association(row.association_type, row.association_id)
