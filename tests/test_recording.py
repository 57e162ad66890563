"""Attempts on record: logs, deliveries, the health of webhooks and what is told of it; by several processes at once."""

import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from app import health, models, outbox
from app.attempts import Attempt, Due, judge, unbuildable
from app.database import write_transaction
from app.errors import DatabaseUnavailable
from app.event_types import DELIVERY_EXHAUSTED, WEBHOOK_DISABLED, WEBHOOK_FAILING, WEBHOOK_RECOVERED
from app.exchange import Outcome
from app.health import DAY_MS, GONE_REASON
from app.ids import new_id
from app.models import DEAD, ERROR, FAIL, PENDING, SUCCESS, WAITING, Delivery, Webhook, WebhookLog, database
from app.ordering import TURN_MS
from app.recording import LOOK_ROUND_MS, Recorder
from app.registry import Registry, current_version
from app.services import Services
from tests import rows
from tests.test_database import locked
from tests.test_outbox import (
    NOW,
    POLICY,
    REQUEST,
    attempts,
    counted,
    known,
    logs,
    make_delivery,
    make_event,
    requeue,
    state,
)

Record = Callable[..., list[str]]

OPERATIONAL = [WEBHOOK_FAILING, WEBHOOK_RECOVERED, WEBHOOK_DISABLED, DELIVERY_EXHAUSTED]
FIRST_PROBE_MS = 5_000  # where RETRY_SCHEDULE is not set


@pytest.fixture
def record(services: Services) -> Record:
    """Record attempts as the worker of this process does."""
    return lambda made, now=NOW: services.recorder.record(made, now)


@pytest.fixture
def hook(services: Services) -> str:
    return rows.webhook(services, "p")


@pytest.fixture
def subscriber(services: Services) -> str:
    """A webhook that wants to hear of all troubles, its own too."""
    return rows.webhook(services, "", triggers=msgspec.json.encode(OPERATIONAL).decode())


def another(services: Services) -> Recorder:
    """Return what another worker process records with."""
    return Recorder(Registry(services.vault), services.settings)


def attempt(webhook_id: str, status: int | None = 500, at: int = NOW, **columns: Any) -> Attempt:
    """Return an attempt that ended `at`, at a delivery of which nothing else matters."""
    due = Due(new_id(), webhook_id, "e", 0, "NODE_CREATED", "{}", None)._replace(**columns)
    outcome = Outcome(status, {}, b"", None if status else "connection refused", at, 0)
    return judge(due, REQUEST, outcome, POLICY, now=at)


def failures(webhook_id: str, count: int, at: int = NOW) -> list[Attempt]:
    return [attempt(webhook_id, at=at) for _ in range(count)]


def row(webhook_id: str) -> Webhook:
    found: Webhook = Webhook.get_by_id(webhook_id)
    return found


def told() -> list[tuple[str, str]]:
    """Return what was told, and to whom, in that order."""
    found = Delivery.select(models.Event.type, Delivery.webhook_id).join(
        models.Event, on=(Delivery.event_id == models.Event.id)
    )
    return list(found.where(models.Event.type.in_(OPERATIONAL)).order_by(Delivery.id).tuples())


def payloads(event_type: str) -> list[dict[str, Any]]:
    found = models.Event.select().where(models.Event.type == event_type).order_by(models.Event.id)
    return [msgspec.json.decode(event.payload) for event in found]


