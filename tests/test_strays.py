"""Deliveries that nobody would see to are found."""

from typing import Any

import pytest

from app.models import DEAD, HELD, PENDING, WAITING, Delivery, Webhook
from app.registry import current_version
from app.services import Services
from app.strays import recover_strays
from tests import rows
from tests.test_outbox import NOW, known, make_delivery, state

IDLE: dict[str, Any] = {"next_attempt_at": None, "queued_at": None}


@pytest.fixture
def hook(services: Services) -> str:
    return rows.webhook(services, "p")


def test_where_all_is_well_nothing_is_done(services: Services, hook: str) -> None:
    fed = rows.webhook(services, "p", backlog=True)
    make_delivery(webhook_id=fed, state=HELD, **IDLE)
    make_delivery(webhook_id=hook)
    make_delivery(webhook_id=hook, state=DEAD, **IDLE)
    make_delivery(webhook_id=hook, order_key="k", position=1)
    make_delivery(webhook_id=hook, order_key="k", position=2, state=WAITING, **IDLE)
    before = current_version(), rows.outbox()
    assert recover_strays(NOW) == 0
    assert (current_version(), rows.outbox()) == before


def test_what_is_held_for_a_webhook_that_has_left_its_backlog_is_fed(services: Services, hook: str) -> None:
    others = [rows.webhook(services, "p") for _ in range(2)]
    for each in (hook, hook, others[0]):
        make_delivery(webhook_id=each, state=HELD, **IDLE)
    assert recover_strays(NOW) == 2
    assert [known(services, each).backlog for each in (hook, *others)] == [True, True, False]
    assert recover_strays(NOW) == 0


def test_what_waits_for_nobody_is_due(hook: str) -> None:
    first = make_delivery(webhook_id=hook, order_key="k", position=5, state=WAITING, **IDLE)
    second = make_delivery(webhook_id=hook, order_key="k", position=6, state=WAITING, **IDLE)
    other = make_delivery(webhook_id=hook, order_key="l", position=1, state=WAITING, **IDLE)
    assert recover_strays(NOW) == 2
    assert state(first) == state(other) == (PENDING, 0, NOW, None)
    assert state(second) == (WAITING, 0, None, None)
    assert recover_strays(NOW) == 0


@pytest.mark.parametrize("head", [HELD, PENDING])
def test_what_waits_for_a_head_of_whatever_state_is_left_alone(hook: str, head: str) -> None:
    Webhook.update(backlog=True).execute()
    make_delivery(webhook_id=hook, order_key="k", position=1, state=head, **IDLE)
    make_delivery(webhook_id=hook, order_key="k", position=2, state=WAITING, **IDLE)
    assert recover_strays(NOW) == 0


def test_what_was_inserted_after_its_webhook_was_deleted_is_cancelled(services: Services, hook: str) -> None:
    rows.change(hook, deleted_at=NOW)
    for each in (HELD, WAITING):
        make_delivery(webhook_id=hook, state=each, order_key="k", position=1, **IDLE)
    kept = make_delivery(webhook_id=rows.webhook(services, "p"))
    assert recover_strays(NOW) == 1
    assert [row.id for row in Delivery.select()] == [kept]
    assert recover_strays(NOW) == 0
