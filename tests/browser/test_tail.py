"""The live tail in a browser: rows come by themselves, once, whatever happens to the server meanwhile."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from app.accounts import FIRST_ADMIN
from app.clock import now_ms
from app.ids import new_id
from app.models import FAIL
from tests.browser.conftest import PATIENCE_MS, OpenPage, Problems, Service, accessible, log_in
from tests.rows import log, webhook
from tests.server import PASSWORD, Server, serving

HOSTILE = "<img src=x onerror=alert(1)>"


def state(page: Page, text: str) -> None:
    """Wait until the page says so of its connection; between two tries it waits as long as 12 seconds."""
    expect(page.locator(".tail-state")).to_have_text(text, timeout=30_000)


def made(webhook_id: str, **columns: object) -> str:
    return log(webhook_id, "event", new_id(), now_ms(), **columns)


def test_deliveries_appear_by_themselves_and_can_be_held_up(page: Page, service: Service) -> None:
    with service.rows() as services:
        hook = webhook(services, "tail:r")
        page.goto(f"/tail?webhook={hook}")
        state(page, "Live")
        expect(page.get_by_text("Nothing was delivered in the last ten minutes")).to_be_visible()
        first = made(hook, status=FAIL, response_status=500, error=HOSTILE)
        expect(page.locator(f"#log-{first}")).to_contain_text("failure 500")
        expect(page.locator(f"#log-{first}")).to_contain_text(HOSTILE)
        expect(page.get_by_text("Nothing was delivered")).to_be_hidden()
        accessible(page)
        page.get_by_role("button", name="Pause").click()
        state(page, "Paused")
        second = made(hook)
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("tbody tr")).to_have_count(0)
        page.get_by_role("button", name="Resume").click()
        state(page, "Live")
        expect(page.locator(f"#log-{second}")).to_be_visible()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_label("Result").select_option("Failures")
        page.wait_for_url(re.compile("status=failures"))
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.locator(f"#log-{first}")).to_be_visible()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, which it may end."""
    with serving(tmp_path / "data") as server:
        yield server


def test_a_server_that_goes_away_costs_no_row_and_doubles_none(
    browser: Browser, service: Service, own: Server, problems: Problems
) -> None:
    problems.expect("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET")
    here = Service(own, service.known)
    with contextlib.closing(browser.new_context(base_url=here.url, locale="en-US")) as context:
        context.set_default_timeout(PATIENCE_MS)
        problems.watch(context, here.url)
        page = context.new_page()
        log_in(page, FIRST_ADMIN)
        page.goto("/tail")
        state(page, "Live")
        with here.rows() as services:
            hook = webhook(services)
            before = made(hook)
            expect(page.locator(f"#log-{before}")).to_be_visible()
            own.kill()
            state(page, "The server is away")
            expect(page.get_by_text("What happens meanwhile is shown once the server is back.")).to_be_visible()
            meanwhile = made(hook)
        own.start()
        state(page, "Live")
        with here.rows():
            after = made(hook)
        expect(page.locator(f"#log-{after}")).to_be_visible()
        ids = page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.id)")
        assert ids == [f"log-{each}" for each in (after, meanwhile, before)]


def test_who_finds_no_place_looks_every_few_seconds(page: Page, service: Service, problems: Problems) -> None:
    problems.expect("status of 503")
    page.goto("/account")
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    with contextlib.ExitStack() as stack, service.rows() as services:
        headers = {"Accept": "text/event-stream", "Connection": "close"}
        while True:
            answer = requests.get(
                f"{service.url}/tail/stream", headers=headers, cookies=cookies, stream=True, timeout=10
            )
            if answer.status_code == 503:
                break
            stack.enter_context(contextlib.closing(answer))
        hook = webhook(services, "tail:r")
        page.goto(f"/tail?webhook={hook}")
        state(page, "Looked at every 5 seconds")
        expect(page.get_by_text("too many people are watching")).to_be_visible()
        accessible(page)
        new = made(hook)
        expect(page.locator(f"#log-{new}")).to_be_visible()
    state(page, "Live")


def test_an_ended_session_leads_to_the_login_page_and_back(open_page: OpenPage) -> None:
    page = open_page(None)
    log_in(page, FIRST_ADMIN)
    page.goto("/tail?status=failures")
    state(page, "Live")
    page.get_by_role("button", name="Pause").click()
    page.context.clear_cookies(name="hookline")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.get_by_label("User name").fill(FIRST_ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile(r"/tail\?status=failures"))
