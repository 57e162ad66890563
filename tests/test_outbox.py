"""The outbox: what is owed, and how each attempt changes that."""

from collections.abc import Sequence
from typing import Any

import pytest

from app import outbox
from app.attempts import Attempt, Due, Policy, judge
from app.authentication import Caller
from app.clock import now_ms
from app.database import insert_rows, write_transaction
from app.errors import DatabaseUnavailable
from app.exchange import Outcome, Request
from app.ids import new_id
from app.memory_broker import MEMORY_QUEUE_LIMIT
from app.models import DEAD, FAIL, PENDING, SUCCESS, Delivery, Event, Webhook, WebhookLog, database
from app.queue import DELIVERIES, delivery_message
from app.registry import current_version
from app.services import Services
from app.webhooks import create_webhook, update_webhook
from tests.test_database import locked

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
        found = {due.id: due for due in outbox.load(ids).dues}
        assert found == {
            ids[0]: Due(ids[0], "w", "e", 0, "NODE_CREATED", '{"a":1}', None),
            ids[1]: Due(ids[1], "v", "e", 3, "NODE_CREATED", '{"a":1}', None),
        }

    def test_it_ignores_what_is_dead_put_back_parked_or_finished(self) -> None:
        make_event()
        dead = make_delivery(state=DEAD, next_attempt_at=None, queued_at=None)
        put_back = make_delivery(queued_at=None, next_attempt_at=NOW + 5_000)
        parked = make_delivery(queued_at=None, next_attempt_at=None)
        assert outbox.load([dead, put_back, parked, new_id()]).dues == []

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
        outbox.record(attempts([delivery_id], 500))
        assert outbox.load([delivery_id]).dues == []
        assert outbox.claim_due(NOW + 5_000, 10) == [delivery_id]
        assert [due.attempt for due in outbox.load([delivery_id]).dues] == [1]


@pytest.mark.usefixtures("services")
class TestRecord:
    """What an attempt leaves behind."""

    def test_a_success_removes_the_delivery_and_leaves_a_log(self) -> None:
        make_event()
        delivery_id = make_delivery()
        outbox.record(attempts([delivery_id]))
        assert (state(delivery_id), logs()) == (None, [(SUCCESS, 1)])

    def test_a_failure_reschedules_it_out_of_the_queue(self) -> None:
        make_event()
        delivery_id = make_delivery()
        outbox.record(attempts([delivery_id], 500))
        assert state(delivery_id) == (PENDING, 1, NOW + 5_000, None)
        assert logs() == [(FAIL, 1)]

    def test_the_last_failure_makes_it_dead(self) -> None:
        make_event()
        delivery_id = make_delivery(attempt=2)
        outbox.record(attempts([delivery_id], 500))
        assert state(delivery_id) == (DEAD, 3, None, None)
        assert outbox.claim_due(NOW * 2, 10) == outbox.claim_lost(NOW * 2, NOW * 2, 10) == []

    def test_many_attempts_of_all_kinds_are_recorded_together(self) -> None:
        make_event()
        done, failed, last = ([make_delivery(attempt=n) for _ in range(5)] for n in (0, 1, 2))
        outbox.record([*attempts(done), *attempts(failed, 500), *attempts(last, None, "DNS: no such host")])
        assert [state(each) for each in done] == [None] * 5
        assert {state(each) for each in failed} == {(PENDING, 2, NOW + 10_000, None)}
        assert {state(each) for each in last} == {(DEAD, 3, None, None)}
        assert counted() == [1] * 5 + [2] * 5 + [3] * 5

    def test_successes_of_different_attempts_are_recorded_together(self) -> None:
        make_event()
        ids = [make_delivery(attempt=number) for number in (0, 1, 2, 1)]
        outbox.record(attempts(ids))
        assert Delivery.select().count() == 0
        assert counted() == [1, 2, 2, 3]

    @pytest.mark.parametrize("status", [200, 500])
    def test_an_attempt_made_twice_counts_once(self, status: int) -> None:
        make_event()
        delivery_id = make_delivery()
        first, second = attempts([delivery_id], 500), attempts([delivery_id], status)
        outbox.record(first)
        outbox.record(second)
        assert state(delivery_id) == (PENDING, 1, NOW + 5_000, None)
        assert counted() == [1, 1]  # both were made, and both are on record

    def test_a_late_failure_of_an_attempt_made_twice_does_not_resurrect_a_finished_delivery(self) -> None:
        make_event()
        delivery_id = make_delivery()
        failure = attempts([delivery_id], 500)
        outbox.record(attempts([delivery_id]))
        outbox.record(failure)
        assert state(delivery_id) is None
        assert outbox.claim_due(NOW * 2, 10) == []

    def test_a_stale_attempt_changes_nothing_once_the_delivery_is_in_the_queue_again(self) -> None:
        make_event()
        delivery_id = make_delivery()
        stale = attempts([delivery_id], 500)
        outbox.record(attempts([delivery_id], 500))
        requeue(delivery_id)
        outbox.record(stale)
        assert state(delivery_id) == (PENDING, 1, NOW + 5_000, NOW)

    def test_an_attempt_at_a_cancelled_delivery_leaves_its_log_only(self) -> None:
        make_event()
        delivery_id = make_delivery()
        late = attempts([delivery_id], 500)
        outbox.cancel([delivery_id])
        outbox.record(late)
        assert (state(delivery_id), logs()) == (None, [(FAIL, 1)])

    def test_recording_nothing_is_fine(self) -> None:
        outbox.record([])
        assert logs() == []

    @pytest.mark.sqlite_only
    def test_what_could_not_be_recorded_can_be_recorded_again(self, services: Services) -> None:
        make_event()
        delivery_id = make_delivery()
        made = attempts([delivery_id])
        database.obj.timeout = 0.05
        with locked(services.settings.data_dir / "hookline.db"), pytest.raises(DatabaseUnavailable):
            outbox.record(made)
        assert (state(delivery_id), logs()) == ((PENDING, 0, NOW, NOW), [])
        outbox.record(made)
        assert (state(delivery_id), logs()) == (None, [(SUCCESS, 1)])