class TestRows:
    """What an attempt leaves behind."""

    def test_a_success_removes_the_delivery_and_leaves_a_log(self, record: Record) -> None:
        make_event()
        delivery_id = make_delivery()
        record(attempts([delivery_id]))
        assert (state(delivery_id), logs()) == (None, [(SUCCESS, 1)])

    def test_a_failure_reschedules_it_out_of_the_queue(self, record: Record) -> None:
        make_event()
        delivery_id = make_delivery()
        record(attempts([delivery_id], 500))
        assert state(delivery_id) == (PENDING, 1, NOW + 5_000, None)
        assert logs() == [(FAIL, 1)]

    def test_the_last_failure_makes_it_dead(self, record: Record) -> None:
        make_event()
        delivery_id = make_delivery(attempt=2)
        record(attempts([delivery_id], 500))
        assert state(delivery_id) == (DEAD, 3, None, None)
        assert outbox.claim_due(NOW * 2, 10) == outbox.claim_lost(NOW * 2, NOW * 2, 10) == []

    def test_many_attempts_of_all_kinds_are_recorded_together(self, record: Record) -> None:
        make_event()
        done, failed, last = ([make_delivery(attempt=n) for _ in range(5)] for n in (0, 1, 2))
        record([*attempts(done), *attempts(failed, 500), *attempts(last, None, "DNS: no such host")])
        assert [state(each) for each in done] == [None] * 5
        assert {state(each) for each in failed} == {(PENDING, 2, NOW + 10_000, None)}
        assert {state(each) for each in last} == {(DEAD, 3, None, None)}
        assert counted() == [1] * 5 + [2] * 5 + [3] * 5

    def test_successes_of_different_attempts_are_recorded_together(self, record: Record) -> None:
        make_event()
        ids = [make_delivery(attempt=number) for number in (0, 1, 2, 1)]
        record(attempts(ids))
        assert Delivery.select().count() == 0
        assert counted() == [1, 2, 2, 3]

    @pytest.mark.parametrize("status", [200, 500])
    def test_an_attempt_made_twice_counts_once(self, record: Record, status: int) -> None:
        make_event()
        delivery_id = make_delivery()
        first, second = attempts([delivery_id], 500), attempts([delivery_id], status)
        record(first)
        record(second)
        assert state(delivery_id) == (PENDING, 1, NOW + 5_000, None)
        assert counted() == [1, 1]  # both were made, and both are on record

    def test_a_late_failure_of_an_attempt_made_twice_does_not_resurrect_a_finished_delivery(
        self, record: Record
    ) -> None:
        make_event()
        delivery_id = make_delivery()
        failure = attempts([delivery_id], 500)
        record(attempts([delivery_id]))
        record(failure)
        assert state(delivery_id) is None
        assert outbox.claim_due(NOW * 2, 10) == []

    def test_a_stale_attempt_changes_nothing_once_the_delivery_is_in_the_queue_again(self, record: Record) -> None:
        make_event()
        delivery_id = make_delivery()
        stale = attempts([delivery_id], 500)
        record(attempts([delivery_id], 500))
        requeue(delivery_id)
        record(stale)
        assert state(delivery_id) == (PENDING, 1, NOW + 5_000, NOW)

    def test_an_attempt_at_a_cancelled_delivery_leaves_its_log_only(self, record: Record) -> None:
        make_event()
        delivery_id = make_delivery()
        late = attempts([delivery_id], 500)
        outbox.cancel([delivery_id])
        record(late)
        assert (state(delivery_id), logs()) == (None, [(FAIL, 1)])

    def test_recording_nothing_is_fine(self, record: Record) -> None:
        record([])
        assert logs() == []

    @pytest.mark.sqlite_only
    def test_what_could_not_be_recorded_can_be_recorded_again(self, record: Record, services: Services) -> None:
        make_event()
        delivery_id = make_delivery()
        made = attempts([delivery_id])
        database.obj.timeout = 0.05
        with locked(services.settings.data_dir / "hookline.db"), pytest.raises(DatabaseUnavailable):
            record(made)
        assert (state(delivery_id), logs()) == ((PENDING, 0, NOW, NOW), [])
        record(made)
        assert (state(delivery_id), logs()) == (None, [(SUCCESS, 1)])


