"""A webhook's payload format and template, the ready templates, and the preview."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.payload_formats import FORMATS
from tests.api.conftest import Api, stored
from tests.receiver import Receiver

TEMPLATE = '{"text": {{ payload.node.name|tojson }}}'


def shown(admin: Api, webhook_id: str) -> tuple[str, str | None]:
    webhook = admin.data("GET", f"/webhook/{webhook_id}")
    return webhook["payloadFormat"], webhook["payloadTemplate"]


def test_a_format_is_set_kept_and_changed(admin: Api) -> None:
    webhook_id = admin.create(payloadFormat="template", payloadTemplate=TEMPLATE)
    assert shown(admin, webhook_id) == ("template", TEMPLATE)
    for changes, after in (
        ({"enabled": False}, ("template", TEMPLATE)),
        ({"payloadTemplate": "{{ event.type }}"}, ("template", "{{ event.type }}")),
        ({"payloadFormat": "slack"}, ("slack", None)),
        ({"payloadFormat": "template", "payloadTemplate": "a"}, ("template", "a")),
        ({"payloadFormat": "default", "payloadTemplate": ""}, ("default", None)),
    ):
        admin.data("PUT", "/webhook/update", {"id": webhook_id, **changes})
        assert shown(admin, webhook_id) == after


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"payloadFormat": "xml"}, 250105, f'payloadFormat: "xml" is not one of {", ".join(FORMATS)}'),
        ({"payloadFormat": 5}, 250105, "payloadFormat must be a string"),
        ({"payloadFormat": "template"}, 250103, "payloadTemplate is required"),
        ({"payloadFormat": "template", "payloadTemplate": ""}, 250103, "payloadTemplate is required"),
        ({"payloadTemplate": "x"}, 250105, "payloadTemplate may be given only together with payloadFormat: template"),
        (
            {"payloadFormat": "template", "payloadTemplate": "a\n{{ evnt.type }}"},
            250105,
            "payloadTemplate, line 2: there is no evnt; known: event, facts, payload",
        ),
        (
            {"payloadFormat": "template", "payloadTemplate": "{% if %}"},
            250105,
            "payloadTemplate, line 1: Expected an expression, got 'end of statement block'",
        ),
        (
            {"payloadFormat": "template", "payloadTemplate": "{{ payload.x() }}"},
            250105,
            "payloadTemplate, line 1: a call is not allowed in templates",
        ),
    ],
)
def test_what_can_not_be_used_is_refused_at_create_update_and_preview(
    admin: Api, fields: dict[str, Any], code: int, message: str
) -> None:
    webhook_id = admin.create()
    before = stored()
    for method, path, more in (
        ("POST", "/webhook/create", {"url": "http://a/", "triggers": ["NODE_CREATED"], "associationType": "SYSTEM"}),
        ("PUT", "/webhook/update", {"id": webhook_id}),
        ("POST", "/webhook/preview", {}),
    ):
        answer = admin(method, path, more | fields)
        assert (answer.status_code, answer.json["code"], answer.json["message"]) == (400, code, message)
    assert stored() == before


def test_messages_are_in_chinese_too(admin: Api) -> None:
    fields = {"payloadFormat": "template", "payloadTemplate": "{{ 1 ** 2 }}"}
    answer = admin("POST", "/webhook/preview", fields, headers={"Accept-Language": "zh-CN"})
    assert answer.json["message"] == "参数 payloadTemplate 第 1 行：模板中不允许使用 **"


def test_deletion_leaves_no_template(admin: Api) -> None:
    webhook_id = admin.create(payloadFormat="template", payloadTemplate=TEMPLATE)
    admin.data("DELETE", f"/webhook/delete/{webhook_id}")
    assert [row["payload_template"] for row in stored()] == [None]


@pytest.mark.parametrize("payload_format", ["cloudevents", "template", "slack"])
def test_a_test_is_sent_in_the_format_and_its_log_shows_what_was_sent(
    admin: Api, receiver: Receiver, payload_format: str
) -> None:
    template = "{{ event.title }}: {{ payload.webHook.id }}" if payload_format == "template" else None
    webhook_id = admin.create(url=receiver.url, payloadFormat=payload_format, payloadTemplate=template)
    record = admin.data("POST", f"/webhook/test/{webhook_id}")
    [arrived] = receiver.received
    assert record["requestPayload"] == arrived.body.decode()
    assert record["requestHeaders"]["Content-Type"] == arrived.headers["content-type"]
    assert arrived.headers["x-bkrepo-event"] == "WEBHOOK_TEST"
    if payload_format == "template":
        assert arrived.body.decode() == f"A webhook was tested by hand: {webhook_id}"
        assert arrived.headers["content-type"] == "text/plain; charset=utf-8"
    [row] = admin.data("GET", f"/log/list/{webhook_id}")
    assert row["requestPayload"] == arrived.body.decode()
    found = admin.data("GET", f"/log/list/{webhook_id}?q=A webhook was tested")
    assert found["totalRecords"] == (payload_format != "cloudevents")


def test_a_template_that_fails_is_an_error_and_a_retry_builds_it_again(admin: Api, receiver: Receiver) -> None:
    webhook_id = admin.create(url=receiver.url, payloadFormat="template", payloadTemplate="{{ payload.nope + 1 }}")
    record = admin.data("POST", f"/webhook/test/{webhook_id}")
    assert record["status"] == "ERROR"
    assert record["errorMsg"] == (
        "the payload could not be built: the template failed in line 1: what is missing is not a number"
    )
    assert json.loads(record["requestPayload"])["eventType"] == "WEBHOOK_TEST"
    assert receiver.received == []
    admin.data("PUT", "/webhook/update", {"id": webhook_id, "payloadTemplate": "{{ event.id }}"})
    again = admin.data("POST", f"/webhook/retry/{record['id']}")
    assert (again["status"], again["requestPayload"]) == ("SUCCESS", record["eventId"])


def test_ready_templates_come_with_their_source(as_user: Callable[[str], Api]) -> None:
    found = as_user("outsider").data("GET", "/webhook/templates")
    assert [each["name"] for each in found] == ["slack", "dingtalk", "wecom", "feishu", "teams"]
    assert all(each["title"] and "for fact in facts %}" in each["template"] for each in found)


def test_a_preview_is_of_the_sample_unless_an_event_is_given(as_user: Callable[[str], Api]) -> None:
    preview = as_user("outsider")
    made = preview.data("POST", "/webhook/preview", {})
    assert (made["contentType"], made["matches"]) == ("application/json", None)
    assert json.loads(made["body"])["eventType"] == "NODE_CREATED"
    own = {"payloadFormat": "template", "payloadTemplate": "{{ event.type }} {{ event.resourceKey }}"}
    assert preview.data("POST", "/webhook/preview", own)["body"] == "NODE_CREATED /release/1.4.0/shop.apk"
    failing = preview.data("POST", "/webhook/preview", {**own, "eventType": "WEBHOOK_FAILING"})
    assert failing["body"] == "WEBHOOK_FAILING "
    event = {"type": "NODE_DELETED", "projectId": "p", "repoName": "r", "resourceKey": "/x"}
    given = preview.data("POST", "/webhook/preview", {**own, "event": event, "filter": {"projectId": "p"}})
    assert given == {"contentType": "text/plain; charset=utf-8", "body": "NODE_DELETED /x", "matches": True}
    missed = preview.data("POST", "/webhook/preview", {"event": event, "filter": {"payload.fullPath": "/y"}})
    assert missed["matches"] is False
    cloud = preview.data("POST", "/webhook/preview", {"payloadFormat": "cloudevents", "eventType": "REPO_CREATED"})
    assert json.loads(cloud["body"])["type"] == "hookline.REPO_CREATED"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"eventType": "NOPE"}, 'eventType: "NOPE" is not one of'),
        ({"event": 5}, "event is invalid"),
        ({"event": {"type": "NODE_CREATED", "projectId": "p", "repoName": "r"}}, "event.resourceKey is required"),
        ({"event": {"type": "SCAN_FINISHED", "projectId": "p"}}, "event: the payload can't be built: data.task is mi"),
        (
            {"payloadFormat": "template", "payloadTemplate": "{{ 1 / 0 }}"},
            "payloadTemplate: the payload can't be built",
        ),
        ({"filter": {"$nope": 5}}, "filter"),
    ],
)
def test_a_preview_says_what_is_wrong(admin: Api, body: dict[str, Any], message: str) -> None:
    answer = admin("POST", "/webhook/preview", body)
    assert (answer.status_code, answer.json["code"]) == (400, 250103 if "required" in message else 250105)
    assert answer.json["message"].startswith(message)


def test_previews_are_not_for_strangers(admin: Api) -> None:
    for method, path in (("POST", "/webhook/preview"), ("GET", "/webhook/templates")):
        assert admin.client.open(f"/webhook/api{path}", method=method, json={}).status_code == 401
