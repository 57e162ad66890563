"""Why an event goes to a webhook or does not."""

from typing import Any

import pytest

from app import match_reasons, models
from app.authentication import Caller
from app.event_types import WEBHOOK_DISABLED, Event
from app.match_reasons import (
    CHANGED,
    DELETED,
    DISABLED,
    ELSEWHERE,
    FILTER,
    ITSELF,
    MADE,
    PATTERN,
    TRIGGER,
    bystanders,
    elsewhere,
    judge,
)
from app.matching import Webhook, WebhookIndex
from app.models import Grant
from app.services import Services
from app.stored_events import subject_of
from app.webhooks import delete_webhook
from tests.rows import ADMIN, AT, change, event, webhook

MANAGER = Caller("project", admin=False, scopes=frozenset(), platform=False)
NODE = {"id": "e", "type": "NODE_CREATED", "project_id": "p", "repo_name": "r", "resource_key": "/a.apk"}
SIZED = {"user_id": "u", "payload": '{"node":{"size":5}}'}
HOOK = {
    "id": "w",
    "triggers": '["NODE_CREATED"]',
    "association_type": "REPO",
    "association_id": "p:r",
    "resource_key_pattern": None,
    "enabled": True,
    "created_at": AT,
    "last_modified_at": AT,
    "deleted_at": None,
}


def accepted(**columns: Any) -> models.Event:
    return models.Event(**NODE | SIZED | {"accepted_at": AT} | columns)


def hook(**columns: Any) -> models.Webhook:
    return models.Webhook(**HOOK | columns)


@pytest.mark.parametrize(
    ("changes", "against"),
    [
        ({}, ()),
        ({"association_type": "PROJECT", "association_id": "p"}, ()),
        ({"association_type": "SYSTEM", "association_id": ""}, ()),
        ({"resource_key_pattern": "/.*"}, ()),
        ({"resource_key_pattern": ""}, ()),
        ({"association_id": "p:s"}, (ELSEWHERE,)),
        ({"association_type": "PROJECT", "association_id": "q"}, (ELSEWHERE,)),
        ({"triggers": '["NODE_CREATED_X"]'}, (TRIGGER,)),
        ({"resource_key_pattern": "a.apk"}, (PATTERN,)),
        ({"filter": '{"payload.node.size":{"$gte":5},"userId":"u"}'}, ()),
        ({"filter": '{"payload.node.size":{"$gt":5}}'}, (FILTER,)),
        ({"filter": '{"userId":"v"}', "resource_key_pattern": "x"}, (PATTERN, FILTER)),
        ({"enabled": False}, (DISABLED,)),
        ({"deleted_at": AT + 1}, (DELETED,)),
        ({"enabled": False, "triggers": "[]", "resource_key_pattern": "x"}, (DISABLED, TRIGGER, PATTERN)),
    ],
)
def test_it_names_all_that_stands_against_a_webhook(changes: dict[str, Any], against: tuple[str, ...]) -> None:
    found = judge(accepted(), hook(**changes))
    assert found.against == against
    assert found.matches is (not against)


@pytest.mark.parametrize("pattern", [None, "", "/.*", "a"])
@pytest.mark.parametrize("key", [None, "", "/a.apk"])
@pytest.mark.parametrize("place", [("SYSTEM", ""), ("PROJECT", "p"), ("REPO", "p:r")])
@pytest.mark.parametrize("project_id", [None, "p", "q"])
def test_it_says_what_matching_does(
    pattern: str | None, key: str | None, place: tuple[str, str], project_id: str | None
) -> None:
    row = hook(association_type=place[0], association_id=place[1], resource_key_pattern=pattern)
    index = WebhookIndex()
    index.put(
        Webhook(
            id="w",
            url="",
            token=None,
            headers=None,
            secret="",
            triggers=frozenset({"NODE_CREATED"}),
            association_type=place[0],
            association_id=place[1],
            resource_key_pattern=pattern,
            enabled=True,
        )
    )
    given = accepted(resource_key=key, project_id=project_id)
    assert judge(given, row).matches is bool(index.match(subject_of(given), given.payload))


def test_what_has_no_payload_passes_a_filter_that_looks_into_it() -> None:
    given = accepted(error="data.node is missing", payload="{}")
    assert judge(given, hook(filter='{"payload.node.size":9}')).matches
    assert judge(given, hook(filter='{"userId":"v"}')).against == (FILTER,)