@pytest.mark.sqlite_only
class TestTheShortWay:
    """What the many first attempts that succeed cost."""

    @pytest.fixture
    def statements(self, services: Services) -> Iterator[list[str]]:
        """What the database is told from here on, as its driver says."""
        said: list[str] = []
        connection: sqlite3.Connection = database.connection()
        connection.set_trace_callback(lambda sql: said.append(" ".join(sql.split()[:2])))
        yield said
        connection.set_trace_callback(None)

    def test_successes_are_one_transaction_of_two_statements(
        self, record: Record, hook: str, statements: list[str]
    ) -> None:
        make_event()
        made = attempts([make_delivery(webhook_id=hook) for _ in range(16)])
        del statements[:]
        assert record(made) == []
        assert statements == ["BEGIN IMMEDIATE", "INSERT INTO", "DELETE FROM", "COMMIT"]

    @pytest.mark.parametrize("columns", [{"attempt": 1}, {"order_key": "k", "position": 1}])
    def test_retries_and_ordered_ones_take_the_other(
        self, record: Record, hook: str, statements: list[str], columns: dict[str, Any]
    ) -> None:
        record([attempt(hook, 200, **columns)])
        assert len(statements) > 4

    def test_a_webhook_with_failures_takes_the_other_until_it_has_none(
        self, services: Services, record: Record, hook: str, statements: list[str]
    ) -> None:
        record(failures(hook, 1))
        record([attempt(hook, 200)])
        services.recorder.look_round(NOW)
        del statements[:]
        record([attempt(hook, 200)])
        assert len(statements) == 4


