"""The rows that scripts/explain fills a database with: a month of a busy installation, the same each time."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

from peewee import Model, MySQLDatabase

from app.accounts import NOBODYS_HASH
from app.database import insert_rows, write_transaction
from app.ids import id_at
from app.log_counts import count_logs
from app.models import (
    DEAD,
    PENDING,
    TABLES,
    Counter,
    Delivery,
    Event,
    Grant,
    RejectedEvent,
    User,
    Webhook,
    WebhookLog,
    database,
)

LOGS = 100_000
WEBHOOKS = 2_000
USERS = 500
OWED = 20_000
REJECTED = 5_000
DAYS = 30
DAY_MS = 86_400_000
BATCH = 5_000


def webhook_id(number: int) -> str:
    """Return the id of a webhook. Number 0 has half of all logs."""
    return f"{number:032x}"


def delivery_id(number: int) -> str:
    """Return the id of a delivery that is owed."""
    return f"d{number:031x}"


def fill(now: int, seal: str, logs: int = LOGS) -> None:
    """Fill the open, empty database up to the time `now`; `seal` stands for what is encrypted."""
    _store(Webhook, [_webhook(number, now, seal) for number in range(WEBHOOKS)])
    Counter.update(value=WEBHOOKS).where(Counter.name == "webhooks").execute()
    _store(User, [(f"user-{number}", NOBODYS_HASH, number == 0, now) for number in range(USERS)])
    Grant.insert_many(_grants(now)).execute()
    history = list(_history(now, logs))
    _store(Event, [event for event, _ in history])
    _store(WebhookLog, [log for _, log in history])
    _store(Delivery, [_delivery(number, now) for number in range(OWED)])
    _store(RejectedEvent, [_rejected(number, now) for number in range(REJECTED)])
    count_logs(now)
    _analyze()


def _store(model: type[Model], rows: Sequence[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), BATCH):
        with write_transaction():
            insert_rows(model, rows[start : start + BATCH])


def _webhook(number: int, now: int, seal: str) -> tuple[Any, ...]:
    kind = ("SYSTEM", "PROJECT", "REPO", "REPO")[number % 4]
    place = {"SYSTEM": "", "PROJECT": f"p{number % 50}", "REPO": f"p{number % 50}:r{number % 10}"}[kind]
    url, triggers = f"https://receiver-{number}.example/hook", '["NODE_CREATED"]'
    by = ("user-0", now, "user-0", now)
    return (webhook_id(number), url, None, None, triggers, kind, place, None, seal, True, None, *by, None, number)


def _grants(now: int) -> list[dict[str, Any]]:
    return [
        {"user_id": f"user-{number}", "project_id": f"p{number % 50}", "repo_name": repo_name, "created_at": now}
        for number in range(USERS)
        for repo_name in ("", "r1", "r2")
    ]


def _history(now: int, logs: int) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Yield events by time, each with a log."""
    chance = random.Random(1)
    for number in range(logs):
        at = now - DAYS * DAY_MS + number * DAYS * DAY_MS // logs
        event_id = f"event-{number}"
        webhook = webhook_id(0 if number % 2 else chance.randrange(1, WEBHOOKS))
        trigger = "NODE_CREATED" if number % 10 else "NODE_DELETED"
        status = "FAIL" if chance.random() < 0.02 else "SUCCESS"
        payload = f'{{"eventType":"{trigger}","node":{{"fullPath":"/release/{number}.apk","size":{number}}}}}'
        middle = (f"https://receiver.example/{number}", trigger, '{"Content-Type":"application/json"}', status)
        log = (id_at(at), webhook, event_id, delivery_id(number), 1, *middle, 200, "{}", "ok", 20, at, None, None)
        yield (event_id, trigger, "p1", "r1", f"/{number}", "user-1", None, payload, None, at), log


def _delivery(number: int, now: int) -> tuple[Any, ...]:
    """Return what is owed: of ten, one given up, one due, two in the queue, the others waiting for a retry."""
    state, due, queued = {
        0: (DEAD, None, None),
        1: (PENDING, now - number, None),
        2: (PENDING, now - number, now - 1_000),
        3: (PENDING, now - number, now - 1_000_000 if number < 2_000 else now - 500),
    }.get(number % 10, (PENDING, now + number * 1_000, None))
    made = now - DAY_MS
    return (delivery_id(number), webhook_id(number % WEBHOOKS), f"event-{number}", state, 1, due, queued, made)


def _rejected(number: int, now: int) -> tuple[Any, ...]:
    return (f"{number:032x}", f"message-{number}", 0, "type: unknown_type", '{"type":"X"}', now - number)


def _analyze() -> None:
    tables = [model._meta.table_name for model in TABLES]
    if isinstance(database.obj, MySQLDatabase):
        database.execute_sql(f"ANALYZE TABLE {', '.join(tables)}").fetchall()
    else:
        database.execute_sql("ANALYZE")
