"""The outbox: what is owed, and how each attempt changes that."""

from collections.abc import Sequence
from typing import Any

import pytest

from app import matching, outbox
from app.attempts import Attempt, Due, Policy, judge
from app.authentication import Caller
from app.clock import now_ms
from app.database import insert_rows, write_transaction
from app.exchange import Outcome, Request
from app.ids import new_id
from app.memory_broker import MEMORY_QUEUE_LIMIT
from app.models import DEAD, HELD, PENDING, WAITING, Delivery, Event, Webhook, WebhookLog
from app.ordering import TURN_MS
from app.queue import DELIVERIES, delivery_message
from app.registry import current_version
from app.services import Services
from app.webhooks import create_webhook

ADMIN = Caller("root", admin=True, scopes=frozenset(), platform=False)
NEW = {"url": "http://a", "triggers": ["NODE_CREATED"], "associationType": "PROJECT", "associationId": "p"}
NOW = 1_700_000_000_000
REQUEST = Request("http://a", {}, b"{}", 1_000)
POLICY = Policy((5_000, 10_000), 1_000)


def make_event(event_id: str = "e", accepted_at: int = NOW) -> None:
    with write_transaction():
        insert_rows(Event, [(event_id, "NODE_CREATED", "p", None, "/a", None, None, '{"a":1}', None, accepted_at)])


def make_delivery(**changes: Any) -> str:
    """Make the row of a delivery of event `e` that is in the queue, and return its id."""
    fields: dict[str, Any] = {
        "id": new_id(),
        "webhook_id": "w",
        "event_id": "e",
        "state": PENDING,
        "attempt": 0,
        "next_attempt_at": NOW,
        "queued_at": NOW,
        "created_at": NOW,
    }
    with write_transaction():
        Delivery.insert(**fields | changes).execute()
    return str((fields | changes)["id"])


def state(delivery_id: str) -> tuple[Any, ...] | None:
    """Return state, attempts, due time and queued time of a delivery, None where it is gone."""
    found = Delivery.get_or_none(Delivery.id == delivery_id)
    return found and (found.state, found.attempt, found.next_attempt_at, found.queued_at)


def attempts(delivery_ids: Sequence[str], status: int | None = 200, error: str | None = None) -> list[Attempt]:
    """Return attempts at deliveries that are in the queue, each answered with `status`."""
    outcome = Outcome(status, {}, b"", error, NOW, 0)
    return [judge(due, REQUEST, outcome, POLICY, now=NOW) for due in outbox.load(delivery_ids).dues]


def known(services: Services, webhook_id: str) -> matching.Webhook:
    """Return a webhook as this process's registry has it."""
    found = services.registry.refresh().get(webhook_id)
    assert found is not None
    return found


def logs() -> list[tuple[str, int]]:
    return [(log.status, log.attempt) for log in WebhookLog.select().order_by(WebhookLog.attempt)]


def counted() -> list[int]:
    return sorted(log.attempt for log in WebhookLog.select())


def requeue(delivery_id: str) -> None:
    with write_transaction():
        Delivery.update(queued_at=NOW).where(Delivery.id == delivery_id).execute()


@pytest.fixture
def webhook_id(services: Services) -> str:
    make_event()
    return create_webhook(services, ADMIN, NEW, NOW)


