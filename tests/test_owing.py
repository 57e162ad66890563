"""What one transaction adds to the outbox: in which state, and with which hints."""

from collections.abc import Callable
from typing import Any

import pytest

from app import matching
from app.database import write_transaction
from app.ids import new_id
from app.models import HELD, PENDING, WAITING, Delivery
from app.owing import Owing, Subject
from app.services import Services
from tests import rows
from tests.test_outbox import NOW, known, make_delivery
from tests.test_outbox import state as state_of

SUBJECT = Subject("e", "p", "r", "/a")


def subject(key: str) -> Subject:
    return SUBJECT._replace(resource_key=key)


@pytest.fixture
def webhook(services: Services) -> Callable[..., matching.Webhook]:
    """Make webhooks, as the registry knows them."""
    return lambda **columns: known(services, rows.webhook(services, "p", **columns))


def insert(owing: Owing) -> None:
    with write_transaction():
        owing.insert()


def states(webhook: matching.Webhook) -> list[str]:
    found = Delivery.select(Delivery.state).where(Delivery.webhook_id == webhook.id)
    return [each for (each,) in found.order_by(Delivery.position, Delivery.id).tuples()]


def test_a_delivery_is_in_the_queue_where_it_is_hinted_at(webhook: Callable[..., matching.Webhook]) -> None:
    owing = Owing(NOW, hinted=True)
    mine = new_id()
    owing.add(webhook(), SUBJECT, mine)
    insert(owing)
    assert owing.hints == [mine]
    assert state_of(mine) == (PENDING, 0, NOW, NOW)


def test_without_hints_it_is_left_to_the_sweeper(webhook: Callable[..., matching.Webhook]) -> None:
    owing = Owing(NOW, hinted=False)
    mine = new_id()
    owing.add(webhook(), SUBJECT, mine)
    owing.add(webhook(ordering="resource"), SUBJECT)
    insert(owing)
    assert owing.hints == []
    assert state_of(mine) == (PENDING, 0, NOW, None)
    assert {row.queued_at for row in Delivery.select()} == {None}


@pytest.mark.parametrize("columns", [{"backlog": True}, {"circuit_until": NOW}])
@pytest.mark.parametrize("ordering", ["none", "resource"])
def test_what_cannot_be_sent_now_leaves_nothing_in_the_queue(
    webhook: Callable[..., matching.Webhook], columns: dict[str, Any], ordering: str
) -> None:
    owing = Owing(NOW, hinted=True)
    mine = new_id()
    owing.add(webhook(ordering=ordering, **columns), SUBJECT, mine)
    insert(owing)
    assert owing.hints == []
    assert state_of(mine) == (HELD, 0, None, None)


def test_one_of_each_key_is_queued_and_those_behind_it_wait(webhook: Callable[..., matching.Webhook]) -> None:
    owing, ordered = Owing(NOW, hinted=True), webhook(ordering="resource")
    ids = [new_id() for _ in range(4)]
    for key, each in zip(("/a", "/a", "/b", "/a"), ids, strict=True):
        owing.add(ordered, subject(key), each)
    insert(owing)
    assert states(ordered) == [PENDING, WAITING, PENDING, WAITING]
    assert owing.hints == [ids[0], ids[2]]


def test_they_wait_behind_what_an_earlier_transaction_left(webhook: Callable[..., matching.Webhook]) -> None:
    ordered = webhook(ordering="webhook")
    for _ in range(2):
        owing = Owing(NOW, hinted=True)
        owing.add(ordered, SUBJECT)
        insert(owing)
    assert states(ordered) == [PENDING, WAITING]
    assert owing.hints == []


def test_ordered_and_others_go_in_together_in_the_order_in_which_they_came(
    webhook: Callable[..., matching.Webhook],
) -> None:
    owing, plain, one, other = (
        Owing(NOW, hinted=True),
        webhook(),
        webhook(ordering="resource"),
        webhook(ordering="webhook"),
    )
    assert not owing.is_ordered
    for number in range(300):
        for each in (plain, one, other):
            owing.add(each, subject(f"/{number}"))
    assert owing.is_ordered
    assert len(owing.rows) == 300
    insert(owing)
    assert len(owing.hints) == 300 + 300 + 1
    for each in (one, other):
        found = Delivery.select(Delivery.id).where(Delivery.webhook_id == each.id)
        by_position = [name for (name,) in found.order_by(Delivery.position).tuples()]
        assert by_position == [name for (name,) in found.order_by(Delivery.id).tuples()]


def test_nothing_owed_is_nothing_inserted(services: Services) -> None:
    insert(Owing(NOW, hinted=True))
    assert not Delivery.select().exists()


def test_what_is_in_no_order_is_in_nobodys_way(webhook: Callable[..., matching.Webhook]) -> None:
    ordered = webhook(ordering="webhook")
    make_delivery(webhook_id=ordered.id)  # one that was given up and is sent again
    owing = Owing(NOW, hinted=True)
    owing.add(ordered, SUBJECT)
    insert(owing)
    assert len(owing.hints) == 1
