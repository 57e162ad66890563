"""Replaying what is missing, step by step."""

from collections.abc import Callable
from typing import Any

import pytest

from app import models, replay
from app.database import write_transaction
from app.delivery_query import Number
from app.delivery_status import deliveries_of
from app.ids import id_at, new_id
from app.job_request import JobFilters
from app.matching import Webhook
from app.models import HELD, PENDING, WAITING, Delivery, Event, Job
from app.ordering import order_key
from app.replay import plan_replay, preview_replay
from app.retention import DAY_MS, prune
from app.services import Services
from tests.rows import AT, change, delivery, event, log, outbox, webhook, write_events

NOW = AT + 3_600_000
Replay = Callable[..., tuple[int, int]]


@pytest.fixture
def replay_all(services: Services) -> Replay:
    """Replay to the end; return how many events matched, and how many deliveries that made."""

    def run(webhook_id: str, limit: int = 100, now: int = NOW, **filters: Any) -> tuple[int, int]:
        meant = {"start": AT, "end": None, "event_type": None} | filters
        job = Job(id=new_id(), webhook_id=webhook_id, filters=JobFilters(**meant).text(), created_at=NOW)
        examined = made = 0
        while True:
            plan = plan_replay(job, known(services, webhook_id), limit, retention_days=90, now=now)
            with write_transaction():
                done = plan.apply()
            assert done <= limit
            examined, made, job.cursor = examined + plan.examined, made + done, plan.cursor
            if plan.cursor is None:
                return examined, made

    return run


def known(services: Services, webhook_id: str) -> Webhook:
    found = services.registry.refresh().get(webhook_id)
    assert found is not None
    return found


def owed() -> list[str]:
    return [row.event_id for row in Delivery.select().order_by(Delivery.id)]


