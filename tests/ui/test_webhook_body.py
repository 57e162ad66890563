"""What the pages about webhooks do with filter, payload format and template."""

import json
from collections.abc import Callable

import pytest

from app.models import Webhook
from app.ready_templates import source_of
from app.services import Services
from app.webhooks import find_webhook
from tests.rows import ADMIN, change, event, webhook
from tests.ui.conftest import FRAGMENT, Pages, text_of
from tests.ui.test_webhooks import GOOD, errors, typed

pytestmark = pytest.mark.sqlite_only

LogIn = Callable[..., Pages]
FILTER = '{\n  "payload.node.size": {"$gt": 1},\n  "userId": "径<b>"\n}'
TEMPLATE = '{"text": {{ payload.node.name|tojson }}}\n\n'


def part(pages: Pages, path: str, **form: str) -> str:
    """Return what htmx gets for the form as it is."""
    answer = pages.post(path, GOOD | form, headers=FRAGMENT)
    assert answer.status_code == 200
    assert "<b>" not in answer.text
    return " ".join(answer.text.split())


def test_filter_and_template_are_kept_as_typed_shown_and_taken_away(pages: Pages) -> None:
    pages.visit("/webhooks/new")
    form = GOOD | {"filter": FILTER, "payloadFormat": "template", "payloadTemplate": TEMPLATE.replace("\n", "\r\n")}
    pages.send("/webhooks/new", form)
    row = Webhook.get()
    assert json.loads(row.filter) == json.loads(FILTER)
    assert (row.payload_format, row.payload_template) == ("template", TEMPLATE)
    shown = text_of(pages.visit(f"/webhooks/{row.id}"))
    for text in ('"userId": "径<b>"', "A template of your own", "payload.node.name|tojson"):
        assert text in shown
    pages.visit(f"/webhooks/{row.id}/edit")
    kept = typed(pages)
    assert (json.loads(kept["filter"][0]), kept["payloadTemplate"]) == (json.loads(FILTER), [TEMPLATE])
    pages.send(f"/webhooks/{row.id}/edit", kept)
    assert (Webhook.get().filter, Webhook.get().payload_template) == (row.filter, TEMPLATE)
    # The template stands in the form still, out of sight.
    pages.visit(f"/webhooks/{row.id}/edit")
    pages.send(f"/webhooks/{row.id}/edit", typed(pages) | {"filter": " ", "payloadFormat": "slack"})
    row = Webhook.get()
    assert (row.filter, row.payload_format, row.payload_template) == (None, "slack", None)


@pytest.mark.parametrize(
    ("form", "field", "text"),
    [
        (
            {"filter": '{"type": "T",\n  payload: 1}'},
            "filter",
            "filter, line 2, column 3: not valid JSON: Expecting prop",
        ),
        ({"filter": "[]"}, "filter", "filter must be an object"),
        ({"filter": "{} {}"}, "filter", "filter, line 1, column 4: not valid JSON: Extra data"),
        ({"filter": '{"type": "A", "type": "B"}'}, "filter", 'filter gives the key "type" twice in one object'),
        ({"filter": "[" * 5_000}, "filter", "filter nests deeper than 100 levels"),
        ({"filter": '{"type": NaN}'}, "filter", "filter is not valid JSON: "),
        (
            {"filter": '{"payload.size": {"$most": 1}}'},
            "filter",
            "filter.payload.size.$most: there is no such operator",
        ),
        ({"payloadFormat": "fax"}, "payloadFormat", 'payloadFormat: "fax" is not one of default, cloudevents'),
        ({"payloadFormat": "template"}, "payloadTemplate", "payloadTemplate is required"),
        ({"payloadFormat": "template", "payloadTemplate": "a\n{{ b"}, "payloadTemplate", "payloadTemplate, line 2: "),
    ],
)
def test_what_is_wrong_is_told_at_its_field_with_the_place(
    pages: Pages, form: dict[str, str], field: str, text: str
) -> None:
    pages.visit("/webhooks/new")
    at = pages.send("/webhooks/new", GOOD | form, status=400)
    assert errors(pages).keys() == {field}
    assert errors(pages)[field].startswith(text)
    assert at.select_one(f"#errors a[href='#{field}']") is not None
    assert Webhook.select().count() == 0
    assert text.replace('"', "&#34;") in part(pages, "/webhooks/check", **form)