class TestFailuresInARow:
    """Counted on the webhook's row, whoever counts."""

    def test_they_add_up_over_batches_and_processes(self, services: Services, record: Record, hook: str) -> None:
        version = current_version()
        record([attempt(hook, at=NOW + 10), attempt(hook, at=NOW + 5)])
        another(services).record([attempt(hook, at=NOW + 30), attempt(hook, at=NOW + 40)], NOW + 40)
        found = row(hook)
        assert (found.failures, found.failing_since, found.failed_at) == (4, NOW + 5, NOW + 40)
        assert found.circuit_until is None
        assert current_version() == version  # no other process need look at the webhook

    def test_a_success_among_them_begins_anew(self, record: Record, hook: str) -> None:
        record(failures(hook, 3))
        record([attempt(hook, at=NOW + 1), attempt(hook, 200, at=NOW + 2), attempt(hook, at=NOW + 3)])
        assert (row(hook).failures, row(hook).failing_since) == (1, NOW + 3)

    def test_a_success_ends_them(self, record: Record, hook: str) -> None:
        record(failures(hook, 3))
        record([attempt(hook, 200)])
        found = row(hook)
        assert (found.failures, found.failing_since, found.failed_at) == (0, None, None)

    def test_each_webhook_has_its_own(self, services: Services, record: Record, hook: str) -> None:
        other = rows.webhook(services, "p")
        record([*failures(hook, 2), attempt(other, 200), *failures(other, 1)])
        assert (row(hook).failures, row(other).failures) == (2, 1)

    def test_a_payload_that_could_not_be_built_says_nothing_of_the_receiver(self, record: Record, hook: str) -> None:
        due = Due(new_id(), hook, "e", 0, "NODE_MOVED", "{}", "no dstFullPath")
        record([unbuildable(due, "http://a", NOW, attempt=1)])
        assert row(hook).failures == 0
        assert logs() == [(ERROR, 1)]

    def test_those_of_a_deleted_webhook_are_nobodys(self, record: Record) -> None:
        record(failures("gone", 12))
        assert len(logs()) == 12

    def test_processes_that_record_successes_and_failures_at_once_never_count_past_a_success(
        self, services: Services, subscriber: str
    ) -> None:
        """Each batch has a success of every webhook before its failures, so none has three in a row."""
        hooks = [rows.webhook(services, "p") for _ in range(6)]
        wrong: list[BaseException] = []

        def work(recorder: Recorder, chance: random.Random) -> None:
            try:
                for now in range(NOW, NOW + 30):
                    good = [attempt(each, 200, at=now) for each in hooks]
                    recorder.record([*good, *(attempt(each, at=now) for each in chance.sample(hooks, 3))], now)
            except BaseException as error:
                wrong.append(error)
            finally:
                database.close()

        threads = [
            threading.Thread(target=work, args=(another(services), random.Random(number))) for number in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert told() == []
        assert all(row(each).failures <= 1 for each in hooks)


class TestWhatIsTold:
    """Operational events, in the transaction of what they tell."""

    def test_the_fifth_failure_is_told_once(
        self, services: Services, record: Record, hook: str, subscriber: str
    ) -> None:
        record(failures(hook, 4))
        assert told() == []
        another(services).record([attempt(hook), attempt(hook, None)], NOW)
        record(failures(hook, 3))
        assert told() == [(WEBHOOK_FAILING, subscriber)]
        [payload] = payloads(WEBHOOK_FAILING)
        assert (payload["failures"], payload["lastErrorMsg"], payload["lastResponseStatus"]) == (
            6, "connection refused", None
        )  # fmt: skip
        assert payload["webHook"]["id"] == hook

    def test_it_is_told_again_after_a_recovery(self, record: Record, hook: str, subscriber: str) -> None:
        for _ in range(2):
            record(failures(hook, 5))
            record([attempt(hook, 200)], NOW + 1_000)
        assert [each for each, _ in told()] == [WEBHOOK_FAILING, WEBHOOK_RECOVERED] * 2
        assert payloads(WEBHOOK_RECOVERED)[0]["failedFor"] == 1_000
        assert payloads(WEBHOOK_RECOVERED)[0]["webHook"]["failures"] == 0

    def test_a_recovery_from_a_few_failures_is_no_news(self, record: Record, hook: str, subscriber: str) -> None:
        record(failures(hook, 4))
        record([attempt(hook, 200)])
        assert told() == []

    def test_a_delivery_that_is_given_up_is_told(self, record: Record, hook: str, subscriber: str) -> None:
        given_up = attempt(hook, attempt=2)
        record([given_up, attempt(hook, attempt=1)])
        assert told() == [(DELIVERY_EXHAUSTED, subscriber)]
        assert payloads(DELIVERY_EXHAUSTED)[0]["delivery"] == {
            "id": given_up.due.id,
            "eventId": "e",
            "triggeredEvent": "NODE_CREATED",
            "attempts": 3,
            "lastErrorMsg": "the receiver answered 500",
        }

    def test_where_nobody_wants_to_hear_of_it_exhaustion_leaves_no_event(self, record: Record, hook: str) -> None:
        record([attempt(hook, attempt=2)])
        assert not models.Event.select().exists()

    def test_nothing_is_told_to_the_webhook_that_it_is_about(self, record: Record, subscriber: str) -> None:
        record([*failures(subscriber, 5), attempt(subscriber, 410, attempt=2)])
        record([attempt(subscriber, 200)])
        assert told() == []

    @pytest.mark.parametrize("event_type", OPERATIONAL)
    def test_a_delivery_of_what_is_told_is_given_up_in_silence(
        self, services: Services, record: Record, hook: str, subscriber: str, event_type: str
    ) -> None:
        record([attempt(hook, attempt=2, type=event_type)])
        assert told() == []

    def test_it_is_told_to_an_ordered_webhook_in_order(
        self, services: Services, record: Record, hook: str, subscriber: str
    ) -> None:
        rows.change(subscriber, ordering="webhook")
        record([*failures(hook, 5), attempt(hook, attempt=2)])
        found = Delivery.select().order_by(Delivery.position)
        assert [(each.state, each.position) for each in found] == [(PENDING, 1), (WAITING, 2)]

    def test_what_is_told_is_sent_by_the_next_sweep(self, record: Record, hook: str, subscriber: str) -> None:
        record(failures(hook, 5))
        [delivery] = Delivery.select()
        assert outbox.claim_due(NOW, 10) == [delivery.id]

    @pytest.mark.sqlite_only
    def test_what_is_rolled_back_is_not_known_and_hides_no_other_change(
        self, services: Services, record: Record, hook: str, subscriber: str
    ) -> None:
        """The registry must not take this transaction's version for one that was committed."""
        make_event()
        done = attempts([make_delivery(webhook_id=hook)])
        other = rows.webhook(services, "p")
        services.registry.refresh()
        database.execute_sql("CREATE TEMP TRIGGER no BEFORE DELETE ON delivery BEGIN SELECT RAISE(ABORT, 'no'); END")
        with pytest.raises(Exception, match="no"):
            record([*done, *failures(hook, 10)])
        database.execute_sql("DROP TRIGGER no")
        rows.change(other, url="http://changed.example/")
        assert known(services, other).url == "http://changed.example/"
        assert not known(services, hook).is_open
        assert (row(hook).failures, told(), logs()) == (0, [], [])


class TestTheCircuit:
    """It opens at the tenth failure, and one probe after the other finds out whether it can close."""

    def open(self, record: Record, hook: str) -> str:
        """Open it, have a probe under way, and return the probe."""
        record(failures(hook, 10))
        probe = new_id()
        rows.change(hook, probe=probe, circuit_until=NOW + 60_000)
        return probe

    def test_it_opens_for_every_process(self, services: Services, record: Record, hook: str) -> None:
        other = Registry(services.vault)
        record(failures(hook, 9))
        assert not known(services, hook).is_open
        record(failures(hook, 1), NOW + 9)
        found = other.refresh().get(hook)
        assert found is not None
        assert (found.is_open, found.backlog, found.probe) == (True, True, None)
        assert row(hook).circuit_until == NOW + 9 + FIRST_PROBE_MS

    def test_the_process_that_opened_it_knows_at_once(self, services: Services, record: Record, hook: str) -> None:
        record(failures(hook, 10))
        index, _ = services.registry.known()
        found = index.get(hook)
        assert found is not None
        assert found.is_open

    def test_more_failures_of_what_was_under_way_change_nothing(self, record: Record, hook: str) -> None:
        record(failures(hook, 10))
        version, until = current_version(), row(hook).circuit_until
        record(failures(hook, 5), NOW + 1_000)
        assert (row(hook).circuit_until, row(hook).failures, current_version()) == (until, 15, version)

    def test_a_probe_that_fails_puts_the_next_one_off(self, services: Services, record: Record, hook: str) -> None:
        schedule = services.settings.retry_schedule_ms
        self.open(record, hook)
        for number in (1, 2, 3):
            probe = new_id()
            rows.change(hook, probe=probe)
            record([attempt(hook, id=probe)], NOW + number)
            found = row(hook)
            assert (found.probe, found.failed_probes) == (None, number)
            assert found.circuit_until == NOW + number + min(schedule[number], health.LONGEST_PROBE_MS)
            assert known(services, hook).probe is None

    def test_a_probe_that_succeeds_closes_it_in_every_process(
        self, services: Services, record: Record, hook: str, subscriber: str
    ) -> None:
        probe = self.open(record, hook)
        record([attempt(hook, 200, id=probe, attempt=1)], NOW + 100)
        found = row(hook)
        assert (found.failures, found.circuit_until, found.probe, found.failed_probes) == (0, None, None, 0)
        assert not known(services, hook).is_open
        assert known(services, hook).backlog  # what was held is fed, in its order
        assert [each for each, _ in told()] == [WEBHOOK_FAILING, WEBHOOK_RECOVERED]

    def test_a_probe_that_could_not_be_built_makes_room_for_another(
        self, services: Services, record: Record, hook: str
    ) -> None:
        due = attempt(hook, id=self.open(record, hook)).due
        record([unbuildable(due, "http://a/", NOW, attempt=1)], NOW + 3)
        found = row(hook)
        assert (found.probe, found.circuit_until, found.failed_probes) == (None, NOW + 3, 0)
        assert known(services, hook).probe is None

    def test_it_can_open_again(self, record: Record, hook: str) -> None:
        probe = self.open(record, hook)
        record([attempt(hook, 200, id=probe)])
        record(failures(hook, 10), NOW + 7)
        assert (row(hook).circuit_until, row(hook).failed_probes) == (NOW + 7 + FIRST_PROBE_MS, 0)


class TestDisabling:
    """What has failed for too long, or is gone, is sent no more."""

    def test_an_answer_of_410_disables_the_webhook_in_every_process(
        self, services: Services, record: Record, hook: str, subscriber: str
    ) -> None:
        make_event()
        delivery_id = make_delivery(webhook_id=hook)
        record(attempts([delivery_id], 410))
        assert (row(hook).enabled, row(hook).disabled_reason) == (False, GONE_REASON)
        assert row(hook).version == current_version()
        assert not known(services, hook).enabled
        assert state(delivery_id) == (PENDING, 1, NOW + 5_000, None)
        assert told() == [(WEBHOOK_DISABLED, subscriber)]
        [payload] = payloads(WEBHOOK_DISABLED)
        assert (payload["reason"], payload["webHook"]["enabled"]) == (GONE_REASON, False)

    def test_it_disables_no_other_webhook(self, services: Services, record: Record, hook: str) -> None:
        other = rows.webhook(services, "p")
        record([attempt(hook, 410), attempt(other, 200), attempt(other, 500)])
        assert (row(hook).enabled, row(other).enabled) == (False, True)

    def test_a_reason_that_stands_is_not_replaced_and_nothing_is_told(
        self, record: Record, hook: str, subscriber: str
    ) -> None:
        rows.change(hook, enabled=False, disabled_reason="by hand")
        record([attempt(hook, 410)])
        assert row(hook).disabled_reason == "by hand"
        assert told() == []

    def test_days_without_a_success_disable_it_once(
        self, services: Services, record: Record, hook: str, subscriber: str
    ) -> None:
        silent_ms = services.settings.disable_after_ms
        record(failures(hook, 1))
        record([attempt(hook, at=NOW + silent_ms - 1)], NOW + silent_ms - 1)
        assert row(hook).enabled
        for _ in range(2):
            record([attempt(hook, at=NOW + silent_ms)], NOW + silent_ms)
        reason = f"no delivery has succeeded for {silent_ms // DAY_MS} days"
        assert (row(hook).enabled, row(hook).disabled_reason) == (False, reason)
        assert told() == [(WEBHOOK_DISABLED, subscriber)]

    def test_a_success_in_between_keeps_it(self, services: Services, record: Record, hook: str) -> None:
        late = NOW + services.settings.disable_after_ms
        record(failures(hook, 1))
        record([attempt(hook, 200)])
        record([attempt(hook, at=late)], late)
        assert row(hook).enabled


class TestInDoubt:
    """A commit whose answer never came may have been made, or not."""

    def test_what_was_recorded_is_not_recorded_again(self, services: Services, hook: str, subscriber: str) -> None:
        make_event()
        made = [*attempts([make_delivery(webhook_id=hook)], 500), *failures(hook, 4)]
        services.recorder.record(made, NOW)
        services.recorder.record([*made, attempt(hook)], NOW, in_doubt=True)
        assert (len(logs()), row(hook).failures) == (6, 6)
        assert told() == [(WEBHOOK_FAILING, subscriber)]
        assert counted() == [1] * 6

    def test_what_was_not_is_recorded_now(self, services: Services, hook: str) -> None:
        make_event()
        ids = [make_delivery(webhook_id=hook) for _ in range(2)]
        made = [*attempts(ids[:1]), *attempts(ids[1:], 500)]
        services.recorder.record(made, NOW, in_doubt=True)
        assert [state(each) for each in ids] == [None, (PENDING, 1, NOW + 5_000, None)]
        assert (len(logs()), row(hook).failures) == (2, 1)

    def test_a_retry_is_another_attempt(self, services: Services, hook: str) -> None:
        make_event()
        delivery_id = make_delivery(webhook_id=hook)
        services.recorder.record(attempts([delivery_id], 500), NOW)
        requeue(delivery_id)
        services.recorder.record(attempts([delivery_id], 500), NOW, in_doubt=True)
        assert counted() == [1, 2]


class TestASuccessThatWasNotKnownToBeNeeded:
    """A process learns of others' failures from time to time only."""

    def test_it_ends_them_at_the_next_look(
        self, services: Services, record: Record, hook: str, subscriber: str
    ) -> None:
        another(services).record(failures(hook, 10), NOW)
        record([attempt(hook, 200, at=NOW + 1)])
        assert row(hook).failures == 10
        services.recorder.look_round(NOW + 2)
        assert (row(hook).failures, row(hook).circuit_until) == (0, None)
        assert [each for each, _ in told()] == [WEBHOOK_FAILING, WEBHOOK_RECOVERED]

    def test_one_from_before_the_last_failure_ends_nothing(self, services: Services, record: Record, hook: str) -> None:
        record([attempt(hook, 200, at=NOW)])
        another(services).record(failures(hook, 2, at=NOW + 1), NOW)
        services.recorder.look_round(NOW + 2)
        assert row(hook).failures == 2

    def test_after_a_look_it_ends_them_at_once(self, services: Services, record: Record, hook: str) -> None:
        another(services).record(failures(hook, 2, at=NOW), NOW)
        services.recorder.look_round(NOW)
        record([attempt(hook, 200, at=NOW)])
        assert row(hook).failures == 0

    def test_a_retry_ends_them_at_once(self, services: Services, record: Record, hook: str) -> None:
        another(services).record(failures(hook, 2), NOW)
        record([attempt(hook, 200, attempt=1)])
        assert row(hook).failures == 0

    def test_who_records_one_by_one_looks_round_from_time_to_time(
        self, services: Services, record: Record, hook: str
    ) -> None:
        services.recorder.keep_up(NOW)
        another(services).record(failures(hook, 2, at=NOW), NOW)
        record([attempt(hook, 200, at=NOW + 1)])
        services.recorder.keep_up(NOW + LOOK_ROUND_MS - 1)
        assert row(hook).failures == 2
        services.recorder.keep_up(NOW + LOOK_ROUND_MS)
        assert row(hook).failures == 0


class TestTurns:
    """Whose turn comes by an attempt is marked as queued, and is the caller's."""

    def place(self, position: int, **columns: Any) -> str:
        """Make an ordered delivery, the first in the queue and the others waiting."""
        idle = {} if position == 1 else {"state": WAITING, "next_attempt_at": None, "queued_at": None}
        return make_delivery(**{"order_key": "k", "position": position, **idle, **columns})

    @pytest.mark.parametrize(("status", "tried"), [(200, 0), (200, 1), (500, 2)])
    def test_what_is_delivered_or_given_up_passes_the_turn_on(self, record: Record, status: int, tried: int) -> None:
        make_event()
        first, second, third = (self.place(position, attempt=tried) for position in (1, 2, 3))
        assert record(attempts([first], status), NOW + 5) == [second]
        assert state(second) == (PENDING, tried, NOW + 5 + TURN_MS, None)
        assert state(third) == (WAITING, tried, None, None)

    def test_what_is_to_be_tried_again_keeps_it(self, record: Record) -> None:
        make_event()
        first, second = (self.place(position) for position in (1, 2))
        assert record(attempts([first], 500)) == []
        assert state(second) == (WAITING, 0, None, None)

    def test_those_that_end_together_pass_on_one_turn_a_key(self, record: Record) -> None:
        make_event()
        firsts = [self.place(1, order_key=key) for key in "abc"]
        seconds = [self.place(2, order_key=key) for key in "abc"]
        assert sorted(record(attempts(firsts))) == sorted(seconds)

    def test_one_that_was_sent_ahead_of_its_turn_is_recorded_with_those_before(self, record: Record) -> None:
        """A worker may send what comes next as soon as the one before has succeeded."""
        make_event()
        first, second, third, fourth = (self.place(position) for position in (1, 2, 3, 4))
        [one] = attempts([first])
        ahead = [judge(due, REQUEST, Outcome(status, {}, b"", None, NOW, 0), POLICY, now=NOW)
                 for due, status in zip(outbox.load_behind(one.due, 2), (200, 500), strict=True)]  # fmt: skip
        assert record([one, *ahead]) == []
        assert [state(each) for each in (first, second)] == [None, None]
        assert state(third) == (PENDING, 1, NOW + 5_000, None)
        assert state(fourth) == (WAITING, 0, None, None)

    def test_in_doubt_the_turn_is_passed_on_all_the_same(self, services: Services) -> None:
        make_event()
        first, second = (self.place(position) for position in (1, 2))
        made = attempts([first])
        with write_transaction():  # what an earlier version, or a lost connection, may leave
            WebhookLog.insert_many([made[0].log_row], fields=WebhookLog._meta.sorted_fields).execute()
            Delivery.delete().where(Delivery.id == first).execute()
        assert services.recorder.record(made, NOW, in_doubt=True) == [second]
        assert state(second) == (PENDING, 0, NOW + TURN_MS, None)
