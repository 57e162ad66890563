"""Where a delivery is, while it is in the outbox and after that."""

from zoneinfo import ZoneInfo

import pytest

from app.authentication import Caller
from app.delivery_status import AFTER_MS, deliveries_of, delivery_record, held_reason, manageable, track
from app.ids import id_at, new_id
from app.models import DEAD, FAIL, HELD, WAITING, Event, Grant, Webhook
from app.services import Services
from tests.rows import ADMIN, AT, URL, change, delivery, event, log, webhook

UTC = ZoneInfo("UTC")


def states_of(event_id: str) -> dict[str, str]:
    return {found.id: found.state for found in deliveries_of(Event.get_by_id(event_id))}


def test_an_event_shows_all_its_deliveries_in_whatever_state(services: Services) -> None:
    webhooks = [webhook(services) for _ in range(6)]
    event("e")
    event("other")
    owed = [
        delivery(each, "e", state=state)
        for each, state in zip(webhooks, ("PENDING", HELD, WAITING, DEAD), strict=False)
    ]
    done, cancelled = id_at(AT + 3), id_at(AT + 4)
    log(webhooks[4], "e", done, attempt=1, status=FAIL)
    log(webhooks[4], "e", done, AT + 20, attempt=2)
    log(webhooks[5], "e", cancelled, attempt=1, status=FAIL)
    delivery(webhooks[0], "other")
    log(webhooks[0], "other", id_at(AT))
    expected = dict(zip(owed, ("PENDING", "HELD", "WAITING", "DEAD"), strict=True))
    assert states_of("e") == expected | {done: "SUCCESS", cancelled: "CANCELLED"}


def test_a_row_counts_more_than_the_logs_of_an_earlier_round(services: Services) -> None:
    hook = webhook(services)
    event("e")
    again = delivery(hook, "e", attempt=3, earlier_attempts=1)
    log(hook, "e", again, attempt=1)
    assert states_of("e") == {again: "PENDING"}
    [found] = deliveries_of(Event.get_by_id("e"))
    assert (found.attempts, len(found.logs)) == (3, 1)


@pytest.mark.parametrize("late", [-900, 0, AFTER_MS - 1_000])
def test_rows_made_a_moment_before_or_after_the_event_are_found(services: Services, late: int) -> None:
    event("e")
    made = delivery(webhook(services), "e", id=id_at(AT + late))
    assert states_of("e") == {made: "PENDING"}


def test_a_delivery_shows_its_last_attempt(services: Services) -> None:
    hook = webhook(services)
    event("e")
    made = delivery(hook, "e", attempt=2, next_attempt_at=AT + 5_000, queued_at=None)
    log(hook, "e", made, AT + 10, attempt=1, status=FAIL, response_status=None, error="the connection was refused")
    log(hook, "e", made, AT + 20, attempt=2, status=FAIL, response_status=500, error="the receiver answered 500")
    found = track(made)
    assert found is not None
    assert delivery_record(found, Webhook.get_by_id(hook), UTC) == {
        "deliveryId": made,
        "webHookId": hook,
        "webhookUrl": URL,
        "state": "PENDING",
        "heldReason": None,
        "inFlight": False,
        "nextAttemptTime": "2021-12-27T00:00:05.000",
        "attempts": 2,
        "lastStatus": "FAIL",
        "lastErrorMsg": "the receiver answered 500",
        "lastResponseStatus": 500,
        "lastAttemptTime": "2021-12-27T00:00:00.020",
    }


def test_a_new_delivery_has_no_last_attempt_and_may_be_in_flight(services: Services) -> None:
    hook = webhook(services)
    event("e")
    found = track(delivery(hook, "e", queued_at=AT))
    assert found is not None
    record = delivery_record(found, Webhook.get_by_id(hook), UTC)
    assert [record[name] for name in record if name.startswith("last")] == [None] * 4
    assert (record["attempts"], record["inFlight"]) == (0, True)


@pytest.mark.parametrize("late", [0, 900, 59_000])
def test_a_delivery_that_has_left_the_outbox_is_found_by_its_logs(services: Services, late: int) -> None:
    hook = webhook(services)
    for number in range(5):
        event(f"e{number}", AT + number)
        log(hook, f"e{number}", id_at(AT + number))
    gone = id_at(AT + late)
    event("mine", AT)
    newest = [log(hook, "mine", gone, AT + 3_600_000 * hour, attempt=hour + 1) for hour in range(3)][::-1]
    found = track(gone)
    assert found is not None
    assert (found.event_id, found.webhook_id, found.row, found.attempts) == ("mine", hook, None, 3)
    assert [line.id for line in found.logs] == newest


def test_nothing_is_known_of_other_ids(services: Services) -> None:
    event("e")
    log(webhook(services), "e", id_at(AT))
    assert track(id_at(AT)) is None
    assert track(new_id()) is None
    assert track("0" * 32) is None
    assert track("f" * 32) is None


def test_why_deliveries_are_held(services: Services) -> None:
    hook = webhook(services, backlog=True)
    assert held_reason(Webhook.get_by_id(hook)) == "backlog"
    change(hook, circuit_until=AT)
    assert held_reason(Webhook.get_by_id(hook)) == "circuit"
    change(hook, enabled=False)
    assert held_reason(Webhook.get_by_id(hook)) == "disabled"


def test_only_webhooks_that_the_caller_may_manage_are_shown(services: Services) -> None:
    mine, project, system = webhook(services), webhook(services, "p"), webhook(services, "")
    change(mine, deleted_at=AT)
    Grant.insert(user_id="amy", project_id="p", repo_name="r", created_at=0).execute()
    amy = Caller("amy", admin=False, scopes=frozenset(), platform=False)
    asked = {mine, project, system, "nope"}
    assert set(manageable(ADMIN, asked)) == {mine, project, system}
    assert set(manageable(amy, asked)) == {mine}
    assert manageable(ADMIN, set()) == {}