@pytest.mark.usefixtures("services")
class TestLoad:
    """Which deliveries are sent when a message points at them."""

    def test_it_gives_what_is_to_be_sent(self) -> None:
        make_event()
        ids = [make_delivery(), make_delivery(webhook_id="v", attempt=3)]
        origin = {"accepted_at": NOW, "project_id": "p", "resource_key": "/a"}
        found = {due.id: due for due in outbox.load(ids).dues}
        assert found == {
            ids[0]: Due(ids[0], "w", "e", 0, "NODE_CREATED", '{"a":1}', None, **origin),
            ids[1]: Due(ids[1], "v", "e", 3, "NODE_CREATED", '{"a":1}', None, **origin),
        }

    @pytest.mark.parametrize("other", [DEAD, HELD, WAITING])
    def test_it_ignores_what_is_not_to_be_sent_put_back_or_finished(self, other: str) -> None:
        make_event()
        idle = make_delivery(state=other, next_attempt_at=None, queued_at=None)
        put_back = make_delivery(queued_at=None, next_attempt_at=NOW + 5_000)
        assert outbox.load([idle, put_back, new_id()]).dues == []

    def test_it_says_of_which_version_the_webhooks_were(self) -> None:
        make_event()
        assert outbox.load([make_delivery()]).version == current_version()
        assert outbox.load([new_id()]).version is None

    def test_an_ordered_delivery_comes_with_its_place(self) -> None:
        make_event()
        [due] = outbox.load([make_delivery(order_key="k", position=7, earlier_attempts=2)]).dues
        assert (due.order_key, due.position, due.earlier_attempts) == ("k", 7, 2)

    def test_asked_for_the_same_twice_or_for_nothing_it_gives_one_or_none(self) -> None:
        make_event()
        delivery_id = make_delivery()
        assert [due.id for due in outbox.load([delivery_id, delivery_id]).dues] == [delivery_id]
        assert outbox.load([]).dues == []

    def test_it_loads_hundreds_at_a_time(self) -> None:
        make_event()
        with write_transaction():
            rows = [(new_id(), "w", "e", PENDING, 0, NOW, NOW, NOW, 0, None, None) for _ in range(1_500)]
            insert_rows(Delivery, rows)
        assert {due.id for due in outbox.load([row[0] for row in rows]).dues} == {row[0] for row in rows}

    def test_a_rescheduled_delivery_is_ignored_until_it_is_in_the_queue_again(self) -> None:
        make_event()
        delivery_id = make_delivery()
        with write_transaction():
            outbox.reschedule(attempts([delivery_id], 500))
        assert outbox.load([delivery_id]).dues == []
        assert outbox.claim_due(NOW + 5_000, 10) == [delivery_id]
        assert [due.attempt for due in outbox.load([delivery_id]).dues] == [1]


def test_what_is_put_back_waits_for_its_time_and_counts_no_attempt(services: Services) -> None:
    ids = [make_delivery(), make_delivery(attempt=2)]
    outbox.put_back(ids, NOW + 5_000)
    assert [state(each) for each in ids] == [(PENDING, 0, NOW + 5_000, None), (PENDING, 2, NOW + 5_000, None)]
    assert outbox.claim_due(NOW + 4_999, 10) == []
    assert sorted(outbox.claim_due(NOW + 5_000, 10)) == sorted(ids)


def test_putting_back_leaves_the_dead_dead(services: Services) -> None:
    dead = make_delivery(state=DEAD, next_attempt_at=None, queued_at=None)
    outbox.put_back([dead, new_id()], NOW)
    assert state(dead) == (DEAD, 0, None, None)


