"""One event and the webhooks that it went to, and those that it passed by."""

from typing import Any

import pytest

from app.event_fanout import fan_out
from app.ids import id_at
from app.models import DEAD, FAIL, HELD, WAITING, Event
from app.services import Services
from app.webhooks import delete_webhook
from tests.rows import ADMIN, AT, change, delivery, event, log, webhook

NOW = AT + 1_000


def test_of_many_deliveries_those_in_trouble_are_shown(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.event_fanout.SHOWN", 2)
    event("e")
    hooks = [webhook(services) for _ in range(4)]
    for hook in hooks[:2]:
        log(hook, "e", id_at(AT + 1))
    delivery(hooks[2], "e", state=DEAD)
    delivery(hooks[3], "e", id=id_at(AT + 5))
    delete_webhook(ADMIN, hooks[0], NOW)
    found = fan_out(ADMIN, Event.get_by_id("e"))
    assert [each.webhook.id for each in found.reached] == [hooks[2], hooks[3]]
    assert found.states == {"DEAD": 1, "PENDING": 1, "SUCCESS": 2}
    assert not found.is_settled
    assert found.passed_by.judged == []


def test_a_test_passes_nobody_by(services: Services) -> None:
    hook = webhook(services)
    webhook(services, "")
    event("e", type="WEBHOOK_TEST", project_id=None, repo_name=None)
    log(hook, "e", id_at(AT + 1), attempt=0)
    found = fan_out(ADMIN, Event.get_by_id("e"))
    assert [each.webhook.id for each in found.reached] == [hook]
    assert (found.passed_by.judged, found.is_settled) == ([], True)


@pytest.mark.parametrize(
    ("hook", "columns", "may_be_sent", "held_reason"),
    [
        ({}, {"state": DEAD}, True, None),
        ({}, {"attempt": 1}, True, None),
        ({}, {"queued_at": AT}, False, None),
        ({}, {"state": WAITING}, False, None),
        ({"circuit_until": NOW}, {"state": HELD}, True, "circuit"),
        ({"enabled": False}, {"state": HELD}, False, "disabled"),
    ],
)
@pytest.mark.sqlite_only
def test_what_can_be_sent_again(
    services: Services, hook: dict[str, Any], columns: dict[str, Any], may_be_sent: bool, held_reason: str | None
) -> None:
    made = webhook(services)
    change(made, **hook)
    event("e")
    delivery(made, "e", **columns)
    [reached] = fan_out(ADMIN, Event.get_by_id("e")).reached
    assert (reached.may_be_sent, reached.held_reason) == (may_be_sent, held_reason)


@pytest.mark.sqlite_only
def test_what_a_deleted_webhook_got_is_not_sent_again(services: Services) -> None:
    hook = webhook(services)
    event("e")
    log(hook, "e", id_at(AT + 1), status=FAIL)
    delete_webhook(ADMIN, hook, NOW)
    [reached] = fan_out(ADMIN, Event.get_by_id("e")).reached
    assert (reached.delivery.state, reached.may_be_sent) == ("CANCELLED", False)
