"""The feeder: how much of what is held is given to its webhook, and when."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import outbox
from app.database import write_transaction
from app.delivery import look_up
from app.feeder import (
    FIRST_HELPING,
    LARGEST_HELPING,
    PROBE_MS,
    SMALLEST_HELPING,
    Feeder,
    next_helping,
)
from app.memory_broker import MEMORY_QUEUE_LIMIT
from app.models import HELD, PENDING, WAITING, Delivery, Webhook
from app.queue import delivery_message
from app.registry import current_version
from app.services import Services
from tests import rows
from tests.test_ordering import RACES, at_once, messages
from tests.test_outbox import NOW, attempts, known, make_delivery, state

IDLE: dict[str, Any] = {"next_attempt_at": None, "queued_at": None}


@pytest.fixture
def hook(services: Services) -> str:
    return rows.webhook(services, "p", backlog=True)


def held(webhook_id: str, count: int) -> list[str]:
    """Have so many deliveries held, and return them, oldest first."""
    return rows.deliveries(webhook_id, count, state=HELD)


def take(delivery_ids: Iterable[str]) -> None:
    """Deliver these."""
    with write_transaction():
        Delivery.delete().where(Delivery.id.in_(list(delivery_ids))).execute()


def give_back(delivery_ids: Iterable[str]) -> None:
    """Hold these again, as a worker does that can't send them."""
    with write_transaction():
        Delivery.update(state=HELD, **IDLE).where(Delivery.id.in_(list(delivery_ids))).execute()