@pytest.mark.usefixtures("services")
class TestHold:
    """What is kept for a webhook that can't be sent to now."""

    def test_what_is_held_is_due_for_nobody_and_counts_no_attempt(self, webhook_id: str) -> None:
        held = make_delivery(webhook_id=webhook_id, attempt=1)
        outbox.hold([held], [webhook_id], NOW)
        assert state(held) == (HELD, 1, None, None)
        assert (
            outbox.claim_due(NOW * 2, 10) == outbox.claim_lost(NOW * 2, NOW * 2, 10) == outbox.load([held]).dues == []
        )

    def test_every_process_sees_that_its_webhook_is_in_backlog(self, services: Services, webhook_id: str) -> None:
        assert not known(services, webhook_id).backlog
        outbox.hold([make_delivery(webhook_id=webhook_id)], [webhook_id], NOW)
        assert known(services, webhook_id).backlog

    def test_a_webhook_that_is_in_backlog_already_is_not_changed(self, webhook_id: str) -> None:
        outbox.hold([make_delivery(webhook_id=webhook_id)], [webhook_id], NOW)
        version = current_version()
        outbox.hold([make_delivery(webhook_id=webhook_id)], [webhook_id], NOW)
        assert current_version() == version
        assert Delivery.select().where(Delivery.state == HELD).count() == 2

    def test_deliveries_to_many_webhooks_are_held_together(self, services: Services) -> None:
        webhooks = [create_webhook(services, ADMIN, NEW, NOW) for _ in range(3)]
        ids = [make_delivery(webhook_id=each) for each in webhooks * 300]
        outbox.hold(ids, webhooks, NOW)
        assert Delivery.select().where(Delivery.state == HELD).count() == len(ids)
        assert Webhook.select().where(Webhook.backlog).count() == 3

    def test_a_probe_that_is_held_makes_room_for_another(self, services: Services, webhook_id: str) -> None:
        probe = make_delivery(webhook_id=webhook_id)
        Webhook.update(circuit_until=NOW + 60_000, probe=probe).execute()
        outbox.hold([make_delivery(webhook_id=webhook_id)], [webhook_id], NOW + 1)
        assert Webhook.get_by_id(webhook_id).probe == probe
        outbox.hold([probe], [webhook_id], NOW + 2)
        found = Webhook.get_by_id(webhook_id)
        assert (found.probe, found.circuit_until) == (None, NOW + 2)
        assert known(services, webhook_id).probe is None

    def test_only_what_is_pending_is_held(self, webhook_id: str) -> None:
        dead, waiting = (
            make_delivery(webhook_id=webhook_id, state=each, next_attempt_at=None, queued_at=None)
            for each in (DEAD, WAITING)
        )
        outbox.hold([dead, waiting, new_id()], [webhook_id], NOW)
        assert [state(dead), state(waiting)] == [(DEAD, 0, None, None), (WAITING, 0, None, None)]


def test_dropping_removes_what_is_held_or_waits_for_it_of_that_webhook_and_no_more(services: Services) -> None:
    idle: dict[str, Any] = {"next_attempt_at": None, "queued_at": None}
    for each in (HELD, WAITING):
        make_delivery(state=each, **idle)
    kept = {
        make_delivery(),
        make_delivery(queued_at=None),
        make_delivery(state=DEAD, **idle),
        make_delivery(state=HELD, webhook_id="v", **idle),
    }
    with write_transaction():
        assert outbox.drop_held("w") == 2
    assert {row.id for row in Delivery.select()} == kept


def test_what_is_behind_an_ordered_delivery_is_loaded_in_its_order(services: Services) -> None:
    make_event()
    places = {position: make_delivery(order_key="k", position=position, state=WAITING) for position in (3, 1, 2, 4)}
    make_delivery(order_key="other", position=5)
    [first] = outbox.load_behind(Due("", "w", "e", 0, "", "", None, 0, "k", 0), 1)
    assert first.id == places[1]
    assert [due.id for due in outbox.load_behind(first, 2)] == [places[2], places[3]]


def test_cancelling_removes_what_is_owed_to_a_deleted_webhook_and_no_more(services: Services) -> None:
    for changes in ({}, {"queued_at": None}, {"state": DEAD, "next_attempt_at": None, "queued_at": None}):
        make_delivery(**changes)
    kept = make_delivery(webhook_id="v")
    with write_transaction():
        assert outbox.cancel_pending("w") == 3
    assert [row.id for row in Delivery.select()] == [kept]
    outbox.cancel([kept, new_id()])
    assert Delivery.select().count() == 0


def test_only_the_dead_are_finished_by_hand(services: Services) -> None:
    dead = make_delivery(state=DEAD, next_attempt_at=None, queued_at=None)
    pending = make_delivery()
    with write_transaction():
        outbox.finish_dead(dead)
        outbox.finish_dead(pending)
    assert [row.id for row in Delivery.select()] == [pending]


def test_what_is_due_is_claimed_once_the_longest_due_first(services: Services) -> None:
    late, later, latest = (make_delivery(queued_at=None, next_attempt_at=NOW - age) for age in (1, 20, 300))
    make_delivery(queued_at=None, next_attempt_at=NOW + 1)
    make_delivery(queued_at=NOW - 5)
    assert set(outbox.claim_due(NOW, 2)) == {latest, later}
    assert state(latest) == (PENDING, 0, NOW - 300, NOW)
    assert outbox.claim_due(NOW, 2) == [late]
    assert outbox.claim_due(NOW, 2) == []


