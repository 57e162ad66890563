"""The plain design that Hookline is compared with, as people run it: one Dramatiq actor, one request, one row insert.

The payload travels in the message, the Dramatiq command line runs the actor in 2 processes of 8 threads, and every
attempt is one INSERT into SQLite (WAL, synchronous=NORMAL). Nothing here is slower than it has to be: no signature,
no address guard, no look-up before and no update after the request.

The environment gives NAIVE_REDIS (a URL) and NAIVE_DB (a path).
"""

import json
import os
import time
from typing import Any

import dramatiq
import requests
from dramatiq.brokers.redis import RedisBroker
from peewee import BigIntegerField, CharField, IntegerField, Model, SqliteDatabase, TextField

TIMEOUT_S = 10

make_broker: Any = RedisBroker  # its constructor carries no types
broker = make_broker(url=os.environ["NAIVE_REDIS"])
dramatiq.set_broker(broker)

database = SqliteDatabase(os.environ["NAIVE_DB"], pragmas={"journal_mode": "wal", "synchronous": "normal"}, timeout=30)


class Attempt(Model):
    """One row an attempt, with what Hookline's own log holds."""

    webhook_id = CharField(max_length=32)
    delivery_id = CharField(max_length=32)
    url = TextField()
    triggered_event = CharField(max_length=64)
    request_headers = TextField()
    request_payload = TextField()
    status = CharField(max_length=8)
    response_status = IntegerField(null=True)
    response_headers = TextField(null=True)
    response_body = TextField(null=True)
    duration_us = IntegerField()
    requested_us = BigIntegerField()
    error = TextField(null=True)

    class Meta:
        database = database
        table_name = "attempt"
        indexes = ((("webhook_id", "id"), False),)


@dramatiq.actor
def deliver(webhook_id: str, delivery_id: str, url: str, event_type: str, payload: str) -> None:
    """Send `payload` to `url` and write down how it went; a failure is raised, so that Dramatiq tries again."""
    headers = {"Content-Type": "application/json", "X-BKREPO-EVENT": event_type, "webhook-id": delivery_id}
    start_us = time.time_ns() // 1_000
    row = {
        "webhook_id": webhook_id,
        "delivery_id": delivery_id,
        "url": url,
        "triggered_event": event_type,
        "request_headers": json.dumps(headers),
        "request_payload": payload,
        "requested_us": start_us,
    }
    try:
        answer = requests.post(url, data=payload.encode(), headers=headers, timeout=TIMEOUT_S)
    except requests.RequestException as error:
        Attempt.create(**row, status="FAIL", error=str(error), duration_us=_since(start_us))
        raise
    Attempt.create(
        **row,
        status="SUCCESS" if answer.ok else "FAIL",
        response_status=answer.status_code,
        response_headers=json.dumps(dict(answer.headers)),
        response_body=answer.text,
        duration_us=_since(start_us),
    )
    answer.raise_for_status()


def _since(start_us: int) -> int:
    return time.time_ns() // 1_000 - start_us
