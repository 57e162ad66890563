"""Webhooks in a browser: making one, trying its pattern, testing it, editing it with someone else, and its end."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, OpenPage, Problems, Service, accessible
from tests.receiver import Receiver

Make = Callable[..., str]

NEW = {
    "url": "http://receiver.example/hook",
    "triggers": ["NODE_CREATED"],
    "associationType": "PROJECT",
    "associationId": "browser",
}


@pytest.fixture
def make(service: Service) -> Make:
    """Make a webhook of its own for a test, and return the path of its page."""

    def made(**fields: object) -> str:
        return f"/webhooks/{service.client().create(**(NEW | fields))}"

    return made


def save(page: Page, name: str = "Save") -> None:
    """Send the form."""
    page.get_by_role("button", name=name, exact=True).click()


def test_a_webhook_is_made_by_keyboard_and_told_what_is_wrong_field_by_field(page: Page, problems: Problems) -> None:
    page.goto("/webhooks")
    page.get_by_role("button", name="New webhook").press("Enter")
    page.get_by_label("URL").focus()
    page.keyboard.type("ftp://receiver.example")
    page.keyboard.press("Tab")
    expect(page.locator("#url-error")).to_have_text("url must begin with http:// or https://")
    expect(page.get_by_label("URL")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Association")).to_be_focused()
    page.get_by_label("URL").fill("http://receiver.example/made")
    page.get_by_label("Project or repository").fill("browser")
    page.keyboard.press("Tab")
    expect(page.locator("#url-error")).to_have_count(0)
    expect(page.locator("#associationId-error")).to_contain_text("must be projectId:repoName")
    page.get_by_label("Association").select_option("PROJECT")
    expect(page.locator("#associationId-error")).to_have_count(0)
    problems.expect("status of 400")
    save(page, "Create the webhook")
    expect(page.locator("#errors")).to_be_focused()
    expect(page.locator("#errors")).to_contain_text("triggers must not be empty")
    accessible(page)
    group = page.get_by_role("group", name="Scans")
    group.get_by_label("All of these").press("Space")
    expect(group.get_by_label("SCAN_FINISHED")).to_be_checked()
    expect(page.locator("#triggers-error")).to_be_empty()
    save(page, "Create the webhook")
    expect(page.locator("#signing-secret")).to_have_text(re.compile("^whsec_"))
    accessible(page)
    page.reload()
    expect(page.locator("#signing-secret")).to_have_count(0)
    page.get_by_role("button", name="Reveal the secret").click()
    expect(page.locator("#signing-secret")).to_have_text(re.compile("^whsec_"))


def test_headers_are_added_removed_and_kept_though_they_are_masked(page: Page, service: Service, make: Make) -> None:
    path = make(headers={"X-Api-Key": "a-long-secret", "X-Old": "1"})
    page.goto(f"{path}/edit")
    expect(page.get_by_label("Value of header 1")).to_have_value("****cret")
    page.get_by_role("button", name="Remove header 2").click()
    expect(page.get_by_label("Name of header 2")).to_be_focused()
    page.keyboard.type("Host")
    page.keyboard.press("Tab")
    expect(page.locator("#header-1-error")).to_have_text("headers: Host is reserved")
    expect(page.get_by_label("Value of header 2")).to_be_focused()
    page.get_by_label("Name of header 2").fill("X-New")
    page.keyboard.press("Tab")
    page.keyboard.type("2")
    expect(page.locator("#header-1-error")).to_have_count(0)
    save(page)
    expect(page.get_by_text("X-New: 2")).to_be_visible()
    kept = service.client().get(path.rpartition("/")[2])["headers"]
    assert kept == {"X-Api-Key": "****cret", "X-New": "2"}


def test_a_pattern_is_tried_while_it_is_typed(open_page: OpenPage) -> None:
    page = open_page(language="zh", width=PHONE)
    page.goto("/webhooks/new?type=PROJECT&association=mobile")
    result = page.locator("#pattern-result")
    page.get_by_label("资源路径表达式").fill(r".*\.apk")
    page.get_by_label("用资源路径试一试").fill("/a/b.apk")
    expect(result.locator(".badge").first).to_have_text("匹配")
    expect(result).to_contain_text("最近 100 个事件中有")
    accessible(page)
    page.get_by_label("资源路径表达式").fill("(")
    expect(result).to_contain_text("missing ): (")


def test_filter_and_template_are_checked_and_previewed_while_they_are_typed(open_page: OpenPage) -> None:
    page = open_page(width=PHONE)
    page.goto("/webhooks/new?type=PROJECT&association=mobile")
    preview = page.locator("#preview-result")
    own = page.get_by_label("Event filter")
    own.fill('{"payload.node.size": {"$most": 1}}')
    expect(preview).to_contain_text("filter.payload.node.size.$most: there is no such operator")
    own.blur()
    expect(page.locator("#filter-error")).to_contain_text("filter.payload.node.size.$most")
    expect(own).to_have_attribute("aria-invalid", "true")
    own.fill('{"payload.node.size": {"$gt": 1}}')
    expect(preview.locator(".badge")).to_have_text("passes the filter")
    expect(page.locator("#pattern-result")).to_contain_text("events match the pattern and pass the filter.")
    own.blur()
    expect(page.locator("#filter-error")).to_have_count(0)
    expect(own).to_have_value('{"payload.node.size": {"$gt": 1}}')
    template = page.get_by_label("Template", exact=True)
    expect(template).to_be_hidden()
    page.get_by_label("Format", exact=True).select_option("template")
    page.get_by_label("Start from one of these").select_option("feishu")
    page.get_by_role("button", name="Fill in").click()
    expect(template).to_have_value(re.compile("msg_type"))
    page.get_by_label("Preview with a sample event").select_option("SCAN_FINISHED")
    expect(preview.locator(".badge")).to_have_text("stopped by the filter")
    expect(preview).to_contain_text('"msg_type"')
    accessible(page)
    template.fill('{"found": {{ payload.task.scanResultOverview.cveHighCount }}}')
    expect(preview).to_contain_text('"found": 1')


def test_a_test_shows_request_and_answer_and_a_secret_is_rotated(page: Page, make: Make, receiver: Receiver) -> None:
    receiver.answer(200, 500)
    page.goto(make(url=receiver.url))
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("heading", name="Test success 200")).to_be_visible()
    expect(page.get_by_role("region", name="Request")).to_contain_text("WEBHOOK_TEST")
    expect(page.get_by_role("region", name="Answer")).to_contain_text("ok")
    accessible(page)
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("heading", name="Test failure 500")).to_be_visible()
    page.get_by_role("link", name="show or rotate the secret").click()
    page.get_by_role("button", name="Rotate now").click()
    expect(page.locator("#signing-secret")).to_be_visible()
    expect(page.locator("#previous-secret")).to_be_visible()


def test_the_second_of_two_who_edit_is_told_and_loses_nothing(
    page: Page, open_page: OpenPage, make: Make, problems: Problems
) -> None:
    path = make()
    second = open_page()
    for each in (page, second):
        each.goto(f"{path}/edit")
        each.get_by_label("URL").fill(f"http://receiver.example/{'first' if each is page else 'second'}")
    save(page)
    expect(page.get_by_role("status").first).to_have_text("The webhook was saved.")
    problems.expect("status of 409")
    save(second)
    expect(second.locator("#conflict")).to_be_focused()
    expect(second.locator("#url-now")).to_contain_text("http://receiver.example/first")
    expect(second.get_by_label("URL")).to_have_value("http://receiver.example/second")
    accessible(second)
    save(second)
    expect(second.get_by_role("heading", level=1)).to_have_text("http://receiver.example/second")


def test_a_webhook_is_found_disabled_enabled_and_deleted(page: Page, make: Make, problems: Problems) -> None:
    path = make(url="http://receiver.example/to-be-deleted")
    page.goto("/webhooks")
    page.get_by_label("Search").fill("to-be-deleted")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="to-be-deleted").click()
    for verb, done in (("Disable", "is disabled"), ("Enable", "is enabled")):
        page.get_by_role("button", name=f"{verb}…").click()
        page.get_by_role("dialog").get_by_role("button", name=verb, exact=True).click()
        expect(page.get_by_role("status").first).to_contain_text(done)
    page.get_by_role("button", name="Delete…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nothing is waiting to be sent to it.")
    accessible(page)
    dialog.get_by_role("button", name="Delete the webhook").click()
    expect(page).to_have_url(re.compile("/webhooks$"))
    problems.expect("status of 410")
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text("This webhook was deleted")