class TestHelping:
    """How much is given next."""

    @given(st.integers(1, LARGEST_HELPING))
    def test_it_doubles_where_all_was_taken(self, helping: int) -> None:
        assert next_helping(helping, helping, 0, 0) == min(2 * helping, LARGEST_HELPING)

    @given(st.integers(1, LARGEST_HELPING), st.integers(1, LARGEST_HELPING))
    def test_it_is_halved_where_some_came_back(self, helping: int, returned: int) -> None:
        assert next_helping(helping, helping, 0, returned) == max(SMALLEST_HELPING, helping // 2)

    @given(st.integers(SMALLEST_HELPING, LARGEST_HELPING), st.data())
    def test_it_stays_where_some_are_still_queued_or_there_was_less(self, helping: int, data: st.DataObject) -> None:
        assert next_helping(helping, helping, data.draw(st.integers(1, helping)), 0) == helping
        assert next_helping(helping, data.draw(st.integers(0, helping - 1)), 0, 0) == helping


class TestFeeding:
    """A backlog is worked off, a helping at a time."""

    def test_the_oldest_come_first_and_are_in_the_queue(self, services: Services, hook: str) -> None:
        ids = held(hook, FIRST_HELPING + 1)
        assert Feeder().feed(services.broker, NOW) == FIRST_HELPING
        assert messages(services) == ids[:-1]
        assert state(ids[0]) == (PENDING, 0, NOW, NOW)
        assert state(ids[-1]) == (HELD, 0, None, None)

    def test_helpings_double_while_all_is_taken(self, services: Services, hook: str) -> None:
        held(hook, 100)
        feeder, given_ = Feeder(), []
        for _ in range(4):
            given_.append(feeder.feed(services.broker, NOW))
            take(messages(services))
        assert given_ == [16, 32, 52, 0]

    def test_what_is_still_in_the_queue_counts(self, services: Services, hook: str) -> None:
        held(hook, 200)
        feeder = Feeder()
        feeder.feed(services.broker, NOW)
        assert feeder.feed(services.broker, NOW) == 0
        take(messages(services)[:6])
        assert feeder.feed(services.broker, NOW) == 6

    def test_helpings_shrink_where_some_come_back(self, services: Services, hook: str) -> None:
        held(hook, 200)
        feeder, given_ = Feeder(), []
        for _ in range(5):
            given_.append(feeder.feed(services.broker, NOW))
            give_back(messages(services))
        assert given_ == [16, 8, 8, 8, 8]

    @pytest.mark.parametrize(("rate", "helping"), [(1, 1), (3, 2), (10, 10), (10_000, FIRST_HELPING)])
    def test_a_rate_limit_bounds_what_is_in_the_queue(
        self, services: Services, hook: str, rate: int, helping: int
    ) -> None:
        rows.change(hook, rate_limit=rate)
        held(hook, 100)
        assert Feeder().feed(services.broker, NOW) == helping

    def test_thousands_are_all_fed_once(self, services: Services, hook: str) -> None:
        ids = held(hook, 5_000)
        feeder = Feeder()
        sent: list[str] = []
        for _ in range(12):
            feeder.feed(services.broker, NOW)
            now_sent = messages(services)
            take(now_sent)
            sent += now_sent
        assert sent == ids
        assert not Webhook.get_by_id(hook).backlog

    def test_each_webhook_has_helpings_of_its_own(self, services: Services, hook: str) -> None:
        other = rows.webhook(services, "p", backlog=True)
        rows.webhook(services, "p")
        mine, theirs = held(hook, 100), rows.deliveries(other, 3, at=rows.AT + 5_000, state=HELD)
        assert Feeder().feed(services.broker, NOW) == FIRST_HELPING + 3
        assert sorted(messages(services)) == sorted([*mine[:FIRST_HELPING], *theirs])

    @pytest.mark.parametrize("columns", [{"enabled": False}, {"deleted_at": NOW}, {"circuit_until": NOW + 1}])
    def test_one_that_cannot_take_any_is_given_none(
        self, services: Services, hook: str, columns: dict[str, Any]
    ) -> None:
        rows.change(hook, **columns)
        [delivery_id] = held(hook, 1)
        assert Feeder().feed(services.broker, NOW) == 0
        assert state(delivery_id) == (HELD, 0, None, None)
        assert Webhook.get_by_id(hook).backlog

    def test_what_the_queue_does_not_take_is_left_to_the_sweeper(self, services: Services, hook: str) -> None:
        services.broker.enqueue_many([delivery_message("x")] * MEMORY_QUEUE_LIMIT)
        [delivery_id] = held(hook, 1)
        Feeder().feed(services.broker, NOW)
        assert state(delivery_id) == (PENDING, 0, NOW, None)
        assert outbox.claim_due(NOW, 10) == [delivery_id]


class TestTheEndOfABacklog:
    """Once nothing is held, deliveries go straight to the queue again."""

    def test_every_process_sees_it(self, services: Services, hook: str) -> None:
        [delivery_id] = held(hook, 1)
        feeder = Feeder()
        assert known(services, hook).backlog
        feeder.feed(services.broker, NOW)
        assert known(services, hook).backlog
        take([delivery_id])
        feeder.feed(services.broker, NOW)
        assert not known(services, hook).backlog

    def test_it_is_not_while_some_are_held(self, services: Services, hook: str) -> None:
        held(hook, FIRST_HELPING + 1)
        version = current_version()
        Feeder().feed(services.broker, NOW)
        assert (known(services, hook).backlog, current_version()) == (True, version)

    def test_one_that_is_held_at_that_moment_is_fed_too(self, services: Services, hook: str) -> None:
        feeder = Feeder()
        for _ in range(RACES):
            delivery_id = make_delivery(webhook_id=hook)
            at_once(
                lambda: outbox.hold([delivery_id], [hook], NOW),  # noqa: B023
                lambda: feeder.feed(services.broker, NOW),
            )
            found = state(delivery_id)
            assert found is not None
            assert found[0] == PENDING or Webhook.get_by_id(hook).backlog
            feeder.feed(services.broker, NOW)
            assert messages(services) == [delivery_id]
            take([delivery_id])
            rows.change(hook, backlog=True)


class TestProbes:
    """An open circuit gets one delivery at a time."""

    @pytest.fixture
    def open(self, hook: str) -> str:
        rows.change(hook, failures=10, failing_since=NOW, failed_at=NOW, circuit_until=NOW + 1_000)
        return hook

    def test_the_oldest_is_sent_once_it_is_due_and_none_else(self, services: Services, open: str) -> None:
        ids = held(open, 3)
        feeder = Feeder()
        assert feeder.feed(services.broker, NOW + 999) == 0
        assert feeder.feed(services.broker, NOW + 1_000) == 1
        assert feeder.feed(services.broker, NOW + 1_001) == 0
        assert messages(services) == [ids[0]]
        assert known(services, open).probe == ids[0]
        found = Webhook.get_by_id(open)
        assert found.circuit_until == NOW + 1_000 + PROBE_MS
        fresh = make_delivery(webhook_id=open, id=ids[0][:-1] + ("0" if ids[0][-1] != "0" else "1"), event_id="e")
        rows.event("e")
        ready = look_up(services, [ids[0], fresh], NOW + 1_001)
        assert [each.due.id for each in ready] == [ids[0]]
        assert state(fresh) == (HELD, 0, None, None)

    def test_one_that_is_heard_of_no_more_is_followed_by_another(self, services: Services, open: str) -> None:
        ids = held(open, 2)
        feeder = Feeder()
        feeder.feed(services.broker, NOW + 1_000)
        assert feeder.feed(services.broker, NOW + 1_000 + PROBE_MS) == 1
        assert messages(services) == ids

    def test_without_anything_to_send_the_next_that_comes_is_the_probe(self, services: Services, open: str) -> None:
        feeder = Feeder()
        assert feeder.feed(services.broker, NOW + 5_000) == 0
        assert Webhook.get_by_id(open).backlog
        [delivery_id] = held(open, 1)
        assert feeder.feed(services.broker, NOW + 5_000) == 1
        assert known(services, open).probe == delivery_id

    def test_success_has_the_rest_fed_and_failure_has_it_wait(self, services: Services, open: str) -> None:
        ids = held(open, 3)
        feeder = Feeder()
        feeder.feed(services.broker, NOW + 1_000)
        services.recorder.record(attempts([ids[0]], 500), NOW + 1_100)
        assert known(services, open).probe is None
        assert feeder.feed(services.broker, NOW + 1_100) == 0
        assert feeder.feed(services.broker, Webhook.get_by_id(open).circuit_until) == 1
        services.recorder.record(attempts([ids[1]]), NOW)
        assert feeder.feed(services.broker, NOW) == 1
        assert messages(services) == ids

    def test_where_the_oldest_is_ordered_what_comes_before_it_is_sent(self, services: Services, open: str) -> None:
        """Else the probe would only find that it is not its turn, and the circuit stay open for long."""
        later = {"next_attempt_at": NOW * 2, "queued_at": None, "attempt": 3}
        rows.event("e")
        head = make_delivery(webhook_id=open, order_key="k", position=1, **later)
        make_delivery(webhook_id=open, order_key="k", position=2, state=HELD, **IDLE)
        assert Feeder().feed(services.broker, NOW + 1_000) == 1
        assert known(services, open).probe == head
        assert state(head) == (PENDING, 3, NOW + 1_000, NOW + 1_000)
        assert [each.due.id for each in look_up(services, messages(services), NOW + 1_000)] == [head]

    def test_one_that_is_in_the_queue_already_is_the_probe_where_it_is(self, services: Services, open: str) -> None:
        head = make_delivery(webhook_id=open, order_key="k", position=1)
        make_delivery(webhook_id=open, order_key="k", position=2, state=HELD, **IDLE)
        assert Feeder().feed(services.broker, NOW + 1_000) == 0
        assert known(services, open).probe == head

    def test_feeders_that_meet_choose_one(self, services: Services, open: str) -> None:
        """Two may run for a moment when the lease changes hands."""
        held(open, 2)
        given_ = at_once(*[lambda: Feeder().feed(services.broker, NOW + 1_000)] * 2)
        sent = messages(services)
        assert len(sent) == sum(given_)
        assert known(services, open).probe in sent


def test_what_waits_for_its_turn_counts_as_taken(services: Services, hook: str) -> None:
    rows.event("e")
    ids = [make_delivery(webhook_id=hook, order_key="k", position=n, state=HELD, **IDLE) for n in range(FIRST_HELPING)]
    feeder = Feeder()
    feeder.feed(services.broker, NOW)
    assert [each.due.id for each in look_up(services, messages(services), NOW)] == [ids[0]]
    assert {state(each) for each in ids[1:]} == {(WAITING, 0, None, None)}
    feeder.feed(services.broker, NOW)
    assert not Webhook.get_by_id(hook).backlog


def test_a_feeder_forgets_those_that_it_has_fed(services: Services, hook: str) -> None:
    """Its helpings begin anew with the next backlog, and what it remembers does not grow."""
    feeder = Feeder()
    held(hook, 40)
    for _ in range(3):
        feeder.feed(services.broker, NOW)
        take(messages(services))
    assert not Webhook.get_by_id(hook).backlog
    feeder.feed(services.broker, NOW)
    rows.change(hook, backlog=True)
    rows.deliveries(hook, 100, at=rows.AT + 5_000, state=HELD)
    assert feeder.feed(services.broker, NOW) == FIRST_HELPING