@pytest.mark.parametrize(("scan", "limit"), [(1_000, 100), (7, 100), (1_000, 3), (7, 2), (1, 1)])
def test_each_missing_event_is_owed_once(
    services: Services, replay_all: Replay, monkeypatch: pytest.MonkeyPatch, scan: int, limit: int
) -> None:
    monkeypatch.setattr(replay, "SCAN", scan)
    hook = webhook(services)
    write_events([(f"e{number:02}", AT + number // 5) for number in range(20)])
    for number in (3, 4):
        delivery(hook, f"e{number:02}", AT + number // 5)
    for number in (5, 6, 19):
        log(hook, f"e{number:02}", id_at(AT + number // 5), status="FAIL")
    assert replay_all(hook, limit) == (20, 15)
    assert sorted(owed()) == sorted(f"e{number:02}" for number in range(20) if number not in (5, 6, 19))
    assert replay_all(hook, limit) == (20, 0)


def test_a_filter_judges_stored_events_many_at_a_time(services: Services, replay_all: Replay) -> None:
    hook = webhook(services, filter='{"payload.node.size":{"$gt":100},"userId":{"$ne":"root"}}')
    write_events([(f"small{number}", AT + 2 * number) for number in range(60)], payload='{"node":{"size":100}}')
    write_events([(f"large{number}", AT + 2 * number + 1) for number in range(60)], payload='{"node":{"size":101}}')
    event("root", AT + 200, user_id="root", payload='{"node":{"size":500}}')
    event("broken", AT + 201, payload="{}", error="data.node is missing")
    event("other", AT + 202, type="NODE_MOVED", payload='{"node":{"size":500}}')
    assert replay_all(hook, limit=7) == (61, 61)
    assert set(owed()) == {"broken", *(f"large{number}" for number in range(60))}


def test_a_filter_on_the_fields_of_events_needs_no_payload(services: Services, replay_all: Replay) -> None:
    hook = webhook(services, filter='{"source":"ci","userId":"u"}')
    event("ci", source="ci", payload="not read")
    event("hand", payload="not read")
    assert replay_all(hook) == (1, 1)
    assert owed() == ["ci"]


def test_only_what_the_webhook_matches_now(services: Services, replay_all: Replay) -> None:
    hook = webhook(services, resource_key_pattern=".*[.]apk")
    event("match", resource_key="/b.apk")
    event("pattern", resource_key="/b.txt")
    event("type", type="NODE_MOVED")
    event("repo", repo_name="s")
    event("project", project_id="q")
    event("early", AT - 1)
    event("late", NOW + 1)
    assert replay_all(hook) == (1, 1)
    assert owed() == ["match"]


def test_what_another_webhook_got_is_missing_here_all_the_same(services: Services, replay_all: Replay) -> None:
    first, second = webhook(services), webhook(services)
    event("e")
    delivery(first, "e")
    log(first, "e", id_at(AT))
    assert replay_all(second) == (1, 1)


def test_one_type_and_both_ends_of_the_range(services: Services, replay_all: Replay) -> None:
    hook = webhook(services, triggers='["NODE_CREATED","NODE_MOVED"]')
    write_events([(f"moved{at}", AT + at) for at in range(5)], type="NODE_MOVED")
    write_events([(f"made{at}", AT + at) for at in range(5)])
    assert replay_all(hook, start=AT + 1, end=AT + 3, event_type="NODE_MOVED") == (3, 3)
    assert sorted(owed()) == ["moved1", "moved2", "moved3"]


def test_events_that_the_service_makes_are_not_replayed(services: Services, replay_all: Replay) -> None:
    hook = webhook(services, "", triggers='["WEBHOOK_TEST","WEBHOOK_DISABLED","NODE_CREATED"]')
    for name in ("WEBHOOK_TEST", "WEBHOOK_DISABLED"):
        event(name, type=name)
    assert replay_all(hook) == (0, 0)


def test_the_rows_are_found_with_their_event_and_keep_it_from_pruning(services: Services, replay_all: Replay) -> None:
    hook = webhook(services)
    event("e")
    replay_all(hook)
    [found] = deliveries_of(Event.get_by_id("e"))
    assert (found.state, found.webhook_id) == (PENDING, hook)
    assert outbox() == [(PENDING, 0, 0, NOW, None)]
    prune(1, AT + 10 * DAY_MS, lambda _: None)
    assert Event.select().count() == 1


def test_events_about_to_be_pruned_are_left_alone(services: Services, replay_all: Replay) -> None:
    hook = webhook(services)
    now = AT + 90 * DAY_MS
    write_events([("old", AT + 3_599_000), ("young", AT + 3_600_000)])
    assert replay_all(hook, now=now) == (1, 1)
    assert owed() == ["young"]


@pytest.mark.parametrize("trouble", [{"backlog": True}, {"circuit_until": NOW}])
def test_they_are_held_where_the_webhook_can_not_be_sent_to(
    services: Services, replay_all: Replay, trouble: dict[str, Any]
) -> None:
    hook = webhook(services, **trouble)
    event("e")
    replay_all(hook)
    assert outbox() == [(HELD, 0, 0, None, None)]


def test_ordered_ones_have_their_key_and_position_and_wait_for_their_turn(
    services: Services, replay_all: Replay
) -> None:
    hook = webhook(services, ordering="resource", last_position=7)
    for number, key in enumerate(("/a", "/b", "/a", "/c")):
        event(f"e{number}", AT + number, resource_key=key)
    before = delivery(hook, "e3", order_key=order_key("resource", hook, "p", "r", "/b"), position=1)
    replay_all(hook)
    rows = list(Delivery.select().where(Delivery.id != before).order_by(Delivery.position))
    assert [(row.event_id, row.position, row.state) for row in rows] == [
        ("e0", 8, PENDING),
        ("e1", 9, WAITING),
        ("e2", 10, WAITING),
    ]
    assert rows[0].order_key == rows[2].order_key != rows[1].order_key
    assert (rows[0].next_attempt_at, rows[2].next_attempt_at) == (NOW, None)
    assert models.Webhook.get_by_id(hook).last_position == 10


def test_events_without_a_payload_are_owed_like_others(services: Services, replay_all: Replay) -> None:
    hook = webhook(services)
    event("e", error="dstFullPath is missing")
    change(hook, url="http://elsewhere.example/")
    assert replay_all(hook) == (1, 1)


def test_a_preview_says_how_many_events_a_job_would_look_at(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_events([(f"e{number}", AT + number) for number in range(4)])
    write_events([("pruned", NOW - 90 * DAY_MS)])
    assert preview_replay(JobFilters(None, None, None), 90, NOW) == Number(4)
    assert preview_replay(JobFilters(AT + 1, AT + 2, None), 90, NOW) == Number(2)
    monkeypatch.setattr(replay, "MOST_COUNTED", 3)
    assert preview_replay(JobFilters(AT, None, None), 90, NOW) == Number(3, is_cut=True)
