"""One delivery sent again, from each state that it may be in."""

import pytest

from app import delivery_query
from app.authentication import Caller
from app.delivery_query import Number
from app.errors import BadRequest, NotFound
from app.feeder import PROBE_MS
from app.ids import id_at, new_id
from app.job_request import FAILED, JobFilters
from app.models import DEAD, FAIL, HELD, PENDING, WAITING, Delivery, Event, Webhook
from app.recovery import again, preview_resend, resend
from app.services import Services
from tests.rows import ADMIN, AT, change, delivery, event, log, outbox, webhook

NOW = AT + 3_600_000


@pytest.fixture
def hook(services: Services) -> str:
    event("e")
    return webhook(services)


def test_one_that_was_given_up_begins_a_new_round(hook: str) -> None:
    made = delivery(hook, "e", state=DEAD, attempt=10)
    resend(ADMIN, made, NOW)
    assert outbox(made) == [(PENDING, 10, 10, NOW, None)]


def test_one_that_waits_for_a_retry_is_due_now_and_keeps_its_round(hook: str) -> None:
    made = delivery(hook, "e", attempt=3, earlier_attempts=1, next_attempt_at=NOW + 1)
    resend(ADMIN, made, NOW)
    assert outbox(made) == [(PENDING, 3, 1, NOW, None)]


def test_one_in_the_queue_or_due_or_waiting_for_its_turn_is_left_alone(hook: str) -> None:
    queued = delivery(hook, "e", attempt=1, queued_at=AT, next_attempt_at=NOW + 1)
    due = delivery(hook, "e", attempt=1, next_attempt_at=NOW - 5)
    waiting = delivery(hook, "e", state=WAITING)
    before = outbox()
    for made in (queued, due, waiting):
        resend(ADMIN, made, NOW)
    assert outbox() == before


def test_one_held_by_an_open_circuit_is_let_through_as_its_probe(hook: str) -> None:
    made = delivery(hook, "e", state=HELD, attempt=2)
    change(hook, backlog=True, circuit_until=NOW + 300_000)
    version = Webhook.get_by_id(hook).version
    resend(ADMIN, made, NOW)
    assert outbox(made) == [(PENDING, 2, 0, NOW, None)]
    row = Webhook.get_by_id(hook)
    assert (row.probe, row.circuit_until, row.version > version) == (made, NOW + PROBE_MS, True)


def test_one_held_in_a_backlog_goes_ahead_of_it(hook: str) -> None:
    change(hook, backlog=True)
    made = delivery(hook, "e", state=HELD)
    resend(ADMIN, made, NOW)
    assert outbox(made) == [(PENDING, 0, 0, NOW, None)]
    assert Webhook.get_by_id(hook).probe is None


def test_one_that_succeeded_goes_in_again_with_its_id_and_its_count(hook: str) -> None:
    made = id_at(AT + 2)
    log(hook, "e", made, AT + 10, attempt=1, status=FAIL)
    log(hook, "e", made, AT + 20, attempt=2)
    log(hook, "e", made, AT + 30, attempt=0)
    resend(ADMIN, made, NOW)
    resend(ADMIN, made, NOW + 1)
    assert outbox() == [(PENDING, 2, 2, NOW, None)]
    row = Delivery.get()
    assert (row.id, row.webhook_id, row.event_id, row.created_at) == (made, hook, "e", AT)


def test_one_whose_event_is_pruned_is_not_found(hook: str) -> None:
    made = id_at(AT + 2)
    log(hook, "e", made)
    Event.delete().execute()
    with pytest.raises(NotFound, match="delivery_not_found"):
        resend(ADMIN, made, NOW)


def test_a_deleted_or_disabled_webhook_is_named(hook: str) -> None:
    made = delivery(hook, "e", state=DEAD, attempt=1)
    change(hook, enabled=False)
    with pytest.raises(BadRequest, match="webhook_disabled"):
        resend(ADMIN, made, NOW)
    change(hook, deleted_at=AT)
    with pytest.raises(NotFound, match="webhook_deleted"):
        resend(ADMIN, made, NOW)
    assert outbox(made) == [(DEAD, 1, 0, None, None)]


def test_others_and_unknown_ids_are_not_found(hook: str) -> None:
    made = delivery(hook, "e", state=DEAD, attempt=1)
    outsider = Caller("outsider", admin=False, scopes=frozenset(), platform=False)
    for caller, delivery_id in ((outsider, made), (ADMIN, new_id()), (ADMIN, "x"), (ADMIN, "")):
        with pytest.raises(NotFound, match="delivery_not_found"):
            resend(caller, delivery_id, NOW)
    assert outbox(made) == [(DEAD, 1, 0, None, None)]


def test_into_a_backlog_given_up_ones_are_held_and_held_ones_stay(hook: str) -> None:
    dead = delivery(hook, "e", state=DEAD, attempt=4)
    held = delivery(hook, "e", state=HELD, attempt=1)
    assert again([dead, held], DEAD, NOW, HELD) == 1
    assert again([dead, held], HELD, NOW, HELD) == 0
    assert again([], DEAD, NOW) == 0
    assert sorted(outbox()) == [(HELD, 1, 0, None, None), (HELD, 4, 4, None, None)]


def test_a_preview_says_how_many_a_job_would_send_again(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    event("moved", type="NODE_MOVED")
    for name in ("e", "moved", "moved"):
        delivery(hook, name, state=DEAD)
    delivery(hook, "e", attempt=1)
    delivery(hook, "e", state=HELD, attempt=1)
    delivery(hook, "e", state=HELD)
    delivery(hook, "e", NOW + 1, state=DEAD)

    def number(*states: str, start: int | None = None, trigger: str | None = None) -> Number:
        return preview_resend(hook, JobFilters(start, None, trigger, states), NOW)

    assert number(DEAD, FAILED) == Number(5)
    assert number(FAILED) == Number(2)
    assert number(DEAD, trigger="NODE_MOVED") == Number(2)
    assert number(DEAD, start=AT + 1) == Number(0)
    monkeypatch.setattr(delivery_query, "SCAN", 2)
    assert number(DEAD) == Number(2, is_cut=True)