def test_a_template_is_begun_from_a_ready_one(pages: Pages) -> None:
    pages.visit("/webhooks/new")
    at = pages.post("/webhooks/start", GOOD | {"ready": "dingtalk"}, headers=FRAGMENT)
    assert at.status_code == 200
    assert source_of("dingtalk").splitlines()[0].strip()[:10] in at.text
    assert 'value="template" selected' in at.text
    assert pages.post("/webhooks/start", GOOD | {"ready": "../x"}, headers=FRAGMENT).status_code == 400


def test_a_preview_shows_the_body_of_a_sample_and_what_the_filter_says(pages: Pages) -> None:
    pages.visit("/webhooks/new")
    own = {
        "payloadFormat": "template",
        "payloadTemplate": '{"at": {{ payload.node.name|tojson }}}',
        "sample": "NODE_CREATED",
    }
    assert "&#34;at&#34;: &#34;shop.apk&#34;" in part(pages, "/webhooks/preview", **own)
    assert "passes the filter" in part(pages, "/webhooks/preview", **own, filter='{"payload.node.size":{"$gt":1}}')
    stopped = part(pages, "/webhooks/preview", sample="SCAN_FINISHED", filter='{"type":{"$ne":"SCAN_FINISHED"}}')
    assert "stopped by the filter" in stopped
    assert "scanResultOverview" in stopped
    assert "the filter" not in part(pages, "/webhooks/preview", sample="WEBHOOK_FAILING")
    assert "application/cloudevents+json" in part(pages, "/webhooks/preview", payloadFormat="cloudevents")
    assert "filter must be an object" in part(pages, "/webhooks/preview", filter="5")
    assert "filter, line 1, column 2" in part(pages, "/webhooks/preview", filter="{<b>")
    assert "payloadTemplate, line 1" in part(pages, "/webhooks/preview", **own | {"payloadTemplate": "{{ nothing }}"})


def test_recent_events_are_compared_with_the_filter_too(pages: Pages) -> None:
    for size in (1, 2, 3):
        event(f"e{size}", payload=f'{{"size":{size}}}', resource_key=f"/{size}")
    pages.visit("/webhooks/new")
    both = {"resourceKeyPattern": "/[12]", "filter": '{"payload.size":{"$gte":2}}'}
    assert "1 of the last 3 events match the pattern and pass the filter." in part(pages, "/webhooks/pattern", **both)
    assert "2 of the last 3 events match." in part(pages, "/webhooks/pattern", **both | {"filter": "{"})


def test_two_who_edit_see_each_others_filter_and_format(log_in: LogIn, services: Services) -> None:
    webhook_id = webhook(services)
    path = f"/webhooks/{webhook_id}/edit"
    first, second = log_in("root"), log_in("project-manager")
    for pages in (first, second):
        pages.visit(path)
    first.send(path, typed(first) | {"filter": '{"userId": "first"}', "payloadFormat": "teams"})
    at = second.send(path, typed(second) | {"filter": '{"userId": "second"}'}, status=409)
    assert text_of(at.select_one("#filter-now")) == 'Now: {"userId":"first"}'
    assert text_of(at.select_one("#payloadFormat-now")) == "Now: Microsoft Teams: workflow"
    kept = typed(second)
    assert (kept["filter"], kept["payloadFormat"]) == (['{"userId": "second"}'], "teams")
    second.send(path, kept)
    row = find_webhook(ADMIN, webhook_id)
    assert (row.filter, row.payload_format) == ('{"userId":"second"}', "teams")


def test_an_event_says_that_a_filter_stopped_it_in_chinese_too(log_in: LogIn, services: Services) -> None:
    webhook_id = webhook(services)
    change(webhook_id, filter='{"userId":"<b>"}')
    event("e")
    for language, text in (("en", "Its filter does not let the event pass:"), ("zh", "事件未通过其过滤器：")):
        assert f'{text} {{"userId":"<b>"}}' in text_of(log_in("root", language).visit("/events/view?id=e"))
    assert "事件过滤器" in text_of(log_in("root", "zh").visit(f"/webhooks/{webhook_id}"))
