"""What the outbox holds for a webhook: pages by filter, and steps of bounded work."""

import random
from typing import Any

import pytest

from app import delivery_query
from app.delivery_query import STATES, DeliveryFilter, count, page_of_deliveries, position_of, stretch
from app.ids import id_at
from app.models import DEAD, PENDING, Delivery
from app.services import Services
from tests.rows import AT, deliveries, delivery, event, webhook


def pages(wanted: DeliveryFilter, size: int, states: tuple[str, ...] = STATES) -> list[list[str]]:
    """Return the ids on all pages."""
    found: list[list[str]] = []
    after = ""
    while True:
        page = page_of_deliveries(wanted, states, size, after)
        found.append([row.id for row in page.rows])
        if page.following is None:
            return found
        after = position_of({"cursor": page.following})


def flat(found: list[list[str]]) -> list[str]:
    return [delivery_id for page in found for delivery_id in page]


@pytest.fixture
def mixed(services: Services) -> tuple[str, list[str]]:
    """A webhook with 60 deliveries in all states, made within a few milliseconds, and one beside it."""
    chance = random.Random(5)
    mine, other = webhook(services), webhook(services)
    event("e")
    made = [delivery(mine, "e", AT + chance.randrange(4), state=chance.choice(STATES)) for _ in range(60)]
    delivery(other, "e")
    return mine, sorted(made)


@pytest.mark.parametrize("size", [1, 7, 30, 59, 60, 61])
def test_pages_give_each_delivery_once_oldest_first_whatever_its_state(mixed: tuple[str, list[str]], size: int) -> None:
    mine, ids = mixed
    found = pages(DeliveryFilter(webhook_id=mine), size)
    assert flat(found) == ids
    assert [len(page) for page in found] == [size] * (60 // size) + ([60 % size] if 60 % size else [])


@pytest.mark.parametrize("state", STATES)
def test_one_state_alone(mixed: tuple[str, list[str]], state: str) -> None:
    mine, _ = mixed
    expected = [row.id for row in Delivery.select().where(Delivery.webhook_id == mine, Delivery.state == state)]
    assert flat(pages(DeliveryFilter(webhook_id=mine), 3, (state,))) == sorted(expected)
    assert count(DeliveryFilter(webhook_id=mine), state) == len(expected)


def test_both_ends_of_the_range_belong_to_it_however_late_the_id_was_made(services: Services) -> None:
    mine = webhook(services)
    event("e")
    ids = [
        delivery(mine, "e", AT + at, id=id_at(AT + at + late), created_at=AT + at)
        for at, late in ((0, 0), (1, -900), (2, 0), (2, 50_000), (3, 0))
    ]
    wanted = DeliveryFilter(webhook_id=mine, start=AT + 1, end=AT + 2)
    assert flat(pages(wanted, 2)) == sorted(ids[1:4])
    assert count(wanted, PENDING) == 3


def test_by_trigger_and_by_attempts_of_the_present_round(services: Services) -> None:
    mine = webhook(services)
    event("made")
    event("moved", type="NODE_MOVED")
    moved = delivery(mine, "moved", attempt=1, earlier_attempts=1)
    tried = delivery(mine, "made", attempt=2, earlier_attempts=1)
    delivery(mine, "made")
    assert flat(pages(DeliveryFilter(webhook_id=mine, triggered_event="NODE_MOVED"), 5)) == [moved]
    assert flat(pages(DeliveryFilter(webhook_id=mine, attempted=True), 5)) == [tried]
    assert count(DeliveryFilter(webhook_id=mine, attempted=True), PENDING) == 1


def rows_of(part: Any) -> list[str]:
    return [row.id for row in part.rows]


def test_a_step_looks_at_so_many_rows_and_says_where_to_go_on(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_query, "SCAN", 10)
    mine = webhook(services)
    ids = deliveries(mine, 25, state=DEAD)
    event("rare", type="NODE_MOVED")
    Delivery.update(event_id="rare").where(Delivery.id.in_([ids[0], ids[22], ids[23]])).execute()
    wanted = DeliveryFilter(webhook_id=mine, triggered_event="NODE_MOVED")
    first = stretch(wanted, DEAD, 5)
    second = stretch(wanted, DEAD, 5, first.end or "")
    third = stretch(wanted, DEAD, 5, second.end or "")
    assert [rows_of(first), rows_of(second), rows_of(third)] == [[ids[0]], [], [ids[22], ids[23]]]
    assert [first.end, second.end, third.end] == [ids[9], ids[19], None]
    assert flat(pages(wanted, 5)) == [ids[0], ids[22], ids[23]]


def test_without_filters_nothing_is_passed_over(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_query, "SCAN", 2)
    mine = webhook(services)
    ids = deliveries(mine, 9, state=DEAD)
    assert rows_of(stretch(DeliveryFilter(webhook_id=mine), DEAD, 9)) == ids
    assert stretch(DeliveryFilter(webhook_id=mine), DEAD, 4).end == ids[3]
