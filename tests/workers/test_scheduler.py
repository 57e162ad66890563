"""The scheduler: what is due or lost comes back into the queue, and old rows go."""

import pytest

from app.clock import now_ms
from app.feeder import Feeder
from app.ids import id_at
from app.log_steps import HOUR_MS
from app.models import Delivery, Event, LogCount, LogStat, WebhookLog
from app.queue import DELIVERIES
from app.retention import DAY_MS
from tests import rows
from tests.server import eventually
from tests.workers.conftest import Desk
from workers.scheduler import feed_once, prune_once, recover_once, sweep_once
from workers.serve import scheduler

UNUSED_URL = "http://receiver.example/"


def empty_queue(desk: Desk) -> None:
    """Take every message away, as a restart does."""
    consumer = desk.services.broker.batch_consumer(DELIVERIES, 0)
    consumer.ack_many(consumer.fetch(1_000))
    assert desk.queued() == 0


def add_old_log(desk: Desk, age_ms: int) -> str:
    """Publish an event, and make it and the log of it `age_ms` old."""
    webhook_id = desk.register(UNUSED_URL)
    desk.publish()
    at = now_ms() - age_ms
    row = Delivery.get()
    Delivery.delete().execute()
    Event.update(accepted_at=at).execute()
    WebhookLog.create(
        id=id_at(at), webhook_id=webhook_id, event_id=row.event_id, delivery_id=row.id, attempt=1, url=UNUSED_URL,
        triggered_event="NODE_CREATED", request_headers="{}", status="SUCCESS", duration_ms=1, requested_at=at,
    )  # fmt: skip
    return str(row.event_id)


def hold_one(desk: Desk, *, backlog: bool) -> str:
    """Have a delivery held for a webhook of its own, and return it."""
    hook = rows.webhook(desk.services, backlog=backlog)
    return rows.deliveries(hook, 1, at=now_ms(), state="HELD")[0]


def test_what_is_due_is_enqueued_when_it_starts_and_then_every_second(desk: Desk) -> None:
    desk.register(UNUSED_URL)
    desk.publish(3)
    empty_queue(desk)
    Delivery.update(queued_at=None).execute()
    with scheduler(desk.services):
        eventually(lambda: desk.queued() == 3)
        empty_queue(desk)
        Delivery.update(queued_at=None).execute()
        eventually(lambda: desk.queued() == 3)
    assert all(row.queued_at for row in Delivery.select())


def test_what_is_not_due_yet_or_not_to_be_sent_stays_where_it_is(desk: Desk) -> None:
    desk.register(UNUSED_URL)
    later, held, given_up = desk.publish(3)
    empty_queue(desk)
    Delivery.update(queued_at=None).execute()
    Delivery.update(next_attempt_at=now_ms() + DAY_MS).where(Delivery.id == later).execute()
    Delivery.update(next_attempt_at=None, state="HELD").where(Delivery.id == held).execute()
    Delivery.update(next_attempt_at=None, state="DEAD").where(Delivery.id == given_up).execute()
    sweep_once(desk.services)
    assert desk.queued() == 0
    assert [row.queued_at for row in Delivery.select()] == [None] * 3


def test_what_a_process_before_this_one_had_in_its_queue_is_enqueued_again(desk: Desk) -> None:
    desk.register(UNUSED_URL)
    desk.publish(2)
    empty_queue(desk)
    sweep_once(desk.services)
    assert desk.queued() == 0  # enqueued in this process's time: not lost
    Delivery.update(queued_at=now_ms() - DAY_MS).execute()
    sweep_once(desk.services)
    assert desk.queued() == 2
    sweep_once(desk.services)
    assert desk.queued() == 2


def test_what_is_held_is_fed_and_what_is_forgotten_is_found_when_it_starts(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    fed, stray = hold_one(desk, backlog=True), hold_one(desk, backlog=False)
    with scheduler(desk.services):
        eventually(lambda: desk.queued() == 2)
    assert {row.id for row in Delivery.select().where(Delivery.queued_at > 0)} == {fed, stray}
    assert "recovered=1 deliveries that nobody saw to" in caplog.text


def test_old_logs_and_their_events_are_pruned_when_it_starts(desk: Desk) -> None:
    days = desk.services.settings.log_retention_days
    add_old_log(desk, days * DAY_MS + HOUR_MS)
    with scheduler(desk.services):
        eventually(lambda: not desk.logs() and not Event.select().exists())
    assert WebhookLog.select().count() == 0


def test_logs_are_counted_and_added_up_when_it_starts(desk: Desk) -> None:
    add_old_log(desk, HOUR_MS)
    with scheduler(desk.services):
        eventually(lambda: LogCount.select().exists() and LogStat.select().exists())
    assert {row.number for row in (*LogCount.select(), *LogStat.select())} == {1}


def test_logs_within_the_retention_are_kept(desk: Desk) -> None:
    event_id = add_old_log(desk, desk.services.settings.log_retention_days * DAY_MS - 60_000)
    prune_once(desk.services)
    assert [log.event_id for log in desk.logs()] == [event_id]
    assert Event.select().count() == 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.sqlite_only
def test_a_job_waits_for_the_database_and_says_so_in_one_line(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    add_old_log(desk, 1_000 * DAY_MS)
    desk.publish()
    empty_queue(desk)
    Delivery.update(queued_at=None).execute()
    hold_one(desk, backlog=True)
    hold_one(desk, backlog=False)
    with desk.database_locked():
        sweep_once(desk.services)
        prune_once(desk.services)
        feed_once(desk.services, Feeder())
        recover_once(desk.services)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "sweep waits: database is locked",
        "prune waits: database is locked",
        "feeding waits: database is locked",
        "recovering waits: database is locked",
    ]
    sweep_once(desk.services)
    prune_once(desk.services)
    assert (desk.queued(), len(desk.logs())) == (1, 0)
