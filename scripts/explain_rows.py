"""The rows that scripts/explain fills a database with: a month of a busy installation, the same each time."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

from peewee import Model, MySQLDatabase

from app.accounts import NOBODYS_HASH
from app.database import insert_rows, write_transaction
from app.log_counts import count_logs
from app.log_stats import measure_logs
from app.models import (
    FAIL,
    SUCCESS,
    TABLES,
    Counter,
    Delivery,
    Event,
    Grant,
    Job,
    RejectedEvent,
    User,
    Webhook,
    WebhookLog,
    database,
)
from scripts.explain_owed import (
    JOBS,
    LOGS,
    OWED,
    WEBHOOKS,
    Month,
    Row,
    delivery,
    id_of,
    job,
    row_of,
    strays,
    webhook,
    webhook_id,
)

USERS = 500
REJECTED = 5_000
BATCH = 5_000

_DELIVERED = 1 << 40  # the numbers of deliveries that have left the outbox begin here


def fill(now: int, seal: str, logs: int = LOGS) -> None:
    """Fill the open, empty database up to the time `now`; `seal` stands for what is encrypted."""
    month = Month(now, logs)
    _store(Webhook, [webhook(number, month, seal) for number in range(WEBHOOKS)])
    Counter.update(value=WEBHOOKS).where(Counter.name == "webhooks").execute()
    _store(User, [(f"user-{number}", NOBODYS_HASH, number == 0, now) for number in range(USERS)])
    Grant.insert_many(_grants(now)).execute()
    history = list(_history(month))
    _store(Event, [event for event, _ in history])
    _store(WebhookLog, [log for _, log in history])
    _store(Delivery, [delivery(number, month) for number in range(OWED)] + strays(month))
    # MariaDB wants the name of one of its columns quoted.
    Job.insert_many([job(number, month) for number in range(JOBS)], fields=Job._meta.sorted_fields).execute()
    _store(RejectedEvent, [_rejected(number, now) for number in range(REJECTED)])
    count_logs(now)
    measure_logs(now)
    _analyze()


def _store(model: type[Model], rows: Sequence[Row]) -> None:
    for start in range(0, len(rows), BATCH):
        with write_transaction():
            insert_rows(model, rows[start : start + BATCH])


def _grants(now: int) -> list[dict[str, Any]]:
    return [
        {"user_id": f"user-{number}", "project_id": f"p{number % 50}", "repo_name": repo_name, "created_at": now}
        for number in range(USERS)
        for repo_name in ("", "r1", "r2")
    ]


def _history(month: Month) -> Iterator[tuple[Row, Row]]:
    """Yield events by time, each with a log."""
    chance = random.Random(1)
    for number in range(month.logs):
        at, chosen = month.accepted_at(number), webhook_id(0 if number % 2 else chance.randrange(1, WEBHOOKS))
        yield _event(number, at), _log(number, at, chosen, SUCCESS if chance.random() > 0.02 else FAIL)


def _trigger(number: int) -> str:
    return "NODE_CREATED" if number % 10 else "NODE_DELETED"


def _event(number: int, at: int) -> Row:
    trigger, path = _trigger(number), f"/release/{number}.apk"
    return row_of(
        Event,
        id=f"event-{number}",
        type=trigger,
        project_id=f"p{number % 50}",
        repo_name=f"r{number % 10}",
        resource_key=path,
        user_id="user-1",
        payload=f'{{"eventType":"{trigger}","node":{{"fullPath":"{path}","size":{number}}}}}',
        accepted_at=at,
    )


def _log(number: int, at: int, chosen: str, status: str) -> Row:
    return row_of(
        WebhookLog,
        id=id_of(at + 2, number),
        webhook_id=chosen,
        event_id=f"event-{number}",
        delivery_id=id_of(at + 1, _DELIVERED + number),
        attempt=1,
        url=f"https://receiver.example/{number}",
        triggered_event=_trigger(number),
        request_headers='{"Content-Type":"application/json"}',
        status=status,
        response_status=200,
        response_headers="{}",
        response_body="ok",
        duration_ms=1 + number % 97,
        requested_at=at + 2,
    )


def _rejected(number: int, now: int) -> Row:
    return (f"{number:032x}", f"message-{number}", 0, "type: unknown_type", '{"type":"X"}', now - number)


def _analyze() -> None:
    tables = [model._meta.table_name for model in TABLES]
    if isinstance(database.obj, MySQLDatabase):
        database.execute_sql(f"ANALYZE TABLE {', '.join(tables)}").fetchall()
    else:
        database.execute_sql("ANALYZE")
