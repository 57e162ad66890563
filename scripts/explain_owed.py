"""The webhooks that scripts/explain fills a database with, in good health and bad, what is owed to them, and jobs."""

from typing import Any, NamedTuple

from peewee import Model

from app.ids import first_id_at
from app.job_request import REPLAY, RESEND, JobFilters
from app.jobs import CANCELLED, SUCCEEDED
from app.models import DEAD, HELD, PENDING, WAITING, Delivery, Job, Webhook
from app.ordering import RESOURCE, WEBHOOK, order_key

LOGS = 100_000
WEBHOOKS = 2_000
OWED = 20_000
JOBS = 1_000
DAYS = 30
DAY_MS = 86_400_000

# Of so many webhooks one is of each kind that follows; those with the numbers themselves have the most deliveries.
KINDS = 200
FAILING = 10
OPEN = 11
FED = 13
DISABLED = 14
ORDERED = 15
ORDERED_BY_RESOURCE = 17
DELETED = 19

Values = dict[str, Any]
Row = tuple[Any, ...]


class Month(NamedTuple):
    """The time that the rows fill: it ends `now`, and has so many events."""

    now: int
    logs: int

    def accepted_at(self, event: int) -> int:
        """Return when an event was accepted."""
        return self.now - DAYS * DAY_MS + event * DAYS * DAY_MS // self.logs

    def event_of(self, owed: int) -> int:
        """Return the number of the event that a delivery owes."""
        return min(owed * self.logs // OWED, self.logs - 1)

    def delivery_id(self, owed: int) -> str:
        """Return the id of a delivery, which carries its time as any id does."""
        return id_of(self.accepted_at(self.event_of(owed)) + 1, owed)


def id_of(at_ms: int, number: int) -> str:
    """Return an id that is the same each time."""
    return f"{first_id_at(at_ms)[:12]}{number:020x}"


def webhook_id(number: int) -> str:
    """Return the id of a webhook. Number 0 has half of all logs."""
    return f"{number:032x}"


def row_of(model: type[Model], **values: Any) -> Row:
    """Return a row in the order of the model's fields; what `values` leaves out has its default, or is NULL."""
    return tuple(values.get(field.name, field.default) for field in model._meta.sorted_fields)


def webhook(number: int, month: Month, seal: str) -> Row:
    """Return a webhook; `seal` stands for what is encrypted."""
    kind = ("SYSTEM", "PROJECT", "REPO", "REPO")[number % 4]
    place = {"SYSTEM": "", "PROJECT": f"p{number % 50}", "REPO": f"p{number % 50}:r{number % 10}"}[kind]
    return row_of(
        Webhook,
        id=webhook_id(number),
        url=f"https://receiver-{number}.example/hook",
        triggers='["NODE_CREATED"]',
        association_type=kind,
        association_id=place,
        secret=seal,
        created_by="user-0",
        created_at=month.now,
        last_modified_by="user-0",
        last_modified_at=month.now,
        version=number,
        **_condition(number, month),
    )


def _condition(number: int, month: Month) -> Values:
    failures = {"failing_since": month.now - DAY_MS, "failed_at": month.now - 60_000}
    probe = _probe_for(number // KINDS)
    return {
        FAILING: {"failures": 9, **failures},
        OPEN: {
            "failures": 12,
            **failures,
            "circuit_until": month.now - 1 if probe is None else month.now + 60_000,
            "failed_probes": 2,
            "probe": None if probe is None else month.delivery_id(probe),
            "backlog": True,
        },
        FED: {"backlog": True},
        DISABLED: {"enabled": False, "disabled_reason": "the receiver answered 410 Gone", "backlog": True},
        ORDERED: {"ordering": WEBHOOK, "last_position": OWED},
        ORDERED_BY_RESOURCE: {"ordering": RESOURCE, "last_position": OWED},
        DELETED: {"deleted_at": month.now - DAY_MS},
    }.get(number % KINDS, {})


def _probe_for(turn: int) -> int | None:
    """Return which delivery is the probe of the open webhook of a turn; of every other one no probe is under way."""
    return 20 * turn + 14 if turn % 2 else None


def delivery(number: int, month: Month) -> Row:
    """Return what is owed: of twenty, ten to webhooks in good health, five held, five ordered."""
    return _row(number, month, **_owed(number, month))


def strays(month: Month) -> list[Row]:
    """Return deliveries that nobody would see to; see app.strays."""
    lone = KINDS + ORDERED
    unheld: Values = {"webhook_id": webhook_id(20), "state": HELD}
    behind_none: Values = {"webhook_id": webhook_id(lone), "state": WAITING, **_position(WEBHOOK, lone, OWED)}
    nobodys: Values = {"webhook_id": webhook_id(DELETED), **_queued(month.now)}
    return [_row(OWED + place, month, **values) for place, values in enumerate((unheld, behind_none, nobodys))]


def _row(number: int, month: Month, **values: Any) -> Row:
    event = month.event_of(number)
    made_at = month.accepted_at(event)
    return row_of(Delivery, id=month.delivery_id(number), event_id=f"event-{event}", created_at=made_at, **values)


def _owed(number: int, month: Month) -> Values:
    kind, turn = number % 20, number // 20
    if kind < 10:
        return _ordinary(number, month.now)
    if kind < 14:
        return {"webhook_id": webhook_id(FED), "state": HELD}
    if kind == 14:
        mine = {"webhook_id": webhook_id(OPEN + turn % 10 * KINDS), "attempt": 9}
        return {**mine, **(_queued(month.now) if number == _probe_for(turn % 10) else {"state": HELD})}
    if kind < 18:
        key, is_head = _position(WEBHOOK, ORDERED, number), number == 15
        mine = {"webhook_id": webhook_id(ORDERED), **key}
    else:
        key, is_head = _position(RESOURCE, ORDERED_BY_RESOURCE, number), number < 2_000 and kind == 18
        mine = {"webhook_id": webhook_id(ORDERED_BY_RESOURCE), **key}
    return {**mine, **(_queued(month.now) if is_head else {"state": WAITING})}


def _ordinary(number: int, now: int) -> Values:
    """Return a delivery given up, one due, two in the queue (the earliest of which were lost), or one that waits for
    a retry. One webhook has all that are given up, and some of those that wait."""
    kind = number % 10
    mine = {"webhook_id": webhook_id(0 if kind in {0, 4} else number % WEBHOOKS)}
    if kind == 0:
        return {**mine, "state": DEAD, "attempt": 8}
    if kind == 1:
        return {**mine, "state": PENDING, "attempt": 1, "next_attempt_at": now - number}
    if kind == 2:
        return {**mine, **_queued(now)}
    if kind == 3:
        return {**mine, **_queued(now - 1_000_000 if number < 2_000 else now), "attempt": 1}
    return {**mine, "state": PENDING, "attempt": 2, "next_attempt_at": now + number * 1_000}


def _queued(at_ms: int) -> Values:
    return {"state": PENDING, "next_attempt_at": at_ms - 500, "queued_at": at_ms - 500}


def _position(ordering: str, number: int, owed: int) -> Values:
    """Return the place in an order; that by resource has a hundred resources."""
    key = order_key(ordering, webhook_id(number), "p", "r", f"/{owed // 20 % 100}")
    return {"order_key": key, "position": owed}


def job(number: int, month: Month) -> Row:
    """Return a bulk action that has ended; half of them are one webhook's."""
    at = month.accepted_at(number * month.logs // JOBS)
    return row_of(
        Job,
        id=id_of(at, number),
        kind=RESEND if number % 3 else REPLAY,
        webhook_id=webhook_id(0 if number % 2 else number),
        state=SUCCEEDED if number % 10 else CANCELLED,
        filters=JobFilters(None, at, None, (DEAD,)).text(),
        total=10,
        done=10,
        created_by="user-0",
        created_at=at,
        updated_at=at,
        finished_at=at,
    )
