"""Events: found, looked at, replayed and published by hand, in a browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from app.ids import new_id
from app.ingest import keep_rejected, rejected_row
from app.models import RejectedEvent
from app.webhooks import create_webhook
from scripts.demo_data import ADMIN
from tests.browser.conftest import PHONE, OpenPage, Problems, Service, accessible


def later_webhook(service: Service, project: str) -> str:
    """Make a webhook for new files of a project that nobody listens at, and return its URL."""
    url = f"http://127.0.0.1:9/{new_id()}"
    fields = {"url": url, "triggers": ["NODE_CREATED"], "associationType": "PROJECT", "associationId": project}
    with service.rows() as services:
        create_webhook(services, ADMIN, fields, 2**42)
    return url


def published(page: Page, project: str) -> str:
    """Publish the template of NODE_CREATED for a project from the form, and return the event's id."""
    page.goto(f"/publish?type=NODE_CREATED&projectId={project}")
    page.get_by_role("button", name="Publish", exact=True).click()
    return page.locator("#published-id").inner_text()


def test_an_event_is_checked_published_and_found_again(page: Page, problems: Problems) -> None:
    page.goto("/publish")
    page.get_by_label("Type").select_option("REPO_CREATED")
    expect(page.get_by_label("Resource key")).to_have_value("android")
    page.locator("#projectId").fill("browser")
    page.get_by_label("Type").select_option("NODE_MOVED")
    expect(page.locator("#data")).to_have_value(re.compile("dstFullPath"))
    expect(page.locator("#projectId")).to_have_value("browser")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#result")).to_contain_text("Nothing was published yet")
    accessible(page)
    problems.expect("status of 400")
    data = page.locator("#data")
    before = data.input_value()
    data.fill("{")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#data-error")).to_contain_text("data is not valid JSON")
    accessible(page)
    data.fill(before)
    page.get_by_role("button", name="Publish", exact=True).click()
    event_id = page.locator("#published-id").inner_text()
    accessible(page)
    page.goto("/events")
    page.get_by_label("Event id or resource key").fill(event_id)
    page.get_by_role("button", name="Find").click()
    expect(page).to_have_url(re.compile(f"/events/view[?]id={event_id}"))
    expect(page.get_by_role("heading", name="NODE_MOVED")).to_be_visible()


def test_a_form_sent_again_by_a_reload_publishes_nothing_more(open_page: OpenPage) -> None:
    page = open_page()
    page.route("**/htmx.js*", lambda route: route.fulfill(body=""))  # forms must work without it too
    event_id = published(page, "browser")
    page.reload()
    expect(page.locator("#result")).to_contain_text("was published already")
    expect(page.locator("#result a")).to_have_attribute("href", f"/events/view?id={event_id}")


def test_a_webhook_made_later_is_told_why_and_has_the_event_replayed(page: Page, service: Service) -> None:
    event_id = published(page, "replayed")
    url = later_webhook(service, "replayed")
    page.goto(f"/events/view?id={event_id}")
    row = page.get_by_role("row", name=url)
    expect(row).to_contain_text("It was made after the event")
    row.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("status").first).to_contain_text("The event is replayed")
    delivery = page.locator("#fanout").get_by_role("row", name=url)
    expect(delivery).to_contain_text("connection refused")  # it is followed until there is an answer
    delivery.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status").first).to_contain_text("is made again")
    page.get_by_role("link", name="Webhooks elsewhere that subscribe to this type").click()
    expect(page.locator("#elsewhere")).to_contain_text("another project or repository")
    accessible(page)


def test_the_list_of_a_manager_on_a_phone_in_chinese(open_page: OpenPage, service: Service) -> None:
    page = open_page(user="mobile-team", language="zh", width=PHONE)
    page.goto("/events?project=mobile&type=NODE_CREATED")
    expect(page.locator("tbody tr")).not_to_have_count(0)
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", name="NODE_CREATED")).to_be_visible()
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto("/publish")
    expect(page.get_by_role("main")).to_contain_text("您没有发布事件的权限")


@pytest.mark.parametrize("event", ['<img src="/nowhere" onerror="alert(1)">\u202e\u0000'])
def test_a_rejected_event_is_shown_as_it_came_and_discarded(page: Page, service: Service, event: str) -> None:
    with service.rows():
        keep_rejected([rejected_row(event, 0, "type: unknown_type", event, now=2**42)])
    page.goto("/events/rejected")
    article = page.get_by_role("article").filter(has_text="unknown_type").first
    article.get_by_text("What came").click()
    expect(article.locator("pre")).to_contain_text('onerror=\\"alert(1)')
    accessible(page)
    article.get_by_role("button", name="Discard").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("goes to no webhook, now or later")
    dialog.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("status").first).to_contain_text("was deleted")
    with service.rows():
        assert RejectedEvent.select().count() == 0
