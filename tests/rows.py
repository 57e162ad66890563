"""Rows as a busy service leaves them: webhooks, events, deliveries and logs, written straight into the tables."""

from collections.abc import Iterable
from typing import Any

from app.authentication import Caller
from app.database import insert_rows, write_transaction
from app.ids import id_at
from app.models import PENDING, SUCCESS, Delivery, Event, Webhook, WebhookLog
from app.registry import raise_version
from app.services import Services
from app.webhooks import create_webhook

ADMIN = Caller("root", admin=True, scopes=frozenset(), platform=False)
AT = 1_640_563_200_000  # 2021-12-27T00:00:00
URL = "http://receiver.example/hook"


def webhook(services: Services, association: str = "p:r", **columns: Any) -> str:
    """Make a webhook for NODE_CREATED of a repository, of a project or, with "", of all, and return its id."""
    kind = "REPO" if ":" in association else "PROJECT" if association else "SYSTEM"
    meant = {"url": URL, "triggers": ["NODE_CREATED"], "associationType": kind, "associationId": association}
    made = create_webhook(services, ADMIN, meant, AT)
    if columns:
        change(made, **columns)
    return made


def change(webhook_id: str, **columns: Any) -> None:
    """Change columns of a webhook, and have every process see it."""
    with write_transaction():
        Webhook.update(**columns, version=raise_version()).where(Webhook.id == webhook_id).execute()


def event(event_id: str, at: int = AT, **columns: Any) -> str:
    """Write an accepted event, and return its id."""
    write_events([(event_id, at)], **columns)
    return event_id


def write_events(events: Iterable[tuple[str, int]], **columns: Any) -> None:
    """Write accepted events, given by id and time."""
    row: dict[str, Any] = {
        "type": "NODE_CREATED",
        "project_id": "p",
        "repo_name": "r",
        "resource_key": "/a.apk",
        "user_id": "u",
        "source": None,
        "payload": '{"eventType":"NODE_CREATED"}',
        "error": None,
    } | columns
    with write_transaction():
        insert_rows(Event, [(event_id, *row.values(), at) for event_id, at in events])


def delivery(webhook_id: str, event_id: str, at: int = AT, **columns: Any) -> str:
    """Write a delivery, pending unless `columns` say otherwise, and return its id."""
    row = {
        "id": id_at(at + 2),
        "webhook_id": webhook_id,
        "event_id": event_id,
        "state": PENDING,
        "next_attempt_at": at if columns.get("state", PENDING) == PENDING else None,
        "created_at": at,
    } | columns
    Delivery.insert(**row).execute()
    return str(row["id"])


def deliveries(webhook_id: str, count: int, at: int = AT, **columns: Any) -> list[str]:
    """Write events, a millisecond apart, and a delivery of each; return the deliveries' ids, oldest first."""
    prefix = id_at(at)
    write_events([(f"{prefix}-{number}", at + number) for number in range(count)])
    row = {"state": PENDING, "attempt": 0, "next_attempt_at": None, "queued_at": None} | columns
    rows = [
        (id_at(at + number), webhook_id, f"{prefix}-{number}", *list(row.values())[:4], at + number,
         columns.get("earlier_attempts", 0), None, None)
        for number in range(count)
    ]  # fmt: skip
    for start in range(0, count, 500):
        with write_transaction():
            insert_rows(Delivery, rows[start : start + 500])
    return [each[0] for each in rows]


def log_row(**columns: Any) -> tuple[Any, ...]:
    """Return the row of a log, in the order of the fields: an attempt that succeeded, unless `columns` say otherwise.

    `id` goes with `requested_at`.
    """
    row: dict[str, Any] = {
        "webhook_id": "w",
        "event_id": "e",
        "delivery_id": "d",
        "attempt": 1,
        "url": URL,
        "triggered_event": "NODE_CREATED",
        "request_headers": "{}",
        "status": SUCCESS,
        "response_status": 200,
        "duration_ms": 1,
    } | columns
    return tuple(row.get(field.name) for field in WebhookLog._meta.sorted_fields)


def log(webhook_id: str, event_id: str, delivery_id: str, at: int = AT + 10, **columns: Any) -> str:
    """Write the log of an attempt, a success unless `columns` say otherwise, and return its id."""
    place = {"id": id_at(at), "requested_at": at, "webhook_id": webhook_id}
    row = log_row(**place | {"event_id": event_id, "delivery_id": delivery_id} | columns)
    with write_transaction():
        insert_rows(WebhookLog, [row])
    return str(row[0])


def outbox(*delivery_ids: str) -> list[tuple[Any, ...]]:
    """Return state, attempts, earlier attempts, when due and when queued, of deliveries, in the order of their ids."""
    wanted = Delivery.select().order_by(Delivery.id)
    rows = wanted.where(Delivery.id.in_(delivery_ids)) if delivery_ids else wanted
    return [(row.state, row.attempt, row.earlier_attempts, row.next_attempt_at, row.queued_at) for row in rows]
