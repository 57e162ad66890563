"""How the service stands: what is owed and overdue, which webhooks are in trouble, who is running."""

from app.clock import now_ms
from app.models import Job, Lease
from app.presence import ALIVE_MS, SERVE, WORKER, Process
from app.service_state import roles_of, service_state
from app.services import Services
from tests import rows
from tests.database_clock import database_now


def test_nothing_is_owed_by_a_service_that_is_new(services: Services) -> None:
    found = service_state(now_ms())
    assert (found.overdue_ms, found.retries, found.jobs, found.leader) == (0, (0, 0), 0, False)
    assert set(found.webhooks.values()) == {0}
    assert [pile.number for pile in found.outstanding] == [0, 0, 0, 0]


def test_it_counts_what_is_due_what_is_scheduled_and_how_long_the_first_has_waited(services: Services) -> None:
    now, hook = now_ms(), rows.webhook(services)
    rows.deliveries(hook, 2, queued_at=now - 5_000)
    rows.deliveries(hook, 3, at=rows.AT + 100, next_attempt_at=now - 9_000)
    rows.deliveries(hook, 4, at=rows.AT + 200, next_attempt_at=now + 60_000)
    rows.deliveries(hook, 1, at=rows.AT + 300, state="DEAD")
    found = service_state(now)
    assert found.retries == (3, 4)
    assert found.overdue_ms == 9_000
    assert (found.outstanding.pending.number, found.outstanding.dead.number) == (9, 1)


def test_a_retry_that_is_not_due_is_not_overdue_however_old_it_is(services: Services) -> None:
    now = now_ms()
    rows.deliveries(rows.webhook(services), 1, next_attempt_at=now + 1)
    assert service_state(now).overdue_ms == 0


def test_it_counts_webhooks_by_what_is_wrong_with_them(services: Services) -> None:
    rows.webhook(services)
    rows.webhook(services, enabled=False)
    rows.webhook(services, failures=12, circuit_until=1, backlog=True)
    rows.webhook(services, failures=3)
    rows.webhook(services, backlog=True)
    rows.webhook(services, enabled=False, disabled_reason="the receiver answered 410 Gone", backlog=True)
    rows.webhook(services, failures=12, circuit_until=1, backlog=True, deleted_at=1)
    assert service_state(now_ms()).webhooks == {"circuit_open": 1, "disabled": 1, "backlog": 1, "failing": 2}


def test_it_tells_who_leads_and_how_many_bulk_actions_go_on(services: Services) -> None:
    until = database_now() + 60_000
    Lease.update(holder="host:1:x", until_at=until, epoch=3).where(Lease.name == "scheduler").execute()
    common = {"kind": "RESEND", "webhook_id": "w", "filters": "{}", "created_by": "root"}
    for name, state in ("a", "PENDING"), ("b", "RUNNING"), ("c", "SUCCEEDED"):
        Job.insert(id=name, state=state, created_at=1, updated_at=1, **common).execute()
    found = service_state(now_ms())
    assert (found.leader, found.epoch, found.jobs) == (True, 3, 2)


def test_one_process_that_is_all_counts_for_each_role_and_the_youngest_sign_of_life_counts() -> None:
    found = roles_of(
        [
            Process(SERVE, "a", 1, "0.1", 0, 0, 4_000),
            Process(WORKER, "b", 1, "0.1", 0, 0, 9_000),
            Process(WORKER, "c", 1, "0.1", 0, 0, ALIVE_MS + 1),
        ]
    )
    assert {key: number for key, number in found.processes.items() if number} == {
        ("web", "alive"): 1,
        ("worker", "alive"): 2,
        ("worker", "silent"): 1,
        ("scheduler", "alive"): 1,
    }
    assert found.age_ms == {"web": 4_000, "worker": 4_000, "scheduler": 4_000}