def test_what_is_lost_is_claimed_once(services: Services) -> None:
    lost = [make_delivery(queued_at=NOW - age) for age in (10, 20, 30)]
    make_delivery(queued_at=NOW - 9)
    make_delivery(queued_at=None)
    before, now = NOW - 9, NOW + 1
    assert set(outbox.claim_lost(before, now, 2)) == {lost[2], lost[1]}
    assert outbox.claim_lost(before, now, 2) == [lost[0]]
    assert state(lost[0]) == (PENDING, 0, NOW, now)
    assert outbox.claim_lost(before, now, 2) == []


def test_enqueueing_sends_a_message_for_each(services: Services) -> None:
    ids = [make_delivery(), make_delivery()]
    assert outbox.enqueue(services.broker, ids)
    messages = services.broker.batch_consumer(DELIVERIES, 10).fetch(10)
    assert [message.args for message in messages] == [(each,) for each in ids]


def test_what_the_queue_does_not_take_is_due_at_the_next_sweep(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    services.broker.enqueue_many([delivery_message("x")] * MEMORY_QUEUE_LIMIT)
    delivery_id = make_delivery()
    assert not outbox.enqueue(services.broker, [delivery_id])
    assert state(delivery_id) == (PENDING, 0, NOW, None)
    assert "deliveries=1 wait for the sweeper" in caplog.text
    assert outbox.claim_due(now_ms(), 10) == [delivery_id]


def test_dropping_removes_what_is_held_or_waits_for_that_webhook_and_no_more(services: Services) -> None:
    resting = {"next_attempt_at": None, "queued_at": None}
    for dropped in (HELD, HELD, WAITING):
        make_delivery(state=dropped, **resting)
    kept = {make_delivery(), make_delivery(queued_at=None), make_delivery(state=DEAD, **resting)}
    kept |= {make_delivery(webhook_id="v", state=other, **resting) for other in (HELD, WAITING)}
    with write_transaction():
        assert outbox.drop_held("w") == 3
        assert outbox.drop_held("w") == 0
    assert {row.id for row in Delivery.select()} == kept


@pytest.mark.usefixtures("services")
class TestTurns:
    """A delivery whose turn has come is its worker's for a while, without a message."""

    def turn(self) -> str:
        make_event()
        return make_delivery(next_attempt_at=NOW + TURN_MS, queued_at=None, order_key="k", position=1)

    def test_who_was_given_the_turn_can_load_it_and_nobody_else(self) -> None:
        turn = self.turn()
        assert outbox.load([turn]).dues == []
        assert [due.id for due in outbox.load([turn], by_turn=True).dues] == [turn]

    def test_it_is_due_once_nobody_has_kept_it(self) -> None:
        turn = self.turn()
        outbox.keep_turns([turn], NOW + 1_000)
        assert outbox.claim_due(NOW + TURN_MS, 10) == []
        assert outbox.claim_due(NOW + 1_000 + TURN_MS, 10) == [turn]

    def test_keeping_leaves_alone_what_is_in_the_queue_or_dead(self) -> None:
        queued, dead = make_delivery(), make_delivery(state=DEAD, next_attempt_at=None, queued_at=None)
        outbox.keep_turns([queued, dead, new_id()], NOW + 9)
        assert (state(queued), state(dead)) == ((PENDING, 0, NOW, NOW), (DEAD, 0, None, None))

    def test_it_can_be_left_to_whoever_gets_its_message(self, services: Services) -> None:
        turn = self.turn()
        outbox.enqueue_turns(services.broker, [turn], NOW + 5)
        assert state(turn) == (PENDING, 0, NOW + 5, NOW + 5)
        assert services.broker.waiting(DELIVERIES) == 1
        assert [due.id for due in outbox.load([turn]).dues] == [turn]