def test_an_answer_of_410_disables_the_webhook_in_every_process(services: Services, webhook_id: str) -> None:
    version = current_version()
    delivery_id = make_delivery(webhook_id=webhook_id)
    outbox.record(attempts([delivery_id], 410))
    row = Webhook.get_by_id(webhook_id)
    assert (row.enabled, row.disabled_reason) == (False, outbox.GONE_REASON)
    assert row.version == current_version() > version
    found = services.registry.refresh().get(webhook_id)
    assert found is not None
    assert not found.enabled
    assert state(delivery_id) == (PENDING, 1, NOW + 5_000, None)


def test_an_answer_of_410_disables_no_other_webhook(services: Services, webhook_id: str) -> None:
    other = create_webhook(services, ADMIN, NEW, NOW)
    outbox.record(
        [*attempts([make_delivery(webhook_id=webhook_id)], 410), *attempts([make_delivery(webhook_id=other)])]
    )
    assert Webhook.get_by_id(other).enabled
    assert not Webhook.get_by_id(webhook_id).enabled


def test_a_reason_that_stands_is_not_replaced_by_a_later_410(webhook_id: str) -> None:
    gone = attempts([make_delivery(webhook_id=webhook_id)], 410)
    with write_transaction():
        Webhook.update(enabled=False, disabled_reason="by hand").execute()
    outbox.record(gone)
    assert Webhook.get().disabled_reason == "by hand"


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


def test_what_is_parked_is_not_due_until_it_is_released(services: Services, webhook_id: str) -> None:
    delivery_id = make_delivery(webhook_id=webhook_id, attempt=1)
    update_webhook(services, ADMIN, {"id": webhook_id, "enabled": False}, NOW)
    outbox.park([delivery_id])
    assert state(delivery_id) == (PENDING, 1, None, None)
    assert outbox.claim_due(NOW * 2, 10) == outbox.claim_lost(NOW * 2, NOW * 2, 10) == []
    update_webhook(services, ADMIN, {"id": webhook_id, "enabled": True}, NOW + 7)
    assert state(delivery_id) == (PENDING, 1, NOW + 7, None)
    assert outbox.claim_due(NOW + 7, 10) == [delivery_id]


def test_nothing_is_parked_of_a_webhook_that_is_enabled_again_meanwhile(webhook_id: str) -> None:
    delivery_id = make_delivery(webhook_id=webhook_id)
    outbox.park([delivery_id])
    assert state(delivery_id) == (PENDING, 0, NOW, NOW)


def test_releasing_touches_only_what_is_parked_of_that_webhook(services: Services) -> None:
    parked = make_delivery(queued_at=None, next_attempt_at=None)
    untouched = {
        make_delivery(queued_at=None, next_attempt_at=None, webhook_id="v"): (PENDING, 0, None, None),
        make_delivery(queued_at=None, next_attempt_at=None, state=DEAD): (DEAD, 0, None, None),
        make_delivery(queued_at=None): (PENDING, 0, NOW, None),
        make_delivery(): (PENDING, 0, NOW, NOW),
    }
    with write_transaction():
        assert outbox.release_parked("w", NOW + 9) == 1
    assert state(parked) == (PENDING, 0, NOW + 9, None)
    assert {each: state(each) for each in untouched} == untouched


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
