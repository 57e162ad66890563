"""Recovery in a browser: from trouble to a preview, to a job that goes on by itself until it is done or stopped."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from app.clock import now_ms
from app.models import DEAD, Job
from tests.browser.conftest import PHONE, OpenPage, Service, accessible, violations
from tests.receiver import Receiver
from tests.rows import change, deliveries, webhook
from tests.server import eventually

HOUR = 3_600_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    listening = Receiver()
    yield listening
    listening.close()


@pytest.fixture
def troubled(service: Service, receiver: Receiver) -> Iterator[str]:
    """A webhook of the test's own to which three deliveries were given up; it goes with the test."""
    with service.rows() as services:
        hook = webhook(services, "recovery:r")
        change(hook, url=receiver.url)
        deliveries(hook, 3, now_ms() - HOUR, state=DEAD, attempt=3)
    yield hook
    with service.client() as client:
        client.delete(hook)


def test_what_was_given_up_is_sent_again_after_a_preview(
    page: Page, service: Service, troubled: str, receiver: Receiver
) -> None:
    page.goto("/recovery?all=1")
    accessible(page)
    row = page.locator("#trouble tbody tr").filter(has_text=receiver.url)
    expect(row.get_by_role("cell").nth(2)).to_have_text("3")
    row.get_by_role("link", name="Send again …").click()
    expect(page.get_by_role("heading", name="Send 3 deliveries again?")).to_be_visible()
    expect(page.locator(".preview")).to_contain_text(receiver.url)
    accessible(page)
    page.get_by_role("button", name="Send them again").dblclick()
    page.wait_for_url(re.compile("/recovery/jobs/"))
    expect(page.locator(".job-state")).to_have_text("done")
    expect(page.locator(".job-share")).to_have_text("100 %")
    expect(page.get_by_role("button", name="Stop the job …")).to_be_hidden()
    accessible(page)
    eventually(lambda: len(receiver.received) == 3)
    with service.rows():
        assert Job.select().where(Job.webhook_id == troubled).count() == 1


def test_one_is_sent_again_from_the_list(open_page: OpenPage, troubled: str, receiver: Receiver) -> None:
    page = open_page(width=PHONE)
    page.goto(f"/recovery?webhook={troubled}&state=DEAD")
    assert violations(page) == []
    expect(page.locator("#list tbody tr")).to_have_count(3)
    page.locator("#list tbody tr").first.get_by_role("button", name="Send again").click()
    expect(page.locator("#said")).to_contain_text("is made again")
    expect(page.locator("#list tbody tr")).to_have_count(2)
    eventually(lambda: len(receiver.received) == 1)


def test_a_job_goes_on_by_itself_and_is_stopped(page: Page, service: Service, troubled: str) -> None:
    with service.rows():
        change(troubled, rate_limit=1, rate_burst=1)
        deliveries(troubled, 6_000, now_ms() - 2 * HOUR, state=DEAD, attempt=3)
    page.goto(f"/recovery/resend?webhook={troubled}&state=DEAD&preview=1")
    page.get_by_role("button", name="Send them again").click()
    expect(page.locator(".job-state")).to_have_text("running")
    share = page.locator(".job-share")
    seen = share.inner_text()
    expect(share).not_to_have_text(seen)
    page.get_by_role("button", name="Stop the job …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("nothing is taken back")
    seen = share.inner_text()
    expect(share).not_to_have_text(seen)  # it goes on behind the dialog, which stays
    accessible(page)
    dialog.get_by_role("button", name="Stop the job").click()
    expect(page.locator(".job-state")).to_have_text("cancelled")


def test_what_never_went_to_a_webhook_is_looked_for(page: Page, troubled: str) -> None:
    page.goto(f"/recovery/replay?webhook={troubled}")
    page.get_by_label("Accepted from").fill("2026-01-01T00:00:00")
    accessible(page)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name=re.compile(r"Go over [\d,]+\+? events\?"))).to_be_visible()
    expect(page).to_have_url(re.compile(r"from=2025-12-31T16%3A00%3A00\.000Z"))  # the viewer is in Shanghai
    page.get_by_role("button", name="Replay them").click()
    expect(page.locator(".job-state")).to_have_text("done")
    expect(page.get_by_text("There was nothing to send.")).to_be_visible()
