"""Pruning."""

from typing import Any

import pytest

from app.database import insert_rows, write_transaction
from app.ids import id_at
from app.models import DEAD, Delivery, Event, Webhook, WebhookLog
from app.retention import BATCH, DAY_MS, PAUSE_S, Pruned, prune
from app.services import Services
from tests.test_outbox import make_delivery, make_event

NOW = 1_699_999_200_000  # a full hour: logs are counted, and go, by whole hours
DAYS = 90
LIMIT = NOW - DAYS * DAY_MS  # the first moment that is kept
OLD = LIMIT - 1


def log_row(event_id: str, at: int, webhook_id: str = "w") -> tuple[Any, ...]:
    """Return the row of a log, in the order of the fields."""
    place = (id_at(at), webhook_id, event_id, "d" * 32, 1)
    return (*place, "http://a", "NODE_CREATED", "{}", "SUCCESS", 200, "{}", "", 1, at, None, None, None)


def make_logs(*rows: tuple[Any, ...]) -> None:
    with write_transaction():
        insert_rows(WebhookLog, rows)


def make_webhook(webhook_id: str, deleted_at: int | None) -> None:
    row = {
        "url": "http://a",
        "triggers": "[]",
        "association_type": "SYSTEM",
        "secret": "",
        "created_by": "root",
        "created_at": 0,
        "last_modified_by": "root",
        "last_modified_at": 0,
        "version": 1,
    }
    with write_transaction():
        Webhook.insert(id=webhook_id, deleted_at=deleted_at, **row).execute()


def pruned() -> Pruned:
    return prune(DAYS, NOW, pause=lambda _: None)


def ids(model: Any) -> list[str]:
    return sorted(row.id for row in model.select(model.id))


def test_an_empty_database_has_nothing_to_prune(services: Services) -> None:
    assert pruned() == Pruned(0, 0, 0)


def test_logs_older_than_the_retention_go_and_others_stay(services: Services) -> None:
    old, first_kept, new = (log_row("e", at) for at in (OLD, LIMIT, NOW))
    make_logs(old, first_kept, new)
    assert pruned().logs == 1
    assert ids(WebhookLog) == sorted([first_kept[0], new[0]])


def test_old_events_go_and_young_ones_stay(services: Services) -> None:
    make_event("old", OLD)
    make_event("first-kept", LIMIT)
    make_event("new", NOW)
    assert pruned().events == 1
    assert ids(Event) == ["first-kept", "new"]


def test_an_old_event_stays_while_a_log_or_a_delivery_refers_to_it(services: Services) -> None:
    for name in ("logged", "pending", "dead", "free"):
        make_event(name, OLD)
    make_logs(log_row("logged", NOW))
    make_delivery(event_id="pending", created_at=OLD)
    make_delivery(event_id="dead", created_at=OLD, state=DEAD, next_attempt_at=None, queued_at=None)
    assert pruned().events == 1
    assert ids(Event) == ["dead", "logged", "pending"]
    assert Delivery.select().count() == 2


def test_an_event_goes_together_with_its_last_log(services: Services) -> None:
    make_event("e", OLD - 1)
    make_logs(log_row("e", OLD), log_row("e", OLD - 1))
    assert pruned() == Pruned(2, 1, 0)
    assert pruned() == Pruned(0, 0, 0)


def test_a_deleted_webhook_goes_once_its_logs_are_gone(services: Services) -> None:
    make_webhook("logless", OLD)
    make_webhook("logged", OLD)
    make_webhook("young", LIMIT)
    make_webhook("alive", None)
    make_logs(log_row("e", NOW, "logged"))
    assert pruned().webhooks == 1
    assert ids(Webhook) == ["alive", "logged", "young"]


@pytest.mark.parametrize("count", [BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 500])
def test_it_works_in_bounded_batches_and_yields_between_them(services: Services, count: int) -> None:
    make_logs(*(log_row(f"e{number}", OLD) for number in range(count)))
    event = ("NODE_CREATED", "p", None, "/a", None, None, "{}", None, OLD)
    with write_transaction():
        insert_rows(Event, [(f"e{number}", *event) for number in range(count)])
    seen: list[int] = []
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        seen.append(WebhookLog.select().count() + Event.select().count())

    assert prune(DAYS, NOW, pause) == Pruned(count, count, 0)
    steps = [before - after for before, after in zip([2 * count, *seen], seen, strict=False)]
    assert max(steps) <= BATCH
    assert sum(steps) == 2 * count
    assert set(pauses) == {PAUSE_S}


def test_events_that_stay_do_not_hide_those_behind_them(services: Services) -> None:
    event = ("NODE_CREATED", "p", None, "/a", None, None, "{}", None)
    kept = [f"kept{number}" for number in range(BATCH + 10)]
    with write_transaction():
        insert_rows(Event, [(name, *event, OLD - 10) for name in kept])
        insert_rows(Event, [(f"free{number}", *event, OLD) for number in range(20)])
    make_logs(*(log_row(name, NOW) for name in kept))
    assert pruned().events == 20
    assert ids(Event) == sorted(kept)


def test_a_longer_retention_keeps_more(services: Services) -> None:
    make_logs(log_row("e", OLD))
    assert prune(DAYS + 1, NOW, pause=lambda _: None).logs == 0
    assert prune(1, NOW, pause=lambda _: None).logs == 1
