"""The formats of payloads: CloudEvents, one's own template, and the messages for bots."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from app.attempts import Due
from app.cloudevents import source_uri
from app.event_catalogue import payload_example
from app.event_facts import facts_of, title_of
from app.event_types import EVENT_TYPES
from app.matching import Webhook
from app.payload_formats import FORMATS, Body, body_for
from app.payloads import PayloadError
from app.ready_templates import TITLES, ready_templates
from tests.test_attempts import WEBHOOK

pytestmark = pytest.mark.sqlite_only

AT = 1_740_988_800_123
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TYPES = [*EVENT_TYPES, "EXTRA"]
HOSTILE = '<!channel> <@all> [x](http://y) "quoted" \\ `code` *b* \n# head\r\n> q \u202e \U0001f600 &lt; {{ 1 }}'
LIMITS = {"slack": 40_000, "dingtalk": 20_000, "wecom": 4_096, "feishu": 20_000, "teams": 28_000}  # bytes


def due(event_type: str = "NODE_CREATED", payload: Any = None, **fields: Any) -> Due:
    known = {
        "accepted_at": AT,
        "project_id": "shop",
        "repo_name": "android",
        "resource_key": "/release/shop.apk",
        "user_id": "amy",
        "source": "ci",
        "traceparent": TRACE,
    }
    text = json.dumps(payload_example(event_type) if payload is None else payload)
    return Due("d" * 32, "w" * 32, "e-1", 0, event_type, text, None, **known | fields)


def webhook(payload_format: str, template: str | None = None) -> Webhook:
    fields = {name: getattr(WEBHOOK, name) for name in Webhook.__struct_fields__}
    return Webhook(**fields | {"payload_format": payload_format, "payload_template": template})


def sent(payload_format: str, event: Due, base: str | None = "https://hooks.example.com") -> Any:
    return json.loads(body_for(event, webhook(payload_format), base).content)


def texts_of(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in texts_of(each)]


def test_the_default_is_the_events_payload() -> None:
    assert body_for(due(), webhook("default")) == Body(due().payload.encode(), "application/json")


def test_ones_own_template_sees_event_payload_and_facts() -> None:
    source = "{{ event|tojson }}\n{{ payload.node.name }} {{ facts|map(attribute='name')|join(',') }}"
    body = body_for(due(), webhook("template", "." + source))
    first, second = body.content.decode()[1:].split("\n")
    assert json.loads(first) == {
        "type": "NODE_CREATED",
        "title": "A file or folder was uploaded or created",
        "id": "e-1",
        "projectId": "shop",
        "repoName": "android",
        "resourceKey": "/release/shop.apk",
        "userId": "amy",
        "source": "ci",
        "time": "2025-03-03T08:00:00.123Z",
    }
    assert second == "shop.apk Project,Repository,Path,Size,By"


@pytest.mark.parametrize("payload_format", ["template", "a-format-of-tomorrow"])
def test_a_format_without_a_template_can_not_be_built(payload_format: str) -> None:
    with pytest.raises(PayloadError, match="there is no template"):
        body_for(due(), webhook(payload_format))


@pytest.mark.parametrize("event_type", TYPES)
def test_cloud_events_are_what_the_package_takes_for_such(event_type: str) -> None:
    body = body_for(due(event_type), webhook("cloudevents"), "https://hooks.example.com")
    event = from_http_event(HTTPMessage({"content-type": body.content_type}, body.content))
    assert event.get_specversion() == "1.0"
    assert (event.get_id(), event.get_type()) == ("e-1", f"hookline.{event_type}")
    assert event.get_source() == "https://hooks.example.com/projects/shop/repos/android"
    assert event.get_subject() == "/release/shop.apk"
    assert event.get_time() == datetime(2025, 3, 3, 8, 0, 0, 123_000, UTC)
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == payload_example(event_type)
    extensions = {name: event.get_extension(name) for name in ("eventid", "projectid", "reponame", "userid", "origin")}
    assert extensions == {
        "eventid": "e-1",
        "projectid": "shop",
        "reponame": "android",
        "userid": "amy",
        "origin": "ci",
    }
    assert event.get_extension("traceparent") == TRACE


def test_a_cloud_event_leaves_out_what_is_not_known() -> None:
    empty = dict.fromkeys(("project_id", "repo_name", "resource_key", "user_id", "source", "traceparent"))
    made = sent("cloudevents", due(**empty), None)
    assert sorted(made) == ["data", "datacontenttype", "eventid", "id", "source", "specversion", "time", "type"]
    assert made["source"] == "/"


def test_attributes_hold_no_control_characters() -> None:
    made = sent("cloudevents", due(resource_key="/a\nb\x7f", user_id="\u0085"))
    assert (made["subject"], made["userid"]) == ("/a%0Ab%7F", "%C2%85")


@pytest.mark.parametrize(
    ("base", "project", "repo", "uri"),
    [
        ("https://h", None, None, "https://h/"),
        ("https://h", "p", None, "https://h/projects/p"),
        ("https://h", "p q/é", "r#", "https://h/projects/p%20q%2F%C3%A9/repos/r%23"),
        ("", "p", "r", "/projects/p/repos/r"),
        ("", None, "r", "/"),
    ],
)
def test_the_source_says_where(base: str, project: str | None, repo: str | None, uri: str) -> None:
    assert source_uri(base, project, repo) == uri


@pytest.mark.parametrize("event_type", TYPES)
@pytest.mark.parametrize("bot", TITLES)
def test_each_bot_gets_a_message_of_each_type(bot: str, event_type: str) -> None:
    made = sent(bot, due(event_type))
    _check_shape(bot, made)
    shown = "\n".join(texts_of(made))
    assert title_of(event_type) in shown
    assert "2025-03-03 08:00:00 UTC" in shown
    for fact in facts_of(payload_example(event_type), "shop"):
        assert f"{fact['name']}" in shown
        assert fact["value"] in shown


@pytest.mark.parametrize("event_type", TYPES)
@pytest.mark.parametrize("bot", TITLES)
def test_hostile_names_stay_names(bot: str, event_type: str) -> None:
    def spoilt(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: spoilt(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [spoilt(inner) for inner in value]
        return HOSTILE * 20 if isinstance(value, str) else value

    made = sent(bot, due(event_type, spoilt(payload_example(event_type)), project_id=HOSTILE, resource_key=HOSTILE))
    _check_shape(bot, made)
    assert len(json.dumps(made, ensure_ascii=False).encode()) <= LIMITS[bot]
    for text in _marked_up(bot, made):
        assert "<" not in text
        assert "](" not in text.replace("\\", "")
        assert "\n#" not in text[1:].replace("\n### ", "")
    assert not any("\u202e" in text for text in texts_of(made))


def _marked_up(bot: str, made: Any) -> list[str]:
    """Return the texts that the bot reads as markup; the others are plain."""
    if bot == "slack":
        texts = [made["text"], *(block["text"]["text"] for block in made["blocks"] if block["type"] == "section")]
        return [text.replace("](", "") for text in texts]  # mrkdwn has no such links
    return [made["markdown"].get("text") or made["markdown"]["content"]] if "markdown" in made else []


def _check_shape(bot: str, made: Any) -> None:
    {"slack": _slack, "dingtalk": _dingtalk, "wecom": _wecom, "feishu": _feishu, "teams": _teams}[bot](made)


def _slack(made: Any) -> None:
    header, *sections, context = made["blocks"]
    assert made["text"]
    assert header["type"] == "header"
    assert len(header["text"]["text"]) <= 150
    assert 1 <= len(sections) <= 48
    assert {section["text"]["type"] for section in sections} == {"mrkdwn"}
    assert all(section["text"]["verbatim"] and len(section["text"]["text"]) <= 3_000 for section in sections)
    assert context["type"] == "context"


def _dingtalk(made: Any) -> None:
    assert made["msgtype"] == "markdown"
    assert sorted(made["markdown"]) == ["text", "title"]


def _wecom(made: Any) -> None:
    assert made["msgtype"] == "markdown"
    assert len(made["markdown"]["content"].encode()) <= 4_096


def _feishu(made: Any) -> None:
    assert made["msg_type"] == "interactive"
    assert made["card"]["header"]["title"]["tag"] == "plain_text"
    assert [element["tag"] for element in made["card"]["elements"]].count("div") >= 1
    assert all(element["text"]["tag"] == "plain_text" for element in made["card"]["elements"] if "text" in element)


def _teams(made: Any) -> None:
    [attachment] = made["attachments"]
    assert made["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["type"] == "AdaptiveCard"
    assert {block["type"] for block in attachment["content"]["body"]} == {"RichTextBlock"}


def test_the_ready_templates_can_be_used_as_ones_own() -> None:
    for ready in ready_templates():
        assert ready["name"] in FORMATS
        own = body_for(due(), webhook("template", ready["template"]))
        assert own == body_for(due(), webhook(ready["name"]))


@pytest.mark.parametrize(
    ("payload", "facts"),
    [
        ({"node": "odd", "user": None, "metedata": 5}, {"Project": "shop"}),
        ({"metedata": [{"key": "a"}, "b", 5]}, {"Project": "shop", "Metadata": "a, b"}),
        ({"srcFullPath": "/x"}, {"Project": "shop", "From": "//x"}),
        ({"oldFullPath": "/x", "node": {"size": 1 << 80}}, {"Project": "shop", "From": "/x"}),
        ({"projectId": "q", "failures": 5}, {"Project": "q", "Failures": "5"}),
    ],
)
def test_facts_are_those_that_are_there(payload: Any, facts: dict[str, str]) -> None:
    assert {fact["name"]: fact["value"] for fact in facts_of(payload, "shop")} == facts
