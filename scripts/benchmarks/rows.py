"""Rows for the bulk loads, as the service writes them: events, attempts and deliveries of a past that is made up."""

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from app.ids import id_at
from app.models import FAIL, PENDING, SUCCESS, Table

from .databases import Row
from .databases import Table as TableName
from .events import PAYLOAD_SIZE, PROJECT, TRIGGER, make_event, repository

FAILS_EVERY = 50  # attempts of a webhook, from the first on
URL = "https://hooks.example.com/artifacts/released"
USER = "builder"
PAYLOADS = 1_000  # that differ
DURATIONS = 1_000  # likewise, most of them of some ten milliseconds

# A log row has some 900 bytes with these.
REQUEST_HEADERS = (
    '{"Content-Type":"application/json","User-Agent":"Hookline/0.1.0","X-BKREPO-EVENT":"NODE_CREATED",'
    '"webhook-id":"019c3a5f2b7e7d61a1b2c3d4e5f60718","webhook-timestamp":"1768469400",'
    '"webhook-signature":"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="}'
)
ANSWER_HEADERS = '{"Content-Type":"text/plain","Content-Length":"2"}'


def table_of(model: type[Table]) -> TableName:
    """Return the table of a model, with its columns in the order of the fields."""
    columns = tuple(field.column_name for field in model._meta.sorted_fields)
    return TableName(model._meta.table_name, columns)


def spread(start: int, end: int, number: int) -> Iterator[int]:
    """Yield `number` times from `start` on, all before `end`, evenly and in order."""
    return (start + (end - start) * place // number for place in range(number))


def event_rows(events: Iterable[tuple[str, int]]) -> Iterator[Row]:
    """Yield the rows of events: the id of each, and when it was accepted."""
    payloads = [make_event(number, repository(0), PAYLOAD_SIZE).decode() for number in range(PAYLOADS)]
    for number, (event_id, at) in enumerate(events):
        payload = payloads[number % PAYLOADS]
        yield (event_id, TRIGGER, PROJECT, repository(0), "/release/a.apk", USER, None, payload, None, at, None)


def log_rows(times: Iterable[int], webhook_ids: Sequence[str], event_ids: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of attempts made at `times`, of the webhooks in turn, each about the events in turn."""
    success: tuple[Any, ...] = (REQUEST_HEADERS, SUCCESS, 200, ANSWER_HEADERS, "ok")
    failure: tuple[Any, ...] = (REQUEST_HEADERS, FAIL, 503, ANSWER_HEADERS, "no")
    chance = random.Random(1)
    durations = [round(chance.lognormvariate(3, 1)) for _ in range(DURATIONS)]
    for number, at in enumerate(times):
        turn, webhook = divmod(number, len(webhook_ids))
        event_id = event_ids[turn % len(event_ids)]
        if turn % FAILS_EVERY:
            told, error = success, None
        else:
            told, error = failure, "the receiver answered 503"
        took = durations[number % DURATIONS]
        yield (
            id_at(at),
            webhook_ids[webhook],
            event_id,
            id_at(at),
            1,
            URL,
            TRIGGER,
            *told,
            took,
            at,
            error,
            None,
            None,
            None,
        )


def delivery_rows(
    delivery_ids: Iterable[str], webhook_ids: Sequence[str], event_ids: Sequence[str], now: int
) -> Iterator[Row]:
    """Yield the rows of deliveries that are due and in the queue, of the webhooks and of the events in turn."""
    for number, delivery_id in enumerate(delivery_ids):
        event_id = event_ids[number % len(event_ids)]
        yield (delivery_id, webhook_ids[number % len(webhook_ids)], event_id, PENDING, 0, now, now, now, 0, None, None)
