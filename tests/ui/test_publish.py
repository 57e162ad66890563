"""The form that publishes an event."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask

from app.api.context import EXTENSION, Context
from app.event_types import EVENT_TYPES, PUBLISHABLE_TYPES
from app.models import Delivery, Event
from app.services import Services
from app.ui.publish_form import FIELDS
from tests.rows import webhook
from tests.ui.conftest import Pages, text_of

pytestmark = pytest.mark.sqlite_only

HOSTILE = "</textarea><script>alert(1)</script>"


def fields(found: BeautifulSoup) -> dict[str, str]:
    """Return what stands in the form."""
    form = found.select_one("form[method=post][action='/publish#result']")
    assert form is not None
    shown = {str(each["name"]): str(each.get("value", "")) for each in form.select("input")}
    return {**shown, "data": form.select_one("textarea").get_text()}  # type: ignore[union-attr]


def result(found: BeautifulSoup) -> str:
    return text_of(found.select_one("#result"))


def publish(pages: Pages, form: dict[str, str], status: int = 200, **changes: str) -> BeautifulSoup:
    return pages.send("/publish", form | {"action": "publish"} | changes, status=status)


@pytest.mark.parametrize("event_type", sorted(PUBLISHABLE_TYPES))
def test_the_template_of_each_type_can_be_published_as_it_is(pages: Pages, services: Services, event_type: str) -> None:
    hook = webhook(services, "", triggers=json.dumps([event_type]))
    found = publish(pages, fields(pages.visit(f"/publish?type={event_type}")))
    assert "Published. It goes to one webhook." in result(found)
    row = Event.get()
    assert (row.type, row.error, Delivery.get().webhook_id) == (event_type, None, hook)
    [link] = found.select("#result a")
    assert link["href"] == f"/events/view?id={row.id}"


def test_the_types_are_grouped_and_none_of_the_services_own_is_among_them(pages: Pages) -> None:
    found = pages.visit("/publish")
    options = [str(option["value"]) for option in found.select("optgroup option")]
    assert set(options) == PUBLISHABLE_TYPES < set(EVENT_TYPES)
    [chosen] = found.select("option[selected]")
    assert chosen["value"] == "NODE_CREATED"
    assert fields(pages.visit("/publish?type=WEBHOOK_TEST"))["type"] == "NODE_CREATED"


def test_a_link_may_give_fields_and_another_type_keeps_the_place(pages: Pages) -> None:
    shown = fields(pages.visit("/publish?type=NODE_DELETED&projectId=p&repoName=r&resourceKey=/x&userId=u"))
    assert [shown[name] for name in ("projectId", "repoName", "resourceKey", "userId")] == ["p", "r", "/x", "u"]
    shown = fields(pages.visit("/publish?type=PROJECT_CREATED&projectId=p&repoName=r"))
    assert (shown["projectId"], shown["repoName"]) == ("p", "")


def test_checking_publishes_nothing_and_says_what_would_happen(pages: Pages, services: Services) -> None:
    webhook(services, "shop:android")
    form = fields(pages.visit("/publish"))
    found = pages.send("/publish", form)
    assert "It would go to one webhook: http://receiver.example/hook" in result(found)
    assert '"eventType": "NODE_CREATED"' in result(found)
    assert fields(found) == form
    found = pages.send("/publish", form | {"projectId": "elsewhere"})
    assert "It would go to no webhook" in result(found)
    found = pages.send("/publish", {**form, "type": "NODE_MOVED", "data": "{}"})
    assert "The payload can't be built, so each delivery would fail: data.dstProjectId is missing" in result(found)
    assert Event.select().count() == 0


def test_a_form_sent_twice_publishes_one_event_and_a_changed_one_another(pages: Pages, services: Services) -> None:
    form = fields(pages.visit("/publish"))
    found = publish(pages, form)
    assert form["eventId"] in result(found)
    assert "was published already" in result(publish(pages, form))
    again = fields(found)
    assert again == form | {"eventId": again["eventId"], "csrf_token": again["csrf_token"]}
    assert "Published" in result(publish(pages, again, resourceKey="/b"))
    assert {row.id for row in Event.select()} == {form["eventId"], again["eventId"]}


@pytest.mark.parametrize(
    ("changes", "field", "text", "status"),
    [
        ({"projectId": " "}, "projectId", "projectId is required", 400),
        ({"resourceKey": ""}, "resourceKey", "resourceKey is required", 400),
        ({"userId": "u" * 129}, "userId", "userId is longer than 128 characters", 400),
        ({"repoName": "r\x07"}, "repoName", "repoName is invalid", 400),
        ({"data": "{"}, "data", "data is not valid JSON", 400),
        ({"data": "[1]"}, "data", "data must be a JSON object", 400),
        ({"data": '{"a":1,"a":2}'}, "data", "twice in one object", 400),
        ({"data": '{"a":"' + "x" * 1_048_576 + '"}'}, "data", "data is larger than 1048576 bytes", 413),
        ({"data": '{"a":' + "[" * 200 + "]" * 200 + "}"}, "data", "nests deeper", 400),
        ({"type": "NOPE"}, "type", "unknown event type", 400),
        ({"type": "WEBHOOK_TEST"}, "type", "type is invalid", 400),
        ({"eventId": "\x07"}, "", "eventId is invalid", 400),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_nothing_is_lost(
    pages: Pages, changes: dict[str, str], field: str, text: str, status: int
) -> None:
    form = fields(pages.visit("/publish")) | changes
    found = publish(pages, form, status=status)
    assert text in (text_of(found.select_one(f"#{field}-error")) if field else result(found))
    if "r\x07" not in changes.values() and "\x07" not in changes.values():
        assert fields(found)["data"].strip() == form["data"].strip()
    assert Event.select().count() == 0


def test_an_empty_field_is_one_that_is_not_given(pages: Pages) -> None:
    form = fields(pages.visit("/publish?type=SCAN_FINISHED"))
    publish(pages, form, userId="", resourceKey="", projectId=" p ")
    row = Event.get()
    assert (row.project_id, row.repo_name, row.resource_key, row.user_id) == ("p", None, "", "")


def test_the_users_own_types_have_a_template_too_and_dropped_events_are_said_to_be(
    app: Flask, pages: Pages, services: Services
) -> None:
    settings = replace(
        services.settings, extra_event_types=frozenset({"IMAGE_SIGNED"}), skip_project_repo=("skipped:*",)
    )
    context = app.extensions[EXTENSION]
    app.extensions[EXTENSION] = Context(replace(services, settings=settings), context.authenticator)
    form = fields(pages.visit("/publish?type=IMAGE_SIGNED"))
    assert json.loads(form["data"])
    found = pages.send("/publish", form | {"projectId": "skipped"})
    assert "It would be dropped: SKIP_PROJECT_REPO" in result(found)
    assert "Published" in result(publish(pages, form))


def test_those_who_may_not_publish_are_told_why(log_in: Callable[..., Pages]) -> None:
    pages = log_in("project-manager")
    assert "You may not publish events" in text_of(pages.visit("/publish").main)
    pages.send("/publish", dict.fromkeys(FIELDS, "x"), status=403)
    assert Event.select().count() == 0
    assert "您没有发布事件的权限" in text_of(log_in("outsider", "zh").visit("/publish").main)


def test_what_was_typed_is_text(pages: Pages) -> None:
    form: dict[str, Any] = fields(pages.visit("/publish"))
    found = publish(pages, form, status=400, data=HOSTILE, resourceKey=HOSTILE, projectId=HOSTILE)
    assert [each for each in found.select("script") if not each.get("src")] == []
    assert fields(found)["data"].strip() == HOSTILE