def test_an_event_about_a_webhook_is_not_for_that_webhook() -> None:
    about = {"type": WEBHOOK_DISABLED, "repo_name": None, "resource_key": "w"}
    listening = {"triggers": f'["{WEBHOOK_DISABLED}"]', "association_type": "PROJECT", "association_id": "p"}
    assert judge(accepted(**about), hook(**listening)).against == (ITSELF,)
    assert judge(accepted(**about), hook(**listening, id="other")).against == ()


@pytest.mark.parametrize(
    ("changes", "since"),
    [
        ({}, None),
        ({"last_modified_at": AT + 1}, CHANGED),
        ({"created_at": AT + 1, "last_modified_at": AT + 2}, MADE),
    ],
)
def test_it_says_what_has_happened_since(changes: dict[str, Any], since: str | None) -> None:
    assert judge(accepted(), hook(**changes)).since == since


def test_those_around_the_event_are_judged_and_those_it_reached_left_out(services: Services) -> None:
    system, project, here = webhook(services, ""), webhook(services, "p"), webhook(services)
    reached, stopped = webhook(services), webhook(services, enabled=False)
    webhook(services, "p:s")
    webhook(services, "q")
    event("e")
    row = models.Event.get_by_id("e")
    found = bystanders(ADMIN, row, {reached})
    assert [(each.webhook.id, each.against) for each in found.judged] == [
        (here, ()),
        (project, ()),
        (system, ()),
        (stopped, (DISABLED,)),
    ]
    assert not found.is_cut


def test_webhooks_deleted_before_the_event_have_nothing_to_do_with_it(services: Services) -> None:
    before, after = webhook(services), webhook(services)
    event("e", AT + 5)
    delete_webhook(ADMIN, before, AT + 4)
    delete_webhook(ADMIN, after, AT + 6)
    found = bystanders(ADMIN, models.Event.get_by_id("e"), ())
    assert [(each.webhook.id, each.against) for each in found.judged] == [(after, (DELETED,))]


def test_others_see_only_what_they_manage(services: Services) -> None:
    webhook(services, "")
    project, here, next_door = webhook(services, "p"), webhook(services), webhook(services, "p:s")
    foreign = webhook(services, "q")
    event("e")
    Grant.insert(user_id="project", project_id="p", created_at=0).execute()
    row = models.Event.get_by_id("e")
    assert [each.webhook.id for each in bystanders(MANAGER, row, ()).judged] == [here, project]
    assert [each.webhook.id for each in elsewhere(MANAGER, row).judged] == [next_door]
    assert [each.webhook.id for each in elsewhere(ADMIN, row).judged] == [foreign, next_door]
    nobody = Caller("nobody", admin=False, scopes=frozenset(), platform=False)
    assert bystanders(nobody, row, ()).judged == elsewhere(nobody, row).judged == []


def test_elsewhere_are_those_that_subscribe_to_the_type(services: Services) -> None:
    other, longer, lower = (webhook(services, "q") for _ in range(3))
    change(longer, triggers='["NODE_CREATED_TWICE"]')
    change(lower, triggers='["node_created"]')
    webhook(services)
    event("e")
    found = elsewhere(ADMIN, models.Event.get_by_id("e"))
    assert [(each.webhook.id, each.against) for each in found.judged] == [(other, (ELSEWHERE,))]


def test_where_there_are_many_it_shows_some_and_says_so(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match_reasons, "SHOWN", 3)
    hooks = [webhook(services, place) for place in ("", "p", "p:r", "p:r", "q", "q", "q", "q")]
    event("e")
    row = models.Event.get_by_id("e")
    near = bystanders(ADMIN, row, ())
    assert ([each.webhook.id for each in near.judged], near.is_cut) == (hooks[3:0:-1], True)
    assert not bystanders(ADMIN, row, {hooks[3]}).is_cut
    far = elsewhere(ADMIN, row)
    assert ([each.webhook.id for each in far.judged], far.is_cut) == (hooks[:4:-1], True)
    monkeypatch.setattr(match_reasons, "SCAN", 2)
    assert [each.webhook.id for each in elsewhere(ADMIN, row).judged] == hooks[:5:-1]


def test_a_subject_has_what_matching_needs() -> None:
    subject = Event(type="NODE_CREATED", project_id="p", repo_name="r", resource_key="/a.apk", user_id="u")
    assert subject_of(accepted()) == subject
