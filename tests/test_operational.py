"""What the service tells of its webhooks, and to whom."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from app import models
from app.database import insert_rows
from app.event_types import (
    DELIVERY_EXHAUSTED,
    EVENT_TYPES,
    WEBHOOK_DISABLED,
    WEBHOOK_FAILING,
    WEBHOOK_RECOVERED,
    WEBHOOK_TEST,
)
from app.matching import Webhook, WebhookIndex
from app.operational import (
    Detail,
    Disabled,
    EventRow,
    Exhausted,
    Failing,
    GivenUp,
    Health,
    Recovered,
    is_operational,
    operational_event,
    recipients,
)
from app.payloads import made_user
from app.services import Services

NOW = 1_700_000_000_000
SHANGHAI = ZoneInfo("Asia/Shanghai")
OPERATIONAL = frozenset({WEBHOOK_DISABLED, WEBHOOK_FAILING, WEBHOOK_RECOVERED, DELIVERY_EXHAUSTED})
FAILING = Failing(failures=5, last_error_msg="the receiver answered 500", last_response_status=500)
SICK = Health(enabled=True, disabled_reason=None, failures=5, failing_since=NOW - 5_000)


def webhook(webhook_id: str = "about", association: str = "REPO/p:r", **changes: Any) -> Webhook:
    association_type, _, association_id = association.partition("/")
    made = Webhook(
        id=webhook_id,
        url="https://receiver.example/hook",
        token="sealed token",
        headers="sealed headers",
        secret="sealed secret",
        triggers=OPERATIONAL,
        association_type=association_type,
        association_id=association_id,
        resource_key_pattern=None,
        enabled=True,
        previous_secret="sealed previous secret",
        client_certificate="sealed certificate",
    )
    return msgspec.structs.replace(made, **changes)


def told(about: Webhook, detail: Detail = FAILING, health: Health = SICK) -> EventRow:
    return operational_event(about, health, detail, event_id="e", zone=SHANGHAI, now=NOW)


def payload(detail: Detail, health: Health = SICK, about: Webhook | None = None) -> Any:
    return json.loads(told(about or webhook(), detail, health).payload)


def receivers(event: EventRow, *webhooks: Webhook) -> list[str]:
    index = WebhookIndex()
    for one in webhooks:
        index.put(one)
    return [found.id for found in recipients(index, event)]


def test_a_payload_shows_the_webhook_and_the_user_system() -> None:
    assert payload(FAILING) == {
        "eventType": "WEBHOOK_FAILING",
        "user": made_user("system"),
        "webHook": {
            "id": "about",
            "url": "https://receiver.example/hook",
            "associationType": "REPO",
            "associationId": "p:r",
            "enabled": True,
            "disabledReason": None,
            "failures": 5,
            "failingSince": "2023-11-15T06:13:15.000",
        },
        "failures": 5,
        "lastErrorMsg": "the receiver answered 500",
        "lastResponseStatus": 500,
    }


def test_a_disabled_webhook_is_shown_as_it_is_now_with_the_reason() -> None:
    gone = "the receiver answered 410 Gone"
    shown = payload(Disabled(reason=gone), Health(False, gone, 0, None), webhook(association="SYSTEM/"))
    assert shown["eventType"] == "WEBHOOK_DISABLED"
    assert shown["reason"] == gone
    assert (shown["webHook"]["enabled"], shown["webHook"]["disabledReason"]) == (False, gone)
    assert (shown["webHook"]["failingSince"], shown["webHook"]["associationId"]) == (None, None)


def test_a_recovered_webhook_comes_with_how_long_it_failed() -> None:
    shown = payload(Recovered(failed_for=3_600_000), Health(True, None, 0, None))
    assert (shown["eventType"], shown["failedFor"]) == ("WEBHOOK_RECOVERED", 3_600_000)


def test_an_exhausted_delivery_is_named_with_its_event() -> None:
    lost = GivenUp(id="d", event_id="x", triggered_event="NODE_CREATED", attempts=10, last_error_msg="timed out")
    shown = payload(Exhausted(delivery=lost))
    assert shown["eventType"] == "DELIVERY_EXHAUSTED"
    assert shown["delivery"] == {
        "id": "d",
        "eventId": "x",
        "triggeredEvent": "NODE_CREATED",
        "attempts": 10,
        "lastErrorMsg": "timed out",
    }


@pytest.mark.parametrize("health", [SICK, Health(False, "by hand", 9, NOW)])
def test_no_payload_shows_a_secret(health: Health) -> None:
    assert "sealed" not in told(webhook(), FAILING, health).payload


def test_the_event_is_the_webhooks_projects_and_no_repositorys() -> None:
    event = told(webhook())
    assert event._replace(payload="") == EventRow(
        "e", "WEBHOOK_FAILING", "p", None, "about", "system", "hookline", "", None, NOW
    )
    assert told(webhook(association="PROJECT/p")).project_id == "p"
    assert told(webhook(association="SYSTEM/")).project_id is None


def test_its_row_is_in_the_order_of_the_table(services: Services) -> None:
    event = told(webhook())
    names = models.Event._meta.sorted_field_names
    assert EventRow._fields == tuple(names)[: len(EventRow._fields)]
    insert_rows(models.Event, [event])
    assert models.Event.select().tuples().get() == (*event, None)


def test_it_goes_to_the_system_and_to_the_webhooks_own_project() -> None:
    others = (
        webhook("system", "SYSTEM/"),
        webhook("project", "PROJECT/p"),
        webhook("other project", "PROJECT/q"),
        webhook("repository", "REPO/p:r"),
    )
    assert receivers(told(webhook()), *others) == ["system", "project"]
    assert receivers(told(webhook(association="PROJECT/p")), *others) == ["system", "project"]
    assert receivers(told(webhook(association="SYSTEM/")), *others) == ["system"]


@pytest.mark.parametrize("association", ["SYSTEM/", "PROJECT/p"])
def test_it_never_goes_to_the_webhook_that_it_is_about(association: str) -> None:
    about = webhook(association=association)
    assert receivers(told(about), about, webhook("other", "SYSTEM/")) == ["other"]


def test_it_goes_to_enabled_webhooks_that_ask_for_its_type_and_for_this_webhook() -> None:
    others = (
        webhook("disabled", "SYSTEM/", enabled=False),
        webhook("other type", "SYSTEM/", triggers=OPERATIONAL - {WEBHOOK_FAILING}),
        webhook("other key", "SYSTEM/", resource_key_pattern="/a/.*"),
        webhook("this key", "SYSTEM/", resource_key_pattern="about|another"),
    )
    assert receivers(told(webhook()), *others) == ["this key"]


def test_filters_judge_it_as_they_do_other_events() -> None:
    meant = {
        "failures": '{"payload.failures":{"$gte":5},"source":"hookline","userId":"system"}',
        "more": '{"payload.failures":{"$gt":5}}',
    }
    hooks = [webhook(id=name, association="SYSTEM/", filter=text) for name, text in meant.items()]
    assert receivers(told(webhook()), *hooks) == ["failures"]


def test_it_knows_which_types_are_operational() -> None:
    assert {name for name in EVENT_TYPES if is_operational(name)} == OPERATIONAL
    assert not is_operational(WEBHOOK_TEST)
    assert not is_operational("IMAGE_SIGNED")
